import hashlib

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import EMPTY, band_columns, band_name, exact_hash, signatures
from pipeline.text.shingles import shingle_hashes


def test_exact_hash_is_blake2b_of_the_utf8_bytes() -> None:
    texts = ["", "a", "naïve 文", "x" * 100_000]
    expected = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
    hashes = exact_hash(pa.array(texts, pa.large_string()))
    assert hashes.type == pa.binary(16)
    assert hashes.to_pylist() == expected
    assert exact_hash(pa.array(["gone", *texts], pa.large_string())[1:]).to_pylist() == expected
    assert exact_hash(pa.array([], pa.large_string())).to_pylist() == []


def test_band_columns_are_the_little_endian_values_of_each_band() -> None:
    options = DedupOptions(bands=3, rows=2)
    values = np.arange(12, dtype=np.uint32).reshape(2, 6) + np.uint32(0x01020300)
    columns = band_columns(values, options)
    assert list(columns) == ["band_00", "band_01", "band_02"]
    assert columns["band_01"].type == pa.binary(8)
    assert columns["band_01"].to_pylist()[0] == bytes([2, 3, 2, 1, 3, 3, 2, 1])
    joined = [b"".join(columns[band_name(i)][row].as_py() for i in range(3)) for row in range(2)]
    assert joined == [row.astype("<u4").tobytes() for row in values]


def test_documents_without_shingles_have_null_bands() -> None:
    options = DedupOptions(bands=2, rows=3)
    hashes, offsets = shingle_hashes(pa.array(["", "one two", "!?", *["x"] * 20, "—"], pa.large_string()), 5)
    values = signatures(hashes, offsets, options)
    assert (values[[0, 2, -1]] == EMPTY).all()
    for column in band_columns(values, options).values():
        column.validate(full=True)
        assert [value is None for value in column.to_pylist()] == [True, False, True, *[False] * 20, True]


def test_no_documents() -> None:
    options = DedupOptions()
    values = signatures(np.zeros(0, np.uint32), np.zeros(1, np.int64), options)
    assert values.shape == (0, 112)
    assert all(len(column) == 0 for column in band_columns(values, options).values())


def test_wrong_arrays_are_named() -> None:
    options = DedupOptions()
    with pytest.raises(TypeError, match="found int64 and int64"):
        signatures(np.zeros(2, np.int64), np.array([0, 2]), options)
    with pytest.raises(ValueError, match="at most 2, the number of hashes"):
        signatures(np.zeros(2, np.uint32), np.array([0, 3]), options)
    with pytest.raises(ValueError, match=r"shape \(n, 112\), found \(4, 111\)"):
        band_columns(np.zeros((4, 111), np.uint32), options)


def test_options_refuse_what_would_fail_later() -> None:
    with pytest.raises(ValueError, match="less than 4294967296"):
        DedupOptions(seed=2**32)
    with pytest.raises(ValueError, match="each rule may stand once, found longest, longest"):
        DedupOptions(survivor=("longest", "longest"))
