"""Texts word by word: where one may be cut, a bounded table of the words encoded before, and the loop over documents.

The table decides how fast a text is encoded and never what its ids are: a word that is not in it is merged anew. It
holds words in sets of `WAYS` places; a hash names the set, the bytes themselves are compared, and where a set is full a
new word takes the place of one in turn. So memory is bounded, and so is the time of a look-up, whatever words a text
is made of. Words of up to 15 bytes and 4 ids lie in rows of 32 bytes, longer ones (48 bytes, 10 ids) in a table apart.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from pipeline.kernels import inlined, leaf
from pipeline.text.utf8 import decode
from pipeline.tokenizer.merge import Scratch, encode_word
from pipeline.tokenizer.symbols import Integer, Symbols, pair_bit

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

_intrinsic: Callable[[Any], Any] = intrinsic
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_WITHOUT_IDS: Final = np.uint64(0x0FFFFFFFFFFFFFFF)
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


def make_table(short_words: int, long_words: int, multiplier: np.uint64) -> Table:
    """An empty table for so many words of each kind, powers of two from `WAYS` on."""
    return Table(
        np.zeros(short_words * SHORT_ROW, np.uint64),
        np.zeros(long_words * LONG_ROW, np.uint64),
        np.array([multiplier]),
        np.zeros(1, np.uint64),
    )


@_intrinsic
def _load(typingctx: Any, data: Any, place: Any) -> Any:
    """Eight bytes of a uint8 array from `place` on as one number, the first byte lowest; nothing is checked."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(array.data, [args[1]]), context.get_value_type(types.uint64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.int64), codegen


@inlined
def _bytes_8(data: np.ndarray, start: Integer, end: Integer) -> np.uint64:
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
def word_end(data: np.ndarray, start: Integer, end: Integer, symbols: Symbols) -> Integer:
    """The first place behind `start` where `data[start:end]` may be cut: between two characters that stand next to each
    other in no piece; or `end`."""
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


@inlined
def _short_key(data: np.ndarray, start: Integer, stop: Integer) -> tuple[np.uint64, np.uint64]:
    """The first two numbers of a short word's row, but for the number of ids."""
    length = np.uint64(stop - start)
    return _bytes_8(data, start, stop), _bytes_8(data, start + 8, stop) | (length << np.uint64(56))


@inlined
def _short_row(rows: np.ndarray, low: np.uint64, high: np.uint64, multiplier: np.uint64) -> tuple[Integer, bool]:
    """Where in `rows` the row of a short word begins, and True; or where it may be written to, and False: an empty row,
    or the first of a full set."""
    h = _mix(_mix(np.uint64(0), low, multiplier), high, multiplier)
    base = np.int64(h & np.uint64(len(rows) // (WAYS * SHORT_ROW) - 1)) * (WAYS * SHORT_ROW)
    for row in range(base, base + WAYS * SHORT_ROW, SHORT_ROW):
        found = rows[row + 1]
        if rows[row] == low and found & _WITHOUT_IDS == high:
            return row, True
        if not found:
            return row, False
    return base, False


@inlined
def _read_short(rows: np.ndarray, row: Integer, out: np.ndarray, place: Integer) -> Integer:
    """Write the ids of a row, and perhaps some more, to `out`; returns the place behind them."""
    out[place] = rows[row + 2] & _ID
    out[place + 1] = rows[row + 2] >> _HALF
    out[place + 2] = rows[row + 3] & _ID
    out[place + 3] = rows[row + 3] >> _HALF
    return place + np.int64(rows[row + 1] >> np.uint64(60))


@inlined
def _keep_short(
    table: Table, row: Integer, low: np.uint64, high: np.uint64, out: np.ndarray, place: Integer, n: Integer
) -> None:
    rows = table.short
    if rows[row + 1]:
        row += _victim(table) * SHORT_ROW
    rows[row], rows[row + 1] = low, high | (np.uint64(n) << np.uint64(60))
    _keep_ids(rows, row + 2, out, place, n)


@inlined
def _victim(table: Table) -> Integer:
    """Which word of a full set is to go."""
    table.turn[0] += np.uint64(1)
    return np.int64(table.turn[0] % np.uint64(WAYS))


@inlined
def _keep_ids(rows: np.ndarray, row: Integer, out: np.ndarray, place: Integer, n: Integer) -> None:
    """Two ids in a number, the first of them in its low half."""
    for i in range(n):
        if i & 1:
            rows[row + (i >> 1)] |= np.uint64(out[place + i]) << _HALF
        else:
            rows[row + (i >> 1)] = np.uint64(out[place + i])


@inlined
def _long_row(data: np.ndarray, start: Integer, stop: Integer, table: Table) -> tuple[Integer, bool]:
    """As `_short_row`, of a long word."""
    rows, length = table.long, np.uint64(stop - start)
    n_numbers = (stop - start + 7) >> 3
    h = length
    for i in range(n_numbers):
        h = _mix(h, _bytes_8(data, start + 8 * i, stop), table.multiplier[0])
    base = np.int64(h & np.uint64(len(rows) // (WAYS * LONG_ROW) - 1)) * (WAYS * LONG_ROW)
    for row in range(base, base + WAYS * LONG_ROW, LONG_ROW):
        if not rows[row + 6]:
            return row, False
        if rows[row + 6] & _ID == length:
            i = 0
            while i < n_numbers and rows[row + i] == _bytes_8(data, start + 8 * i, stop):
                i += 1
            if i == n_numbers:
                return row, True
    return base, False


@inlined
def _read_long(rows: np.ndarray, row: Integer, out: np.ndarray, place: Integer) -> Integer:
    n = np.int64(rows[row + 6] >> _HALF)
    for i in range(n):
        out[place + i] = (rows[row + 7 + (i >> 1)] >> np.uint64(32 * (i & 1))) & _ID
    return place + n


@inlined
def _keep_long(
    data: np.ndarray,
    start: Integer,
    stop: Integer,
    table: Table,
    row: Integer,
    out: np.ndarray,
    place: Integer,
    n: Integer,
) -> None:
    rows = table.long
    if rows[row + 6]:
        row += _victim(table) * LONG_ROW
    for i in range((stop - start + 7) >> 3):
        rows[row + i] = _bytes_8(data, start + 8 * i, stop)
    rows[row + 6] = np.uint64(stop - start) | (np.uint64(n) << _HALF)
    _keep_ids(rows, row + 7, out, place, n)


@leaf
def encode_texts(
    data: np.ndarray,
    offsets: np.ndarray,
    first: Integer,
    last: Integer,
    symbols: Symbols,
    table: Table,
    scratch: Scratch,
    around: np.ndarray,
    out: np.ndarray,
    ends: np.ndarray,
) -> Integer:
    """Encode documents, until one has a word that `scratch` has no room for.

    Args:
        data, offsets: as of `pipeline.text.buffers.views`.
        first, last: the documents to encode, `first <= i < last`.
        around: uint32 [2], the ids before and behind each document; or [0].
        out: uint32, with room for a number of ids as there are bytes in the documents, `len(around)` more for each
            document, and `SHORT_IDS` more.
        ends: int64 [last - first or more], filled with the place in `out` behind each document.

    Returns:
        The documents encoded, from the first on. If they are not all, the next one has a word of more bytes than
        `scratch` has room for.
    """
    place = 0
    for document in range(first, last):
        start, end = offsets[document], offsets[document + 1]
        if len(around):
            out[place] = around[0]
            place += 1
        while start < end:
            stop = word_end(data, start, end, symbols)
            is_short, is_long = stop - start <= SHORT_BYTES, stop - start <= LONG_BYTES
            row, found, low, high = 0, False, np.uint64(0), np.uint64(0)
            if is_short:
                low, high = _short_key(data, start, stop)
                row, found = _short_row(table.short, low, high, table.multiplier[0])
                if found:
                    place = _read_short(table.short, row, out, place)
            elif is_long:
                row, found = _long_row(data, start, stop, table)
                if found:
                    place = _read_long(table.long, row, out, place)
            if not found:
                if stop - start > len(scratch.symbols):
                    return document - first
                after = encode_word(data, start, stop, symbols, scratch, out, place)
                if is_short and after - place <= SHORT_IDS:
                    _keep_short(table, row, low, high, out, place, after - place)
                elif is_long and not is_short and after - place <= LONG_IDS:
                    _keep_long(data, start, stop, table, row, out, place, after - place)
                place = after
            start = stop
        if len(around):
            out[place] = around[1]
            place += 1
        ends[document - first] = place
    return last - first
