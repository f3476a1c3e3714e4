"""Repeated word n-grams, as Gopher counts them."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.kernels import kernel, leaf
from pipeline.text.characters import SPACE
from pipeline.text.english import EMPTY, HASH_BASE, find_slot, mix

TOP_SIZES: Final = (2, 3, 4)
DUPLICATE_SIZES: Final = (5, 6, 7, 8, 9, 10)

PREFIX_CHARS: Final = (DUPLICATE_SIZES[0], 16, 24, 32)
"""Lengths of prefixes by which n-grams of DUPLICATE_SIZES that occur once are found. The first is that of the shortest
n-gram, since no word is empty; the others lie among the lengths that such n-grams mostly have."""
INVERSE_BASE: Final = np.uint64(pow(int(HASH_BASE), -1, 2**64))
"""1 / HASH_BASE modulo 2**64: odd numbers have an inverse."""
COUNTS_PER_ENTRY: Final = 4
"""Counts in the table of `_repeated` for each place of a hash table: few keys then share one."""

Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int32]
Places = npt.NDArray[np.int32]


class Scratch(NamedTuple):
    """Memory for `scan_ngrams`, for texts of some length at most; for what, its functions say."""

    powers: Hashes
    """HASH_BASE**k, modulo 2**64, for all lengths k."""
    inverses: Hashes
    """INVERSE_BASE**k, modulo 2**64, for all lengths k."""
    sums: Hashes
    lengths: Lengths
    places: Places
    words: Hashes
    keys: Hashes
    table: Hashes
    counts: Places
    firsts: Places
    repeats: npt.NDArray[np.uint8]
    seen: npt.NDArray[np.uint8]


@leaf
def table_size(n_entries: int) -> int:
    """A power of two that leaves a table of `n_entries` at least half empty."""
    size = 16
    while size < 2 * n_entries:
        size *= 2
    return size


@kernel
def new_scratch(longest: int) -> Scratch:
    """Memory for texts of up to `longest` characters. What a text does not use of it is never touched, and so costs
    nothing."""
    powers, inverses = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.uint64)
    power, inverse, size = np.uint64(1), np.uint64(1), table_size(longest + 2)
    for k in range(longest + 1):
        powers[k], inverses[k] = power, inverse
        power *= HASH_BASE
        inverse *= INVERSE_BASE
    return Scratch(
        powers,
        inverses,
        np.empty(longest + 1, np.uint64),
        np.empty(longest + 1, np.int32),
        np.empty(longest, np.int32),
        np.empty(longest, np.uint64),
        np.empty(longest, np.uint64),
        np.empty(size, np.uint64),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
        np.empty(longest, np.uint8),
        np.empty(COUNTS_PER_ENTRY * size, np.uint8),
    )


@leaf
def _hash_prefixes(
    points: Places,
    flags: Flags,
    n: int,
    starts: Places,
    ends: Places,
    n_words: int,
    powers: Hashes,
    sums: Hashes,
    lengths: Lengths,
) -> None:
    """Fill what gives the hash of any run of word characters in one step.

    The words' characters in a row are those of the text `points[:n]` without white space. `sums[j]` is the sum of
    (c_k + 1) * HASH_BASE**k over the first j, modulo 2**64: by such sums, other than by Horner's rule, no step has to
    wait for the multiplication before. `lengths[i]`, for i up to n_words, is the number of characters before word i.
    """
    total, length = np.uint64(0), 0
    sums[0] = total
    for i in range(n):  # without a branch: where words end cannot be foreseen
        is_space = flags[i] & SPACE != 0
        term = np.uint64(points[i] + 1) * powers[length]
        total += np.uint64(0) if is_space else term
        length += not is_space
        sums[length] = total
    lengths[0] = 0
    for i in range(n_words):
        lengths[i + 1] = lengths[i] + ends[i] - starts[i]


@leaf
def _hash(sums: Hashes, inverses: Hashes, begin: int, end: int) -> np.uint64:
    """The hash of the word characters from `begin` up to `end`: it depends on them only."""
    return mix((sums[end] - sums[begin]) * inverses[begin])


@leaf
def _repeated(keys: Hashes, places: Places, n: int, seen: npt.NDArray[np.uint8]) -> int:
    """Move entries whose key may occur twice among the first `n` to the front, in order; returns how many there are.

    None that does occur twice is lost. `seen` is scratch: a table of counts (1 once, 3 more often) without keys.
    """
    used = seen[: COUNTS_PER_ENTRY * table_size(n)]
    used[:] = 0
    mask = np.uint64(len(used) - 1)
    for i in range(n):
        slot = keys[i] & mask
        used[slot] = (used[slot] << 1 | 1) & 3
    found = 0
    for i in range(n):
        twice = used[keys[i] & mask] == 3
        keys[found], places[found] = keys[i], places[i]
        found += twice
    return found


@leaf
def _top_ngram_chars(
    keys: Hashes, places: Places, n: int, lengths: Lengths, size: int, table: Hashes, counts: Places, firsts: Places
) -> int:
    """The number of occurrences of the most frequent n-gram times its characters, counted with a space between words.

    Ties go to the n-gram that occurs first (`find_top_duplicate` in datatrove 0.10.1,
    pipeline/filters/gopher_repetition_filter.py); an n-gram that occurs once counts, too. `keys` and `places` are
    those of the `n` n-grams that may occur twice; `table`, `counts` and `firsts` are scratch.
    """
    used = table[: table_size(n)]
    used[:] = EMPTY
    best_count, best_first = 1, 0
    for i in range(n):
        slot = find_slot(used, keys[i])
        if used[slot] == EMPTY:
            used[slot], counts[slot], firsts[slot] = keys[i], 0, places[i]
        counts[slot] += 1
        count, first = counts[slot], firsts[slot]
        if count > best_count or (count == best_count and first < best_first):
            best_count, best_first = count, first
    return int(best_count * (lengths[best_first + size] - lengths[best_first] + size - 1))


@leaf
def _mark_repeats(
    sums: Hashes,
    inverses: Hashes,
    lengths: Lengths,
    n_words: int,
    keys: Hashes,
    places: Places,
    seen: npt.NDArray[np.uint8],
    repeats: npt.NDArray[np.uint8],
) -> None:
    """Say of each word, by bit k, whether the first PREFIX_CHARS[k] characters from it on may occur at another word,
    too. Of bit 0 that is said only where an n-gram begins that no longer prefix fits in."""
    n = 0
    for i in range(n_words):
        repeats[i], places[n] = 0, i
        n += i + DUPLICATE_SIZES[0] <= n_words and lengths[i + DUPLICATE_SIZES[0]] - lengths[i] < PREFIX_CHARS[1]
    _mark_prefixes(0, n, sums, inverses, lengths, n_words, keys, places, seen, repeats)
    n = n_words
    for i in range(n_words):
        places[i] = i
    for k in range(1, len(PREFIX_CHARS)):  # what occurs twice has shorter prefixes that do
        n = _mark_prefixes(k, n, sums, inverses, lengths, n_words, keys, places, seen, repeats)


@leaf
def _mark_prefixes(
    k: int,
    n: int,
    sums: Hashes,
    inverses: Hashes,
    lengths: Lengths,
    n_words: int,
    keys: Hashes,
    places: Places,
    seen: npt.NDArray[np.uint8],
    repeats: npt.NDArray[np.uint8],
) -> int:
    """Set bit `k` of those of the first `n` places whose prefix may occur twice among them, and move them to the front,
    in order; returns how many there are."""
    size, to = PREFIX_CHARS[k], 0
    while to < n and lengths[places[to]] + size <= lengths[n_words]:
        begin = lengths[places[to]]
        keys[to] = _hash(sums, inverses, begin, begin + size)
        to += 1
    found = _repeated(keys, places, to, seen)
    for i in range(found):
        repeats[places[i]] |= 1 << k
    return found


@leaf
def _may_repeat(
    lengths: Lengths, n_words: int, repeats: npt.NDArray[np.uint8], places: Places, n: int, size: int
) -> int:
    """Move those of the first `n` places to the front, in order, whose n-gram may occur twice by what `_mark_repeats`
    said of the longest prefix that fits in; returns how many there are."""
    found = 0
    for i in range(n):
        place = places[i]
        if place + size > n_words:
            break
        places[found], longest, chars = place, 0, lengths[place + size] - lengths[place]
        for k in range(1, len(PREFIX_CHARS)):
            longest += chars >= PREFIX_CHARS[k]
        found += (repeats[place] >> longest) & 1
    return found


@leaf
def _duplicate_ngram_chars(
    sums: Hashes, inverses: Hashes, lengths: Lengths, places: Places, n: int, size: int, table: Hashes
) -> int:
    """The characters, without spaces, of n-grams that occurred before; after one is found, its words are passed over.

    Two n-grams are the same if their characters in a row are (`find_all_duplicate` in datatrove 0.10.1,
    pipeline/filters/gopher_repetition_filter.py). `places` has the `n` words at which one may begin that occurs twice;
    `table` is scratch.
    """
    used = table[: table_size(n)]
    used[:] = EMPTY
    chars, first_allowed = 0, 0
    for i in range(n):
        place = places[i]
        if place < first_allowed:
            continue
        begin, end = lengths[place], lengths[place + size]
        key = _hash(sums, inverses, begin, end)
        slot = find_slot(used, key)
        if used[slot] == EMPTY:
            used[slot] = key
        else:
            chars += end - begin
            first_allowed = place + size
    return chars


@leaf
def scan_ngrams(
    points: npt.NDArray[np.int32],
    flags: Flags,
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    n_words: int,
    n_chars: int,
    scratch: Scratch,
    row: npt.NDArray[np.float64],
) -> None:
    """Write the shares of `n_chars` that repeated n-grams have into `row`: TOP_SIZES, then DUPLICATE_SIZES.

    Most n-grams of a text occur once: a table of counts finds them, and what needs keys looks at the others only. All
    values are 0 for fewer words than the n-gram has. Of `scratch`, 16 bytes a character and at most 90 a word are used.
    """
    row[:] = 0.0
    powers, inverses, sums, lengths, places, words, keys, table, counts, firsts, repeats, seen = scratch
    _hash_prefixes(points, flags, n_chars, starts, ends, n_words, powers, sums, lengths)
    for i in range(n_words):
        begin, end = lengths[i], lengths[i + 1]
        words[i] = keys[i] = _hash(sums, inverses, begin, end) + np.uint64(end - begin)
        places[i] = i
    found = n_words
    for k in range(len(TOP_SIZES)):
        n = TOP_SIZES[k]
        to = 0
        for i in range(found - 1):  # an n-gram that occurs twice begins and ends with an (n-1)-gram that does
            if places[i + 1] == places[i] + 1:
                keys[to], places[to] = mix(keys[i] * HASH_BASE + words[places[i] + n - 1]), places[i]
                to += 1
        found = _repeated(keys, places, to, seen)
        if n_words >= n:
            row[k] = _top_ngram_chars(keys, places, found, lengths, n, table, counts, firsts) / n_chars
    _mark_repeats(sums, inverses, lengths, n_words, keys, places, seen, repeats)
    found = n_words
    for i in range(n_words):
        places[i] = i
    for k in range(len(DUPLICATE_SIZES)):
        n = DUPLICATE_SIZES[k]
        found = _may_repeat(lengths, n_words, repeats, places, found, n)
        chars = _duplicate_ngram_chars(sums, inverses, lengths, places, found, n, table)
        row[len(TOP_SIZES) + k] = chars / n_chars
