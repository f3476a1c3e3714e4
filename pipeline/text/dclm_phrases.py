"""Phrases that DCLM-Baseline cuts out of lines, and what its line rules look at in a line.

Sources: see `dclm_lines.py`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kernels import leaf
from pipeline.text.characters import SPACE, UPPER
from pipeline.text.phrases import NEWLINE, behind_phrase, line_end, phrase_rows, strip_range
from pipeline.text.spans import append_span
from pipeline.text.utf8 import decode

Data = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint32]

MAX_PHRASE_WORDS: Final = 10
"""Phrases are cut out of lines with no more words (`substring_line_modifier`)."""
ANY_AFTER: Final = 3
"""Characters between "read more" and the end of the line: the three full stops of "Read more..." are a regular
expression there, and stand for any character."""


PHRASES: Final = phrase_rows("items in cart", "read more", "sign-in")
ANYWHERE: Final = 0
AT_END: Final = 1
AT_START: Final = 2
"""Rows of PHRASES by where they are cut out, in the order of the steps."""


@leaf
def lower_case(byte: int) -> int:
    """The lower-case letter, if the byte is an ASCII letter."""
    return byte + 32 if 65 <= byte <= 90 else byte


@leaf
def behind_space(data: Data, i: int, end: int, flags: Flags) -> int:
    """The place behind the one character of white space at byte `i`, or `i` if there is none."""
    if i >= end:
        return i
    point, behind = decode(data, i, end)
    return behind if flags[point] & SPACE else i


@leaf
def _before(data: Data, start: int, end: int) -> int:
    """Where the last character of `data[start:end]` begins."""
    place = end - 1
    while place > start and data[place] & 0xC0 == 0x80:
        place -= 1
    return place


@leaf
def count_line(data: Data, start: int, end: int, flags: Flags) -> tuple[int, int, int]:
    """Characters, upper-case characters and words between white space."""
    chars, upper, words, in_word = 0, 0, 0, False
    while start < end:
        point, start = decode(data, start, end)
        flag = flags[point]
        chars += 1
        upper += flag & UPPER != 0
        if flag & SPACE:
            in_word = False
        else:
            words += not in_word
            in_word = True
    return chars, upper, words


@leaf
def cut_piece(data: Data, start: int, end: int, flags: Flags, row: int) -> tuple[int, int]:
    """The first piece of a line that the step with phrase `row` cuts out: an empty range at `end` if none."""
    phrase = PHRASES[row]
    if row == AT_START:
        behind = behind_phrase(data, start, end, phrase, True)
        return (start, behind_space(data, behind, end, flags)) if behind > start else (end, end)
    if row == AT_END:
        place = end
        for _ in range(ANY_AFTER):
            if place == start:
                return end, end
            place = _before(data, start, place)
        length = 0
        while phrase[length]:
            length += 1
        first = place - length
        if first < start or behind_phrase(data, first, place, phrase, True) != place:
            return end, end
        if first > start:
            last = _before(data, start, first)
            first = last if behind_space(data, last, first, flags) > last else first
        return first, end
    i = start
    while i < end:
        behind = behind_space(data, i, end, flags)
        after = behind_phrase(data, behind, end, phrase, True)
        if after > behind:
            return i, after
        _, i = decode(data, i, end)
    return end, end


@leaf
def _cut_step(data: Data, places: Places, n: int, flags: Flags, row: int) -> int:
    """Cut the phrase `row` out of the lines of `data[:n]`, drop lines of which nothing is left, and strip the whole.

    `places` holds where each byte stands in the text; both arrays are filled anew from their start. Returns how many
    bytes are left.
    """
    size, start, held, any_kept = 0, 0, np.int64(-1), False
    while start <= n:
        end = line_end(data, start, n)
        line_break = places[end] if end < n else np.int64(-1)
        before = size
        if any_kept:
            data[size], places[size] = NEWLINE, held
            size += 1
        first, piece = size, start
        few = count_line(data, start, end, flags)[2] <= MAX_PHRASE_WORDS
        while piece < end:
            a, b = (
                cut_piece(data, piece, end, flags, row) if few and (piece == start or row == ANYWHERE) else (end, end)
            )
            for k in range(piece, a):
                data[size], places[size] = data[k], places[k]
                size += 1
            piece = b
        a, b = strip_range(data, first, size, flags)
        if few and end > start and a == b:
            size = before
        else:
            any_kept, held = True, line_break
        start = end + 1
    a, b = strip_range(data, 0, size, flags)
    for k in range(a, b):
        data[k - a], places[k - a] = data[k], places[k]
    return b - a


@leaf
def cut_phrases(data: Data, spans: Places, n: int, flags: Flags, bytes_: Data, places: Places) -> int:
    """Cut the phrases out of what the spans hold; returns the number of integers in `spans`."""
    size = 0
    for k in range(0, n, 2):
        for i in range(spans[k], spans[k + 1]):
            bytes_[size], places[size] = data[i], i
            size += 1
    for row in range(len(PHRASES)):
        size = _cut_step(bytes_, places, size, flags, row)
    n = 0
    for k in range(size):
        n = append_span(spans, n, places[k], places[k] + 1)
    return n
