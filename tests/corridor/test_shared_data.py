"""The whole corridor on archives, pages and collections that nobody here wrote: nothing is lost, nothing is broken.

Minutes of work, hence `long`. The recipe is `shared_data.yaml.txt`; what a person saw when reading the result is in
docs/reading-notes.md.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.manifest import Manifest, load_manifest
from pipeline.shards import open_shard
from tests.small_dataset import run_pipeline
from training.data import Batches, Dataset
from training.model import IGNORED

pytestmark = pytest.mark.long

RECIPE = Path(__file__).with_name("shared_data.yaml.txt")
NO_PAGE = {"bad_body", "bad_http_header", "bad_record", "damaged_bytes", "empty_body", "http_status"}
NO_PAGE |= {"not_a_response", "not_html", "not_http", "page_too_large", "truncated_record", "unsupported_archive"}
"""Fates that the archive reader gives: a record with any other reason was handed on as an HTML page."""
COSTS_A_PAGE = ("bad_body", "bad_http_header", "bad_record", "http_status", "truncated_record")
"""Of these, those that an HTML response can have; the table in SOURCES.md counts responses of any status."""
SENT_AS_HTML_WITHOUT_A_SEMICOLON = "webrecorder__cdxj-indexer__example.warc.gz"
"""Its one page has the type `text/html charset=utf-8`, which is none by the letter."""
ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")


@pytest.fixture(scope="module")
def made(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.read_text().replace("DATA_FOLDER", str(shared_data)))
    command = [sys.executable, "-m", "pipeline", "run", str(recipe), "--output", str(folder / "out"), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr
    dataset = folder / "out" / "shared"
    return dataset / (dataset / "latest").read_text().strip()


@pytest.fixture(scope="module")
def described(made: Path) -> Manifest:
    return load_manifest(made)


@pytest.fixture(scope="module")
def decisions(made: Path, described: Manifest) -> pa.Table:
    return pa.concat_tables([pq.read_table(made / f.path) for f in described.files if f.kind == "decisions"])


def reasons_by_path(decisions: pa.Table, source: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for row in decisions.select(["source", "path", "reason"]).to_pylist():
        if row["source"] == source:
            found.setdefault(row["path"], Counter())[row["reason"]] += 1
    return found


def stated_archives(shared_data: Path) -> dict[str, dict[str, Any]]:
    """Rows of the table of archives in SOURCES.md, by path below warc/."""
    found = {}
    for line in (shared_data / "SOURCES.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 10 and cells[0].startswith("warc/") and cells[4].isdigit():
            found[cells[0].removeprefix("warc/")] = {
                "records": int(cells[4]),
                "html": int(cells[5]),
                "read_whole": not cells[7],
            }
    return found


def test_every_input_file_and_every_record_has_a_decision(
    made: Path, described: Manifest, decisions: pa.Table, shared_data: Path
) -> None:
    counts = described.counts
    assert decisions.num_rows == sum(counts["records"].values())
    assert len(set(decisions["id"].to_pylist())) == decisions.num_rows
    for name, n in counts["records"].items():
        fates, dropped = (sum(counts.get(key, {}).get(name, {}).values()) for key in ("fates", "dropped"))
        assert n == fates + counts["extracted"][name] == fates + dropped + counts["documents"][name], name
    for source, folder, pattern in (("crawl", "warc", "**/*"), ("pages", "html", "*.warc.gz")):
        files = {p for p in (shared_data / folder).glob(pattern) if p.is_file() and p.read_bytes().strip(b"\r\n")}
        listed = {p.relative_to(shared_data / folder).as_posix() for p in files}
        assert listed and listed <= set(reasons_by_path(decisions, source)), source
    known = {"", *described.counts["fates"]["crawl"], *described.counts["fates"]["pages"]}
    known |= {step["name"] for step in described.recipe["steps"] if "name" in step}
    assert set(decisions["reason"].to_pylist()) <= known | {"exact_duplicate", "near_duplicate", "no_text_left"}


def test_archives_give_the_records_and_pages_that_other_readers_count(decisions: pa.Table, shared_data: Path) -> None:
    found = reasons_by_path(decisions, "crawl")
    compared = 0
    for path, stated in stated_archives(shared_data).items():
        # ARC is not read, and the records of WET are text, which the table of HTML does not count.
        if not stated["read_whole"] or path.endswith((".arc", ".arc.gz")) or ".wet" in path or path not in found:
            continue
        reasons = found[path]
        if not path.startswith("malformed/"):
            assert reasons.total() == stated["records"], path
        pages = sum(n for reason, n in reasons.items() if reason not in NO_PAGE)
        explained = sum(reasons[reason] for reason in COSTS_A_PAGE) + (path == SENT_AS_HTML_WITHOUT_A_SEMICOLON)
        assert pages <= stated["html"] <= pages + explained, (path, dict(reasons))
        compared += pages
    assert compared > 150
    of_pages = sum(reasons_by_path(decisions, "pages").values(), Counter())
    assert of_pages.total() == 3505
    assert of_pages["not_html"] == 2  # feeds, Atom and RSS, that are declared as HTML
    assert not [reason for reason in of_pages if reason.startswith("extract_")]


def test_no_address_is_left_in_the_clear(made: Path, described: Manifest, decisions: pa.Table) -> None:
    replacements = described.recipe["pii"]["email_replacements"]
    tables = [pq.read_table(made / f.path) for f in described.files if f.kind == "documents"]
    columns = [table[name] for table in tables for name in ("text", "title", "url")] + [decisions["url"]]
    n_replaced = 0
    for column in columns:
        for text in column.to_pylist():
            for replacement in replacements:
                n_replaced += text.count(replacement)
                text = text.replace(replacement, " ")
            assert not ADDRESS.search(text)
    assert n_replaced >= sum(kinds["email"] for kinds in described.counts["pii"].values()) > 100


def test_files_and_shards_are_whole_and_the_mix_is_what_was_asked(made: Path, described: Manifest) -> None:
    done = run_pipeline("verify", made)
    assert done.returncode == 0, done.stdout + done.stderr
    vocab_size = described.tokenizer["vocab_size"]
    n_tokens: Counter[str] = Counter()
    for file in described.files:
        if file.kind == "shard":
            shard = open_shard(made / file.path)
            assert len(shard) == file.rows
            n_tokens[f"{file.split}/{file.cell}"] += shard.verify(vocab_size)
    assert dict(n_tokens) == {f"{cell.split}/{cell.cell}": cell.tokens for cell in described.cells if cell.tokens}
    weights = described.recipe["mixture"]["weights"]
    shares = {row.cell: row.share for row in described.mixture}
    assert shares == pytest.approx({name: w / sum(weights.values()) for name, w in weights.items()}, abs=0.02)


def test_a_training_batch_keeps_documents_apart(made: Path) -> None:
    batch, n_tokens = Batches(Dataset(made), seed=1, context=512).at(0, 128)
    assert batch.tokens.shape == batch.targets.shape == batch.positions.shape == batch.documents.shape == (256, 512)
    assert len(n_tokens) >= 4
    documents, targets, positions = (t.numpy() for t in (batch.documents, batch.targets, batch.positions))
    starts = np.flatnonzero((documents[:, 1:] != documents[:, :-1]) & (documents[:, 1:] >= 0))
    assert starts.size > 10
    assert (targets[:, :-1].ravel()[starts] == IGNORED).all()
    assert (positions[:, 1:].ravel()[starts] == 0).all()
    inside = np.flatnonzero((documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] >= 0))
    assert (targets[:, :-1].ravel()[inside] == batch.tokens.numpy()[:, 1:].ravel()[inside]).all()
