"""Verification: of the documents that share a band, those pairs that are alike enough.

Within a group documents come in the order of ids. Each is compared with up to `REPRESENTATIVES` documents before it
that were like none before them, and joins the first it is like: work grows with the group, not with its square. A pair
of documents that are like different representatives is not looked at.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.dedup.keys import signature_values
from pipeline.dedup.options import DedupOptions
from pipeline.dedup.parts import Rows, SignedPart, gather, gather_lists
from pipeline.kernels import kernel, leaf

REPRESENTATIVES = 16
"""At most this many in a group. Where more unlike documents share a band of several values, they share boilerplate."""
BLOCK_ROWS = 65_536
"""Documents whose signatures or shingles are held at a time."""


class Verified(NamedTuple):
    """Pairs of documents that were compared, and how many of them were not alike enough."""

    compared: int
    rejected: int


def jaccard_of_signatures(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """The share of equal values in signatures `a[i]` and `b[i]`, shape (n, values): an estimate of the Jaccard
    similarity of their shingles (Broder 1997), with a standard deviation of sqrt(J * (1 - J) / values)."""
    share: npt.NDArray[np.float64] = (a == b).mean(axis=1, dtype=np.float64)
    return share.astype(np.float32)


def verified_edges(
    parts: Sequence[SignedPart],
    part_of: npt.NDArray[np.int32],
    rows: Rows,
    groups: npt.NDArray[np.int64],
    options: DedupOptions,
) -> tuple[npt.NDArray[np.int64], Verified]:
    """Pairs of places in `rows` that are alike enough, shape (n, 2), the smaller id first.

    Args:
        parts, part_of, rows: document i is row `rows[i]` of `parts[part_of[i]]`.
        groups: numbers, ascending, of the groups that documents are in; by id within a group.
        options: gives `verify`.

    Memory: the signatures or shingles of `BLOCK_ROWS` documents and of the representatives of a group.
    """
    assert options.verify is not None
    threshold, is_set = options.verify.jaccard, options.verify.by == "shingles"
    pairs = [np.empty((0, 2), np.int64)]
    kept, kept_ends = np.empty(0, np.uint32), np.zeros(REPRESENTATIVES + 1, np.int64)
    places = np.zeros(REPRESENTATIVES, np.int64)
    state = np.array([-1, 0, 0, 0], np.int64)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        flat, ends = _elements(parts, part_of[block], rows[block], options, is_set)
        kept = kept.astype(flat.dtype, copy=False)  # before the first block it is empty
        found = np.empty((len(ends) - 1, 2), np.int64)
        kept, n = _compare(flat, ends, groups[block], start, threshold, is_set, kept, kept_ends, places, state, found)
        pairs.append(found[:n])
    return np.concatenate(pairs), Verified(int(state[2]), int(state[3]))


def _elements(
    parts: Sequence[SignedPart], part_of: npt.NDArray[np.int32], rows: Rows, options: DedupOptions, is_set: bool
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.int64]]:
    """Values of signatures, or shingles ascending, one document after the other, and where each ends [n + 1]."""
    if is_set:
        return gather_lists(parts, part_of, rows, "shingles")
    values = gather(parts, part_of, rows, lambda signed, at: signature_values(signed, options)[at])
    return values.reshape(-1), np.arange(len(values) + 1, dtype=np.int64) * values.shape[1]


@kernel
def _compare(
    flat: np.ndarray,
    ends: np.ndarray,
    groups: np.ndarray,
    offset: int,
    threshold: float,
    is_set: bool,
    kept: np.ndarray,
    kept_ends: np.ndarray,
    places: np.ndarray,
    state: np.ndarray,
    pairs: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Compare a block of documents with the representatives of their groups, which live on in the next block.

    `kept`, `kept_ends`, `places`: elements of representatives and their places. `state`: the group they belong to, how
    many there are, pairs compared, pairs rejected. Returns `kept`, which may have grown, and how many `pairs` were set.
    """
    n = 0
    for i in range(len(groups)):
        if groups[i] != state[0]:
            state[0], state[1] = groups[i], 0
        start, stop = ends[i], ends[i + 1]
        is_alike = False
        for r in range(state[1]):
            first, last = kept_ends[r], kept_ends[r + 1]
            alike = _jaccard(flat, start, stop, kept, first, last) if is_set else _share(flat, start, stop, kept, first)
            state[2] += 1
            if alike >= threshold:
                pairs[n, 0], pairs[n, 1] = places[r], offset + i
                n += 1
                is_alike = True
                break
            state[3] += 1
        if not is_alike and state[1] < len(places):
            r, begin = state[1], kept_ends[state[1]]
            end = begin + stop - start
            if end > len(kept):
                grown = np.empty(2 * end, kept.dtype)
                grown[:begin] = kept[:begin]
                kept = grown
            kept[begin:end] = flat[start:stop]
            kept_ends[r + 1], places[r] = end, offset + i
            state[1] += 1
    return kept, n


@leaf
def _share(a: np.ndarray, start: int, stop: int, b: np.ndarray, first: int) -> float:
    """The share of equal values."""
    same = 0
    for i in range(stop - start):
        same += int(a[start + i] == b[first + i])
    return same / (stop - start)


@leaf
def _jaccard(a: np.ndarray, i: int, a_end: int, b: np.ndarray, j: int, b_end: int) -> float:
    """Jaccard similarity of two ascending lists without repeats."""
    total, common = a_end - i + b_end - j, 0
    while i < a_end and j < b_end:
        x, y = a[i], b[j]
        common += int(x == y)
        i += int(x <= y)
        j += int(y <= x)
    return common / (total - common)
