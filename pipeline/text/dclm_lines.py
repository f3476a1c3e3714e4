"""The line rules of DCLM-Baseline, which restate those of RefinedWeb (Penedo et al. 2023, arXiv 2306.01116, 3.2).

Rules, phrases and numbers: mlfoundations/dclm, baselines/mappers/modifiers.py (15af3ce) as configured in
baselines/baselines_configs/dclm_baseline_refinedweb.yaml (8383011).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.kernels import leaf
from pipeline.text.buffers import views
from pipeline.text.characters import DIGIT, WORD, character_tables
from pipeline.text.dclm_phrases import (
    MAX_PHRASE_WORDS,
    PHRASES,
    behind_space,
    count_line,
    cut_phrases,
    cut_piece,
    lower_case,
)
from pipeline.text.phrases import NEWLINE, behind_phrase, line_end, phrase_rows, strip_range
from pipeline.text.spans import append_span, trim_spans
from pipeline.text.utf8 import decode

Data = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint32]

MAX_UPPER: Final = 0.5
"""A line with a larger share of upper-case characters goes (`uppercase_ratio_line_modifier`)."""
MIN_WORDS: Final = 2
"""A line with fewer words goes, unless it is empty (`line_length_modifier`); so do lines of digits only."""
COUNTED: Final = phrase_rows(
    "likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes", "downvotes", "downloads",
    "views", "followers",
)  # fmt: skip
"""What a line such as "3 likes" counts (`counter_line_modifier`)."""

THOUSANDS: Final = (ord(","), ord("."))
MULTIPLES: Final = (ord("k"), ord("m"), ord("b"))


@leaf
def _skip_other(data: Data, i: int, end: int, flags: Flags) -> int:
    """The first place from `i` on where a character of a word stands."""
    while i < end:
        point, behind = decode(data, i, end)
        if flags[point] & WORD:
            break
        i = behind
    return i


@leaf
def _is_counter(data: Data, start: int, end: int, flags: Flags) -> bool:
    """Is the line a counter: a number, k, m or b for its multiple, white space, and one of COUNTED?"""
    i = _skip_other(data, start, end, flags)
    digits = i
    while i < end:
        point, behind = decode(data, i, end)
        if not (flags[point] & DIGIT or (i > digits and point in THOUSANDS)):
            break
        i = behind
    if i in (digits, end):
        return False
    if lower_case(data[i]) in MULTIPLES:
        i += 1
    behind = behind_space(data, i, end, flags)
    if behind == i:
        return False
    while behind > i:
        i, behind = behind, behind_space(data, behind, end, flags)
    for k in range(len(COUNTED)):
        behind = behind_phrase(data, i, end, COUNTED[k], True)
        if behind > i and _skip_other(data, behind, end, flags) == end:
            return True
    return False


@leaf
def _mark_text(data: Data, start: int, end: int, flags: Flags, spans: Places) -> tuple[int, bool]:
    """Fill the spans of the lines that stay; returns the number of integers, and whether a phrase may be cut."""
    n, place, phrases, any_kept, held = 0, start, False, False, start
    while place <= end:
        stop = line_end(data, place, end)
        chars, upper, words = count_line(data, place, stop, flags)
        empty = place == stop
        if empty or (words >= MIN_WORDS and upper <= MAX_UPPER * chars and not _is_counter(data, place, stop, flags)):
            if any_kept:
                n = append_span(spans, n, held, held + 1)
            n = append_span(spans, n, place, stop)
            any_kept, held = True, stop
            if words <= MAX_PHRASE_WORDS and not phrases:
                # The first and the last line of what is left are stripped before the phrases are cut.
                a, b = strip_range(data, place, stop, flags)
                for row in range(len(PHRASES)):
                    phrases = phrases or cut_piece(data, a, b, flags, row)[0] < b
                    phrases = phrases or cut_piece(data, place, stop, flags, row)[0] < stop
        place = stop + 1
    return n, phrases


@leaf
def _mark_all(
    data: Data, offsets: Places, flags: Flags, spans: Places, ends: Places, bytes_: Data, places: Places
) -> int:
    """Fill the spans of all texts, relative to each text's start; returns the number of integers."""
    n = 0
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        size, phrases = _mark_text(data, start, end, flags, spans[n:])
        size = trim_spans(data, spans[n:], size, flags)
        if phrases:
            size = cut_phrases(data, spans[n:], size, flags, bytes_, places)
        for k in range(n, n + size):
            spans[k] -= start
        n += size
        ends[i + 1] = n
    return n


def dclm_spans(texts: pa.LargeStringArray) -> tuple[Places, Places]:
    """What DCLM-Baseline's line rules leave of each text.

    Lines lie between newlines. One goes if more than half of its characters are upper-case, if it is a counter such as
    "3 likes", or has one word only; empty lines stay. Out of lines of 10 words or fewer are cut: "items in cart"
    anywhere, "read more" and three characters at the end, "sign-in" at the start, each with one character of white
    space beside it; a line of which nothing is left goes. White space around the whole goes, too.

    Returns:
        Spans as `pipeline.text.c4_lines.c4_spans` has them, all texts' behind each other, and where each text's end
        (n + 1).
    """
    data, offsets = views(texts)
    longest = int(np.diff(offsets).max(initial=0))
    n_newlines = int((data[offsets[0] : offsets[-1]] == NEWLINE).sum())
    # Every line gives two spans at the most (its break, itself), and each cut of 7 bytes or more one more.
    n_spans = 2 * (n_newlines + len(texts)) + int(offsets[-1] - offsets[0]) // 7
    spans, ends = np.empty(2 * n_spans + 2, np.int64), np.zeros(len(texts) + 1, np.int64)
    bytes_, places = np.empty(longest + 1, np.uint8), np.empty(longest + 1, np.int64)
    n = _mark_all(data, offsets, character_tables().flags, spans, ends, bytes_, places)
    return spans[:n], ends
