"""The line rule of C4 (Raffel et al. 2020, JMLR 21(140), section 2.2), as datatrove 0.10.1 applies it."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.kernels import leaf
from pipeline.text.buffers import views
from pipeline.text.characters import LINE_BREAK, PHRASE, SPACE, character_tables
from pipeline.text.phrases import OPEN, behind_citation, behind_phrase, phrase_rows
from pipeline.text.spans import append_span, trim_spans
from pipeline.text.utf8 import decode

Data = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint32]

MIN_WORDS: Final = 3
"""Lines with fewer words go (Raffel et al. 2020, JMLR 21(140), section 2.2)."""
MAX_WORD_CHARS: Final = 1000
"""Lines with a longer word go (`max_word_length` in datatrove 0.10.1, pipeline/filters/c4_filters.py)."""


LOREM_IPSUM: Final = phrase_rows("lorem ipsum")
JAVASCRIPT: Final = phrase_rows("javascript")
POLICY: Final = phrase_rows(
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"
)
"""`POLICY_SUBSTRINGS` in datatrove 0.10.1, pipeline/filters/c4_filters.py."""
PROBES: Final = phrase_rows("jav", "ookie", "ivac", "of us", "ipsu")
"""Each phrase above holds one of these, with one of the rare letters of `characters.PHRASE` in it."""
PROBE_PLACES: Final = np.array([0, 2, 1, 1, 1], np.int64)
"""Where that letter stands: j, k, v, f, p."""
CURLY_BRACKET: Final = ord("{")
RETURN: Final = ord("\r")
NEWLINE: Final = ord("\n")


@leaf
def _holds(data: Data, n: int, phrases: Data) -> bool:
    """Does `data[:n]` hold one of `phrases`, in any case?"""
    for i in range(n):
        byte = data[i] | 32
        for k in range(len(phrases)):
            if byte == phrases[k, 0] and behind_phrase(data, i, n, phrases[k], True) > i:
                return True
    return False


@leaf
def _is_in_phrase(data: Data, i: int, start: int, end: int) -> bool:
    """May the letter at byte `i` belong to one of the phrases, by its neighbours?"""
    for k in range(len(PROBES)):
        at = i - PROBE_PLACES[k]
        if data[i] | 32 == PROBES[k, PROBE_PLACES[k]] and at >= start:
            return bool(behind_phrase(data, at, end, PROBES[k], True) > at)
    return False


@leaf
def _read_line(data: Data, start: int, end: int, flags: Flags) -> tuple[int, int, int, int, int, int, bool]:
    """The line that begins at byte `start`, as `str.splitlines` has it.

    Returns:
        Where it begins and ends without white space around it (equal if it is blank); where its end mark begins; where
        the next line begins; its words between white space; the characters of the longest; whether it may hold a
        citation mark or one of the phrases.
    """
    first, last, words, longest, length, marked, place = start, start, 0, 0, 0, False, start
    while place < end:
        behind, point = place + 1, np.int64(data[place])
        if point >= 128:
            point, behind = decode(data, place, end)
        flag = flags[point]
        if flag & LINE_BREAK:
            if point == RETURN and behind < end and data[behind] == NEWLINE:
                behind += 1
            return (first if words else last), last, place, behind, words, longest, marked
        is_space = flag & SPACE != 0  # no branch: where words end cannot be foreseen
        first = place if words == 0 else first
        words += (length == 0) & (not is_space)
        length = 0 if is_space else length + 1
        longest = max(longest, length)
        last = last if is_space else behind
        if flag & PHRASE and (point == OPEN or _is_in_phrase(data, place, start, end)):
            marked = True
        place = behind
    return (first if words else last), last, end, end, words, longest, marked


@leaf
def _append_line(
    data: Data, start: int, end: int, flags: Flags, spans: Offsets, n: int, clean: Data
) -> tuple[int, int]:
    """Append the spans of a line without its citation marks, and copy these bytes into `clean`.

    Returns the number of integers in `spans` and of bytes in `clean`.
    """
    size, piece, i = 0, start, start
    while i < end:
        behind = behind_citation(data, i, end, flags) if data[i] == OPEN else i
        if behind == i:
            clean[size] = data[i]
            size += 1
            i += 1
            continue
        n = append_span(spans, n, piece, i)
        piece = i = behind
    return append_span(spans, n, piece, end), size


@leaf
def _is_dropped(clean: Data, size: int) -> bool:
    """Does C4 drop the line for what it says? Not if the line condemns the document: then it must stay in sight."""
    if _holds(clean, size, LOREM_IPSUM):
        return False
    if _holds(clean, size, JAVASCRIPT):
        return True
    for i in range(size):
        if clean[i] == CURLY_BRACKET:
            return False
    return _holds(clean, size, POLICY)


@leaf
def _mark_text(data: Data, start: int, end: int, flags: Flags, spans: Offsets, clean: Data) -> int:
    """Fill `spans` for the text `data[start:end]`; returns the number of integers."""
    n, place = 0, start
    break_start, break_end = -1, -1
    while place < end:
        first, last, line_end, behind, words, longest, marked = _read_line(data, place, end, flags)
        if words >= MIN_WORDS and longest <= MAX_WORD_CHARS:
            before = n
            held = spans[n - 1] if n else 0
            if break_start >= 0:
                n = append_span(spans, n, break_start, break_end)
            size = 0
            if marked:
                n, size = _append_line(data, first, last, flags, spans, n, clean)
            else:
                n = append_span(spans, n, first, last)
            if size and _is_dropped(clean, size):
                n = before
                if n:
                    spans[n - 1] = held
            else:
                break_start = behind - 1 if behind - line_end == 2 and data[line_end] == RETURN else line_end
                break_end = behind
        place = behind
    return trim_spans(data, spans, n, flags)


@leaf
def _most_spans(data: Data, offsets: Offsets) -> int:
    """More spans than the texts can have: a line gives two at most (itself, its end), a citation mark one more."""
    n = 2 * len(offsets)
    for byte in data[offsets[0] : offsets[-1]]:
        n += 2 * ((byte < 32) | (byte == 0xC2) | (byte == 0xE2))  # with these all line ends begin
        n += byte == OPEN
    return n


@leaf
def _mark_all(
    data: Data, offsets: Offsets, flags: Flags, spans: Offsets, ends: Offsets, whole: npt.NDArray[np.bool_], clean: Data
) -> int:
    """Fill the spans of all texts, relative to each text's start; returns the number of integers."""
    n = 0
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        size = _mark_text(data, start, end, flags, spans[n:], clean)
        for k in range(n, n + size):
            spans[k] -= start
        whole[i] = start == end or (size == 2 and spans[n] == 0 and spans[n + 1] == end - start)
        n = n if whole[i] else n + size
        ends[i + 1] = n
    return n


def c4_spans(texts: pa.LargeStringArray) -> pa.ListArray:
    """What C4QualityFilter of datatrove 0.10.1 leaves of each text, as FineWeb sets it: no terminal mark asked for.

    Lines, as `str.splitlines` divides them, are stripped; those with fewer than 3 words, a word of more than 1000
    characters, "javascript" or a phrase on cookies and terms go, and citation marks are cut. A line with "lorem ipsum"
    or `{` stays, since C4 drops such documents: limits on `kept_n_lorem_ipsum` and `kept_n_curly_brackets` do that.
    Line ends other than LF stay as they are, where the filter writes LF (CR LF does become LF).

    Returns:
        list<int64>: start, end, start, end ... in bytes from the text's first, ascending; null where all is kept.

    Raises:
        TypeError, ValueError: see `pipeline.text.buffers.views`.
    """
    data, offsets = views(texts)
    longest = int(np.diff(offsets).max(initial=0))
    spans, ends = np.empty(2 * _most_spans(data, offsets), np.int64), np.zeros(len(texts) + 1, np.int64)
    whole = np.zeros(len(texts), np.bool_)
    n = _mark_all(data, offsets, character_tables().flags, spans, ends, whole, np.empty(longest, np.uint8))
    return pa.ListArray.from_arrays(
        pa.array(ends.astype(np.int32)), pa.array(spans[:n]), mask=pa.array(whole) if len(texts) else None
    )
