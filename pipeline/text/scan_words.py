"""The word rule: code points -> words, punctuation marks counting as words.

The English rule of spaCy 3.8 (spacy/tokenizer.pyx, spacy/lang/en/punctuation.py), written anew for a compiled kernel:
a chunk between white space loses marks from its front and its end until a fixed chunk or no mark is left, then is cut
at marks within it unless it is a URL; pairs of words that make up a fixed chunk are joined again. Tokens of white space
are left out. One thing is added, since the English rule takes a Chinese sentence for one word: Han
characters are words of their own, runs of Hiragana and of Katakana are words, and runs of Thai, Lao, Myanmar and
Khmer are cut where a syllable must begin (an approximation of words: those need a dictionary).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kernels import njit
from pipeline.text.characters import (
    ALPHA,
    ICON,
    IDEOGRAPH,
    KANA,
    MARK,
    NUMBER,
    PLAIN,
    SPACE,
    SUFFIX,
    SYLLABLE_START,
    UNSPACED,
)
from pipeline.text.english import PARTS, English
from pipeline.text.scan_marks import fixed_slot, infix_length, prefix_length, suffix_length
from pipeline.text.scan_urls import is_url

Points = npt.NDArray[np.int32]
Flags = npt.NDArray[np.uint32]
Ends = npt.NDArray[np.int32]

KATAKANA: Final = 0x30A0
LONG_VOWEL: Final = 0x30FC


@njit(cache=True, nogil=True)
def _script(point: int, flag: int) -> int:
    """0: written with spaces; 1: Han and marks, each a word; 2 Hiragana, 3 Katakana, 4 other unspaced scripts."""
    if flag & (IDEOGRAPH | SUFFIX):
        return 1
    if flag & KANA:
        return 2 if point < KATAKANA else 3
    return 4 if flag & UNSPACED else 0


@njit(cache=True, nogil=True)
def _emit(points: Points, flags: Flags, start: int, end: int, unspaced: bool, starts: Ends, ends: Ends, n: int) -> int:
    """Append the word `points[start:end]`, cut further where its script has no spaces; returns the number of words."""
    begin = start
    if unspaced:
        before = _script(points[start], flags[start])
        for i in range(start + 1, end):
            if flags[i] & MARK or points[i] == LONG_VOWEL:
                continue
            script = _script(points[i], flags[i])
            if script != before or script == 1 or (script == 4 and flags[i] & SYLLABLE_START):
                starts[n], ends[n] = begin, i
                n += 1
                begin = i
            before = script
    starts[n], ends[n] = begin, end
    return n + 1


@njit(cache=True, nogil=True)
def _emit_parts(start: int, parts: np.uint64, starts: Ends, ends: Ends, n: int) -> int:
    """Append the parts of a fixed chunk; returns the number of words."""
    left = np.int64(parts)
    while left:
        starts[n], ends[n] = start, start + (left & 255)
        start = ends[n]
        left >>= 8
        n += 1
    return n


@njit(cache=True, nogil=True)
def _middle(
    points: Points, flags: Flags, start: int, end: int, unspaced: bool, starts: Ends, ends: Ends, n: int
) -> int:
    """Append the words of a chunk that has no prefix or suffix and is not fixed; returns the number of words."""
    begin, i, checked = start, start, False
    while i < end:
        size = 0 if flags[i] & (ALPHA | ICON) == ALPHA else infix_length(points, flags, i, start, end)
        if size == 0:
            i += 1
            continue
        if not checked:
            checked = True
            if is_url(points, flags, start, end):
                break
        if i > start:
            if i > begin:
                n = _emit(points, flags, begin, i, unspaced, starts, ends, n)
            n = _emit(points, flags, i, i + size, False, starts, ends, n)
            begin = i + size
        i += size
    return _emit(points, flags, begin, end, unspaced, starts, ends, n) if begin < end else n


@njit(cache=True, nogil=True)
def _rejoin(points: Points, flags: Flags, starts: Ends, ends: Ends, first: int, n: int, english: English) -> int:
    """Join neighbours among the words `first` to `n` of a chunk that make up a fixed chunk of one part, such as `):`.

    Only pairs whose second word begins with a mark are looked at. Returns the number of words.
    """
    to, i = first, first
    while i < n:
        starts[to], ends[to] = starts[i], ends[i]
        i += 1
        if i < n and not flags[starts[i]] & ALPHA:
            slot = fixed_slot(points, starts[to], ends[i], english)
            if slot >= 0 and english[PARTS, slot] < 256:
                ends[to] = ends[i]
                i += 1
        to += 1
    return to


@njit(cache=True, nogil=True)
def _split_chunk(
    points: Points,
    flags: Flags,
    a: int,
    b: int,
    seen: np.uint32,
    english: English,
    starts: Ends,
    ends: Ends,
    stack: Ends,
    n: int,
) -> int:
    """Append the words of the chunk `points[a:b]`; `seen`: all its flags. Returns the number of words."""
    before, held = n, 0
    digits, unspaced = seen & NUMBER != 0, seen & (IDEOGRAPH | KANA | UNSPACED) != 0
    slot = fixed_slot(points, a, b, english)
    while slot < 0 and a < b:
        front = prefix_length(points, flags, a, b)
        if front:
            slot = fixed_slot(points, a + front, b, english)
            if slot >= 0:
                starts[n], ends[n] = a, a + front
                n += 1
                a += front
                break
        back = suffix_length(points, flags, a + front, b, digits, english)
        if back:
            slot = fixed_slot(points, a, b - back, english)
            stack[held] = b
            held += 1
            if slot >= 0:
                b -= back
                break
        if front == 0 and back == 0:
            break
        if front:
            starts[n], ends[n] = a, a + front
            n += 1
        a, b = a + front, b - back
        if front and back:
            slot = fixed_slot(points, a, b, english)
    if slot >= 0:
        n = _emit_parts(a, english[PARTS, slot], starts, ends, n)
    elif a < b:
        n = _middle(points, flags, a, b, unspaced, starts, ends, n)
    while held:
        held -= 1
        starts[n], ends[n] = b, stack[held]
        b = stack[held]
        n += 1
    return _rejoin(points, flags, starts, ends, before, n, english) if n - before > 1 else n


@njit(cache=True, nogil=True)
def split_words(
    points: Points, flags: Flags, n_points: int, english: English, starts: Ends, ends: Ends, stack: Ends
) -> int:
    """Divide `points[:n_points]` into words.

    Args:
        points: int32, code points.
        flags: uint32, the flags of each code point.
        n_points: length of the text.
        english: fixed tables.
        starts, ends: int32 of length >= n_points, filled with each word's first and past-the-end position.
        stack: int32 scratch of length >= n_points.

    Returns:
        The number of words. Time is linear in `n_points`.
    """
    n, i = 0, 0
    while i < n_points:
        if flags[i] & SPACE:
            i += 1
            continue
        start, seen, plain = i, np.uint32(0), np.uint32(PLAIN)
        while i < n_points and not flags[i] & SPACE:
            seen |= flags[i]
            plain &= flags[i]
            i += 1
        if not plain:
            n = _split_chunk(points, flags, start, i, seen, english, starts, ends, stack, n)
            continue
        slot = fixed_slot(points, start, i, english)
        if slot >= 0:
            n = _emit_parts(start, english[PARTS, slot], starts, ends, n)
        else:
            starts[n], ends[n] = start, i
            n += 1
    return n
