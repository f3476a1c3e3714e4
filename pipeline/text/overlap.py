"""Which n-grams of an index texts hold, and texts without the lines that hold them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.kernels import kernel, leaf
from pipeline.text.buffers import views
from pipeline.text.hashes import ngram_hash, rolling_hashes
from pipeline.text.ngram_index import HALF, NgramIndex, place_of_bit
from pipeline.text.phrases import NEWLINE, line_end
from pipeline.text.shingles import most_words, simplified_characters, word_hashes
from pipeline.text.spans import append_span, as_lists

Data = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """What texts hold of an index. `n_words`, `n_covered`: words of each text, and those within n-grams of the index.
    `ngrams`: the different n-grams of each text, in the order in which they come, of text i at
    `offsets[i]:offsets[i + 1]`."""

    n_words: Ints
    n_covered: Ints
    ngrams: Ints
    offsets: Ints


@leaf
def _look_up(h: np.uint64, keys: Hashes, slots: Ints) -> int:
    """The number of the n-gram of this hash, or -1."""
    slot = np.int64(h & np.uint64(len(keys) - 1))
    while slots[slot] >= 0 and keys[slot] != h:
        slot = (slot + 1) & (len(keys) - 1)
    ngram: int = slots[slot]
    return ngram


@leaf
def _widest_at(words: Hashes, n: int, index: NgramIndex, anchors: Hashes, out: Ints) -> int:
    """Write how many words the longest n-gram that begins at each of the first `n` words has, 0 where none does; the
    number of n-grams that begin anywhere. Time is linear: a word is looked up once for each width at the most.

    `anchors` is room for `n` hashes. The filter is asked in a loop that does not branch, so that the processor waits
    for many of its bytes at a time: they lie anywhere in a few megabytes.
    """
    out[:n] = 0
    n_anchors = rolling_hashes(words, n, index.anchor_words, anchors)
    bits, n_passed = index.filter, 0
    for i in range(n_anchors):
        byte, bit = place_of_bit(anchors[i], bits)
        anchors[n_passed] = np.uint64(i)
        n_passed += bits[byte] >> bit & 1
    found = 0
    for k in range(n_passed):
        first = np.int64(anchors[k])
        byte, bit = place_of_bit(ngram_hash(words, first, index.anchor_words) >> HALF, bits)
        if not bits[byte] >> bit & 1:
            continue
        for width in index.widths:
            if first + width <= n:
                ngram = _look_up(ngram_hash(words, first, width), index.keys, index.slots)
                if ngram >= 0 and index.ngram_words[ngram] == width:
                    out[first] = width
                    found += 1
    return found


@kernel
def _find(
    data: Data,
    offsets: Ints,
    simplified: npt.NDArray[np.int32],
    index: NgramIndex,
    n_words: Ints,
    n_covered: Ints,
    ends: Ints,
) -> Ints:
    places = most_words(offsets)
    words, anchors, widest = np.empty(places, np.uint64), np.empty(places, np.uint64), np.empty(places, np.int64)
    seen_in = np.full(len(index.ngram_words), -1, np.int64)
    ngrams = np.empty(1024, np.int64)
    written = 0
    for text in range(len(offsets) - 1):
        n = word_hashes(data, offsets[text], offsets[text + 1], simplified, words)
        n_words[text] = n
        found = _widest_at(words, n, index, anchors, widest)
        room = written + min(found, len(index.ngram_words))
        if room > len(ngrams):
            grown = np.empty(2 * room, np.int64)
            grown[:written] = ngrams[:written]
            ngrams = grown
        covered_to = 0
        for first in range(n if found else 0):
            if not widest[first]:
                continue
            end = first + widest[first]
            n_covered[text] += max(0, end - max(first, covered_to))
            covered_to = max(covered_to, end)
            for width in index.widths:
                if width > widest[first]:
                    break
                ngram = _look_up(ngram_hash(words, first, width), index.keys, index.slots)
                if ngram >= 0 and index.ngram_words[ngram] == width and seen_in[ngram] != text:
                    seen_in[ngram] = text
                    ngrams[written] = ngram
                    written += 1
        ends[text + 1] = written
    return ngrams[:written]


def find_ngrams(texts: pa.LargeStringArray, index: NgramIndex) -> Found:
    """Which n-grams of the index each text holds.

    Raises:
        TypeError, ValueError: as `pipeline.text.buffers.views`.
    """
    data, offsets = views(texts)
    n_words, n_covered, ends = (np.zeros(len(texts) + more, np.int64) for more in (0, 0, 1))
    ngrams = _find(data, offsets, simplified_characters(numbers_to_zero=False), index, n_words, n_covered, ends)
    return Found(n_words, n_covered, ngrams, ends)


@kernel
def _cut_lines(
    data: Data,
    offsets: Ints,
    simplified: npt.NDArray[np.int32],
    index: NgramIndex,
    spans: Ints,
    ends: Ints,
) -> int:
    """Fill the spans of all texts, relative to each text's start; returns the number of integers."""
    places = most_words(offsets)
    words, anchors, widest = np.empty(places, np.uint64), np.empty(places, np.uint64), np.empty(places, np.int64)
    is_hit = np.empty(places, np.bool_)
    written = 0
    for text in range(len(offsets) - 1):
        base, end, own, n_own = offsets[text], offsets[text + 1], spans[written:], 0
        n = word_hashes(data, base, end, simplified, words)
        if not _widest_at(words, n, index, anchors, widest):
            n_own = append_span(own, 0, 0, end - base)
            base = end
        is_hit[:n] = False
        hit_to = 0
        for word in range(n if base < end else 0):
            hit_to = max(hit_to, word + widest[word])
            is_hit[word] = word < hit_to
        start, word = base, 0
        while start < end:
            behind = min(line_end(data, start, end) + 1, end)
            # A word never goes on behind a newline, so the words of the lines are those of the text.
            in_line = word_hashes(data, start, behind, simplified, words)
            if not is_hit[word : word + in_line].any():
                n_own = append_span(own, n_own, start - base, behind - base)
            start, word = behind, word + in_line
        written += n_own
        ends[text + 1] = written
    return written


def spans_without(texts: pa.LargeStringArray, index: NgramIndex) -> pa.ListArray:
    """The lines (what lies between newlines) of which no word is part of an n-gram of the index.

    Returns:
        As `pipeline.text.c4_lines.c4_spans`, each kept line with its newline.

    Raises:
        TypeError, ValueError: as `pipeline.text.buffers.views`.
    """
    data, offsets = views(texts)
    n_lines = int((data[offsets[0] : offsets[-1]] == NEWLINE).sum()) + len(texts)
    spans, ends = np.empty(2 * n_lines, np.int64), np.zeros(len(texts) + 1, np.int64)
    n = _cut_lines(data, offsets, simplified_characters(numbers_to_zero=False), index, spans, ends)
    return as_lists(spans[:n], ends, np.diff(offsets))
