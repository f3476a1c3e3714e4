"""Byte-pair merges of one word: of all neighbours that make a piece, those of the best score first, then the leftmost.

That is the order of sentencepiece (`bpe_model.cc`, SampleEncode: SymbolPairComparator). Words of few symbols are looked
through for the best pair each time; of longer ones, the pairs wait in a heap, so that their time is n log n.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.kernels import inlined, leaf
from pipeline.text.utf8 import decode
from pipeline.tokenizer.symbols import ABSENT, BEGINS_LONGER, UNKNOWN, Integer, Symbols, find

MAX_SCANNED_SYMBOLS: Final = 40
"""A word of more symbols goes through the heap. Both ways give the same ids."""
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)


class Scratch(NamedTuple):
    """Room for a word of `len(symbols)` characters.

    Attributes:
        symbols: int32, the symbols from left to right. In the heap's way a symbol stays where it began.
        starts: int64, one longer, the byte that each begins at, and the end of the word.
        pairs: uint64, what each symbol and its right neighbour make, as `_pair` gives it.
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


@inlined
def encode_word(
    data: np.ndarray, start: Integer, end: Integer, symbols: Symbols, scratch: Scratch, out: np.ndarray, place: Integer
) -> Integer:
    """Write the ids of the word `data[start:end]` (UTF-8, no more bytes than `scratch` has room for) to `out`
    from `place` on, at most one for each byte; returns the place behind them."""
    n = _split(data, start, end, symbols, scratch)
    scratch.starts[n] = end
    if n > MAX_SCANNED_SYMBOLS:
        _merge_by_heap(n, symbols, scratch)
    else:
        _merge_scanning(n, symbols, scratch)
    i = 0
    while i < n:
        after = scratch.after[i]
        place = _write(data, scratch.starts[i], scratch.starts[after], scratch.symbols[i], symbols, out, place)
        i = after
    return place


@inlined
def _split(data: np.ndarray, start: Integer, end: Integer, symbols: Symbols, scratch: Scratch) -> Integer:
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
    data: np.ndarray, start: Integer, end: Integer, code_point: Integer, symbol: Integer, symbols: Symbols
) -> tuple[Integer, Integer]:
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
def _pair(left: Integer, right: Integer, symbols: Symbols) -> np.uint64:
    """Rank and symbol of what two neighbours make, in the high and the low half, or `ABSENT`."""
    if left < 0 or right < 0:
        return ABSENT
    made = find(symbols.merges, left, right)
    return np.uint64(made if made == ABSENT else (np.uint64(symbols.ranks[made]) << _HALF) | made)


@inlined
def _merge_scanning(n: Integer, symbols: Symbols, scratch: Scratch) -> None:
    """Merge the first `n` symbols of `scratch`, looking for the best pair among all each time."""
    parts, pairs, before, after = scratch.symbols, scratch.pairs, scratch.before, scratch.after
    for i in range(n - 1):
        pairs[i] = _pair(parts[i], parts[i + 1], symbols)
        before[i], after[i] = i - 1, i + 1
    before[n - 1], after[n - 1], pairs[n - 1] = n - 2, n, ABSENT
    while True:
        best = ABSENT
        for i in range(n):
            entry = (pairs[i] >> _HALF << _HALF) | np.uint64(i)
            best = entry if entry < best else best
        left = np.int64(best & _LOW)
        if pairs[left] == ABSENT:
            break
        _join(left, n, symbols, scratch)


@inlined
def _join(left: Integer, n: Integer, symbols: Symbols, scratch: Scratch) -> tuple[Integer, Integer]:
    """Merge symbol `left` with its right neighbour. Returns the places of the two pairs that are new, -1 for none."""
    parts, pairs, before, after = scratch.symbols, scratch.pairs, scratch.before, scratch.after
    right, previous = after[left], before[left]
    following = after[right]
    parts[left] = np.int32(pairs[left] & _LOW)
    after[left] = following
    pairs[left], pairs[right] = ABSENT, ABSENT
    if following < n:
        before[following] = left
        pairs[left] = _pair(parts[left], parts[following], symbols)
    if previous >= 0:
        pairs[previous] = _pair(parts[previous], parts[left], symbols)
    return previous, left


@inlined
def _write(
    data: np.ndarray, start: Integer, end: Integer, symbol: Integer, symbols: Symbols, out: np.ndarray, place: Integer
) -> Integer:
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
def _merge_by_heap(n: Integer, symbols: Symbols, scratch: Scratch) -> None:
    """Merge the first `n` symbols of `scratch`, the pairs waiting in a heap."""
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
        previous, left = _join(left, n, symbols, scratch)
        size = _push(heap, size, pairs[left], left)
        if previous >= 0:
            size = _push(heap, size, pairs[previous], previous)


@inlined
def _push(heap: np.ndarray, size: Integer, pair: Integer, place: Integer) -> Integer:
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
def _pop(heap: np.ndarray, size: Integer) -> Integer:
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
