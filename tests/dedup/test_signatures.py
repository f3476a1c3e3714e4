import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.keys import keys_of, signature_column, signature_values, value_bytes
from pipeline.dedup.options import DedupOptions, Repeat, VerifyOptions
from pipeline.dedup.signatures import distinct_shingles, exact_hash, page_hash, signatures
from pipeline.text.shingles import shingle_hashes


def test_exact_hash_is_blake2b_of_the_utf8_bytes() -> None:
    texts = ["", "a", "naïve 文", "x" * 100_000]
    expected = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
    hashes = exact_hash(pa.array(texts, pa.large_string()))
    assert hashes.type == pa.binary(16)
    assert hashes.to_pylist() == expected
    assert exact_hash(pa.array(["gone", *texts], pa.large_string())[1:]).to_pylist() == expected
    assert exact_hash(pa.array([], pa.large_string())).to_pylist() == []


def signed(values: np.ndarray, options: DedupOptions) -> pa.Table:
    ids = pa.array([i.to_bytes(16, "big") for i in range(len(values))], pa.binary(16))
    return pa.table({"id": ids, "exact": ids, "signature": signature_column(values, options)})


@pytest.mark.parametrize(("scheme", "dtype"), [("affine32", "<u4"), ("affine64", "<u8")])
def test_a_band_is_the_little_endian_bytes_of_its_values(scheme: str, dtype: str) -> None:
    options = DedupOptions(bands=3, rows=2, scheme=scheme)
    values = np.arange(12).reshape(2, 6).astype(dtype) + np.array(0x01020300, dtype)
    table = signed(values, options)
    assert table["signature"].to_pylist() == [row.tobytes() for row in values]
    assert value_bytes(table, "band_01", options).tobytes() == values[:, 2:4].tobytes()
    assert np.array_equal(signature_values(table, options), values)
    assert value_bytes(table, "exact", options).tobytes() == b"".join(table["exact"].to_pylist())


def test_documents_without_shingles_have_no_keys() -> None:
    options = DedupOptions(exact=False, bands=2, rows=3)
    hashes, offsets = shingle_hashes(pa.array(["", "one two", "!?", *["x"] * 20, "—"], pa.large_string()), 5)
    values = signatures(hashes, offsets, options)
    assert (values[[0, 2, -1]] == 2**32 - 1).all()
    column = signature_column(values, options)
    column.validate(full=True)
    assert [value is None for value in column.to_pylist()] == [True, False, True, *[False] * 20, True]
    run = keys_of(signed(values, options), options)
    assert sorted(run["row"].to_pylist()) == sorted([1, *range(3, 23)] * 2)


@given(st.lists(st.lists(st.integers(0, 9), max_size=20), max_size=6))
def test_distinct_shingles_are_sets(documents: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.int64)
    found = distinct_shingles(np.array([h for document in documents for h in document], np.uint32), offsets)
    assert found.to_pylist() == [sorted(set(document)) for document in documents]


def test_pages_are_told_apart_by_their_addresses() -> None:
    urls = ["https://a.org/x", "http://www.a.org:80/x#top", "https://a.org/y", "", "https://b.org/x"]
    canonical = ["", "", "https://www.a.org/x", "https://a.org/x", "https://a.org/x"]
    own = page_hash(pa.chunked_array([urls]), None).to_pylist()
    assert own[0] == own[1] != own[2]
    assert own[3] is None
    stated = page_hash(pa.chunked_array([urls]), pa.chunked_array([canonical])).to_pylist()
    assert stated[0] == stated[1] == stated[2]
    assert stated[3] is None  # a page of no address may state what it likes
    assert stated[4] == own[4] != stated[0]  # one of another site, too


def test_no_documents() -> None:
    options = DedupOptions()
    values = signatures(np.zeros(0, np.uint32), np.zeros(1, np.int64), options)
    assert values.shape == (0, 112)
    assert len(keys_of(signed(values, options), options)) == 0


def test_wrong_arrays_are_named() -> None:
    options = DedupOptions()
    with pytest.raises(TypeError, match="found int64 and int64"):
        signatures(np.zeros(2, np.int64), np.array([0, 2]), options)
    with pytest.raises(ValueError, match="at most 2, the number of hashes"):
        signatures(np.zeros(2, np.uint32), np.array([0, 3]), options)
    with pytest.raises(ValueError, match=r"shape \(n, 112\), found \(4, 111\)"):
        signature_column(np.zeros((4, 111), np.uint32), options)


def test_options_refuse_what_would_fail_later() -> None:
    with pytest.raises(ValueError, match="less than 4294967296"):
        DedupOptions(seed=2**32)
    with pytest.raises(ValueError, match="each rule may stand once, found longest, longest"):
        DedupOptions(survivor=("longest", "longest"))
    with pytest.raises(
        ValueError, match=r"a threshold of 0.8 with 128 permutations means 9 bands of 13 rows, not 14 of 8"
    ):
        DedupOptions(threshold=0.8, bands=14, rows=8)
    with pytest.raises(ValueError, match="near is off"):
        DedupOptions(near=False, verify=VerifyOptions())
    with pytest.raises(ValueError, match="with another scope"):
        DedupOptions(against=("data/x/0",), scope="snapshot")
    with pytest.raises(ValueError, match="min_size must grow from entry to entry, found 5, 2"):
        DedupOptions(repeat_by_cluster_size=(Repeat(min_size=5, times=2), Repeat(min_size=2, times=1)))


def test_a_threshold_chooses_bands_and_rows() -> None:
    options = DedupOptions(threshold=0.8)
    assert (options.bands, options.rows) == (9, 13)
    assert DedupOptions.model_validate(options.model_dump(mode="json")) == options
    with pytest.raises(ValueError, match="less than 1"):
        DedupOptions(threshold=1.5)
