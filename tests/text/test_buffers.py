from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.buffers import from_buffers, views


@given(st.lists(st.text()), st.integers(0, 5), st.integers(0, 5))
def test_round_trip_of_slices(texts: list[str], skip: int, length: int) -> None:
    array = pa.array(texts, pa.large_string()).slice(min(skip, len(texts)), length)
    data, offsets = views(array)
    assert [bytes(data[a:b]).decode() for a, b in pairwise(offsets)] == array.to_pylist()
    again = from_buffers(data, offsets)
    again.validate(full=True)
    assert again.equals(array)


def test_views_share_memory() -> None:
    array = pa.array(["one", "two"], pa.large_string())
    data, offsets = views(array)
    assert data.ctypes.data == array.buffers()[2].address
    assert offsets.ctypes.data == array.buffers()[1].address
    assert not data.flags.writeable and offsets.dtype == np.int64


def test_empty_arrays() -> None:
    assert [part.tolist() for part in views(pa.array([], pa.large_string()))] == [[], [0]]
    assert [part.tolist() for part in views(pa.array(["", ""], pa.large_string()))] == [[], [0, 0, 0]]


@pytest.mark.parametrize("wrong", [pa.array(["a"]), pa.chunked_array([["a"]], pa.large_string()), ["a"]])
def test_other_types_are_named(wrong: object) -> None:
    with pytest.raises(TypeError, match="expected a LargeStringArray, found"):
        views(wrong)


def test_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        views(pa.array(["a", None], pa.large_string()))
