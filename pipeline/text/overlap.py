"""N-grams of benchmark items: an index of them, which of them texts hold, and texts without the lines that do.

Words, their 64-bit hashes and the hash of several words are those of `pipeline.text.shingles`, with two differences.
Digits stay as they are: with every number as "0", tables of numbers hold many sums of mathematics tests. And an n-gram
is known by all 64 bits of the polynomial: two different ones are taken for one another with a probability of 2**-64, so
10**12 n-grams of a corpus against 10**6 of benchmarks make .05 false hits in all.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.kernels import kernel, leaf
from pipeline.text.buffers import views
from pipeline.text.shingles import MULTIPLIER, simplified_characters, word_hashes
from pipeline.text.spans import append_span, as_lists

Data = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FILTER_BITS = 32
"""Bits of the filter for each n-gram, which sets two of them (Bloom 1970): of words that begin none, one in sixteen at
the most passes the first, and one in 256 both."""
HALF = np.uint64(32)
NEWLINE = ord("\n")


class NgramIndex(NamedTuple):
    """The n-grams of benchmark items, as the kernels look them up. n-grams have numbers from 0.

    `ngram_words`: words of each n-gram. `widths`: the different numbers of words, ascending. `anchor_words`: words that
    an n-gram has at least. `filter`: bits that are set for hashes of the first `anchor_words` words of n-grams; 2**k
    bytes. `keys`, `slots`: a table of hashes with open addressing, of 2**k places; slot -1 is empty.
    """

    ngram_words: Ints
    widths: Ints
    anchor_words: int
    filter: Data
    keys: Hashes
    slots: Ints


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
def _ngram_hash(words: Hashes, first: int | np.int64, n: int) -> np.uint64:
    """The hash of `words[first:first + n]`."""
    h = np.uint64(0)
    for i in range(first, first + n):
        h = np.uint64(h * MULTIPLIER + words[i])
    return h


@leaf
def _most_words(offsets: Ints) -> int:
    """The places that `word_hashes` needs for any text: a word takes two bytes or more, but for the last one."""
    longest = 0
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    return longest // 2 + 2


@kernel
def _text_ngrams(
    data: Data,
    offsets: Ints,
    simplified: npt.NDArray[np.int32],
    ngram_words: int,
    min_words: int,
    hashes: Hashes,
    anchors: Hashes,
    sizes: Ints,
    ends: Ints,
) -> None:
    """The n-grams of each text: their hashes, those of their first `min_words` words, and how many words they have."""
    words = np.empty(_most_words(offsets), np.uint64)
    written = 0
    for text in range(len(offsets) - 1):
        n = word_hashes(data, offsets[text], offsets[text + 1], simplified, words)
        width = min(n, ngram_words)
        for i in range(n - width + 1 if n >= min_words else 0):
            hashes[written] = _ngram_hash(words, i, width)
            anchors[written] = _ngram_hash(words, i, min_words)
            sizes[written] = width
            written += 1
        ends[text + 1] = written


def text_ngrams(texts: pa.LargeStringArray, ngram_words: int, min_words: int) -> tuple[Hashes, Hashes, Ints, Ints]:
    """The n-grams of texts that are to be looked for elsewhere: all of `ngram_words` words, repeated ones included; of
    a text of fewer words the whole, if it has `min_words` (1 to `ngram_words`), else none.

    Returns:
        hashes, anchors: uint64, of each n-gram and of its first `min_words` words.
        sizes: int64, the words of each.
        offsets: int64, length n + 1; text i has those at `offsets[i]:offsets[i + 1]`.

    Raises:
        TypeError, ValueError: as `pipeline.text.buffers.views`.
    """
    data, offsets = views(texts)
    places = int(offsets[-1] - offsets[0] + len(texts)) // 2
    hashes, anchors = np.empty(places, np.uint64), np.empty(places, np.uint64)
    sizes, ends = np.empty(places, np.int64), np.zeros(len(texts) + 1, np.int64)
    simplified = simplified_characters(numbers_to_zero=False)
    _text_ngrams(data, offsets, simplified, ngram_words, min_words, hashes, anchors, sizes, ends)
    return hashes[: ends[-1]], anchors[: ends[-1]], sizes[: ends[-1]], ends


@leaf
def _place_of_bit(h: np.uint64, bits: Data) -> tuple[np.int64, np.int64]:
    """Byte and bit of the filter that belong to the low half of a hash."""
    bit = np.int64(h & np.uint64(8 * len(bits) - 1))
    return bit >> 3, bit & 7


@kernel
def _fill(hashes: Hashes, anchors: Hashes, bits: Data, keys: Hashes, slots: Ints) -> None:
    for ngram in range(len(hashes)):
        for half in (anchors[ngram], anchors[ngram] >> HALF):
            byte, bit = _place_of_bit(half, bits)
            bits[byte] |= np.uint8(1 << bit)
        slot = np.int64(hashes[ngram] & np.uint64(len(keys) - 1))
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(keys) - 1)
        keys[slot], slots[slot] = hashes[ngram], ngram


def ngram_index(hashes: Hashes, anchors: Hashes, sizes: Ints, anchor_words: int) -> NgramIndex:
    """The index of n-grams (see `text_ngrams`) whose hashes all differ; their numbers are their places in `hashes`."""
    bits = np.zeros(1 << min(29, max(6, (FILTER_BITS * len(hashes) // 8).bit_length())), np.uint8)
    places = 1 << (2 * len(hashes) + 1).bit_length()
    keys, slots = np.zeros(places, np.uint64), np.full(places, -1, np.int64)
    _fill(hashes, anchors, bits, keys, slots)
    return NgramIndex(sizes, np.unique(sizes), anchor_words, bits, keys, slots)


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
    width = index.anchor_words
    leaving = np.uint64(1)
    for _ in range(width):
        leaving = np.uint64(leaving * MULTIPLIER)
    rolling = np.uint64(0)
    for i in range(n):
        rolling = np.uint64(rolling * MULTIPLIER + words[i])
        if i >= width:
            rolling = np.uint64(rolling - words[i - width] * leaving)
        if i >= width - 1:
            anchors[i - width + 1] = rolling
        out[i] = 0
    bits, n_passed = index.filter, 0
    for i in range(n - width + 1):
        byte, bit = _place_of_bit(anchors[i], bits)
        anchors[n_passed] = np.uint64(i)
        n_passed += bits[byte] >> bit & 1
    found = 0
    for k in range(n_passed):
        first = np.int64(anchors[k])
        byte, bit = _place_of_bit(_ngram_hash(words, first, index.anchor_words) >> HALF, bits)
        if not bits[byte] >> bit & 1:
            continue
        for width in index.widths:
            if first + width <= n:
                ngram = _look_up(_ngram_hash(words, first, width), index.keys, index.slots)
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
    places = _most_words(offsets)
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
                ngram = _look_up(_ngram_hash(words, first, width), index.keys, index.slots)
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
    places = _most_words(offsets)
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
            behind = start
            while behind < end and data[behind] != NEWLINE:
                behind += 1
            behind = min(behind + 1, end)
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
