"""The documents that edges name: their ids in order, and where each of them lies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dedup.ids import hex_id, id_pairs, sorted_order
from pipeline.dedup.parts import Rows, SignedPart
from pipeline.kernels import leaf

MAX_BUCKET_BITS = 24
"""A table of 2**24 places, 128 MiB, keeps the search for an id to a few steps up to some hundred million members."""


@dataclass(frozen=True)
class Members:
    """All of them, in the order of ids; n of them.

    Attributes:
        ids: uint64 [n, 2], as `pipeline.dedup.ids.id_pairs`.
        part, row: int32 and int64 [n], a member's Part and row there; -1 if it is in earlier versions only.
        is_earlier: bool [n], whether an earlier version holds it.
        earlier_part, earlier_row: as `part` and `row`, in the earlier version; -1 without.
        buckets: int64 [2**k + 1], where the ids begin whose first k bits are a number.
    """

    ids: npt.NDArray[np.uint64]
    part: npt.NDArray[np.int32]
    row: Rows
    is_earlier: npt.NDArray[np.bool_]
    earlier_part: npt.NDArray[np.int32]
    earlier_row: Rows
    buckets: npt.NDArray[np.int64]

    def places(self, wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """The place of each id [m, 2] among the members; -1 of one that is none."""
        found = np.empty(len(wanted), np.int64)
        _search(self.ids, self.buckets, wanted, found)
        return found


def gather_members(edges: Iterable[pa.Table], parts: Sequence[SignedPart]) -> Members:
    """The members of all `edges`, found in `parts`.

    Raises:
        ValueError: an edge names an id that no Part has.
    """
    ids = np.empty((0, 2), np.uint64)
    for table in edges:
        ids = _union(ids, id_pairs(table, "a"), id_pairs(table, "b"))
    n = len(ids)
    bits = min(MAX_BUCKET_BITS, max(1, n.bit_length()))
    firsts = (ids[:, 0] >> np.uint64(64 - bits)).astype(np.int64)
    buckets = np.zeros((1 << bits) + 1, np.int64)
    np.cumsum(np.bincount(firsts, minlength=1 << bits), out=buckets[1:])
    part, earlier_part = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    row, earlier_row = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    members = Members(ids, part, row, np.zeros(n, np.bool_), earlier_part, earlier_row, buckets)
    for place, one in enumerate(parts):
        with one.signed() as signed:
            found = members.places(id_pairs(signed, "id"))
        rows = np.flatnonzero(found >= 0)
        if one.is_earlier:
            members.is_earlier[found[rows]] = True
        at, of_row = (earlier_part, earlier_row) if one.is_earlier else (part, row)
        at[found[rows]], of_row[found[rows]] = place, rows
    lost = np.flatnonzero((part < 0) & (earlier_part < 0))
    if len(lost):
        raise ValueError(
            f"{len(lost)} of {n} ids of the edges are in no Part, the first is {hex_id(ids[lost[0]])}; edges and "
            "signatures must come from the same Measure"
        )
    return members


def _union(*ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """All ids, shape (n, 2), sorted, each once."""
    joined: npt.NDArray[np.uint64] = np.concatenate(ids)
    joined = joined[sorted_order(joined)]
    new = np.ones(len(joined), np.bool_)
    new[1:] = (joined[1:] != joined[:-1]).any(axis=1)
    return joined[new]


@leaf
def _search(ids: np.ndarray, buckets: np.ndarray, wanted: np.ndarray, found: np.ndarray) -> None:
    """Binary search within the bucket of an id's first bits."""
    n_buckets = len(buckets) - 1
    shift = 64
    while n_buckets > 1:
        n_buckets >>= 1
        shift -= 1
    for i in range(len(wanted)):
        high, low = wanted[i, 0], wanted[i, 1]
        bucket = np.int64(high >> np.uint64(shift))
        start, end = buckets[bucket], buckets[bucket + 1]
        stop = end
        while start < stop:
            middle = (start + stop) // 2
            if ids[middle, 0] < high or (ids[middle, 0] == high and ids[middle, 1] < low):
                start = middle + 1
            else:
                stop = middle
        is_known = start < end and ids[start, 0] == high and ids[start, 1] == low
        found[i] = start if is_known else -1
