"""What Match and Cluster read of a Part: its documents' signatures by row, and its sorted run of keys."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SignedPart:
    """Documents of one Part, or of one file of an earlier version.

    Attributes:
        n_rows: how many documents there are.
        signed: opens their table of `pipeline.dedup.keys.signed_schema`, best memory-mapped.
        keys: gives what an expression selects of their run of keys (`pipeline.dedup.keys.KEYS`), of a Parquet file by
            the statistics of its row groups.
        is_candidate: which documents take part, bool [n_rows]; None for all of them.
        scopes: column of strings; only documents of equal scopes match. None if scopes do not count.
        is_earlier: whether they belong to an earlier version, and so always stay.
    """

    n_rows: int
    signed: Callable[[], AbstractContextManager[pa.RecordBatch]]
    keys: Callable[[pc.Expression], pa.Table]
    is_candidate: Callable[[], npt.NDArray[np.bool_]] | None = None
    scopes: Callable[[], pa.ChunkedArray | pa.Array] | None = None
    is_earlier: bool = False


def read_keys(part: SignedPart, band: int, first: int, last: int) -> tuple[npt.NDArray[np.uint64], Rows]:
    """Keys of one band from `first` to `last`, both included, in order, and the rows they belong to."""
    key = pc.field("key")
    low, high = pa.scalar(first, pa.uint64()), pa.scalar(last, pa.uint64())
    table = part.keys((pc.field("band") == band) & (key >= low) & (key <= high))
    return table["key"].to_numpy(), table["row"].to_numpy().astype(np.int64)


def gather(
    parts: Sequence[SignedPart],
    part_of: npt.NDArray[np.int32],
    rows: Rows,
    read: Callable[[pa.RecordBatch, Rows], npt.NDArray[Any]],
) -> npt.NDArray[Any]:
    """For each i what `read`, given a Part's signatures and some of its rows, has for `rows[i]` of `parts[part_of[i]]`.

    Each Part is opened once, and closed before the next: of a memory-mapped one little more than the rows is read.
    """
    out: npt.NDArray[Any] | None = None
    for places, signed in _opened(parts, part_of):
        values = read(signed, rows[places])
        if out is None:
            out = np.empty((len(rows), *values.shape[1:]), values.dtype)
        out[places] = values
    return np.empty(0, np.uint8) if out is None else out


def gather_lists(
    parts: Sequence[SignedPart], part_of: npt.NDArray[np.int32], rows: Rows, name: str
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """As `gather`, of a column of lists of numbers: all values in one array, and where each list ends [n + 1]."""
    found, order = [], []
    for places, signed in _opened(parts, part_of):
        found.append(signed.column(name).take(pa.array(rows[places])))
        order.append(places)
    if not found:
        return np.empty(0, np.uint32), np.zeros(1, np.int64)
    lists = pa.concat_arrays(found).take(pa.array(np.argsort(np.concatenate(order))))
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(), out=ends[1:])
    return lists.flatten().to_numpy(), ends


def _by_part(part_of: npt.NDArray[np.int32]) -> list[Rows]:
    """The places of equal values, one array for each value, smallest first."""
    order = np.argsort(part_of, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(part_of[order])) + 1) if len(order) else []


def _opened(parts: Sequence[SignedPart], part_of: npt.NDArray[np.int32]) -> Iterator[tuple[Rows, pa.RecordBatch]]:
    """The places of each Part, and its signatures, open until the next is asked for."""
    for places in _by_part(part_of):
        with parts[part_of[places[0]]].signed() as signed:
            yield places, signed
