"""Cutting texts into the pieces that a tokeniser may treat apart, and counting them.

A tokeniser's model is trained on the counts of pieces, so no token of it reaches over a cut between two pieces.
"""

from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.kernels import kernel, leaf
from pipeline.text import characters as c
from pipeline.text.buffers import from_buffers, views
from pipeline.text.utf8 import decode

MAX_WORD_CHARS: Final = 256
"""Characters in a piece at most: at four bytes each, 1,024 bytes, well below the 4,192 bytes above which sentencepiece
skips a line (`max_sentence_length`). A base64 blob thus gives bounded entries."""

WORD_COUNTS: Final = pa.schema(
    [pa.field("word", pa.large_string(), nullable=False), pa.field("count", pa.int64(), nullable=False)]
)
"""Distinct pieces and how often each occurs, sorted by the pieces' UTF-8 bytes."""

_OTHER, _SPACE, _SYMBOL, _UNSPACED, _PUNCTUATION = range(5)


def count_words(texts: pa.LargeStringArray) -> pa.Table:
    """The pieces of all texts and their counts.

    `piece_end` says what a piece is; the pieces of a text, in order, are the text.

    Returns:
        A table of schema `WORD_COUNTS`. Its size, and the memory used, grow with the distinct pieces.

    Raises:
        TypeError, ValueError: as `pipeline.text.buffers.views`.
    """
    data, offsets = views(texts)
    entries = _count(data, offsets, _classes())
    ends = np.zeros(len(entries) + 1, np.int64)
    np.cumsum(entries[:, 2], out=ends[1:])
    words = from_buffers(_gathered(data, entries[:, 1], ends), ends)
    return pa.Table.from_arrays([words, pa.array(entries[:, 3].copy())], schema=WORD_COUNTS).sort_by("word")


@cache
def _classes() -> np.ndarray:
    """The class of each code point, as uint8, as `piece_end` takes it."""
    flags = c.character_tables().flags
    out = np.full(len(flags), _OTHER, np.uint8)
    out[flags & (c.PUNCTUATION | c.SYMBOL | c.SPACE) != 0] = _PUNCTUATION
    out[flags & (c.IDEOGRAPH | c.KANA | c.UNSPACED) != 0] = _UNSPACED
    out[ord(" ")] = _SPACE
    out[[ord("\n"), ord("\t")]] = _SYMBOL
    return out


@leaf
def piece_end(data: np.ndarray, start: int, end: int, classes: np.ndarray) -> int:
    """The end of the piece that begins at byte `start` of `data[:end]` (`start < end`).

    A text is cut: before each run of spaces, which leads what follows; before and after each newline and tab; between a
    letter of a script without spaces (Han, Kana, Thai, Lao, Myanmar, Khmer) and punctuation, a symbol or a space other
    than U+0020, in either order; and after `MAX_WORD_CHARS` characters. All but the last depend on the two neighbouring
    characters alone, so that no token of one text can reach over a cut in another. Runs of spaces stay whole, as in
    sentencepiece's trainer under `allow_whitespace_only_pieces`, for the sake of indented code.
    """
    code_point, place = decode(data, start, end)
    before = classes[code_point]
    for _ in range(MAX_WORD_CHARS - 1):
        if place >= end:
            break
        code_point, after = decode(data, place, end)
        this = classes[code_point]
        if (this == _SPACE and before != _SPACE) or this == _SYMBOL or before == _SYMBOL:
            break
        if (this == _UNSPACED and before == _PUNCTUATION) or (this == _PUNCTUATION and before == _UNSPACED):
            break
        before, place = this, after
    return place


@leaf
def _hash(data: np.ndarray, start: int, end: int) -> np.int64:
    """FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923), its high half folded in, since the table uses the low bits."""
    h = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        h = np.uint64((h ^ np.uint64(data[i])) * np.uint64(0x00000100000001B3))
    return np.int64(h ^ (h >> np.uint64(32)))


@leaf
def _same(data: np.ndarray, a: int, b: int, length: int) -> bool:
    i = 0
    while i < length and data[a + i] == data[b + i]:
        i += 1
    return bool(i == length)


@kernel
def _slots(entries: np.ndarray, used: int, size: int) -> np.ndarray:
    """An open-addressing table of `size` (a power of two) places: the entry of each, or -1."""
    slots = np.full(size, -1, np.int32)
    mask = size - 1
    for entry in range(used):
        slot = entries[entry, 0] & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = entry
    return slots


@kernel
def _count(data: np.ndarray, offsets: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The distinct pieces in order of appearance: int64, shape (n, 4).

    The columns are hash, first place in `data`, length in bytes, count: one row, half a cache line, is all that a
    look-up touches besides its slot and the bytes themselves.
    """
    entries, used = np.zeros((1024, 4), np.int64), 0
    slots = _slots(entries, 0, 4 * len(entries))
    for text in range(len(offsets) - 1):
        start, end = offsets[text], offsets[text + 1]
        while start < end:
            stop = piece_end(data, start, end, classes)
            h, length, mask = _hash(data, start, stop), stop - start, len(slots) - 1
            slot = h & mask
            entry = slots[slot]
            while entry >= 0 and not (
                entries[entry, 0] == h and entries[entry, 2] == length and _same(data, entries[entry, 1], start, length)
            ):
                slot = (slot + 1) & mask
                entry = slots[slot]
            if entry >= 0:
                entries[entry, 3] += 1
            else:
                entries[used, 0], entries[used, 1], entries[used, 2], entries[used, 3] = h, start, length, 1
                slots[slot] = used
                used += 1
                if used == len(entries):
                    larger = np.zeros((2 * used, 4), np.int64)
                    larger[:used] = entries
                    entries = larger
                    slots = _slots(entries, used, 4 * len(entries))
            start = stop
    return entries[:used]


@kernel
def _gathered(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The bytes of the pieces that begin at `starts`, one after the other; piece i ends at `ends[i + 1]`."""
    out = np.empty(ends[-1], np.uint8)
    for i in range(len(starts)):
        out[ends[i] : ends[i + 1]] = data[starts[i] : starts[i] + ends[i + 1] - ends[i]]
    return out
