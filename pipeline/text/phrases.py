"""Phrases, citation marks, white space and the ends of lines in the bytes of a text, for the line rules."""

from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kernels import leaf
from pipeline.text.characters import DIGIT, SPACE
from pipeline.text.utf8 import decode

Data = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.uint32]


def phrase_rows(*phrases: str) -> Data:
    """Lower-case ASCII phrases as the rows of an array, filled up with zeros."""
    rows = np.zeros((len(phrases), max(map(len, phrases)) + 1), np.uint8)
    for row, phrase in zip(rows, phrases, strict=True):
        row[: len(phrase)] = list(phrase.encode())
    return rows


CITATIONS: Final = phrase_rows("[edit]", "[citation needed]")
"""Citation marks besides `[`, digits, `]` (`CITATION_REGEX` in datatrove 0.10.1,
pipeline/filters/c4_filters.py)."""
NEWLINE: Final = ord("\n")
OPEN: Final = ord("[")
CLOSE: Final = ord("]")


@leaf
def behind_phrase(data: Data, i: int, end: int, phrase: Data, fold: bool) -> int:
    """The place behind `phrase` if it stands at byte `i` (`fold`: in any case), else `i`."""
    k = 0
    while phrase[k]:
        if i + k >= end:
            return i
        byte = data[i + k]
        if fold and 65 <= byte <= 90:
            byte += 32
        if byte != phrase[k]:
            return i
        k += 1
    return i + k


@leaf
def behind_citation(data: Data, i: int, end: int, flags: Flags) -> int:
    """The place behind the citation mark that begins at byte `i`, which is `[`, or `i` if none does."""
    for k in range(len(CITATIONS)):
        behind = behind_phrase(data, i, end, CITATIONS[k], False)
        if behind > i:
            return behind
    place = i + 1
    while place < end and data[place] != CLOSE:
        point, place = decode(data, place, end)
        if not flags[point] & DIGIT:
            return i
    return place + 1 if place < end else i


@leaf
def line_end(data: Data, start: int, end: int) -> int:
    """The place of the first newline from `start` on, or `end`."""
    while start < end and data[start] != NEWLINE:
        start += 1
    return start


@leaf
def strip_range(data: Data, start: int, end: int, flags: Flags) -> tuple[int, int]:
    """`data[start:end]` without white space around it; an empty range if it is all white space."""
    while start < end:
        point, behind = decode(data, start, end)
        if not flags[point] & SPACE:
            break
        start = behind
    while start < end:
        last = end - 1
        while last > start and data[last] & 0xC0 == 0x80:
            last -= 1
        point, _ = decode(data, last, end)
        if not flags[point] & SPACE:
            break
        end = last
    return start, end
