from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup import match as module
from pipeline.dedup.match import EDGES, match

Row = tuple[bytes, bytes | None, str | None]


def an_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def table(rows: list[Row]) -> pa.Table:
    ids, keys, scopes = zip(*rows, strict=True) if rows else ((), (), ())
    columns = [pa.array(ids, pa.binary(16)), pa.array(keys, pa.binary(2)), pa.array(scopes, pa.string())]
    return pa.Table.from_arrays(columns, names=["id", "key", "scope"])


def brute_force(rows: list[Row]) -> list[tuple[bytes, bytes]]:
    groups = defaultdict(set)
    for identifier, key, scope in rows:
        if key is not None:
            groups[key, scope].add(identifier)
    return sorted({(min(group), member) for group in groups.values() for member in group - {min(group)}})


def edges(result: pa.Table) -> list[tuple[bytes, bytes]]:
    assert result.schema.equals(EDGES)
    return list(zip(result["a"].to_pylist(), result["b"].to_pylist(), strict=True))


# Few keys, so that groups form; ids from both ends of the range, so that a signed comparison would show.
ids = st.one_of(st.integers(0, 40), st.integers(2**128 - 40, 2**128 - 1), st.just(2**127), st.just(2**63)).map(an_id)
row = st.tuples(ids, st.sampled_from([None, b"aa", b"ab", b"ba", b"\0\0"]), st.sampled_from([None, "", "x", "y"]))


@settings(max_examples=200, deadline=None)
@given(st.lists(row, max_size=40), st.randoms(use_true_random=False), st.integers(1, 7))
def test_edges_are_those_of_a_dictionary_for_any_order_and_cutting(rows: list[Row], random, size: int) -> None:
    expected = brute_force(rows)
    assert edges(match([table(rows)])) == expected
    random.shuffle(rows)
    parts = [table(rows[i : i + size]) for i in range(0, len(rows), size)]
    assert edges(match(iter(parts))) == expected


def test_equal_hashes_of_different_keys_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_hash_rows", lambda raw, scopes, out: out.fill(7))
    rng = np.random.default_rng(0)
    rows: list[Row] = [
        (an_id(int(i)), bytes([int(rng.integers(3)), int(rng.integers(3))]), "xy"[int(rng.integers(2))])
        for i in rng.permutation(300)
    ]
    assert edges(match([table(rows)])) == brute_force(rows)


def test_a_heavy_group_is_a_star() -> None:
    n = 100_000
    raw = np.random.default_rng(0).bytes(16 * n)
    ids = pa.Array.from_buffers(pa.binary(16), n, [None, pa.py_buffer(raw)])
    keys = pa.Array.from_buffers(pa.binary(32), n, [None, pa.py_buffer(b"k" * 32 * n)])
    result = match([pa.table({"id": ids, "key": keys})])
    assert len(result) == n - 1
    assert set(result["a"].to_pylist()) == {min(ids.to_pylist())}
    assert result["b"].to_pylist() == sorted(ids.to_pylist())[1:]


def test_nothing_to_match() -> None:
    assert edges(match([])) == []
    assert edges(match([table([])])) == []
    assert edges(match([table([(an_id(1), None, "x"), (an_id(2), None, "x")])])) == []


def test_sliced_and_chunked_tables() -> None:
    rows: list[Row] = [(an_id(i), b"ab" if i % 3 else b"cd", "x") for i in range(30)]
    whole = pa.concat_tables([table(rows[:10]), table(rows[10:])])
    assert edges(match([whole.slice(4, 17)])) == brute_force(rows[4:21])


def test_wrong_tables_are_named() -> None:
    good = table([(an_id(1), b"ab", "x")])
    with pytest.raises(ValueError, match="no column 'key'; the table has id, scope"):
        match([good.drop_columns("key")])
    with pytest.raises(ValueError, match="'id' holds binary; document ids are fixed_size_binary"):
        match([good.set_column(0, "id", pa.array([b"x"]))])
    with pytest.raises(ValueError, match="'id': 1 of 1 values are null"):
        match([good.set_column(0, "id", pa.array([None], pa.binary(16)))])
    with pytest.raises(ValueError, match="keys of 3 bytes follow keys of 2 bytes"):
        match([good, good.set_column(1, "key", pa.array([b"abc"], pa.binary(3)))])
