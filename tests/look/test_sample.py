"""Documents drawn from a version by an expression."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import ConfigError
from pipeline.ledger.read import Ledger
from pipeline.look.parts import made_from
from pipeline.look.sample import Sampled, _ranks, sample
from pipeline.manifest import load_manifest
from pipeline.versions import VersionError


def drawn(folder: Path, where: str, n: int = 5, seed: int = 0) -> tuple[list[Sampled], int]:
    return sample(folder, load_manifest(folder), Ledger(folder), where, n, seed)


def table(folder: Path, kind: str) -> list[dict[str, Any]]:
    files = [file for file in load_manifest(folder).files if file.kind == kind]
    return [row for file in files for row in pq.read_table(folder / file.path).to_pylist()]


@pytest.mark.parametrize("seed", [0, 7])
def test_the_least_hashes_of_those_that_the_expression_names(seed: int, web_version: Path) -> None:
    made, values = made_from(web_version), dict[bytes, int]()
    for row in made.rows:
        measures = made.store.table("measure", row["measure"], "measures.parquet", ["id", "n_words"])
        values |= dict(zip(measures["id"].to_pylist(), measures["n_words"].to_pylist(), strict=True))
    ids = [row["id"] for row in table(web_version, "decisions") if row["reason"] and values.get(row["id"], 1000) < 150]
    order = sorted(zip(_ranks(ids, seed).tolist(), ids, strict=True))
    found, total = drawn(web_version, "n_words < 150 AND reason != ''", 9, seed)
    assert [each.id for each in found] == [key.hex() for _, key in order[:9]] and total == len(ids) > 20
    assert drawn(web_version, "n_words < 150 AND NOT kept", 4, seed)[0] == found[:4]


def test_another_seed_draws_others(web_version: Path) -> None:
    assert drawn(web_version, "kept")[0] != drawn(web_version, "kept", seed=1)[0]


def test_documents_have_their_texts(web_version: Path) -> None:
    texts = {row["id"].hex(): row["text"] for row in table(web_version, "documents")}
    found, total = drawn(web_version, "reason = ''", 1000)
    assert {each.id: each.text for each in found} == texts and total == len(texts)
    dropped, _ = drawn(web_version, "reason = 'gopher_too_few_words'", 1)
    assert 0 < len(dropped[0].text.split()) < 60
    pages, _ = drawn(web_version, "detail = '404' OR reason = 'http_status'", 1)
    assert pages[0].text == "" and pages[0].path == "sample.warc.gz"
    assert drawn(web_version, "text LIKE '%under construction%'", 1)[1] == 1
    assert drawn(web_version, f"id = '{found[3].id}'")[0] == [found[3]]


def test_personal_data_in_dropped_texts_is_replaced(web_version: Path) -> None:
    (found,), _ = drawn(web_version, "reason = 'exact_duplicate' AND source = 'rows'", 100)
    assert "email@example.com" in found.text and "mailhost" not in found.text


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("reasn = 'x'", r"no column 'reasn'; did you mean reason\? \(docs/evidence.md\)"),
        ("n_wordz < 3", "no column 'n_wordz'; did you mean n_words?"),
        ('reason = "too_short"', "no column 'too_short'; a word is written 'too_short'"),
        ("zzzzzz = 1", "no column 'zzzzzz'; there are: id, source, path"),
        ("n_words", "must be of type `Boolean`"),
        ("n_words = 'many'", "cannot compare string with numeric type"),
        ("MAX(n_words) = n_words", "MAX is of many records"),
        ("n_words < (SELECT 3)", "--where"),
        ("reason =", "--where reason =: "),
        ("read_csv('x') = 1", "unsupported function"),
        ("n_chunks > 3", "n_chunks was not measured for this version"),
        ("id = '' OR no(url)", "unsupported function"),
    ],
)
def test_what_cannot_be_evaluated_is_said(where: str, message: str, web_version: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        drawn(web_version, where)


def test_a_word_may_be_called_like_a_function_of_many(web_version: Path) -> None:
    assert drawn(web_version, "url LIKE '%max(1)%'") == ([], 0)


def test_without_parts_the_decisions_can_be_asked(small_version: Path, tmp_path: Path) -> None:
    shutil.copytree(small_version, tmp_path / "out" / "small" / small_version.name)
    folder = tmp_path / "out" / "small" / small_version.name
    assert drawn(folder, "reason = 'short'", 2)[1] == 4 and drawn(folder, "reason = 'short'")[0][0].text == ""
    assert drawn(folder, "kept", 3)[0] == drawn(small_version, "kept", 3)[0]
    with pytest.raises(VersionError, match="n_words: read from the Parts of measure, of which some are gone"):
        drawn(folder, "n_words < 3")


def test_the_order_of_parts_and_their_number_change_nothing(small_version: Path) -> None:
    everything, total = drawn(small_version, "source IN ('main', 'extra')", 1000)
    ids = [bytes.fromhex(each.id) for each in everything]
    assert total == 200 and _ranks(ids, 0).tolist() == sorted(_ranks(ids, 0).tolist())
    assert pa.array(ids).unique().equals(pa.array(ids))


def test_the_command(small_version: Path, cli: Any) -> None:
    done = cli("sample", small_version, "--where", "reason = 'short'", "-n", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n    Too short.\n") == 2 and "\n2 of 4 records with reason = 'short'\n" in done.stdout
    assert "Next: pipeline why " in done.stdout
    wrong = cli("sample", small_version, "--where", "resaon = 'short'")
    assert wrong.returncode == 2 and "did you mean reason?" in wrong.stderr
