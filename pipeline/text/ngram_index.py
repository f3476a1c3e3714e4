"""An index of the n-grams of texts, for `pipeline.text.overlap` to find them in others.

Words, their 64-bit hashes and the hash of several words are those of `pipeline.text.shingles`, with two differences.
Digits stay as they are: with every number as "0", tables of numbers hold many sums of mathematics tests. And an n-gram
is known by all 64 bits of the polynomial: two different ones are taken for one another with a probability of 2**-64, so
10**12 n-grams of a corpus against 10**6 of benchmarks make .05 false hits in all.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.kernels import kernel, leaf
from pipeline.text.buffers import views
from pipeline.text.hashes import ngram_hash
from pipeline.text.shingles import most_words, simplified_characters, word_hashes

Data = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

FILTER_BITS = 32
"""Bits of the filter for each n-gram, which sets two of them (Bloom 1970): of words that begin none, one in sixteen at
the most passes the first, and one in 256 both."""
HALF = np.uint64(32)


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
    words = np.empty(most_words(offsets), np.uint64)
    written = 0
    for text in range(len(offsets) - 1):
        n = word_hashes(data, offsets[text], offsets[text + 1], simplified, words)
        width = min(n, ngram_words)
        for i in range(n - width + 1 if n >= min_words else 0):
            hashes[written] = ngram_hash(words, i, width)
            anchors[written] = ngram_hash(words, i, min_words)
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
def place_of_bit(h: np.uint64, bits: Data) -> tuple[np.int64, np.int64]:
    """Byte and bit of the filter that belong to the low half of a hash."""
    bit = np.int64(h & np.uint64(8 * len(bits) - 1))
    return bit >> 3, bit & 7


@kernel
def _fill(hashes: Hashes, anchors: Hashes, bits: Data, keys: Hashes, slots: Ints) -> None:
    for ngram in range(len(hashes)):
        for half in (anchors[ngram], anchors[ngram] >> HALF):
            byte, bit = place_of_bit(half, bits)
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
