"""Tables that are looked into without being read."""

import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files import DamagedError
from pipeline.ledger import tables
from pipeline.ledger.layout import url_key
from pipeline.ledger.write import url_keys

SCHEMA = pa.schema([("id", pa.binary(16)), ("number", pa.int64()), ("word", pa.string())])


def write(rows: list[tuple[bytes, int]], folder: Path, at_a_time: int = 50) -> tables.SortedTable:
    sorter = tables.Sorter(SCHEMA, folder, "t")
    for start in range(0, len(rows), at_a_time):
        some = rows[start : start + at_a_time]
        keys, numbers = pa.array([key for key, _ in some], pa.binary(16)), [number for _, number in some]
        sorter.add(pa.table([keys, numbers, [None if n % 3 else str(n) for n in numbers]], SCHEMA.names).cast(SCHEMA))
    sorter.write(folder / "t.arrow")
    assert sorter.rows == len(rows) and [path.name for path in folder.iterdir()] == ["t.arrow"]
    return tables.SortedTable(folder / "t.arrow", SCHEMA, "write it again")


@pytest.mark.parametrize(
    ("n", "batch_rows", "n_batches"), [(0, 9, 1), (9, 9, 1), (10, 9, 2), (700, 9, 128), (700, 1, 1024)]
)
def test_every_key_is_found_with_its_rows_in_order(
    n: int, batch_rows: int, n_batches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", batch_rows)
    monkeypatch.setattr(tables, "SPILL_ROWS", 120)
    random_ = random.Random(n)
    keys = [random_.randbytes(16) for _ in range(n // 2 + 1)] + [b"\0" * 16, b"\xff" * 16]
    rows = [(random_.choice(keys), number) for number in range(n)]
    table = write(rows, tmp_path)
    assert table.n_batches == n_batches
    for key in keys:
        found = table.find(key)
        assert [row["number"] for row in found] == [number for own, number in rows if own == key]
        assert all(
            row["id"] == key and row["word"] == (None if row["number"] % 3 else str(row["number"])) for row in found
        )
    assert table.find(b"\x01" * 16) == []
    joined = pa.Table.from_batches(table.batches(), SCHEMA)["id"].to_pylist()
    assert joined == sorted(key for key, _ in rows)


def test_keys_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    rows = [(b"\x07" * 15 + bytes([last]), last) for last in (9, 3, 200, 3)]
    table = write(rows, tmp_path)
    assert [row["number"] for row in table.find(b"\x07" * 15 + b"\x03")] == [3, 3]
    assert table.find(b"\x07" * 15 + b"\x04") == []


def test_another_table_or_a_cut_one_is_refused(tmp_path: Path) -> None:
    write([(b"\x01" * 16, 1)], tmp_path)
    path = tmp_path / "t.arrow"
    with pytest.raises(DamagedError, match="not the columns and batches of this table; do so"):
        tables.SortedTable(path, SCHEMA.remove(2), "do so")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedError, match=r"t\.arrow: .*; do so"):
        tables.SortedTable(path, SCHEMA, "do so")


PIECES = st.sampled_from(
    [
        *(
            "http://",
            "https://",
            "HTTP://",
            "www.",
            "a.example",
            "A.Example",
            "x.org:80",
            "x.org:8080",
            "b..c",
            "user@h.org",
        ),
        *(
            "/",
            "//",
            "/p",
            "/P/q.html",
            "?a=1&b=2",
            "#top",
            "%41",
            "%e9",
            "é.example",
            "\\",
            " ",
            "\n",
            "[::1]",
            "." * 260,
        ),
    ]
)


@given(st.lists(st.lists(PIECES, max_size=6).map("".join), min_size=1, max_size=20))
def test_a_column_of_urls_has_the_keys_of_each(urls: list[str]) -> None:
    column = pa.chunked_array([pa.array(urls, pa.string())])
    assert url_keys(column).to_pylist() == [url_key(url) for url in urls]


def test_spellings_of_one_page_have_one_key() -> None:
    same = ["http://www.a.example/p/", "https://a.example/p", "https://a.example:443/p#x", "https://A.EXAMPLE/%70"]
    assert len({url_key(url) for url in same}) == 1
    assert len({url_key(url) for url in ["https://a.example/p", "https://a.example/P", "https://a.example/p?q"]}) == 3
