"""Items of benchmarks: which strings are read, and what is said of files that cannot be used."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sources.items import ItemError, read_items

ROWS = [
    {"q": "One?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "n": 3, "none": None},
    {"q": "Two\ud83d\ude00?", "choices": {"text": ["c"], "label": ["A"]}, "n": 4, "none": None},
]


def written(folder: Path, name: str) -> Path:
    lines = ("\ufeff" + "\n\n".join(json.dumps(row) for row in ROWS)).encode()
    path = folder / name
    if name.endswith(".parquet"):
        rows = json.loads(json.dumps(ROWS))
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines))
    elif name.endswith(".zst"):
        with pa.CompressedOutputStream(str(path), "zstd") as out:
            out.write(lines)
    else:
        path.write_bytes(lines)
    return path


@pytest.mark.parametrize("name", ["b.jsonl", "b.NDJSON", "b.jsonl.gz", "b.jsonl.zst", "b.parquet"])
def test_strings_of_every_kind_of_file(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)

    def items(*fields: str) -> list[list[str]]:
        return list(read_items(path, name, fields, "at"))

    assert items() == [["One?", "a", "b", "A", "B"], ["Two😀?", "c", "A"]]
    assert items("choices.text", "q") == [["a", "b", "One?"], ["c", "Two😀?"]]
    assert items("choices") == [["a", "b", "A", "B"], ["c", "A"]]
    with pytest.raises(ItemError, match=f"^at: {name}: no item has a field 'choice'; did you mean choices"):
        items("q", "choice")
    with pytest.raises(ItemError, match=f"^at: {name}: no text in n, none; name fields that hold text$"):
        items("n", "none")


def test_half_a_surrogate_pair_is_no_character(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"q": "x\\ud83d"}\n{"r": [["y"], {"s": "z"}]}\n')
    assert list(read_items(tmp_path / "b.jsonl", "b.jsonl", (), "at")) == [["x\ufffd"], ["y", "z"]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("b.jsonl", b"", "b.jsonl: has no items"),
        ("b.jsonl", b'{"q": "x"}\n{"q"\n', "b.jsonl:2: expected a JSON object on one line"),
        ("b.jsonl", b'["x"]\n', "b.jsonl:1: expected a JSON object on one line (found list)"),
        ("b.jsonl", b'{"q": "\xff"}\n', "b.jsonl:1: expected a JSON object on one line ("),
        ("b.jsonl.gz", gzip.compress(b'{"q": "x"}\n' * 99, mtime=0)[:-20], "cannot be read (EOFError"),
        ("b.jsonl.gz", b"plain", "item 1 cannot be read (BadGzipFile"),
        ("b.jsonl.zst", b"plain", "item 1 cannot be read (OSError"),
        ("b.parquet", b"plain", "item 1 cannot be read (ArrowInvalid"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ItemError) as error:
        list(read_items(tmp_path / name, name, (), "at"))
    assert str(error.value).startswith("at: ")
    assert said in str(error.value)
