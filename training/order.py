"""Which row of which Cell stands at a position: a pure function of (plan, seed, position).

The plan is the manifest's mixture. Nothing is shuffled in memory, so a run can be continued at any position, with any
batch size, at no cost.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.manifest import MixtureRow

FEISTEL_ROUNDS = 6
"""Luby & Rackoff 1988 need 4 rounds for a pseudo-random permutation of ideal functions; two more for the small
domains and the plain mixer used here."""


def _key(*parts: object) -> np.uint64:
    text = "/".join(str(part) for part in parts).encode()
    return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))


def _mix(x: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators")."""
    x = x + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def permute(index: NDArray[np.int64], n: int, key: np.uint64) -> NDArray[np.int64]:
    """Where a permutation of 0..n-1, chosen by `key`, sends each of `index` (any shape, int64, each in 0..n-1).

    A balanced Feistel network over the smallest even number of bits that holds n, walked along its cycle until the
    value falls below n (Black & Rogaway 2002, "Ciphers with arbitrary finite domains"): less than 4 turns on average.
    """
    half = np.uint64(max(1, ((n - 1).bit_length() + 1) // 2))
    low = (np.uint64(1) << half) - np.uint64(1)
    keys = [_key("feistel", int(key), turn) for turn in range(FEISTEL_ROUNDS)]
    out = index.astype(np.uint64).ravel()
    walking = np.arange(out.size)
    while walking.size:
        value = out[walking]
        left, right = value >> half, value & low
        for round_key in keys:
            left, right = right, left ^ (_mix(right, round_key) & low)
        out[walking] = (left << half) | right
        walking = walking[out[walking] >= np.uint64(n)]
    return out.astype(np.int64).reshape(index.shape)


class RowOrder:
    """Which row of which Cell stands at a position; memory does not grow with rows.

    The positions 0..n-1 (n: all rows of the plan) go through the stretches of the plan, one after another: a stretch
    has as many positions as rows, and they are a permutation of it, so that a Cell stands at exactly `rows` of them.
    Further positions are further passes over the plan, each with permutations of its own.

    All of a Cell's turns are counted, over stretches and passes: turn j reads row permutation(j mod rows_available) of
    epoch j // rows_available, each epoch with a permutation of its own. So a stretch goes on where the one before
    stopped, and no row is read again before all others of its Cell were, but that within a stretch the two sides of an
    epoch's end mix.

    Attributes:
        plan: entries of the mixture with rows, in the order in which they are read.
        n_rows: positions of one pass.
        stretch_ends, phase_ends: position in a pass behind the last of each stretch, and of each phase.
    """

    def __init__(self, mixture: Sequence[MixtureRow], seed: int) -> None:
        self.plan = sorted((row for row in mixture if row.rows > 0), key=lambda row: (row.phase, row.stretch, row.cell))
        self.seed = seed
        self.ends = np.cumsum([row.rows for row in self.plan], dtype=np.int64)
        self.n_rows = int(self.ends[-1]) if self.plan else 0
        ends = {(row.phase, row.stretch): int(end) for row, end in zip(self.plan, self.ends, strict=True)}
        self.stretch_ends = np.array(list(ends.values()), dtype=np.int64)
        self.phase_ends = list({phase: end for (phase, _), end in ends.items()}.values())
        self._before: list[int] = []
        self._per_pass: dict[str, int] = {}
        for row in self.plan:
            self._before.append(self._per_pass.get(row.cell, 0))
            self._per_pass[row.cell] = self._before[-1] + row.rows

    def at(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """positions (n,) int64 -> (index into `plan` (n,), row of that Cell (n,)), both int64."""
        cells, rows = np.empty_like(positions), np.empty_like(positions)
        passes = positions // self.n_rows
        for number in np.unique(passes):
            here = passes == number
            slots = self._slots(int(number), positions[here] % self.n_rows)
            cells[here] = np.searchsorted(self.ends, slots, side="right")
            rows[here] = self._rows(int(number), cells[here], slots)
        return cells, rows

    def _slots(self, number: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in a pass, permuted within their stretches."""
        slots = np.empty_like(places)
        stretches = np.searchsorted(self.stretch_ends, places, side="right")
        for stretch in np.unique(stretches):
            here, begin = stretches == stretch, int(self.stretch_ends[stretch - 1]) if stretch else 0
            n = int(self.stretch_ends[stretch]) - begin
            slots[here] = begin + permute(places[here] - begin, n, _key(self.seed, "plan", number, stretch))
        return slots

    def _rows(self, number: int, cells: NDArray[np.int64], slots: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = np.empty_like(slots)
        for index in np.unique(cells):
            cell, of_cell = self.plan[index], cells == index
            before = number * self._per_pass[cell.cell] + self._before[index]
            turns = before + slots[of_cell] - (self.ends[index] - cell.rows)
            epochs, within = np.divmod(turns, cell.rows_available)
            for epoch in np.unique(epochs):
                key = _key(self.seed, "epoch", epoch, cell.cell)
                within[epochs == epoch] = permute(within[epochs == epoch], cell.rows_available, key)
            rows[of_cell] = within
        return rows
