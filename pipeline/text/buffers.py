"""Arrow text columns as numpy arrays over the same memory, and back."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def views(texts: pa.LargeStringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes and offsets of `texts`, without a copy; both arrays are read-only, always: a kernel is
    compiled for one kind of array.

    Text i is `data[offsets[i]:offsets[i + 1]]`, valid UTF-8. For a sliced array `offsets[0]` need not be 0, and `data`
    holds bytes of texts outside the slice.

    Returns:
        data: uint8, one dimension.
        offsets: int64, length `len(texts) + 1`, never decreasing.

    Raises:
        TypeError: `texts` is not one Arrow array of type large_string.
        ValueError: `texts` holds nulls.
    """
    if not isinstance(texts, pa.Array) or texts.type != pa.large_string():
        found = f"{type(texts).__name__} of {texts.type}" if hasattr(texts, "type") else type(texts).__name__
        raise TypeError(f"expected a LargeStringArray, found {found}; cast it and call combine_chunks() first")
    if texts.null_count:
        raise ValueError(f"{texts.null_count} of {len(texts)} texts are null; fill them with '' first")
    _, offset_buffer, data_buffer = texts.buffers()
    offsets, data = np.zeros(len(texts) + 1, np.int64), np.zeros(0, np.uint8)
    if len(texts) and offset_buffer is not None:
        offsets = np.frombuffer(offset_buffer, np.int64, len(texts) + 1, texts.offset * 8)
    if len(texts) and data_buffer is not None:
        data = np.frombuffer(data_buffer, np.uint8)
    for array in (data, offsets):
        array.setflags(write=False)
    return data, offsets


def from_buffers(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> pa.LargeStringArray:
    """The LargeStringArray over `data` (uint8, UTF-8 already) and `offsets` (int64, length n + 1), without a copy."""
    data, offsets = np.ascontiguousarray(data, np.uint8), np.ascontiguousarray(offsets, np.int64)
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
