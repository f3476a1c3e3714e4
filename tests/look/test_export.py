"""Exports are read back by the programs they are for, or as their readers do."""

import json
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.cli.export import Format, _next
from pipeline.config import ConfigError
from pipeline.look.export import FORMATS, SPLITS, Exported, epochs, export
from pipeline.look.megatron import MegatronFile
from pipeline.look.whole import _in_order
from pipeline.manifest import load_manifest
from pipeline.shards import ShardError
from pipeline.tokenizer import vocab


def run(version: Path, kind: str, to: Path, splits=SPLITS, by_mixture: bool = False) -> Path:
    export(version, kind, to, splits, by_mixture, lambda what, n: None)
    return to


@pytest.fixture(scope="module")
def truth(small_version: Path) -> dict[tuple[str, str], list[list[int]]]:
    """(Cell, split) -> the ids of each document, encoded anew from its text, by document id."""
    words = vocab.load(small_version / "tokenizer" / "tokenizer.model")
    splits: dict[bytes, str] = {}
    described = load_manifest(small_version)
    for file in described.files:
        if file.kind == "shard":
            from pipeline.shards import open_shard

            shard = open_shard(small_version / file.path)
            splits |= {key.tobytes(): file.split for row in range(len(shard)) for key in shard.ids(row)}
    found: dict[tuple[str, str], list[list[int]]] = {}
    for file in (f for f in described.files if f.kind == "documents"):
        for row in pq.read_table(small_version / file.path).to_pylist():
            ids = [words.bos_id, *words.encode([row["text"]])[0].tolist(), words.eos_id]
            found.setdefault((file.source, splits[row["id"]]), []).append(ids)
    assert len(found) == 4
    return found


def read_megatron(stem: Path) -> list[list[int]]:
    """By the layout as `pipeline/look/megatron.py` describes it."""
    index = stem.with_name(f"{stem.name}.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0"
    version, code, n, n_bounds = struct.unpack_from("<QBQQ", index, 9)
    sizes = np.frombuffer(index, "<i4", n, 34)
    pointers = np.frombuffer(index, "<i8", n, 34 + 4 * n)
    bounds = np.frombuffer(index, "<i8", n_bounds, 34 + 12 * n)
    assert version == 1 and len(index) == 34 + 12 * n + 8 * n_bounds and bounds.tolist() == list(range(n + 1))
    data, dtype = stem.with_name(f"{stem.name}.bin").read_bytes(), {8: "<u2", 4: "<i4"}[code]
    return [np.frombuffer(data, dtype, s, p).tolist() for s, p in zip(sizes.tolist(), pointers.tolist(), strict=True)]


def test_megatron(small_version: Path, truth, tmp_path: Path) -> None:
    to = run(small_version, "megatron", tmp_path / "to")
    for (cell, split), documents in truth.items():
        assert read_megatron(to / split / cell) == documents


def test_megatron_core_reads_it(small_version: Path, truth, tmp_path: Path) -> None:
    pytest.importorskip("megatron.core", reason="megatron-core is not installed")
    to = run(small_version, "megatron", tmp_path / "to", ("train",))
    program = (
        "import json, sys; from megatron.core.datasets.indexed_dataset import IndexedDataset\n"
        "d = IndexedDataset(sys.argv[1])\n"
        "print(json.dumps([[d[i].tolist() for i in range(len(d))], d.document_indices.tolist()]))"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(to / "train" / "main")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    documents, bounds = json.loads(done.stdout.splitlines()[-1])
    assert documents == truth["main", "train"] and bounds == list(range(len(documents) + 1))


def test_megatron_ids_of_a_large_vocabulary_have_32_bits(tmp_path: Path) -> None:
    file = MegatronFile(tmp_path / "a", 65_537)
    file.add(np.array([70_000, 1, 2], np.uint32), np.array([1, 2]))
    file.close()
    assert read_megatron(tmp_path / "a") == [[70_000], [1, 2]]


def test_nanogpt_reads_it_as_a_memory_map(small_version: Path, truth, tmp_path: Path) -> None:
    to = run(small_version, "nanogpt", tmp_path / "to")
    for name, split in (("train.bin", "train"), ("val.bin", "validation")):
        data = np.memmap(to / name, dtype=np.uint16, mode="r")
        assert data.tolist() == [t for cell in ("main", "extra") for ids in truth[cell, split] for t in ids]
    assert pickle.loads((to / "meta.pkl").read_bytes()) == {"vocab_size": 640}


def test_nanogpt_refuses_a_large_vocabulary(small_version: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    described = load_manifest(small_version)
    large = replace(described, tokenizer={**described.tokenizer, "vocab_size": 65_537})
    (folder / "manifest.json").write_bytes(large.to_bytes())
    with pytest.raises(ConfigError, match="16 bits wide, and the vocabulary has 65,537 pieces"):
        run(folder, "nanogpt", tmp_path / "to")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_datasets_reads_text_and_ids(small_version: Path, truth, tmp_path: Path, monkeypatch) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    words = vocab.load(small_version / "tokenizer" / "tokenizer.model")
    read = {}
    for kind in ("parquet-text", "parquet-ids"):
        to = run(small_version, kind, tmp_path / kind)
        read[kind] = datasets.load_dataset("parquet", data_dir=str(to), cache_dir=str(tmp_path / "cache"))
        assert set(read[kind]) == {"train", "validation"}
    for split in SPLITS:
        expected = sorted(ids for (_, s), documents in truth.items() for ids in documents if s == split)
        ids, text = read["parquet-ids"][split], read["parquet-text"][split]
        assert sorted(ids["input_ids"]) == expected
        encoded = words.encode(list(text["text"]))
        assert sorted([words.bos_id, *e.tolist(), words.eos_id] for e in encoded) == expected
        assert sorted(text["id"]) == sorted(ids["id"]) and set(text["source"]) == set(ids["cell"]) == {"main", "extra"}


def test_the_mixture_repeats_documents(small_version: Path, truth, tmp_path: Path) -> None:
    times_read = epochs(load_manifest(small_version))
    assert times_read["main"] > 2
    to = run(small_version, "megatron", tmp_path / "to", by_mixture=True)
    texts = run(small_version, "parquet-text", tmp_path / "texts", by_mixture=True)
    for cell in ("main", "extra"):
        once, found = truth[cell, "train"], read_megatron(to / "train" / cell)
        times = [found.count(document) for document in once]
        assert set(times) <= {int(times_read[cell]), int(times_read[cell]) + 1}
        assert abs(len(found) / len(once) - times_read[cell]) < 0.25
        assert read_megatron(to / "validation" / cell) == truth[cell, "validation"]
        assert pq.read_metadata(texts / "train" / f"{cell}-00000.parquet").num_rows == len(found)


def test_phases_of_a_cell_add_up(small_version: Path, tmp_path: Path) -> None:
    described = load_manifest(small_version)
    halves = [
        replace(row, phase=phase, share=row.share * part, epochs=row.epochs * part, rows=int(row.rows * part))
        for phase, part in enumerate((0.75, 0.25))
        for row in described.mixture
    ]
    phased = replace(described, mixture=halves)
    assert epochs(phased) == pytest.approx(epochs(described))
    written = [Exported(cell, "train", 1, 1) for cell in ("main", "extra")]
    shown = [_next(d, Format.MEGATRON, tmp_path, written, mixture=False) for d in (described, phased)]
    assert shown[0] == shown[1] and "data-path" in shown[0]


def test_a_missing_shard_is_no_smaller_export(small_version: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "shards").symlink_to(small_version / "shards")
    described = load_manifest(small_version)
    files = [f for f in described.files if f.path != "shards/train/extra-00000.arrow"]
    (folder / "manifest.json").write_bytes(replace(described, files=files).to_bytes())
    with pytest.raises(ShardError, match="counts 53 train documents of extra, the shards hold 0"):
        run(folder, "megatron", tmp_path / "to")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_pieces_are_joined_in_order_copies_left_out_and_gaps_refused() -> None:
    """Document 2 in three pieces over rows of 4 places, packed twice; document 1 in one."""
    ids = np.repeat(np.arange(3, dtype=np.uint8), 16).reshape(3, 16)
    tokens = np.array([12, 13, 14, 15, 1, 2, 0, 0, 10, 11, 12, 15, 16, 0, 10, 11, 12, 0, 12, 13, 14, 15, 15, 16, 0, 0])
    places, lengths = np.array([0, 4, 8, 11, 14, 18, 22]), np.array([4, 2, 3, 2, 3, 4, 2])
    starts = np.array([2, 0, 0, 5, 0, 2, 5])
    of = ids[[2, 1, 2, 2, 2, 2, 2]]
    whole = _in_order("s", 7, tokens, places, lengths, starts, of)
    assert whole.tokens.tolist() == [1, 2, 10, 11, 12, 13, 14, 15, 16] and whole.offsets.tolist() == [0, 2, 9]
    assert whole.ids.tolist() == ids[1:].tolist()
    for gone in ([0, 5], [2, 4]):  # the middle, the beginning
        rest = np.delete(np.arange(7), gone)
        with pytest.raises(ShardError, match="pieces of a document are missing"):
            _in_order("s", 7, tokens, places[rest], lengths[rest], starts[rest], of[rest])


def test_a_folder_that_is_there_is_left_alone(small_version: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        run(small_version, "megatron", tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_stop_leaves_nothing(kind: str, small_version: Path, tmp_path: Path) -> None:
    def stop(what: str, n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(small_version, kind, tmp_path / "to", SPLITS, False, stop)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_goes_with_the_next(small_version: Path, tmp_path: Path) -> None:
    (tmp_path / ".aside-to").mkdir()
    (tmp_path / ".aside-to" / "half.bin").touch()
    to = run(small_version, "nanogpt", tmp_path / "to")
    assert sorted(path.name for path in to.iterdir()) == ["export.json", "meta.pkl", "train.bin", "val.bin"]
    assert list(tmp_path.iterdir()) == [to]


def test_the_command(small_version: Path, cli, tmp_path: Path) -> None:
    done = cli("export", small_version, "--format", "megatron", "--to", tmp_path / "to", "--split", "train")
    assert done.returncode == 0, done.stderr
    assert "main                     train                 110" in done.stdout
    assert "Next: Megatron-LM with --data-path 0.69" in done.stdout and f"{tmp_path}/to/train/main" in done.stdout
    about = json.loads((tmp_path / "to" / "export.json").read_text())
    assert about["version"] == small_version.name and set(about["files"]) == {
        f"train/{cell}.{end}" for cell in ("main", "extra") for end in ("bin", "idx")
    }
    again = cli("export", small_version, "--format", "megatron", "--to", tmp_path / "to")
    assert again.returncode == 2 and "is there already" in again.stderr
