"""From a row back to the raw file it came from."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.look.trace import _rows_with, trace
from pipeline.manifest import load_manifest
from pipeline.shards import open_shard
from pipeline.tokenizer import vocab
from pipeline.versions import VersionError


def test_each_piece_leads_to_the_line_of_the_raw_file_that_holds_its_text(small_version: Path) -> None:
    data = small_version.parents[2] / "data"
    words = vocab.load(small_version / "tokenizer" / "tokenizer.model")
    seen = {"whole": 0, "begins": 0, "goes on": 0, "ends": 0}
    for file in (f for f in load_manifest(small_version).files if f.kind == "shard"):
        shard = open_shard(small_version / file.path)
        for row in range(0, file.rows, 23):
            found = trace(small_version, row, file.path, None, "")
            assert not found.missing and sum(piece.n_tokens for piece in found.pieces) == shard.lengths(row).sum()
            for piece in found.pieces:
                lines = (data / piece.record["path"]).read_bytes()[piece.record["offset"] :].splitlines()
                raw = json.loads(lines[0])
                assert piece.document["url"] == raw.get("url", "") or "mailhost" in raw["url"]
                assert piece.document["source"] == file.cell
                tokens = shard.tokens(row)[piece.place : piece.place + piece.n_tokens]
                assert piece.text == words.decode(tokens[:48]) and piece.is_end == (tokens[-1] == words.eos_id)
                if "mailhost" not in raw["text"]:
                    whole = [words.bos_id, *words.encode([raw["text"]])[0].tolist(), words.eos_id]
                    assert tokens.tolist() == whole[piece.start : piece.start + piece.n_tokens]
                    assert piece.is_end == (piece.start + piece.n_tokens == len(whole))
                seen["goes on" if piece.start and not piece.is_end else "ends" if piece.start else "begins"] += 1
    assert min(seen["begins"], seen["goes on"], seen["ends"]) > 5


def test_rows_of_a_cell_are_counted_as_the_trainer_does(small_version: Path) -> None:
    from training.data import Dataset

    tokens, lengths, _ = Dataset(small_version).train["main"].read(7)
    found = trace(small_version, 7, None, "main", "train")
    assert [piece.n_tokens for piece in found.pieces] == lengths.tolist() and found.row_of_cell == 7
    assert found.file.cell == "main" and open_shard(small_version / found.file.path).tokens(found.row)[0] == tokens[0]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            (3, None, None, "train"),
            r"say which Cell, --cell NAME; in the split train there are: extra \(\d+ rows",
        ),
        ((3, None, "mian", "train"), "--cell mian: no such Cell with rows; in the split train there are: extra"),
        ((10**6, None, "main", "train"), "--row 1000000: the split train of main has the rows 0 to"),
        ((10**6, "shards/train/main-00000.arrow", None, ""), "main-00000.arrow has the rows 0 to"),
        (
            (0, "shards/train/web.arrow", None, ""),
            "--shard shards/train/web.arrow: the version has no such shard",
        ),
    ],
)
def test_rows_that_are_not_there(where: tuple, message: str, small_version: Path) -> None:
    with pytest.raises(VersionError, match=message):
        trace(small_version, *where)


def test_what_the_version_does_not_keep_is_said(small_version: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(small_version, folder)
    described = json.loads((folder / "manifest.json").read_bytes())
    described["files"] = [file for file in described["files"] if file["kind"] != "decisions"]
    (folder / "manifest.json").write_text(json.dumps(described))
    shutil.rmtree(folder / "documents")
    found = trace(folder, 0, None, "main", "train")
    assert found.pieces[0].text and not found.pieces[0].document and not found.pieces[0].record
    documents, decisions = found.missing
    assert re.search(r"1 of 1 files of documents are not there, such as documents/main-00000.parquet: copy", documents)
    assert "keep.fates is false" in decisions and "--set keep.fates=true" in decisions


def test_only_row_groups_that_can_hold_an_id_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.sort(np.random.default_rng(1).integers(0, 2**63, 5000)).tolist()
    keys = [key.to_bytes(16) for key in ids]
    table = pa.table({"id": pa.array(keys, pa.binary(16)), "url": [str(n) for n in range(5000)]})
    pq.write_table(table, tmp_path / "d.parquet", row_group_size=500)
    read: list[int] = []
    whole = pq.ParquetFile.read_row_group

    def watched(self: pq.ParquetFile, number: int, **settings: object) -> pa.Table:
        read.append(number)
        return whole(self, number, **settings)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    wanted = sorted([keys[7], keys[4999], b"\xff" * 16])
    found = list(_rows_with(tmp_path / "d.parquet", wanted, ["id", "url"]))
    assert found == [{"id": keys[7], "url": "7"}, {"id": keys[4999], "url": "4999"}] and set(read) == {0, 9}


def test_the_command(small_version: Path, cli) -> None:
    done = cli("trace", small_version, "--row", "3", "--cell", "main")
    assert done.returncode == 0, done.stderr
    first = r"shards/train/main-00000.arrow, row 3 \(row 3 of main, train\): 65 places, \d+ with tokens, \d pieces?\n\n"
    assert re.match(first + r"places 0 to \d+: document [0-9a-f]{32}, tokens \d+ to \d+, \w", done.stdout)
    assert re.search(r"  record  rows-\d\.jsonl, offset \d+\n  text    \S+ \S+ ", done.stdout)
    assert "Next: `pipeline why VERSION ID` tells what was measured" in done.stdout.splitlines()[-2]
