"""Byte-pair merges of one word: of all neighbours that make a piece the best-scored merge first, the leftmost of equals.

That is the order of sentencepiece (`bpe_model.cc`, SampleEncode: SymbolPairComparator). Words of few symbols are looked
through for the best pair each time; of longer ones, the pairs wait in a heap, so that their time is n log n.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.kernels import inlined, leaf
from pipeline.text.utf8 import decode
from pipeline.tokenizer.symbols import ABSENT, BEGINS_LONGER, UNKNOWN, Symbols, find

MAX_SCANNED_SYMBOLS: Final = 40
"""A word of more symbols goes through the heap. Both ways give the same ids."""
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)


class Scratch(NamedTuple):
    """Room for a word of `len(symbols)` characters.

    Attributes:
        symbols: int32, the symbols from left to right. In the heap's way a symbol stays where it began.
        starts: int64, one longer, the byte that each begins at, and the end of the word.
        pairs: uint64, what each symbol and its right neighbour make: a value of `Symbols.merges`, or `ABSENT`.
        before, after: int32, places of the neighbours, -1 for none; in the heap's way only.
        heap: uint64, three times as long: rank in the high half, place in the low half.
    """

    symbols: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.uint64]
    before: npt.NDArray[np.int32]
    after: npt.NDArray[np.int32]
    heap: npt.NDArray[np.uint64]


def make_scratch(n_characters: int) -> Scratch:
    """Room for words of up to `n_characters`."""
    n = n_characters
    return Scratch(
        np.empty(n, np.int32), np.empty(n + 1, np.int64), np.empty(n, np.uint64),
        np.empty(n, np.int32), np.empty(n, np.int32), np.empty(3 * n, np.uint64),
    )  # fmt: skip


@leaf
def encode_word(
    data: np.ndarray, start: int, end: int, symbols: Symbols, scratch: Scratch, out: np.ndarray, place: int
) -> int:
    """Write the ids of the word `data[start:end]` (UTF-8, at most as many bytes as `scratch` has room for) to `out` from
    `place` on, at most one for each byte, and return the place behind them."""
    n = _split(data, start, end, symbols, scratch)
    scratch.starts[n] = end
    if n > MAX_SCANNED_SYMBOLS:
        return _write_linked(data, n, symbols, scratch, out, place)
    n = _merge_scanning(n, symbols, scratch)
    for i in range(n):
        place = _write(data, scratch.starts[i], scratch.starts[i + 1], scratch.symbols[i], symbols, out, place)
    return place


@inlined
def _split(data: np.ndarray, start: int, end: int, symbols: Symbols, scratch: Scratch) -> int:
    """Cut a word into characters and user-defined symbols, the longest first; returns how many there are."""
    n = 0
    while start < end:
        scratch.starts[n] = start
        code_point, start = decode(data, start, end)
        symbol = symbols.symbol_of[code_point]
        if symbol >= BEGINS_LONGER:
            symbol, start = _longest(data, start, end, code_point, symbol, symbols)
        scratch.symbols[n] = symbol
        n += 1
    return n


@leaf
def _longest(
    data: np.ndarray, start: int, end: int, code_point: int, symbol: int, symbols: Symbols
) -> tuple[int, int]:
    """The longest user-defined symbol that begins with `code_point`, which ends at `start`, or the character alone; and
    its end."""
    found, stop = symbol - BEGINS_LONGER, start
    node = find(symbols.steps, 0, code_point)
    while node != ABSENT:
        ending = symbols.node_symbols[node]
        if ending != UNKNOWN:
            found, stop = np.int64(ending), start
        if start == end:
            break
        code_point, start = decode(data, start, end)
        node = find(symbols.steps, node, code_point)
    return found, stop


@inlined
def _pair(left: int, right: int, symbols: Symbols) -> np.uint64:
    return ABSENT if left < 0 or right < 0 else find(symbols.merges, left, right)


@inlined
def _merge_scanning(n: int, symbols: Symbols, scratch: Scratch) -> int:
    """Merge the first `n` symbols of `scratch`; returns how many are left."""
    parts, starts, pairs = scratch.symbols, scratch.starts, scratch.pairs
    for i in range(n - 1):
        pairs[i] = _pair(parts[i], parts[i + 1], symbols)
    while n > 1:
        best, rank = 0, pairs[0] >> _HALF
        for i in range(1, n - 1):
            if pairs[i] >> _HALF < rank:
                best, rank = i, pairs[i] >> _HALF
        if pairs[best] == ABSENT:
            break
        parts[best] = np.int32(pairs[best] & _LOW)
        n -= 1
        for i in range(best + 1, n):
            parts[i] = parts[i + 1]
            starts[i] = starts[i + 1]
            pairs[i - 1] = pairs[i]
        starts[n] = starts[n + 1]
        if best > 0:
            pairs[best - 1] = _pair(parts[best - 1], parts[best], symbols)
        if best < n - 1:
            pairs[best] = _pair(parts[best], parts[best + 1], symbols)
    return n


@inlined
def _write(data: np.ndarray, start: int, end: int, symbol: int, symbols: Symbols, out: np.ndarray, place: int) -> int:
    """Write the ids of the symbol `data[start:end]` to `out` from `place` on; returns the place behind them."""
    if symbol == UNKNOWN:
        for i in range(start, end):
            out[place] = symbols.byte_ids[data[i]]
            place += 1
        return place
    for i in range(symbols.output_offsets[symbol], symbols.output_offsets[symbol + 1]):
        out[place] = symbols.outputs[i]
        place += 1
    return place


@leaf
def _write_linked(data: np.ndarray, n: int, symbols: Symbols, scratch: Scratch, out: np.ndarray, place: int) -> int:
    """Merge the first `n` symbols of `scratch` by a heap and write the ids of those left."""
    parts, pairs, before, after, heap = scratch.symbols, scratch.pairs, scratch.before, scratch.after, scratch.heap
    size = 0
    for i in range(n):
        before[i], after[i] = i - 1, i + 1
        pairs[i] = _pair(parts[i], parts[i + 1], symbols) if i + 1 < n else ABSENT
        size = _push(heap, size, pairs[i], i)
    while size > 0:
        rank, left = heap[0] >> _HALF, np.int64(heap[0] & _LOW)
        size = _pop(heap, size)
        if pairs[left] == ABSENT or pairs[left] >> _HALF != rank:
            continue  # one of the two has been merged since
        right = after[left]
        parts[left] = np.int32(pairs[left] & _LOW)
        pairs[right] = ABSENT
        following, previous = after[right], before[left]
        after[left] = following
        pairs[left] = ABSENT
        if following < n:
            before[following] = left
            pairs[left] = _pair(parts[left], parts[following], symbols)
            size = _push(heap, size, pairs[left], left)
        if previous >= 0:
            pairs[previous] = _pair(parts[previous], parts[left], symbols)
            size = _push(heap, size, pairs[previous], previous)
    i = 0
    while i < n:
        place = _write(data, scratch.starts[i], scratch.starts[after[i]], parts[i], symbols, out, place)
        i = after[i]
    return place


@inlined
def _push(heap: np.ndarray, size: int, pair: np.uint64, place: int) -> int:
    """Add a pair, unless it is `ABSENT`; returns the new size."""
    if pair == ABSENT:
        return size
    entry = (pair >> _HALF << _HALF) | np.uint64(place)
    at = size
    while at > 0 and heap[(at - 1) >> 1] > entry:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = entry
    return size + 1


@inlined
def _pop(heap: np.ndarray, size: int) -> int:
    """Take the least entry away; returns the new size."""
    size -= 1
    entry, place, child = heap[size], 0, 1
    while child < size:
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[place] = heap[child]
        place, child = child, 2 * child + 1
    heap[place] = entry
    return size
