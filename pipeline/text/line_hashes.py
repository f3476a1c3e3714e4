"""Lines as 64-bit hashes of what they say, and what is left of texts without some of their lines.

Lines lie between newlines. What a line says are its words, simplified as for shingles (`pipeline.text.shingles`): lower
case, each number as one 0, without diacritics, punctuation and white space only dividing words. CCNet (Wenzek et al.
2020, arXiv 1911.00359, section 3.1) likewise takes lower case, a placeholder for digits, and no punctuation or accents;
it keeps white space, and has a 0 for each digit.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.kernels import leaf
from pipeline.text.buffers import views
from pipeline.text.characters import character_tables
from pipeline.text.hashes import ngram_hash
from pipeline.text.phrases import NEWLINE, line_end, strip_range
from pipeline.text.shingles import simplified_characters, word_hashes
from pipeline.text.spans import append_span, as_lists, trim_spans

Data = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

MAX_LINE_BYTES: Final = 1 << 20
"""Longer lines have no hash: they are texts of their own, and would need memory in proportion."""


class Lines(NamedTuple):
    """All lines of texts, one text's behind the other's, an empty last one included.

    `hashes`: uint64, 0 of a line that has none: too few words, or too many bytes. `n_bytes`: int64, of each line with
    its newline. `ends`: int64 [n + 1]; text i has the lines from `ends[i]` to `ends[i + 1]`.
    """

    hashes: Hashes
    n_bytes: Places
    ends: Places


@leaf
def _hash_lines(
    data: Data,
    offsets: Places,
    simplified: npt.NDArray[np.int32],
    min_words: int,
    words: Hashes,
    hashes: Hashes,
    n_bytes: Places,
    ends: Places,
) -> None:
    """Fill `hashes`, `n_bytes` and `ends`; `words` has room for those of a line of MAX_LINE_BYTES."""
    line = 0
    for text in range(len(offsets) - 1):
        place, end = offsets[text], offsets[text + 1]
        while True:
            stop = line_end(data, place, end)
            if 0 < stop - place <= MAX_LINE_BYTES:
                n = word_hashes(data, place, stop, simplified, words)
                if n >= min_words:
                    hashes[line] = max(ngram_hash(words, 0, n), np.uint64(1))
            n_bytes[line] = min(stop + 1, end) - place
            line += 1
            place = stop + 1
            if stop == end:
                break
        ends[text + 1] = line


def hash_lines(texts: pa.LargeStringArray, min_words: int) -> Lines:
    """The lines of texts. Those of fewer than `min_words` words, at least 1, have no hash.

    The hash of words w1 ... wn is `sum(hash(wi) * M**(n - i)) mod 2**64`, as that of a shingle before it is mixed.

    Raises:
        TypeError, ValueError: see `pipeline.text.buffers.views`; or `min_words` is below 1.
    """
    if min_words < 1:
        raise ValueError(f"min_words is {min_words}; a line without words says nothing")
    data, offsets = views(texts)
    n_lines = int(np.count_nonzero(data[offsets[0] : offsets[-1]] == NEWLINE)) + len(texts)
    hashes, n_bytes = np.zeros(n_lines, np.uint64), np.zeros(n_lines, np.int64)
    ends = np.zeros(len(texts) + 1, np.int64)
    # A word takes two bytes or more, the last one excepted.
    words = np.empty(min(int(np.diff(offsets).max(initial=0)), MAX_LINE_BYTES) // 2 + 2, np.uint64)
    _hash_lines(data, offsets, simplified_characters(), min_words, words, hashes, n_bytes, ends)
    return Lines(hashes, n_bytes, ends)


def joined(parts: list[Lines]) -> Lines:
    """The lines of several arrays of texts as those of one."""
    hashes = np.concatenate([np.zeros(0, np.uint64), *(part.hashes for part in parts)])
    n_bytes = np.concatenate([np.zeros(0, np.int64), *(part.n_bytes for part in parts)])
    return Lines(hashes, n_bytes, np.cumsum(np.concatenate([[0], *(np.diff(part.ends) for part in parts)])))


@leaf
def _keep_others(
    data: Data, offsets: Places, is_dropped: Bools, ends: Places, flags: npt.NDArray[np.uint32], spans: Places
) -> Places:
    """Fill the spans of all texts, relative to each text's start; `ends` becomes the ends of each text's spans."""
    n = first_line = 0
    for text in range(len(offsets) - 1):
        base, end, own, size = offsets[text], offsets[text + 1], spans[n:], 0
        any_dropped, blank_before, behind_dropped, place = False, True, False, base
        for line in range(first_line, ends[text + 1]):
            stop = line_end(data, place, end)
            behind = min(stop + 1, end)
            first, last = strip_range(data, place, stop, flags)
            if is_dropped[line]:
                any_dropped = behind_dropped = True
            elif not (first == last and behind_dropped and blank_before):
                size = append_span(own, size, place, behind)
                blank_before, behind_dropped = first == last, False
            place = behind
        if any_dropped:
            size = trim_spans(data, own, size, flags)
        for k in range(size):
            own[k] -= base
        n += size
        first_line, ends[text + 1] = ends[text + 1], n
    return ends


def spans_without(texts: pa.LargeStringArray, is_dropped: Bools, lines: Places) -> pa.ListArray:
    """What is left of texts without some lines.

    Of blank lines around a dropped one those behind it go, too, if there are some before it, or nothing is; so do white
    space and newlines at both ends of a text that loses lines.

    Args:
        texts: a LargeStringArray without nulls.
        is_dropped: bool, one for each line of `texts`.
        lines: `Lines.ends` of `texts`.

    Returns:
        As `pipeline.text.c4_lines.c4_spans`, each kept line with its newline.

    Raises:
        TypeError, ValueError: see `pipeline.text.buffers.views`; or `lines` are those of other texts.
    """
    data, offsets = views(texts)
    if len(lines) != len(offsets) or lines[-1] != len(is_dropped):
        raise ValueError(f"{len(texts)} texts and {len(is_dropped)} marks, but lines of {len(lines) - 1} texts")
    spans, ends = np.empty(2 * len(is_dropped), np.int64), lines.copy()
    _keep_others(data, offsets, is_dropped, ends, character_tables().flags, spans)
    return as_lists(spans[: ends[-1]], ends, np.diff(offsets))
