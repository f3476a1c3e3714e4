"""Match: equal keys -> groups of documents, as the edges of a star around each group's smallest id.

The Parts' runs of keys are sorted, so a range of keys is a slice of each run: what is read is joined range by range. A
group of m documents gives at most m - 1 edges, so a heavy group costs time and space in proportion to its size.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dedup.ids import id_pairs, ids_of, sorted_order
from pipeline.dedup.keys import band_code, value_bytes, value_width
from pipeline.dedup.options import BAND_PREFIX, DedupOptions
from pipeline.dedup.parts import Rows, SignedPart, gather, read_keys
from pipeline.dedup.verify import Verified, verified_edges
from pipeline.document import ID_TYPE
from pipeline.kernels import leaf

EDGES = pa.schema([pa.field("a", ID_TYPE, nullable=False), pa.field("b", ID_TYPE, nullable=False)])
"""Two documents of one group. `a` is a smaller id than `b`; both are equal where an earlier version holds the very
record."""

RANGE_ROWS = 16_000_000
"""Keys that are held at a time, about: 24 bytes each."""
SLICE_ROWS = 65_536
"""Keys that are sorted at a time: with their places 1 MiB, which fits a level-2 cache."""
KEY_SPACE = 1 << 64


class Matched(NamedTuple):
    """`edges`: a table of schema EDGES, sorted, each edge once. `verified`: what verification had to do."""

    edges: pa.Table
    verified: Verified


def match(parts: Sequence[SignedPart], band: str, span: tuple[int, int], options: DedupOptions) -> Matched:
    """The edges between documents that are equal in `band`, their keys lying in `span`.

    Args:
        parts: all documents; any cutting and order gives the same edges.
        band: one of `pipeline.dedup.keys.band_names`.
        span: first key, and the one after the last: a range of [0, `KEY_SPACE`).
        options: gives `verify`, which near duplicates have to pass.

    Memory: 24 bytes for each of about `RANGE_ROWS` keys, or for each document of the heaviest key if those are more;
    100 bytes and the value for each document in a group, and 50 for each edge.

    Raises:
        ValueError: a Part's tables are not what they should be.
    """
    first, end = span
    n_rows = sum(part.n_rows for part in parts)
    n_ranges = max(1, -(-n_rows * (end - first) // (KEY_SPACE * RANGE_ROWS)))
    bounds = [first + (end - first) * i // n_ranges for i in range(n_ranges + 1)]
    edges: list[npt.NDArray[np.uint64]] = [np.empty((0, 4), np.uint64)]
    verified = Verified(0, 0)
    for low, high in pairwise(bounds):
        part_of, rows, groups, ids = _groups(parts, band, low, high, options)
        if options.verify is not None and band.startswith(BAND_PREFIX):
            pairs, found = verified_edges(parts, part_of, rows, groups, options)
            verified = Verified(verified.compared + found.compared, verified.rejected + found.rejected)
        else:
            pairs = _stars(groups)
        edges.append(np.hstack([ids[pairs[:, 0]], ids[pairs[:, 1]]]))
    return Matched(_sorted_edges(np.concatenate(edges)), verified)


class _Run(NamedTuple):
    """Of one Part the keys in a range, ascending; `mixed` with scopes, so that unequal scopes have unequal keys."""

    part: int
    keys: npt.NDArray[np.uint64]
    mixed: npt.NDArray[np.uint64]
    rows: Rows


def _groups(
    parts: Sequence[SignedPart], band: str, first: int, end: int, options: DedupOptions
) -> tuple[npt.NDArray[np.int32], Rows, npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Documents in groups of two or more: their Parts and rows, the numbers of their groups, ascending, and their ids,
    ascending within a group."""
    part_of, rows, keys = _with_equal_keys(
        [_run(part, place, band, first, end) for place, part in enumerate(parts)], first, end
    )
    width = value_width(band, options)
    kind = np.dtype([("id", np.uint64, 2), ("value", np.uint8, width)])

    def read(signed: pa.RecordBatch, at: Rows) -> npt.NDArray[np.void]:
        found = np.empty(len(at), kind)
        found["id"], found["value"] = id_pairs(signed, "id", at), value_bytes(signed, band, options)[at]
        return found

    found = gather(parts, part_of, rows, read) if len(rows) else np.empty(0, kind)
    order = sorted_order(found["id"])
    order = order[np.argsort(keys[order], kind="stable")]
    groups = np.empty(len(order), np.int64)
    _number_groups(keys[order], np.ascontiguousarray(found["value"][order]), groups)
    by_group = np.argsort(groups, kind="stable")
    by_group = by_group[_repeats(groups[by_group])]
    order, groups = order[by_group], groups[by_group]
    return part_of[order], rows[order], groups, found["id"][order]


def _run(part: SignedPart, place: int, band: str, first: int, end: int) -> _Run:
    keys, rows = read_keys(part, band_code(band), first, end - 1)
    if part.is_candidate is not None:
        mask = part.is_candidate()[rows]
        keys, rows = keys[mask], rows[mask]
    mixed = keys ^ _scope_hashes(part.scopes())[rows] if part.scopes is not None and len(rows) else keys
    return _Run(place, keys, mixed, rows)


def _with_equal_keys(
    runs: Sequence[_Run], first: int, end: int
) -> tuple[npt.NDArray[np.int32], Rows, npt.NDArray[np.uint64]]:
    """Parts, rows and keys of the documents whose key another one has, too.

    Runs are sorted, so the range is gone through in slices that fit the processor's cache.
    """
    n_slices = max(1, sum(len(run.rows) for run in runs) // SLICE_ROWS)
    bounds = np.array([first + (end - first) * i // n_slices for i in range(1, n_slices)], np.uint64)
    cuts = [[0, *np.searchsorted(run.keys, bounds).tolist(), len(run.keys)] for run in runs]
    part_of, rows, keys = [np.empty(0, np.int32)], [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for i in range(n_slices if runs else 0):
        at = [slice(cut[i], cut[i + 1]) for cut in cuts]
        some = np.concatenate([run.mixed[here] for run, here in zip(runs, at, strict=True)])
        order = np.argsort(some)
        order = order[_repeats(some[order])]
        sizes = [here.stop - here.start for here in at]
        part_of.append(np.repeat(np.array([run.part for run in runs], np.int32), sizes)[order])
        rows.append(np.concatenate([run.rows[here] for run, here in zip(runs, at, strict=True)])[order])
        keys.append(some[order])
    return np.concatenate(part_of), np.concatenate(rows), np.concatenate(keys)


def _scope_hashes(scopes: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.uint64]:
    """A hash of each document's scope. With 64 bits each, two of a thousand scopes are as good as never equal."""
    encoded = pc.dictionary_encode(scopes, null_encoding="encode")
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    names = [(name or "").encode() for name in encoded.dictionary.to_pylist()]
    digests = [int.from_bytes(blake2b(name, digest_size=8).digest(), "little") for name in names]
    hashes: npt.NDArray[np.uint64] = np.array(digests, np.uint64)[encoded.indices.to_numpy(zero_copy_only=False)]
    return hashes


def _repeats(ordered: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Which entries of a sorted array have an equal neighbour."""
    mask = np.zeros(len(ordered), np.bool_)
    same = ordered[1:] == ordered[:-1]
    mask[1:] |= same
    mask[:-1] |= same
    return mask


def _stars(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Pairs of places, shape (n, 2): the first of each group with each of the others."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    sizes = np.diff(np.append(starts, len(groups)))
    others = np.ones(len(groups), np.bool_)
    others[starts] = False
    return np.column_stack([np.repeat(starts, sizes - 1), np.flatnonzero(others)])


def _sorted_edges(edges: npt.NDArray[np.uint64]) -> pa.Table:
    """Edges, shape (n, 4), sorted, each once."""
    edges = edges[np.lexsort((edges[:, 3], edges[:, 2], edges[:, 1], edges[:, 0]))]
    new = np.ones(len(edges), np.bool_)
    new[1:] = (edges[1:] != edges[:-1]).any(axis=1)
    edges = edges[new]
    return pa.Table.from_arrays([ids_of(edges[:, :2]), ids_of(edges[:, 2:])], schema=EDGES)


@leaf
def _number_groups(keys: np.ndarray, values: np.ndarray, groups: np.ndarray) -> None:
    """Number the groups of rows that are equal in key and value. Keys are sorted.

    Rows of one key have one value, but for chance collisions of 64 bits: another pass over the run for each.
    """
    start, number = 0, 0
    while start < len(keys):
        stop = start + 1
        while stop < len(keys) and keys[stop] == keys[start]:
            stop += 1
        for row in range(start, stop):
            groups[row] = -1
        for leader in range(start, stop):
            if groups[leader] >= 0:
                continue
            for row in range(leader, stop):
                if groups[row] < 0 and _is_same(values, leader, row):
                    groups[row] = number
            number += 1
        start = stop


@leaf
def _is_same(values: np.ndarray, i: int, j: int) -> bool:
    k, width = 0, values.shape[1]
    while k < width and values[i, k] == values[j, k]:
        k += 1
    return bool(k == width)
