"""What became of a record, as the version's ledger and Parts tell it."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.files import DamagedError, PartStore
from pipeline.ledger.layout import DROPPED, KEPT, NO_DOCUMENT, TABLES, file_name
from pipeline.ledger.read import Ledger, LedgerError
from pipeline.look.index import write_index
from pipeline.look.lookup import records_of
from pipeline.look.parts import made_from
from pipeline.look.why import Story, story
from pipeline.manifest import load_manifest, total
from pipeline.shards import open_shard
from pipeline.versions import VersionError, verify
from tests.small_dataset import run_pipeline, write_small_recipe


def table(folder: Path, kind: str) -> pa.Table:
    return pa.concat_tables([pq.read_table(folder / f.path) for f in load_manifest(folder).files if f.kind == kind])


def told(folder: Path, wanted: str) -> Story:
    described, ledger = load_manifest(folder), Ledger(folder)
    (entry,) = records_of(described, ledger, wanted)
    return story(folder, described, ledger, entry)


@pytest.fixture
def copy(small_version: Path, tmp_path: Path) -> Path:
    """A copy of the small version with its Parts."""
    shutil.copytree(small_version.parent, tmp_path / "out" / "small")
    return tmp_path / "out" / "small" / small_version.name


# -- The ledger --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small_version", "web_version"])
def test_each_record_is_in_one_bucket_and_the_numbers_are_the_manifests(
    name: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(name)
    described, ledger = load_manifest(folder), Ledger(folder)
    rows = pa.Table.from_batches(ledger.records.batches())
    assert rows["id"].to_pylist() == sorted(table(folder, "decisions")["id"].to_pylist())
    found: Counter[tuple[str, str, str]] = Counter()
    for row in rows.to_pylist():
        bucket, part = ledger.contents.buckets[row["bucket"]], ledger.contents.parts[row["part"]]
        found[bucket.kind, part.source, bucket.reason] += 1
    expected = {(KEPT, source, ""): n for source, n in described.counts["documents"].items()}
    for kind, key in ((DROPPED, "dropped"), (NO_DOCUMENT, "fates")):
        counted = described.counts.get(key, {})
        expected |= {(kind, source, reason): n for source, own in counted.items() for reason, n in own.items()}
    assert found == expected and total(described.counts["records"]) == rows.num_rows


def test_the_ledger_is_no_part_of_the_version(copy: Path) -> None:
    assert not any("ledger" in file.path for file in load_manifest(copy).files)
    shutil.rmtree(copy / "ledger")
    assert verify(copy) == []


def test_every_url_leads_to_its_records(web_version: Path) -> None:
    ledger = Ledger(web_version)
    by_url: dict[str, set[bytes]] = {}
    for row in table(web_version, "decisions").to_pylist():
        if row["url"]:
            by_url.setdefault(row["url"], set()).add(row["id"])
    assert max(map(len, by_url.values())) == 3  # captures of one page
    for url, ids in by_url.items():
        assert set(ledger.ids_of(url)) >= ids
        if url.startswith("https://") and "www." not in url and "#" not in url:
            assert ledger.ids_of(url) == ledger.ids_of(url.replace("https://", "http://www.", 1) + "/#fragment")


def test_pieces_are_where_the_shards_have_them(small_version: Path) -> None:
    ledger = Ledger(small_version)
    found: dict[bytes, set[tuple[str, int, int, int]]] = {}
    for file in (file for file in load_manifest(small_version).files if file.kind == "shard"):
        shard = open_shard(small_version / file.path)
        for row in range(len(shard)):
            _, lengths, starts = shard.read(row)
            for key, start, n in zip(shard.ids(row), starts.tolist(), lengths.tolist(), strict=True):
                found.setdefault(key.tobytes(), set()).add((file.path, row, start, n))
    for key in table(small_version, "decisions")["id"].to_pylist():
        assert {tuple(piece) for piece in ledger.pieces(key)} == found.get(key, set())


# -- Planted truth -----------------------------------------------------------------------------------------------------


def test_planted_records_are_told_of_as_they_were_planted(small_version: Path) -> None:
    short = told(small_version, "https://short.example/2")
    assert (short.kind, short.reason, short.value) == (DROPPED, "short", "10") and not short.pieces
    assert [(c.name, c.value, c.bounds, c.outcome) for c in short.limits] == [
        ("short", 10, "at least 100", "fails"), ("hashes", 0, "at most 10", "passes")
    ]  # fmt: skip
    hashes = told(small_version, "https://trap.example/longest")
    assert (hashes.reason, hashes.value, [c.outcome for c in hashes.limits]) == ("hashes", "40", ["passes", "fails"])
    copies = [told(small_version, f"https://{host}.example/3") for host in ("plain", "copy")]
    (kept,), (gone,) = ([c for c in copies if c.kind == kind] for kind in (KEPT, DROPPED))
    assert (gone.reason, gone.value, gone.similarity) == ("exact_duplicate", "1", 1.0)
    assert gone.survivor == kept.id and gone.survivor_url == kept.record["url"]
    assert kept.cluster_size == gone.cluster_size == 2 and kept.cluster == gone.cluster and kept.survivor == kept.id
    near = [told(small_version, f"https://{host}.example/12") for host in ("plain", "near")]
    assert sorted((c.kind, c.reason) for c in near) == [(DROPPED, "near_duplicate"), (KEPT, "")]
    assert 0.7 < next(c for c in near if c.reason).similarity < 1  # type: ignore[operator]


def test_a_kept_document_is_told_of_to_its_last_token(small_version: Path) -> None:
    found = told(small_version, "https://trap.example/survivor")
    raw = small_version.parents[2] / "data" / found.record["path"]
    assert (
        json.loads(raw.read_bytes()[found.record["offset"] :].splitlines()[0])["url"] == "https://trap.example/survivor"
    )
    assert found.kind == KEPT and len(found.pieces) > 5 and found.missing == []
    assert sum(piece.n_tokens - (piece.start > 0) for piece in found.pieces) == found.tokens
    assert found.chars == {"n_chars": 2749, "kept_n_chars": 2749} and found.scores["language"] == "en"


def test_personal_data_is_counted_by_document_and_its_url_is_found(small_version: Path) -> None:
    found = told(small_version, "https://mail.example/?to=a.person@mailhost.net")
    assert found.replaced == {"email": 2, "ip": 1}
    assert "mailhost" not in found.record["url"] and told(small_version, found.record["url"]) == found
    store, counted = PartStore(str(small_version.parent)), Counter[str]()
    for row in store.folder.fs.glob(store.folder.path("select/*/replacements.parquet")):
        for each in pq.read_table(row).to_pylist():
            counted[each["kind"]] += each["count"]
    assert counted == Counter(load_manifest(small_version).counts["pii"]["main"])


# -- Parity with the documents' tables ---------------------------------------------------------------------------------


def test_what_is_told_of_each_record_is_what_the_tables_say(web_version: Path) -> None:
    described, ledger, made = load_manifest(web_version), Ledger(web_version), made_from(web_version)
    measured: dict[bytes, dict[str, Any]] = {}
    for row in made.rows:
        measures = made.store.table("measure", row["measure"], "measures.parquet")
        measured |= {each["id"]: each for each in measures.to_pylist()}
    seen = Counter[str]()
    for decided in table(web_version, "decisions").to_pylist():
        entry = ledger.entry(decided["id"])
        assert entry is not None
        found = story(web_version, described, ledger, entry)
        assert found.record == {name: decided[name] for name in ("source", "path", "offset", "url")}
        assert (found.reason, found.survivor, found.cluster) == (
            decided["reason"], decided["survivor"].hex(), decided["cluster"].hex()
        )  # fmt: skip
        values = measured.get(decided["id"])
        assert (found.kind == NO_DOCUMENT) == (values is None) and found.missing == []
        failed = [check for check in found.limits if check.outcome == "fails"]
        if failed:
            assert (failed[0].name, failed[0].value) == (found.reason, _like(failed[0].value, found.value))
        elif values is not None:
            assert found.reason == "" or found.reason.endswith("_duplicate")
        for check in found.limits:
            assert values is not None and check.value == values[check.measure]
            assert (check.outcome == "passes") == _is_within(check.value, check.bounds), check
        seen[found.kind] += 1
    assert min(seen[kind] for kind in (KEPT, DROPPED, NO_DOCUMENT)) > 20


def _like(value: float | str | None, text: str) -> float | str:
    """A ledger's text as what it stands for, as exact as the measure was."""
    return text if isinstance(value, str) else pytest.approx(float(text), rel=1e-6)


def _is_within(value: Any, bounds: str) -> bool:
    """Whether a value is within bounds as a person reads them."""
    for bound in bounds.split(", "):
        word, _, number = bound.rpartition(" ")
        if word not in ("at least", "above", "at most", "below"):
            return value in bounds.split(" or ")
        high, is_met = float(number), {"at least": "ge", "above": "gt", "at most": "le", "below": "lt"}[word]
        if not getattr(float(value), f"__{is_met}__")(high):
            return False
    return True


def test_looks_say_what_they_found_and_which_one_ruled_a_page_out(web_version: Path) -> None:
    described, ledger = load_manifest(web_version), Ledger(web_version)
    n_ruled_out = 0
    for decided in table(web_version, "decisions").to_pylist():
        entry = ledger.entry(decided["id"])
        assert entry is not None
        found = story(web_version, described, ledger, entry)
        for check in found.looks:
            if check.outcome != "not taken":
                assert (check.outcome == "passes") == _is_within(check.value, check.bounds), check
        if found.reason.startswith("look_"):
            (ruled_out,) = (check for check in found.looks if check.outcome == "fails")
            assert ruled_out.name == found.reason and found.value == str(ruled_out.value).removesuffix(".0")
            n_ruled_out += 1
        elif found.kind != NO_DOCUMENT and entry.part.source == "web":
            assert [check.outcome for check in found.looks] == ["passes"] * 6
    assert n_ruled_out > 5


# -- What is not there -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            "https://plain.example/99999",
            r"no record of this version has this URL \(looked for as 'plain.example/99999'",
        ),
        ("https://trap.example/longest/more?x", "There is 'trap.example/longest'"),
        ("https://plain.example/7?utm=1", "There is 'plain.example/7'"),
        ("abcdef0123", "an id has 32 hexadecimal digits, this has 10"),
        ("0" * 32, "no record of this version has this id"),
        ("wat", "'wat' is neither the URL of a page"),
        ("\x1b[31m.example", r"'\\x1b\[31m.example': no record"),
    ],
)
def test_what_was_never_seen_and_what_is_near_it(wanted: str, message: str, small_version: Path) -> None:
    with pytest.raises(VersionError, match=message):
        records_of(load_manifest(small_version), Ledger(small_version), wanted)


def test_without_an_index_the_command_to_have_one_is_named_and_makes_the_same(copy: Path, cli: Any) -> None:
    before = {path.name: path.read_bytes() for path in (copy / "ledger").iterdir()}
    (copy / "ledger" / "ledger.json").unlink()
    done = cli("why", copy, "https://plain.example/1")
    assert done.returncode == 2
    again = re.search(r"has no index of its records .* pipeline (index \S+)", done.stderr)
    assert again, done.stderr
    done = cli(*again[1].split())
    assert done.returncode == 0 and "200 records in the index" in done.stdout, done.stderr
    assert {path.name: path.read_bytes() for path in (copy / "ledger").iterdir()} == before


def test_a_damaged_index_is_refused(copy: Path) -> None:
    path = copy / file_name("records")
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(DamagedError, match=rf"expected {len(whole)} bytes, found {len(whole) - 8} .*pipeline index"):
        Ledger(copy)
    path.unlink()
    with pytest.raises(DamagedError, match="found missing"):
        Ledger(copy)
    contents = copy / "ledger" / "ledger.json"
    path.write_bytes(whole)
    value = json.loads(contents.read_bytes())
    contents.write_text(json.dumps({**value, "buckets": value["buckets"][:1]}))
    with pytest.raises(
        DamagedError, match="is in a bucket or Part that there is not; to write it anew: pipeline index"
    ):
        for key in table(copy, "decisions")["id"].to_pylist():
            Ledger(copy).entry(key)
    for text, message in (
        ("{", "not JSON"),
        ("[]", "not an index in the format"),
        (json.dumps({**value, "parts": 3}), "fields"),
    ):
        contents.write_text(text)
        with pytest.raises(DamagedError, match=message):
            Ledger(copy)
    contents.unlink()
    with pytest.raises(LedgerError, match="has no index"):
        Ledger(copy)


def test_without_parts_the_index_tells_what_it_has(copy: Path) -> None:
    before = told(copy, "https://short.example/2")
    shutil.rmtree(copy.parent / "work")
    after = told(copy, "https://short.example/2")
    assert (after.reason, after.value, after.record) == (before.reason, before.value, before.record)
    assert not after.limits and len(after.missing) == 1
    assert after.missing[0].startswith("Some Parts that this record went through are gone: extract, measure, judge")
    assert told(copy, "https://trap.example/survivor").tokens == 695


def test_an_index_from_the_version_alone_has_all_but_the_values(copy: Path) -> None:
    before = pa.Table.from_batches(Ledger(copy).records.batches())
    shutil.rmtree(copy.parent / "work")
    assert write_index(copy) == (200, False)
    after = Ledger(copy)
    rows = pa.Table.from_batches(after.records.batches())
    assert rows["id"].equals(before["id"])
    found = told(copy, "https://short.example/2")
    assert (found.kind, found.reason, found.value) == (DROPPED, "short", "")
    assert told(copy, "https://copy.example/3").value in ("", "1")  # how alike a copy is, the version itself says


def test_a_run_that_is_killed_while_the_index_is_written_goes_on(tmp_path: Path) -> None:
    arguments = ("run", write_small_recipe(tmp_path), "--output", tmp_path / "out", "--workers", "1")
    killed = run_pipeline(*arguments, env={"GRISTMILL_FAULT": f"ledger:file@{tmp_path / 'once'}"})
    assert (tmp_path / "once").exists()
    if killed.returncode:  # else the engine's own second try went on
        done = run_pipeline(*arguments)
        assert done.returncode == 0, done.stderr
    dataset = tmp_path / "out" / "small"
    folder = dataset / (dataset / "latest").read_text().strip()
    assert Ledger(folder).records.n_batches == 1 and verify(folder) == []
    assert sorted(path.name for path in (folder / "ledger").iterdir()) == sorted(
        ["ledger.json", *(f"{t}.arrow" for t in TABLES)]
    )


# -- The command -------------------------------------------------------------------------------------------------------


def test_the_command(small_version: Path, cli: Any) -> None:
    done = cli("why", small_version, "http://www.trap.example/longest/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dropped: hashes (40)\n  id                ")
    assert re.search(r"  archive           rows-\d\.jsonl, offset \d+\n", done.stdout)
    assert re.search(r"  FAILS  hashes \(n_hashes\)            40  at most 10\n", done.stdout)
    assert re.search(r"Next: pipeline sweep \S+ --limit hashes", done.stdout)
    kept = cli("why", small_version, "https://trap.example/survivor")
    row = re.search(r"0 to \d+:  pipeline (trace .*)", kept.stdout)
    assert row and cli(*row[1].replace(" --output datasets", "").split()).returncode == 0, kept.stdout
    value = json.loads(cli("why", small_version, "https://trap.example/survivor", "--json").stdout)
    assert value["records"] == 1 and value["stories"][0]["tokens"] == 695


def test_the_command_loads_little(small_version: Path) -> None:
    """It is to answer within a second, and most of that is imports."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('LOADED', *sorted(sys.modules), file=sys.stderr))\n"
        f"sys.argv = ['pipeline', 'why', {str(small_version)!r}, 'https://near.example/12']\n"
        "from pipeline.cli.main import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.partition("LOADED ")[2].split())
    heavy = {
        "pandas",
        "polars",
        "numba",
        "fsspec",
        "datatrove",
        "pyarrow.compute",
        "pipeline.recipe",
        "pipeline.config",
    }
    assert "pipeline.look.why" in loaded and not loaded & heavy


def test_all_records_of_a_url_are_listed(web_version: Path, cli: Any) -> None:
    done = cli("why", web_version, "https://photos.kingsmere-chess.example/2026/kettle")
    assert done.stdout.startswith("3 records have this URL:\n") and done.stdout.count("\n  archive ") == 3


@pytest.mark.parametrize(
    "command", [("why", "https://evil.example/3"), ("sample", "-n", "12", "--where", "source = 'rows'")]
)
def test_no_hostile_character_reaches_the_terminal(command: tuple[str, ...], web_version: Path, cli: Any) -> None:
    name, *rest = command
    if name == "why":  # its URL as the version has it
        urls = table(web_version, "decisions")["url"].to_pylist()
        rest = [next(url for url in urls if url.startswith("https://evil.example/3"))]
    done = cli(name, web_version, *rest)
    assert done.returncode == 0, done.stderr
    assert "red" in done.stdout and all(c.isprintable() or c == "\n" for c in done.stdout)
    assert "\u202e" not in done.stdout and "\x1b" not in done.stdout and "gnp.exe" in done.stdout
