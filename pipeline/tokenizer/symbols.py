"""The pieces of a model as arrays: characters to symbols, pairs of symbols to merges, and where a text may be cut."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.kernels import inlined, leaf
from pipeline.text.hashes import MULTIPLIER
from pipeline.tokenizer.pieces import BYTE, IN_TEXT, NUMBER_BITS, UNUSED, USER_DEFINED, Piece, splits

N_CODE_POINTS: Final = 0x110000
UNKNOWN: Final = -1
"""The symbol of a character in no piece: it merges with nothing and is written as bytes."""
BEGINS_LONGER: Final = 1 << 30
"""Bit of `symbol_of` of a character that a user-defined symbol of several characters begins with."""
ABSENT: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
"""What `find` gives for a pair that is not in the table."""
_BITS: Final = np.uint64(NUMBER_BITS)
_NUMBER: Final = np.uint64((1 << NUMBER_BITS) - 1)
BITS_PER_PAIR: Final = 16
"""Bits in `Symbols.joined` for each pair of characters, at least: up to 6 % of other pairs are taken for joined."""


Integer: TypeAlias = Any
"""An integer in a kernel, where those of Python and of NumPy are one."""


class Symbols(NamedTuple):
    """A model's pieces for the kernels. Symbols are numbered as the pieces; characters that stand in pieces without
    being one come behind them.

    Attributes:
        symbol_of: int32 [N_CODE_POINTS], the symbol of each character, or `UNKNOWN`, else perhaps with `BEGINS_LONGER`.
        merges: uint64 [slots], a table for `find`: two symbols -> the symbol of the piece that they make.
        ranks: uint32 [symbols], the place of a piece's score among the distinct scores, the best being 0.
        steps: the same for user-defined symbols of several characters: node of a trie and code point -> node. The root
            is 0.
        node_symbols: int32 [nodes], the user-defined symbol that ends at a node, or `UNKNOWN`.
        outputs, output_offsets: int32; symbol s is written as `outputs[output_offsets[s]:output_offsets[s + 1]]`.
        byte_ids: int32 [256], the ids of the pieces of bytes.
        joined_ascii: uint8 [128 * 128], 1 where a piece holds ASCII character i // 128 before i % 128.
        joined: uint64 [words, a power of two], a Bloom filter of one hash function over all such pairs of characters. A
            pair wrongly taken for joined leaves two words in one, which costs time only.
    """

    symbol_of: npt.NDArray[np.int32]
    merges: npt.NDArray[np.uint64]
    ranks: npt.NDArray[np.uint32]
    steps: npt.NDArray[np.uint64]
    node_symbols: npt.NDArray[np.int32]
    outputs: npt.NDArray[np.int32]
    output_offsets: npt.NDArray[np.int32]
    byte_ids: npt.NDArray[np.int32]
    joined_ascii: npt.NDArray[np.uint8]
    joined: npt.NDArray[np.uint64]


def make_symbols(pieces: Sequence[Piece]) -> Symbols:
    """The arrays of a model's pieces, which have no objection (`pieces.Pieces`)."""
    known = {piece.text: piece for piece in pieces if piece.type in IN_TEXT}
    numbers = {piece.text: i for i, piece in enumerate(pieces) if piece.type in IN_TEXT}
    others = sorted({character for text in known for character in text} - known.keys())
    numbers |= {character: i for i, character in enumerate(others, start=len(pieces))}
    symbol_of = np.full(N_CODE_POINTS, UNKNOWN, np.int32)
    for text, number in numbers.items():
        if len(text) == 1:
            symbol_of[ord(text)] = number
    steps, node_symbols = _trie({t: numbers[t] for t, p in known.items() if p.type == USER_DEFINED and len(t) > 1})
    for _, character in (edge for edge in steps if edge[0] == 0):
        symbol_of[character] |= BEGINS_LONGER
    byte_ids = np.zeros(256, np.int32)
    for i, piece in enumerate(pieces):
        if piece.type == BYTE:
            byte_ids[int(piece.text[1:-1], 16)] = i
    n_symbols = len(pieces) + len(others)
    outputs = _outputs(known, numbers, byte_ids, n_symbols)
    pairs = {(ord(a), ord(b)) for text in known for a, b in pairwise(text)}
    return Symbols(
        symbol_of,
        _table(_merges(known, numbers)),
        _ranks(pieces, n_symbols),
        _table(steps),
        node_symbols,
        np.array([i for ids in outputs for i in ids], np.int32),
        np.cumsum([0, *map(len, outputs)], dtype=np.int32),
        byte_ids,
        *_joined(np.array(sorted(pairs), np.uint64).reshape(-1, 2)),
    )


def _merges(known: dict[str, Piece], numbers: dict[str, int]) -> dict[tuple[int, int], int]:
    return {(numbers[text[:at]], numbers[text[at:]]): numbers[text] for text in known for at in splits(text, known)}


def _ranks(pieces: Sequence[Piece], n_symbols: int) -> npt.NDArray[np.uint32]:
    scores = np.array([piece.score for piece in pieces], np.float32)
    ranks = np.zeros(n_symbols, np.uint32)
    ranks[: len(pieces)] = np.unique(-scores, return_inverse=True)[1]
    return ranks


def _trie(symbols: dict[str, int]) -> tuple[dict[tuple[int, int], int], npt.NDArray[np.int32]]:
    steps: dict[tuple[int, int], int] = {}
    ends = {}
    for text, number in symbols.items():
        node = 0
        for character in text:
            node = steps.setdefault((node, ord(character)), len(steps) + 1)
        ends[node] = number
    return steps, np.array([ends.get(node, UNKNOWN) for node in range(len(steps) + 1)], np.int32)


def _outputs(
    known: dict[str, Piece], numbers: dict[str, int], byte_ids: npt.NDArray[np.int32], n_symbols: int
) -> list[list[int]]:
    """The ids that each symbol is written as. An unused piece comes apart to what it was merged from (`bpe_model.cc`,
    SampleEncode, resegment)."""
    outputs = [[i] for i in range(n_symbols)]
    for text in sorted(numbers, key=len):
        if text not in known or (len(text) == 1 and known[text].type == UNUSED):
            outputs[numbers[text]] = byte_ids[list(text.encode())].tolist()
        elif known[text].type == UNUSED:
            for at in splits(text, known):
                outputs[numbers[text]] = outputs[numbers[text[:at]]] + outputs[numbers[text[at:]]]
    return outputs


def _table(entries: dict[tuple[int, int], int]) -> npt.NDArray[np.uint64]:
    """A table for `find`: in each slot, the three numbers with `NUMBER_BITS` each, or `ABSENT`. Half of it is empty."""
    table = np.full(2 << len(entries).bit_length(), ABSENT, np.uint64)
    flat: Iterable[int] = (number for (a, b), value in entries.items() for number in (a, b, value))
    _fill(table, np.fromiter(flat, np.uint64).reshape(-1, 3))
    return table


def _joined(pairs: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
    ascii_pairs = np.zeros(128 * 128, np.uint8)
    both = pairs[(pairs < 128).all(axis=1)]
    ascii_pairs[both[:, 0] * 128 + both[:, 1]] = 1
    bits = np.zeros(max(1, (BITS_PER_PAIR << len(pairs).bit_length()) // 64), np.uint64)
    _mark(bits, pairs)
    return ascii_pairs, bits


@inlined
def find(table: np.ndarray, a: Integer, b: Integer) -> np.uint64:
    """The value of the pair (a, b) in one of the tables of `Symbols`, or `ABSENT`. Neither is negative."""
    key = (np.uint64(a) << _BITS) | np.uint64(b)
    mask = np.uint64(len(table) - 1)
    slot = ((key * MULTIPLIER) >> np.uint64(32)) & mask
    while table[slot] >> _BITS != key:
        if table[slot] == ABSENT:
            return ABSENT
        slot = (slot + np.uint64(1)) & mask
    return np.uint64(table[slot] & _NUMBER)


@leaf
def _fill(table: np.ndarray, entries: np.ndarray) -> None:
    mask = np.uint64(len(table) - 1)
    for i in range(len(entries)):
        key = (entries[i, 0] << _BITS) | entries[i, 1]
        slot = ((key * MULTIPLIER) >> np.uint64(32)) & mask
        while table[slot] != ABSENT:
            slot = (slot + np.uint64(1)) & mask
        table[slot] = (key << _BITS) | entries[i, 2]


@inlined
def pair_bit(before: np.uint64, this: np.uint64) -> np.uint64:
    """The hash of two characters that stand next to each other, 32 bits, for `Symbols.joined`."""
    return np.uint64((((before << np.uint64(21)) ^ this) * MULTIPLIER) >> np.uint64(32))


@leaf
def _mark(bits: np.ndarray, pairs: np.ndarray) -> None:
    mask = np.uint64(64 * len(bits) - 1)
    for i in range(len(pairs)):
        bit = pair_bit(pairs[i, 0], pairs[i, 1]) & mask
        bits[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
