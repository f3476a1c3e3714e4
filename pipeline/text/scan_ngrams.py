"""Repeated word n-grams, as Gopher counts them."""

from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kernels import njit
from pipeline.text.english import EMPTY, HASH_BASE, find_slot, mix

TOP_SIZES: Final = (2, 3, 4)
DUPLICATE_SIZES: Final = (5, 6, 7, 8, 9, 10)
HASH_BASE_INVERSE: Final = np.uint64(pow(int(HASH_BASE), -1, 2**64))

Hashes = npt.NDArray[np.uint64]


@njit(cache=True, nogil=True)
def table_size(n_entries: int) -> int:
    """A power of two that leaves a table of `n_entries` at least half empty."""
    size = 16
    while size < 2 * n_entries:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def hash_words(
    points: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    n_words: int,
    sums: Hashes,
    shifts: Hashes,
    lengths: npt.NDArray[np.int64],
) -> None:
    """Fill what gives the hash of any run of words in one step.

    With c_j the characters of all words in a row, `sums[i]` is the sum of (c_j + 1) * HASH_BASE**j over the characters
    before word i, modulo 2**64; `shifts[i]` is HASH_BASE**-j at the first character of word i; `lengths[i]` the number
    of characters before word i. All have length n_words + 1. So `(sums[k] - sums[i]) * shifts[i]` depends on the
    characters of words i..k-1 only.
    """
    total, power, shift, length = np.uint64(0), np.uint64(1), np.uint64(1), 0
    for i in range(n_words):
        sums[i], shifts[i], lengths[i] = total, shift, length
        for j in range(starts[i], ends[i]):
            total += np.uint64(points[j] + 1) * power
            power *= HASH_BASE
            shift *= HASH_BASE_INVERSE
        length += ends[i] - starts[i]
    sums[n_words], shifts[n_words], lengths[n_words] = total, shift, length


@njit(cache=True, nogil=True)
def top_ngram_chars(
    sums: Hashes,
    shifts: Hashes,
    lengths: npt.NDArray[np.int64],
    n_words: int,
    size: int,
    table: Hashes,
    counts: npt.NDArray[np.int32],
    firsts: npt.NDArray[np.int32],
) -> int:
    """The number of occurrences of the most frequent n-gram times its characters, counted with a space between words.

    Ties go to the n-gram that occurs first (`find_top_duplicate` in datatrove 0.10.1,
    pipeline/filters/gopher_repetition_filter.py); an n-gram that occurs once counts, too. 0 for fewer than `size`
    words.
    `table`, `counts` and `firsts` are scratch of length `table_size(n_words)`.
    """
    n_grams = n_words - size + 1
    if n_grams < 1:
        return 0
    table[:] = EMPTY
    best_count, best_first = 0, 0
    for i in range(n_grams):
        value = np.uint64(size)
        for k in range(i, i + size):
            word = (sums[k + 1] - sums[k]) * shifts[k] + np.uint64(lengths[k + 1] - lengths[k])
            value = (value ^ (value >> np.uint64(29))) * HASH_BASE + word
        value = mix(value)
        slot = find_slot(table, value)
        if table[slot] == EMPTY:
            table[slot], counts[slot], firsts[slot] = value, 0, i
        counts[slot] += 1
        count, first = counts[slot], firsts[slot]
        if count > best_count or (count == best_count and first < best_first):
            best_count, best_first = count, first
    return int(best_count * (lengths[best_first + size] - lengths[best_first] + size - 1))


@njit(cache=True, nogil=True)
def duplicate_ngram_chars(
    sums: Hashes, shifts: Hashes, lengths: npt.NDArray[np.int64], n_words: int, size: int, table: Hashes
) -> int:
    """The characters, without spaces, of n-grams that occurred before; after one is found, its words are passed over.

    Two n-grams are the same if their characters in a row are (`find_all_duplicate` in datatrove 0.10.1,
    pipeline/filters/gopher_repetition_filter.py). `table` is scratch of length `table_size(n_words)`.
    """
    n_grams = n_words - size + 1
    if n_grams < 1:
        return 0
    table[:] = EMPTY
    chars, i = 0, 0
    while i < n_grams:
        value = mix((sums[i + size] - sums[i]) * shifts[i])
        slot = find_slot(table, value)
        if table[slot] == EMPTY:
            table[slot] = value
            i += 1
        else:
            chars += lengths[i + size] - lengths[i]
            i += size
    return chars


@njit(cache=True, nogil=True)
def scan_ngrams(
    points: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    n_words: int,
    n_chars: int,
    row: npt.NDArray[np.float64],
) -> None:
    """Write the shares of `n_chars` that repeated n-grams have into `row`: TOP_SIZES, then DUPLICATE_SIZES.

    Scratch memory is at most 88 bytes a word.
    """
    sums, shifts = np.empty(n_words + 1, np.uint64), np.empty(n_words + 1, np.uint64)
    lengths = np.empty(n_words + 1, np.int64)
    hash_words(points, starts, ends, n_words, sums, shifts, lengths)
    size = table_size(n_words)
    table, counts, firsts = np.empty(size, np.uint64), np.empty(size, np.int32), np.empty(size, np.int32)
    k = 0
    for n in TOP_SIZES:
        row[k] = top_ngram_chars(sums, shifts, lengths, n_words, n, table, counts, firsts) / n_chars
        k += 1
    for n in DUPLICATE_SIZES:
        row[k] = duplicate_ngram_chars(sums, shifts, lengths, n_words, n, table) / n_chars
        k += 1
