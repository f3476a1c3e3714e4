"""The sample crawl: what it holds is what its pages say, and what the corridor makes of it, record by record."""

import io
import ipaddress
import json
import re
import subprocess
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from fastwarc.warc import ArchiveIterator

from pipeline.sources.listing import list_files
from pipeline.sources.options import CommonCrawlSource
from pipeline.sources.read import read
from pipeline.sources.record import FATES_OF_KINDS, Record
from pipeline.steps.options import PiiOptions
from tests.sample.archive import build
from tests.sample.chrome import around, site
from tests.sample.markup import HABITS, PARAGRAPHS
from tests.sample.prose import FOLDER, Page, page_names, read_page
from tests.sample.records import entries, record_id, times, to_warc

READER_FATES = {
    "not_a_response",
    "not_http",
    "bad_http_header",
    "http_status",
    "not_html",
    "bad_body",
    "empty_body",
    "page_too_large",
    "bad_record",
    "truncated_record",
    "damaged_bytes",
}
LATER_FATES = {"url_denied_domain", "url_denied_word", "no_text", "look_language", "look_n_stop_words"}
DROP_REASONS = {
    "language_score",
    "gopher_duplicate_lines",
    "gopher_top_2gram",
    "gopher_top_3gram",
    "gopher_top_4gram",
    "gopher_duplicate_5gram",
    "gopher_too_few_words",
    "gopher_hashes",
    "gopher_ellipses",
    "gopher_bullet_lines",
    "gopher_ellipsis_lines",
    "gopher_alphabetic_words",
    "gopher_stop_words",
    "c4_lorem_ipsum",
    "c4_curly_bracket",
    "c4_sentences",
    "fineweb_line_punctuation",
    "fineweb_short_lines",
    "fineweb_duplicate_line_chars",
    "exact_duplicate",
    "near_duplicate",
}
E_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")

Truth = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "pipeline" / "sources" / "sample"


@pytest.fixture(scope="module")
def truth(folder: Path) -> Truth:
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text("utf-8").splitlines()]


def originals() -> Iterator[Page]:
    pages = map(read_page, page_names())
    return (page for page in pages if not {"exact_copy_of", "near_copy_of"} & page.meta.keys())


def test_the_archive_is_what_the_builder_makes(folder: Path) -> None:
    archive, truth = build()
    if "ng" in zlib.ZLIB_RUNTIME_VERSION:
        pytest.skip("zlib-ng compresses to other bytes")
    assert (folder / "truth.jsonl").read_bytes() == truth, "run python tests/make_sample.py"
    assert (folder / "sample.warc.gz").read_bytes() == archive, "run python tests/make_sample.py"


def test_it_is_as_large_and_as_varied_as_it_should_be(folder: Path, truth: Truth) -> None:
    assert 235 <= len(truth) <= 265
    assert (folder / "sample.warc.gz").stat().st_size < 2_000_000
    assert {row["fate"] for row in truth} == READER_FATES | LATER_FATES | DROP_REASONS | {"kept"}
    kept = [page for page in originals() if page.expect.startswith("kept")]
    lengths = [len(page.text.split()) for page in kept]
    assert len(kept) >= 40 and min(lengths) >= 200 and max(lengths) <= 600
    others = Counter(page.meta["lang"] for page in originals() if page.expect == "look_language")
    assert len(others) == 7 and min(others.values()) >= 3


def test_every_layout_and_every_habit_is_in_the_crawl() -> None:
    pages = [read_page(name) for name in page_names()]
    own = [site(urlsplit(page.meta["url"]).hostname or "") for page in pages]
    habits = {h for page, here in zip(pages, own, strict=True) for h in page.meta.get("habits", here.get("habits", []))}
    styles = {page.meta.get("paragraphs", here.get("paragraphs", "p")) for page, here in zip(pages, own, strict=True)}
    assert habits == {*HABITS, "bom"} and styles == set(PARAGRAPHS)
    assert {page.meta["layout"] for page in pages} == {path.stem for path in (FOLDER / "layouts").glob("*.html")}


def test_no_two_originals_share_eight_words_in_a_row() -> None:
    seen: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for page in originals():
        words = re.findall(r"\w+", re.sub("<[^>]*>", " ", page.text.lower()))
        for i in range(len(words) - 7):
            seen[tuple(words[i : i + 8])].add(page.meta.get("cluster") or page.name)
    assert [" ".join(words) for words, names in seen.items() if len(names) > 1] == []


def test_no_two_sites_look_alike_and_the_clock_runs_forward() -> None:
    sites: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for page in map(read_page, page_names()):
        chrome = around(urlsplit(page.meta["url"]).hostname or "", page.meta.get("lang", "en"))
        sites[chrome["nav_items"], chrome["aside_items"]].add(page.meta["site"])
    assert [names for names in sites.values() if len(names) > 1] == []
    assert len(sites) > 80
    dates = times(entries())
    assert dates == sorted(dates)


def test_another_reader_agrees_with_the_digests() -> None:
    broken = {"bad_record", "damaged_bytes", "truncated_record"}
    for entry, when in zip(entries(), times(entries()), strict=True):
        if entry.fate not in broken:
            record = next(ArchiveIterator(io.BytesIO(to_warc(entry, when)), parse_http=False))
            assert record.headers["WARC-Type"] == entry.record_type, entry.name
            assert record.record_id == record_id(entry.name)
            if entry.record_type == "response" and entry.content_type.startswith("application/http"):
                assert record.verify_block_digest(), entry.name


@pytest.fixture(scope="module")
def records() -> list[Record]:
    source = CommonCrawlSource(type="commoncrawl", snapshot="sample")
    return [record for file in list_files("web", source) for record in read(source, file, 4_000_000)]


def test_the_reader_finds_every_record_where_the_truth_has_it(records: list[Record], truth: Truth) -> None:
    found = {record.offset: (record.url, record.fate) for record in records}
    expected = {row["offset"]: (row["url"], row["fate"] if row["fate"] in READER_FATES else "") for row in truth}
    assert len(records) == len(truth) == len(found)
    assert found == expected


@pytest.fixture(scope="module")
def made(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version that the shipped recipe makes of the sample crawl alone."""
    folder = tmp_path_factory.mktemp("sample")
    recipe = yaml.safe_load((repository / "recipes" / "commoncrawl.yaml").read_text("utf-8"))
    recipe |= {"name": "sample", "sources": {"web": recipe["sources"]["web"]}, "mixture": {}}
    recipe |= {"tokenizer": {"vocab_size": 1024}, "packing": {"seq_len": 128}}
    recipe["steps"] = [step for step in recipe["steps"] if "web" in step.get("where", {}).get("source", ["web"])]
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "pipeline", "run", str(folder / "recipe.yaml"), "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=repository)
    assert done.returncode == 0, done.stderr
    return folder / "sample" / (folder / "sample" / "latest").read_text().strip()


def rows(made: Path, kind: str) -> list[dict[str, Any]]:
    tables = [pq.read_table(path) for path in sorted((made / kind).rglob("*.parquet"))]
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return rows


@pytest.fixture(scope="module")
def kept(made: Path, truth: Truth) -> dict[str, dict[str, Any]]:
    """The clean documents by the names of their records."""
    names = {row["offset"]: row["name"] for row in truth}
    at = {row["id"]: names[row["offset"]] for row in rows(made, "decisions")}
    return {at[row["id"]]: row for row in rows(made, "documents")}


def test_every_record_meets_its_fate_and_every_copy_names_its_survivor(made: Path, truth: Truth) -> None:
    decisions = rows(made, "decisions")
    names = {row["offset"]: row["name"] for row in truth}
    at = {row["id"]: names[row["offset"]] for row in decisions}
    found = {at[row["id"]]: (row["reason"] or "kept", at[row["survivor"]]) for row in decisions}
    assert len(found) == len(decisions) == len(truth)
    assert found == {row["name"]: (row["fate"], row.get("survivor", row["name"])) for row in truth}


def test_records_that_are_no_page_are_counted_by_kind(made: Path, records: list[Record]) -> None:
    counts = json.loads((made / "manifest.json").read_text())["counts"]
    kinds = Counter(f"{r.fate}: {r.detail}" for r in records if r.fate in FATES_OF_KINDS)
    assert counts["fate_kinds"] == {"web": kinds} and counts["distinct_fate_kinds"] == {"web": len(kinds)}
    assert {kind.partition(":")[0] for kind in kinds} == set(FATES_OF_KINDS)
    assert kinds["http_status: 404"] > 0 and kinds["not_a_response: request"] > 0


def test_each_cluster_leaves_one_survivor_even_where_its_longest_copy_fails_a_limit(truth: Truth) -> None:
    clusters = {row["cluster"] for row in truth if "cluster" in row}
    survivors = Counter(row["cluster"] for row in truth if "cluster" in row and row["fate"] == "kept")
    assert survivors == Counter(clusters)
    fates = {row["name"]: row["fate"] for row in truth if row.get("cluster") == "puncture"}
    assert len(fates) == 3 and fates["puncture-mirror"] == "c4_curly_bracket"


def without_addresses(text: str) -> str:
    return " ".join(ADDRESS.sub("<ip>", E_MAIL.sub("<email>", text)).split())


def test_the_text_of_a_kept_page_is_its_prose_and_nothing_else(kept: dict[str, dict[str, Any]], truth: Truth) -> None:
    """The headline and the line with author and date may stand above it: that is up to the extractor."""
    assert kept.keys() == {row["name"] for row in truth if row["fate"] == "kept"}
    for name, document in kept.items():
        page = read_page(name)
        lost = page.meta.get("lost", [])
        prose = [without_addresses(part) for part in page.paragraphs if part not in lost]
        lines = [without_addresses(line) for line in document["text"].split("\n")]
        above = {without_addresses(page.meta["title"]), f"{page.meta['author']}, {page.meta['date']}"}
        while lines[0] in above:
            del lines[0]
        assert lines == prose, name
        assert page.meta["title"].split("@")[0] in document["title"].replace("email@example.com", page.meta["title"])


def test_personal_data_is_replaced_page_by_page_and_nothing_else(
    made: Path, kept: dict[str, dict[str, Any]], truth: Truth
) -> None:
    options = PiiOptions()
    given = {"email": options.email_replacements, "ip": options.ip_replacements}
    planted = {row["name"]: row["pii"] for row in truth if row["fate"] == "kept" and "pii" in row}
    found = {}
    for name, document in kept.items():
        shown = "\n".join((document["title"], document["url"], document["text"]))
        counts = {kind: sum(shown.count(text) for text in texts) for kind, texts in given.items()}
        found |= {name: {kind: n for kind, n in counts.items() if n}} if any(counts.values()) else {}
        meta = read_page(name).meta
        written = "\n".join((meta["title"], meta["url"].partition("?")[2], read_page(name).text))
        public = {a for a in ADDRESS.findall(written) if ipaddress.ip_address(a).is_global}
        assert not [leak for leak in {*E_MAIL.findall(written), *public} if leak in shown], name
        assert all(a in shown for a in set(ADDRESS.findall(written)) - public), f"{name}: a private address is gone"
    assert found == planted
    counts = json.loads((made / "manifest.json").read_text("utf-8"))["counts"]
    assert counts["pii"]["web"] == dict(sum(map(Counter, planted.values()), Counter()))


def test_text_survives_wrong_charsets_and_control_characters(kept: dict[str, dict[str, Any]]) -> None:
    assert "Caffè Zöhrer" in kept["cafe-charset"]["text"] and "€4.20, the naïve" in kept["cafe-charset"]["text"]
    assert "“a room with a view of the lighthouse”" in kept["hotel-by-the-lighthouse"]["text"]
    assert "\0" not in "".join(document["text"] for document in kept.values())
    assert "a good deal of patience on the risers" in kept["stair-carpet"]["text"]
    assert "The crocuses under the lychgate" in kept["bees-in-march"]["text"], "the second chunk of a chunked body"
