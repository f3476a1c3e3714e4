"""The English word rule's fixed tables: chunks with a set division, units after a number, Gopher's stop words.

The rule as a whole is in `scan_words.py`.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

HASH_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio, odd: the base of the polynomial hashes over code points."""
EMPTY: Final = np.uint64(0)
"""No entry, in a table of hashes; a hash that comes out as 0 is taken for 1."""
STOP_WORDS: Final = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A.1.1)."""
TABLE_SIZE: Final = 4096


class EnglishTables(NamedTuple):
    """Arrays for the kernels; hashes are those of `hash_points`, the tables are open-addressed with linear probing."""

    fixed: npt.NDArray[np.uint64]
    """Hashes of chunks that have a set division, such as "don't"; length 4096."""
    parts: npt.NDArray[np.uint32]
    """The lengths of a chunk's parts in characters, in bytes from the lowest up; length 4096."""
    units: npt.NDArray[np.uint64]
    """Hashes of units and currency signs that are cut off after a digit; length 4096."""
    stop_words: npt.NDArray[np.uint64]
    """Hashes of STOP_WORDS, in order."""
    sizes: npt.NDArray[np.uint32]
    """Which lengths fixed chunks have (bit k: k characters), by first character [0] and last [1]; shape (2, 128), the
    last place standing for all characters from U+007F on."""
    longest_unit: npt.NDArray[np.int64]
    """Characters of the longest unit; length 1."""


@njit(cache=True, nogil=True, inline="always")
def mix(value: np.uint64) -> np.uint64:
    """Spread a hash over all bits (the finaliser of SplitMix64, Steele et al. 2014); never EMPTY."""
    value ^= value >> np.uint64(30)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(27)
    value *= np.uint64(0x94D049BB133111EB)
    value ^= value >> np.uint64(31)
    return value if value != np.uint64(0) else np.uint64(1)


@njit(cache=True, nogil=True)
def hash_points(points: npt.NDArray[np.int32], start: int, end: int) -> np.uint64:
    """A 64-bit hash of the code points `points[start:end]`, never EMPTY."""
    value = np.uint64(0)
    for i in range(start, end):
        value = value * HASH_BASE + np.uint64(points[i] + 1)
    return mix(value)


@njit(cache=True, nogil=True)
def find_slot(table: npt.NDArray[np.uint64], key: np.uint64) -> int:
    """The slot of `key` in an open-addressed table (its length a power of two), or the empty slot where it belongs."""
    mask = len(table) - 1
    slot = np.int64(key & np.uint64(mask))
    while table[slot] != EMPTY and table[slot] != key:
        slot = (slot + 1) & mask
    return int(slot)


def _hash(text: str) -> np.uint64:
    points = np.array([ord(char) for char in text], np.int32)
    return np.uint64(hash_points(points, 0, len(points)))


@cache
def english_tables() -> EnglishTables:
    """The tables, read once per process from `english.json`."""
    stored = json.loads(files("pipeline.text").joinpath("english.json").read_text("utf-8"))
    fixed = np.zeros(TABLE_SIZE, np.uint64)
    parts = np.zeros(TABLE_SIZE, np.uint32)
    for text, pieces in stored["fixed"].items():
        slot = find_slot(fixed, _hash(text))
        fixed[slot] = _hash(text)
        parts[slot] = sum(len(piece) << 8 * i for i, piece in enumerate(pieces))
    sizes = np.zeros((2, 128), np.uint32)
    for text in stored["fixed"]:
        for row, char in enumerate((text[0], text[-1])):
            sizes[row, min(ord(char), 127)] |= 1 << len(text)
    units = np.zeros(TABLE_SIZE, np.uint64)
    for text in stored["after_digit"]:
        units[find_slot(units, _hash(text))] = _hash(text)
    stop_words = np.array([_hash(word) for word in STOP_WORDS], np.uint64)
    longest_unit = np.array([max(map(len, stored["after_digit"]))], np.int64)
    tables = EnglishTables(fixed, parts, units, stop_words, sizes, longest_unit)
    for table in tables:
        table.setflags(write=False)
    return tables
