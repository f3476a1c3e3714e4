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
from numba import njit

from pipeline.text.characters import (
    ALPHA,
    ALPHA_LOWER,
    ALPHA_UPPER,
    BEFORE_STOP,
    ICON,
    IDEOGRAPH,
    KANA,
    MARK,
    NUMBER,
    PLAIN,
    PREFIX,
    QUOTE,
    SPACE,
    SUFFIX,
    SYLLABLE_START,
    UNSPACED,
)
from pipeline.text.english import EMPTY, EnglishTables, find_slot, hash_points
from pipeline.text.scan_urls import is_url

Points = npt.NDArray[np.int32]
Flags = npt.NDArray[np.uint32]
Ends = npt.NDArray[np.int32]

STOP: Final = ord(".")
ELLIPSIS: Final = ord("…")
PLUS: Final = ord("+")
HYPHEN: Final = ord("-")
DOLLAR: Final = ord("$")
DEGREE: Final = ord("°")
EM_DASH: Final = ord("—")
EN_DASH: Final = ord("–")
TILDE: Final = ord("~")
COMMA: Final = ord(",")
ZERO: Final = ord("0")
NINE: Final = ord("9")
KATAKANA: Final = 0x30A0
LONG_VOWEL: Final = 0x30FC
BETWEEN_NUMBERS: Final = tuple(map(ord, "+-*^"))
JOINING: Final = (HYPHEN, EN_DASH, EM_DASH, TILDE)
AFTER_ALPHANUMERIC: Final = tuple(map(ord, ":<>=/"))
APOSTROPHES: Final = tuple(map(ord, "'’"))


@njit(cache=True, nogil=True)
def _is_digit(point: int) -> bool:
    return ZERO <= point <= NINE


@njit(cache=True, nogil=True)
def _stops(points: Points, start: int, end: int) -> int:
    """The number of full stops in a row from `start` on."""
    i = start
    while i < end and points[i] == STOP:
        i += 1
    return i - start


@njit(cache=True, nogil=True)
def _fixed_slot(points: Points, start: int, end: int, english: EnglishTables) -> int:
    """The slot of a chunk with a set division, or -1."""
    size = end - start
    if size <= 0 or size >= 32:
        return -1
    begins, closes = english.sizes[0, min(points[start], 127)], english.sizes[1, min(points[end - 1], 127)]
    if not (begins & closes) >> size & 1:
        return -1
    slot = find_slot(english.fixed, hash_points(points, start, end))
    return slot if english.fixed[slot] != EMPTY else -1


@njit(cache=True, nogil=True)
def _prefix_length(points: Points, flags: Flags, start: int, end: int) -> int:
    """Characters that are cut off the front."""
    if flags[start] & PREFIX:
        return 1
    first = points[start]
    if first == PLUS and not (start + 1 < end and _is_digit(points[start + 1])):
        return 1
    if first == STOP:
        run = _stops(points, start, end)
        return run if run > 1 else 0
    if (first == ord("A") or first == ord("C")) and start + 1 < end and points[start + 1] == DOLLAR:
        return 2
    if first == ord("U") and start + 2 < end and points[start + 1] == ord("S") and points[start + 2] == DOLLAR:
        return 3
    return 0


@njit(cache=True, nogil=True)
def _final_stop(points: Points, flags: Flags, start: int, end: int) -> int:
    """Characters that are cut off an end that is a full stop."""
    run = 1
    while end - run > start and points[end - run - 1] == STOP:
        run += 1
    if run > 1:
        return run
    if end - 2 >= start and flags[end - 2] & BEFORE_STOP:
        return 1
    if end - 3 >= start and flags[end - 2] & ALPHA_UPPER and flags[end - 3] & ALPHA_UPPER:
        return 1
    if end - 3 >= start and points[end - 3] == DEGREE and points[end - 2] < 128 and chr(points[end - 2]) in "FfCcKk":
        return 1
    return 0


@njit(cache=True, nogil=True)
def _suffix_length(points: Points, flags: Flags, start: int, end: int, digits: bool, english: EnglishTables) -> int:
    """Characters that are cut off the end: the longest that any rule takes. `digits`: the chunk holds some."""
    if end <= start:
        return 0
    last = points[end - 1]
    if last == STOP:
        return _final_stop(points, flags, start, end)
    if last == ELLIPSIS:
        return 2 if end - 2 >= start and points[end - 2] == ELLIPSIS else 1
    length = 1 if flags[end - 1] & SUFFIX else 0
    if last == PLUS and end - 2 >= start and _is_digit(points[end - 2]):
        length = 1
    if (last == ord("s") or last == ord("S")) and end - 2 >= start and points[end - 2] in APOSTROPHES:
        length = 2
    for size in range(english.longest_unit[0] if digits else 0, length, -1):
        before = end - size - 1
        if before >= start and _is_digit(points[before]):
            key = hash_points(points, end - size, end)
            if english.units[find_slot(english.units, key)] != EMPTY:
                return size
    return length


@njit(cache=True, nogil=True)
def _hyphen_length(points: Points, flags: Flags, i: int, end: int) -> int:
    """Characters of the hyphen or dash at `i` that joins a letter or digit before to a letter behind, else 0."""
    point = points[i]
    longest = 3 if point == HYPHEN else 2 if point == EM_DASH else 1
    for size in range(1, longest + 1):
        if i + size >= end:
            return 0
        if flags[i + size] & ALPHA:
            return size
        if points[i + size] != point:
            return 0
    return 0


@njit(cache=True, nogil=True)
def _infix_length(points: Points, flags: Flags, i: int, start: int, end: int) -> int:
    """Characters of the mark at `i` that divides the chunk there, else 0; the order of spaCy's rules."""
    point = points[i]
    if point == STOP:
        run = _stops(points, i, end)
        if run > 1:
            return run
        inside = i > start and i + 1 < end
        if inside and flags[i - 1] & (ALPHA_LOWER | QUOTE) and flags[i + 1] & (ALPHA_UPPER | QUOTE):
            return 1
        return 0
    if point == ELLIPSIS or flags[i] & ICON:
        return 1
    if i == start or i + 1 >= end:
        return 0
    digit = _is_digit(points[i - 1])
    behind = points[i + 1]
    if point in BETWEEN_NUMBERS and digit and (_is_digit(behind) or behind == HYPHEN):
        return 1
    alpha = flags[i - 1] & ALPHA != 0
    if point == COMMA:
        return 1 if alpha and flags[i + 1] & ALPHA else 0
    if not (alpha or digit):
        return 0
    if point in JOINING:
        return _hyphen_length(points, flags, i, end)
    return 1 if point in AFTER_ALPHANUMERIC and flags[i + 1] & ALPHA else 0


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
def _emit_parts(start: int, parts: np.int64, starts: Ends, ends: Ends, n: int) -> int:
    """Append the parts of a fixed chunk; returns the number of words."""
    while parts:
        starts[n], ends[n] = start, start + (parts & 255)
        start += parts & 255
        parts >>= 8
        n += 1
    return n


@njit(cache=True, nogil=True)
def _middle(
    points: Points, flags: Flags, start: int, end: int, unspaced: bool, starts: Ends, ends: Ends, n: int
) -> int:
    """Append the words of a chunk that has no prefix or suffix and is not fixed; returns the number of words."""
    begin, i, checked = start, start, False
    while i < end:
        size = 0 if flags[i] & (ALPHA | ICON) == ALPHA else _infix_length(points, flags, i, start, end)
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
def _rejoin(points: Points, flags: Flags, starts: Ends, ends: Ends, first: int, n: int, english: EnglishTables) -> int:
    """Join neighbours among the words `first` to `n` of a chunk that make up a fixed chunk of one part, such as `):`.

    Only pairs whose second word begins with a mark are looked at. Returns the number of words.
    """
    to, i = first, first
    while i < n:
        starts[to], ends[to] = starts[i], ends[i]
        i += 1
        if i < n and not flags[starts[i]] & ALPHA:
            slot = _fixed_slot(points, starts[to], ends[i], english)
            if slot >= 0 and english.parts[slot] < 256:
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
    english: EnglishTables,
    starts: Ends,
    ends: Ends,
    stack: Ends,
    n: int,
) -> int:
    """Append the words of the chunk `points[a:b]`; `seen`: all its flags. Returns the number of words."""
    before, held = n, 0
    digits, unspaced = seen & NUMBER != 0, seen & (IDEOGRAPH | KANA | UNSPACED) != 0
    slot = _fixed_slot(points, a, b, english)
    while slot < 0 and a < b:
        front = _prefix_length(points, flags, a, b)
        if front:
            slot = _fixed_slot(points, a + front, b, english)
            if slot >= 0:
                starts[n], ends[n] = a, a + front
                n += 1
                a += front
                break
        back = _suffix_length(points, flags, a + front, b, digits, english)
        if back:
            slot = _fixed_slot(points, a, b - back, english)
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
            slot = _fixed_slot(points, a, b, english)
    if slot >= 0:
        n = _emit_parts(a, np.int64(english.parts[slot]), starts, ends, n)
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
    points: Points, flags: Flags, n_points: int, english: EnglishTables, starts: Ends, ends: Ends, stack: Ends
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
        slot = _fixed_slot(points, start, i, english)
        if slot >= 0:
            n = _emit_parts(start, np.int64(english.parts[slot]), starts, ends, n)
        else:
            starts[n], ends[n] = start, i
            n += 1
    return n
