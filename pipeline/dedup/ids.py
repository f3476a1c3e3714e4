"""Fixed-width byte columns as numpy arrays, and document ids as pairs of 64-bit integers that sort as the bytes do."""

import numpy as np
import pyarrow as pa

from pipeline.document import ID_TYPE, fixed_bytes


def one_array(table: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    """The column `name` as one array.

    Raises:
        ValueError: there is no such column.
    """
    if name not in table.column_names:
        raise ValueError(f"no column {name!r}; the table has {', '.join(table.column_names) or 'no columns'}")
    column = table.column(name)
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def id_pairs(table: pa.Table | pa.RecordBatch, name: str, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """The ids in column `name` as uint64, shape (n, 2), big half first: pairs compare as the 16 bytes do.

    `rows`: which of them.

    Raises:
        ValueError: the column is missing, is no FixedSizeBinary(16), or holds nulls.
    """
    values = one_array(table, name)
    if values.type != ID_TYPE:
        raise ValueError(f"column {name!r} holds {values.type}; document ids are {ID_TYPE}")
    try:
        raw = fixed_bytes(values)
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}; every document has an id") from None
    return raw[rows].view(">u8").astype(np.uint64)


def sorted_order(pairs: np.ndarray) -> np.ndarray:
    """The order that sorts `pairs`, uint64 [n, 2]: int64 [n].

    Ids are hashes, so the first halves alone nearly always tell; sorting them takes less than half the time of sorting
    by two columns, which is done if they do not.
    """
    high = np.ascontiguousarray(pairs[:, 0])
    order: np.ndarray = np.argsort(high)
    low, high = pairs[order, 1], high[order]
    if np.any((high[1:] == high[:-1]) & (low[1:] < low[:-1])):
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return order


def ids_of(pairs: np.ndarray) -> pa.FixedSizeBinaryArray:
    """The ids whose `id_pairs` are given: the inverse. `pairs`: uint64, shape (n, 2)."""
    raw = np.ascontiguousarray(pairs.astype(">u8"))
    return pa.Array.from_buffers(ID_TYPE, len(raw), [None, pa.py_buffer(raw)])


def hex_id(pair: np.ndarray) -> str:
    """One id in hexadecimal, for messages."""
    return f"{int(pair[0]):016x}{int(pair[1]):016x}"
