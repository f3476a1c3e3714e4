"""Texts word by word: where one may be cut, a bounded table of the words encoded before, and the loop over documents.

The table decides how fast a text is encoded and never what its ids are: a word that is not in it is merged anew. It
holds words in sets of `WAYS` places; a hash names the set, the bytes themselves are compared, and where a set is full a
new word takes the place of one in turn. So memory is bounded, and so is the time of a look-up, whatever words a text
is made of. Words of up to 15 bytes and 4 ids lie in rows of 32 bytes, longer ones (48 bytes, 10 ids) in a table apart.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pipeline.kernels import inlined, leaf
from pipeline.text.utf8 import decode
from pipeline.tokenizer.merge import Scratch, encode_word
from pipeline.tokenizer.symbols import Symbols, pair_bit

WAYS: Final = 4
SHORT_BYTES: Final = 15
SHORT_IDS: Final = 4
SHORT_ROW: Final = 4
"""Words of 64 bits in a row for a short word: bytes 0-7; bytes 8-14, then the number of bytes and of ids, four bits
each; two ids; two ids. A row of zeros is empty, since a word has a byte at least."""
LONG_BYTES: Final = 48
LONG_IDS: Final = 10
LONG_ROW: Final = 12
"""The same for a long word: six of its bytes; the number of bytes, then of ids in the high half; five of ids."""

_intrinsic: Any = intrinsic
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_HALF: Final = np.uint64(32)
_ID: Final = np.uint64(0xFFFFFFFF)


class Table(NamedTuple):
    """The words encoded before.

    Attributes:
        short, long: uint64 [sets * WAYS * SHORT_ROW or LONG_ROW], sets being powers of two.
        multiplier: uint64 [1], odd, of the hash. Another one changes which words meet in a set, and no id.
        turn: uint64 [1], counts words that took the place of another.
    """

    short: npt.NDArray[np.uint64]
    long: npt.NDArray[np.uint64]
    multiplier: npt.NDArray[np.uint64]
    turn: npt.NDArray[np.uint64]


@_intrinsic
def _load(typingctx: Any, data: Any, place: Any) -> Any:
    """Eight bytes of a uint8 array from `place` on as one number, the first byte lowest; nothing is checked."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.int64), codegen


@inlined
def _bytes_8(data: np.ndarray, start: int, end: int) -> np.uint64:
    """The bytes `data[start:end]`, at most eight of them, as one number, the first byte lowest; zeros behind them."""
    if start >= end:
        return np.uint64(0)
    if start + 8 <= len(data):
        missing = max(0, start + 8 - end)
        return np.uint64(_load(data, start) & (_ALL >> np.uint64(8 * missing)))
    number = np.uint64(0)
    for i in range(min(start + 8, end) - 1, start - 1, -1):
        number = (number << np.uint64(8)) | np.uint64(data[i])
    return number


@inlined
def word_end(data: np.ndarray, start: int, end: int, symbols: Symbols) -> int:
    """The first place behind `start` where `data[start:end]` may be cut: before a character that no piece has behind the
    one before it."""
    place, before = start + 1, np.int64(data[start])
    if before < 128:
        while place < end and data[place] < 128:
            this = np.int64(data[place])
            if not symbols.joined_ascii[(before << 7) | this]:
                return place
            place, before = place + 1, this
    else:
        before, place = decode(data, start, end)
    mask = np.uint64(64 * len(symbols.joined) - 1)
    while place < end:
        this, after = decode(data, place, end)
        bit = pair_bit(np.uint64(before), np.uint64(this)) & mask
        if not (symbols.joined[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
            break
        place, before = after, this
    return place


@inlined
def _mix(h: np.uint64, number: np.uint64, multiplier: np.uint64) -> np.uint64:
    h = (h ^ number) * multiplier
    return np.uint64(h ^ (h >> _HALF))


@leaf
def encode_documents(
    data: np.ndarray,
    offsets: np.ndarray,
    first: int,
    last: int,
    symbols: Symbols,
    table: Table,
    scratch: Scratch,
    around: np.ndarray,
    out: np.ndarray,
    ends: np.ndarray,
) -> int:
    """Encode documents until one has a word that `scratch` has no room for.

    Args:
        data, offsets: as of `pipeline.text.buffers.views`.
        first, last: the documents to encode, `first <= i < last`.
        around: uint32 [2], the ids before and behind each document; or [0].
        out: uint32, with room for a number of ids as there are bytes in the documents, `len(around)` more for each
            document, and `SHORT_IDS` more.
        ends: int64 [last - first], filled with the place in `out` behind each document.

    Returns:
        The documents encoded, from the first on. If they are not all, the next one has a word of more bytes than
        `scratch` has room for.
    """
    place = 0
    for document in range(first, last):
        begun, start, end = place, offsets[document], offsets[document + 1]
        if len(around):
            out[place] = around[0]
            place += 1
        while start < end:
            stop = word_end(data, start, end, symbols)
            if stop - start <= SHORT_BYTES:
                place = _encode_short(data, start, stop, symbols, table, scratch, out, place)
            elif stop - start <= LONG_BYTES:
                place = _encode_long(data, start, stop, symbols, table, scratch, out, place)
            elif stop - start <= len(scratch.symbols):
                place = encode_word(data, start, stop, symbols, scratch, out, place)
            else:
                return document - first
            start = stop
        if len(around):
            out[place] = around[1]
            place += 1
        ends[document - first] = place
    return last - first


@inlined
def _encode_short(
    data: np.ndarray, start: int, stop: int, symbols: Symbols, table: Table, scratch: Scratch, out: np.ndarray, place: int
) -> int:
    rows, length = table.short, np.uint64(stop - start)
    low, high = _bytes_8(data, start, stop), _bytes_8(data, start + 8, stop) | (length << np.uint64(56))
    h = _mix(_mix(low, high, table.multiplier[0]), np.uint64(0), table.multiplier[0])
    base = np.int64(h & np.uint64(len(rows) // (WAYS * SHORT_ROW) - 1)) * (WAYS * SHORT_ROW)
    row = base
    for _ in range(WAYS):
        found = rows[row + 1]
        if rows[row] == low and found & (_ALL >> np.uint64(4)) == high:
            out[place] = rows[row + 2] & _ID
            out[place + 1] = rows[row + 2] >> _HALF
            out[place + 2] = rows[row + 3] & _ID
            out[place + 3] = rows[row + 3] >> _HALF
            return np.int64(place + np.int64(found >> np.uint64(60)))
        if not found:
            break
        row += SHORT_ROW
    after = encode_word(data, start, stop, symbols, scratch, out, place)
    n = after - place
    if n <= SHORT_IDS:
        if row == base + WAYS * SHORT_ROW:
            row = base + np.int64(table.turn[0] % np.uint64(WAYS)) * SHORT_ROW
            table.turn[0] += np.uint64(1)
        rows[row] = low
        rows[row + 1] = high | (np.uint64(n) << np.uint64(60))
        rows[row + 2] = np.uint64(0)
        rows[row + 3] = np.uint64(0)
        for i in range(n):
            rows[row + 2 + (i >> 1)] |= np.uint64(out[place + i]) << np.uint64(32 * (i & 1))
    return after


@inlined
def _encode_long(
    data: np.ndarray, start: int, stop: int, symbols: Symbols, table: Table, scratch: Scratch, out: np.ndarray, place: int
) -> int:
    rows, length = table.long, np.uint64(stop - start)
    n_numbers = (stop - start + 7) >> 3
    h = length
    for i in range(n_numbers):
        h = _mix(h, _bytes_8(data, start + 8 * i, stop), table.multiplier[0])
    base = np.int64(h & np.uint64(len(rows) // (WAYS * LONG_ROW) - 1)) * (WAYS * LONG_ROW)
    row = base
    for _ in range(WAYS):
        found = rows[row + 6]
        if found & _ID == length:
            i = 0
            while i < n_numbers and rows[row + i] == _bytes_8(data, start + 8 * i, stop):
                i += 1
            if i == n_numbers:
                n = np.int64(found >> _HALF)
                for k in range(n):
                    out[place + k] = (rows[row + 7 + (k >> 1)] >> np.uint64(32 * (k & 1))) & _ID
                return place + n
        if not found:
            break
        row += LONG_ROW
    after = encode_word(data, start, stop, symbols, scratch, out, place)
    n = after - place
    if n <= LONG_IDS:
        if row == base + WAYS * LONG_ROW:
            row = base + np.int64(table.turn[0] % np.uint64(WAYS)) * LONG_ROW
            table.turn[0] += np.uint64(1)
        for i in range(n_numbers):
            rows[row + i] = _bytes_8(data, start + 8 * i, stop)
        rows[row + 6] = length | (np.uint64(n) << _HALF)
        for i in range(7, LONG_ROW):
            rows[row + i] = np.uint64(0)
        for i in range(n):
            rows[row + 7 + (i >> 1)] |= np.uint64(out[place + i]) << np.uint64(32 * (i & 1))
    return after
