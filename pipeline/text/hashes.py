"""Non-cryptographic hashes that kernels share, and the rolling hash of n-grams of words."""

from typing import Final

import numpy as np

from pipeline.kernels import leaf

FNV_BASIS: Final = np.uint64(0xCBF29CE484222325)
"""FNV's 64-bit offset basis, the hash of no bytes (RFC 9923)."""
MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio, odd: base of the polynomial over the words of an n-gram (Knuth, TAOCP 3, 6.4)."""


@leaf
def fnv_byte(h: np.uint64, byte: int) -> np.uint64:
    """64-bit FNV-1a (Fowler, Noll, Vo; RFC 9923) of one more byte."""
    return np.uint64((h ^ np.uint64(byte)) * np.uint64(0x00000100000001B3))


@leaf
def fmix64(h: np.uint64) -> np.uint64:
    """MurmurHash3's 64-bit finalizer (Appleby, smhasher, src/MurmurHash3.cpp): all bits depend on all bits."""
    h = np.uint64((h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD))
    h = np.uint64((h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53))
    return np.uint64(h ^ (h >> np.uint64(33)))


@leaf
def ngram_hash(words: np.ndarray, first: int | np.int64, n: int) -> np.uint64:
    """The hash of the n-gram `words[first:first + n]` (hashes of words): `sum(word * MULTIPLIER**place)` modulo 2**64,
    the last place being 0."""
    h = np.uint64(0)
    for i in range(first, first + n):
        h = np.uint64(h * MULTIPLIER + words[i])
    return h


@leaf
def rolling_hashes(words: np.ndarray, n: int, width: int, out: np.ndarray) -> int:
    """Write `ngram_hash(words, i, width)` of each n-gram of the first `n` words to `out`, which is not `words`, with
    two multiplications each (Karp, Rabin 1987). Returns how many there are: none if `width` is 0 or more than `n`."""
    leaving = np.uint64(1)
    for _ in range(width):
        leaving = np.uint64(leaving * MULTIPLIER)
    rolling = np.uint64(0)
    for i in range(n):
        rolling = np.uint64(rolling * MULTIPLIER + words[i])
        if i >= width:
            rolling = np.uint64(rolling - words[i - width] * leaving)
        if i >= width - 1:
            out[i - width + 1] = rolling
    return max(0, n - width + 1) if width else 0
