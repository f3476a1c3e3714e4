"""Shingles: hashes of the word n-grams of a text, the elements that MinHash compares.

Texts are simplified as by datatrove 0.10 (`utils/text.py`, `simplify_text`, which its MinHash uses): lower case,
numbers to "0", punctuation to spaces, diacritics stripped. Lower case is that of single characters: a capital sigma at
the end of a word becomes the ordinary small one. What a word is differs, since datatrove asks a tokeniser of the
language: here it is a run of letters and digits, and each letter of a script without spaces (Han, Kana, Thai, Lao,
Myanmar, Khmer) is a word of its own.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.kernels import kernel, leaf
from pipeline.text import characters as c
from pipeline.text.buffers import views
from pipeline.text.hashes import FNV_BASIS, fmix64, fnv_byte, rolling_hashes
from pipeline.text.utf8 import decode

DECIMAL_SEPARATORS = (0x2E, 0x2C, 0x060C, 0x066B, 0x2396, 0x2397, 0x2398)
"""Within a number, between digits, once: `NUMBERS_PATTERN` in datatrove 0.10.1, utils/text.py."""
INVISIBLE = (0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)
"""Soft hyphen, zero-width spaces and joiners, byte order mark: they show nothing, so they neither count nor divide."""

# What the table of `simplified_characters` holds for a code point: `_BREAK`, `_DROPPED`, or the simplified code point
# and a flag.
_BREAK = 0
_DROPPED = -1
_ALONE = 1 << 24
_DIGIT = 1 << 25
_CODE_POINT = (1 << 24) - 1


def shingle_hashes(
    texts: pa.LargeStringArray, ngram_words: int, dtype: npt.DTypeLike = np.uint32
) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the word n-grams of each text, in order, repeated ones included.

    A text of w words has `w - ngram_words + 1` shingles; one of fewer words than `ngram_words` has a single shingle, of
    all its words; one without words has none.

    The hash of a word is 64-bit FNV-1a (Fowler, Noll, Vo; RFC 9923) over its simplified UTF-8, finished by `fmix64` of
    MurmurHash3 (Appleby, smhasher). The hash of words w1 ... wn is `fmix64(sum(hash(wi) * M**(n - i)) mod 2**64)`, a
    rolling polynomial (Karp, Rabin 1987), M being `pipeline.text.hashes.MULTIPLIER`; for 32 bits its halves are
    combined by exclusive or.

    Args:
        texts: a LargeStringArray without nulls.
        ngram_words: words in a shingle, at least 1.
        dtype: uint32 or uint64.

    Returns:
        hashes: of `dtype`, of all texts one after the other.
        offsets: int64, length n + 1; text i has `hashes[offsets[i]:offsets[i + 1]]`.

    Raises:
        TypeError, ValueError: as `pipeline.text.buffers.views`; or `ngram_words` is below 1.
    """
    if ngram_words < 1:
        raise ValueError(f"ngram_words is {ngram_words}; a shingle has at least one word")
    data, offsets = views(texts)
    # A word takes two bytes or more, the last one excepted: a letter and what ends it, or one letter of three bytes.
    hashes = np.empty(int(offsets[-1] - offsets[0] + len(texts)) // 2, dtype)
    ends = np.zeros(len(texts) + 1, np.int64)
    _shingle_hashes(data, offsets, simplified_characters(), ngram_words, hashes, ends)
    return hashes[: ends[-1]].copy(), ends


@cache
def simplified_characters(numbers_to_zero: bool = True) -> np.ndarray:
    """What each code point becomes, as int32: see `_BREAK` and its neighbours. Not `numbers_to_zero`: a digit is a
    character like any other."""
    flags, lower, base = c.character_tables()
    out = base[lower].astype(np.int32)
    out[flags & (c.IDEOGRAPH | c.KANA | c.UNSPACED) != 0] |= _ALONE
    in_word = (flags & (c.WORD | c.MARK) != 0) & (flags & c.SHINGLE_BREAK == 0)
    out[~in_word] = _BREAK
    if numbers_to_zero:
        out[flags & c.DIGIT != 0] = ord("0") | _DIGIT
    out[flags & c.NONSPACING_MARK != 0] = _DROPPED
    out[list(INVISIBLE)] = _DROPPED
    return out


@leaf
def _fnv(h: np.uint64, code_point: int) -> np.uint64:
    """FNV-1a over the UTF-8 bytes of one more character."""
    if code_point < 0x80:
        return fnv_byte(h, code_point)
    if code_point < 0x800:
        h = fnv_byte(h, 0xC0 | (code_point >> 6))
    else:
        if code_point < 0x10000:
            h = fnv_byte(h, 0xE0 | (code_point >> 12))
        else:
            h = fnv_byte(h, 0xF0 | (code_point >> 18))
            h = fnv_byte(h, 0x80 | ((code_point >> 12) & 0x3F))
        h = fnv_byte(h, 0x80 | ((code_point >> 6) & 0x3F))
    return fnv_byte(h, 0x80 | (code_point & 0x3F))


@leaf
def _skip_digits(data: np.ndarray, place: int, end: int, simplified: np.ndarray) -> int:
    """The end of the run of digits at `place`."""
    while place < end:
        code_point, after = decode(data, place, end)
        if simplified[code_point] != ord("0") | _DIGIT:
            break
        place = after
    return place


@leaf
def _number_end(data: np.ndarray, place: int, end: int, simplified: np.ndarray) -> int:
    """The end of the number at `place`: digits, and once a decimal separator with digits after it."""
    place = _skip_digits(data, place, end, simplified)
    if place < end:
        code_point, after = decode(data, place, end)
        if code_point in DECIMAL_SEPARATORS:
            fraction = _skip_digits(data, after, end, simplified)
            return fraction if fraction > after else place
    return place


@leaf
def word_hashes(data: np.ndarray, start: int, end: int, simplified: np.ndarray, out: np.ndarray) -> int:
    """Write the hash of each word of `data[start:end]` to `out`; the number of words.

    ASCII letters and separators, most bytes of most texts, take the first branch, which itself does not branch: where
    words end cannot be predicted, and a wrong guess costs more than the work. `out` has one place more than words.
    """
    n, inside, h, place = 0, 0, FNV_BASIS, start
    while place < end:
        byte = np.int64(data[place])
        kind = simplified[byte]
        if byte < 0x80 and kind < 0x80:
            letter = int(kind != _BREAK)
            out[n] = h
            n += inside & ~letter
            inside = letter
            grown = fnv_byte(h, kind)
            h = grown if letter else FNV_BASIS
            place += 1
            continue
        code_point, after = decode(data, place, end)
        kind = simplified[code_point]
        if kind > 0 and kind & _DIGIT:
            after = _number_end(data, place, end, simplified)
        place = after
        if kind == _DROPPED:
            continue
        if inside and (kind == _BREAK or kind & _ALONE):
            out[n], h, inside = h, FNV_BASIS, 0
            n += 1
        if kind != _BREAK:
            h, inside = _fnv(h, kind & _CODE_POINT), 1
            if kind & _ALONE:
                out[n], h, inside = h, FNV_BASIS, 0
                n += 1
    if inside:
        out[n] = h
        n += 1
    for i in range(n):
        out[i] = fmix64(out[i])
    return n


@leaf
def most_words(offsets: np.ndarray) -> int:
    """The places that `word_hashes` needs for any text: a word takes two bytes or more, but for the last one."""
    longest = 0
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    return longest // 2 + 2


@kernel
def _shingle_hashes(
    data: np.ndarray,
    offsets: np.ndarray,
    simplified: np.ndarray,
    ngram_words: int,
    hashes: np.ndarray,
    ends: np.ndarray,
) -> None:
    words = np.empty(most_words(offsets), np.uint64)
    rolled = np.empty_like(words)
    written = 0
    for text in range(len(offsets) - 1):
        n = word_hashes(data, offsets[text], offsets[text + 1], simplified, words)
        for i in range(rolling_hashes(words, n, min(n, ngram_words), rolled)):
            mixed = fmix64(rolled[i])
            hashes[written] = mixed if hashes.itemsize == 8 else mixed ^ (mixed >> np.uint64(32))
            written += 1
        ends[text + 1] = written
