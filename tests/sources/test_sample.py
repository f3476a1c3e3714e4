"""The sample crawl: what it holds is what its truth says, and what the corridor makes of it."""

import importlib.util
import json
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.sources.listing import list_files
from pipeline.sources.options import CommonCrawlSource
from pipeline.sources.read import read
from pipeline.sources.record import Record

READER_FATES = {
    "not_a_response",
    "not_http",
    "bad_http_header",
    "http_status",
    "not_html",
    "bad_body",
    "empty_body",
    "bad_record",
    "truncated_record",
    "damaged_bytes",
}
LATER_FATES = {"url_denied_domain", "no_text", "page_too_large"}
DROP_REASONS = {
    "language",
    "gopher_duplicate_lines",
    "gopher_too_few_words",
    "gopher_stop_words",
    "c4_lorem_ipsum",
    "c4_curly_bracket",
    "near_duplicate",
}
KEPT = {"kept", "kept_or_exact_duplicate"}


@pytest.fixture(scope="module")
def make_sample(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", repository / "tests" / "make_sample.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_sample"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "pipeline" / "sources" / "sample"


@pytest.fixture(scope="module")
def truth(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    source = CommonCrawlSource(type="commoncrawl", snapshot="sample")
    return [record for file in list_files("web", source) for record in read(source, file)]


def test_the_archive_is_what_the_builder_makes(make_sample: ModuleType, folder: Path) -> None:
    archive, truth = make_sample.build()
    if "ng" in zlib.ZLIB_RUNTIME_VERSION:
        pytest.skip("zlib-ng compresses to other bytes")
    assert (folder / "truth.jsonl").read_bytes() == truth, "run python tests/make_sample.py"
    assert (folder / "sample.warc.gz").read_bytes() == archive, "run python tests/make_sample.py"


def test_the_reader_finds_every_record_where_the_truth_has_it(
    records: list[Record], truth: list[dict[str, Any]]
) -> None:
    found = {record.offset: (record.url, record.fate) for record in records}
    expected = {row["offset"]: (row["url"], row["fate"] if row["fate"] in READER_FATES else "") for row in truth}
    assert len(records) == len(truth) == len(found)
    assert found == expected


def test_one_of_every_fate(truth: list[dict[str, Any]]) -> None:
    assert {row["fate"] for row in truth} == READER_FATES | LATER_FATES | DROP_REASONS | KEPT


@pytest.fixture(scope="module")
def made(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version that the shipped recipe makes of the sample crawl alone."""
    folder = tmp_path_factory.mktemp("sample")
    recipe = yaml.safe_load((repository / "recipes" / "commoncrawl.yaml").read_text("utf-8"))
    recipe |= {"name": "sample", "sources": {"web": recipe["sources"]["web"]}, "mixture": {}}
    recipe |= {"tokenizer": {"vocab_size": 1024}, "packing": {"seq_len": 128}}
    recipe["url"]["deny_domains"] = ["ads.example"]
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


def test_every_record_meets_its_fate(made: Path, truth: list[dict[str, Any]]) -> None:
    reasons = {row["offset"]: row["reason"] or "kept" for row in rows(made, "decisions")}
    either = {row["offset"] for row in truth if row["fate"] == "kept_or_exact_duplicate"}
    assert sorted(reasons[offset] for offset in either) == ["exact_duplicate", "kept"]
    names = {row["offset"]: row["name"] for row in truth}
    found = {names[offset]: reason for offset, reason in reasons.items() if offset not in either}
    assert found == {row["name"]: row["fate"] for row in truth if row["offset"] not in either}


def test_each_cluster_leaves_one_survivor_even_where_its_longest_copy_fails_a_limit(
    made: Path, truth: list[dict[str, Any]]
) -> None:
    reasons = {row["offset"]: row["reason"] for row in rows(made, "decisions")}
    clusters = {row["cluster"] for row in truth if "cluster" in row}
    kept = Counter(row["cluster"] for row in truth if "cluster" in row and reasons[row["offset"]] == "")
    assert kept == Counter(clusters)
    lengths = {row["name"]: row["offset"] for row in truth if row.get("cluster") == "puncture"}
    assert len(lengths) == 3 and reasons[lengths["puncture-mirror"]] == "c4_curly_bracket"


def test_personal_data_is_replaced_and_nothing_else(made: Path, truth: list[dict[str, Any]]) -> None:
    counts = json.loads((made / "manifest.json").read_text("utf-8"))["counts"]
    planted = sum((Counter(row["pii"]) for row in truth if "pii" in row), Counter())
    assert counts["pii"]["web"] == dict(planted) == {"email": 4, "ip": 2}
    texts = "\n".join(row["text"] for row in rows(made, "documents"))
    assert not [leak for leak in ("pauline.farrow", "taps@", "compost+", "owl@", "8.8.8.8", "1.1.1.1") if leak in texts]
    assert "192.168.1.23" in texts, "a private address is no personal data"


def test_text_survives_wrong_charsets_and_control_characters(made: Path) -> None:
    texts = {row["url"].rpartition("/")[2]: row["text"] for row in rows(made, "documents")}
    assert "Caffè Zöhrer" in texts["a-cafe-in-trieste"] and "€4.20, the naïve" in texts["a-cafe-in-trieste"]
    assert "\0" not in "".join(texts.values())
    assert "a good deal of patience on the risers" in texts["what-was-under-the-stair-carpet"]
    assert "The crocuses under the lychgate" in texts["bees-in-march"], "the second chunk of a chunked body"


def test_nothing_of_the_site_around_an_article_is_kept(made: Path) -> None:
    texts = "\n".join(row["text"] for row in rows(made, "documents"))
    chrome = ("cookies", "Privacy", "Subscribe", "Most read", "cornstreet_61", "Best viewed", "Was this page helpful")
    assert not [words for words in chrome if words in texts]
