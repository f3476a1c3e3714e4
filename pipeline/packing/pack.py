"""Token lists -> Sequences.

A Sequence is a row of seq_len + 1 tokens: the first seq_len are inputs, the last seq_len their targets. A document
longer than a row first fills whole rows; what remains of it, and all shorter documents, are packed best-fit-decreasing,
so that no document is cut to make it fit and no token is dropped (Ding et al. 2024, "Fewer Truncations Improve Language
Modeling", arXiv 2404.10830, section 3). The first token of a piece is no target, so a piece that continues a document
begins with the last token of the piece before: each token but a document's first is predicted once.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Uint64s = npt.NDArray[np.uint64]


class Packed(NamedTuple):
    """Which tokens of which document lie in which row; all int64.

    Row r holds the pieces row_offsets[r] : row_offsets[r + 1], one after another from its first place on. A piece is
    tokens piece_start : piece_start + piece_length of document piece_document, at least two; one that starts behind the
    document's first token shares its own first token with the piece before.
    """

    row_offsets: Int64s
    piece_document: Int64s
    piece_start: Int64s
    piece_length: Int64s


class Sequences(NamedTuple):
    """Rows as they are written to a shard: tokens uint16 or uint32 [rows, seq_len + 1]; piece_offsets int64 [rows + 1];
    lengths int32 [pieces], starts int64 [pieces] and ids uint8 [pieces, 16] of the pieces, row after row."""

    tokens: npt.NDArray[Any]
    piece_offsets: Int64s
    lengths: npt.NDArray[np.int32]
    starts: Int64s
    ids: npt.NDArray[np.uint8]


def checked_lengths(lengths: npt.ArrayLike) -> Int64s:
    """`lengths` as int64.

    Raises:
        ValueError: for a document of less than two tokens, which has nothing to predict.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    if sizes.size and sizes.min() < 2:
        raise ValueError(
            f"document {int(sizes.argmin())} has {int(sizes.min())} tokens; with bos and eos it has at least 2"
        )
    return sizes


def pack(lengths: npt.ArrayLike, seq_len: int) -> Packed:
    """Pack documents of the given token counts (bos and eos counted) into rows of seq_len + 1 tokens.

    Every token but a document's first is exactly once the second or a later token of a piece. Time is linear in
    documents but for one sort; the result depends on `lengths` alone. Rows come out by length of their longest piece:
    see `order_rows`.

    Raises:
        ValueError: for a document of less than two tokens.
    """
    sizes = checked_lengths(lengths)
    capacity = seq_len + 1
    n_full = (sizes - 1) // seq_len  # rows that are filled with targets
    full_document = np.repeat(np.arange(sizes.size), n_full)
    first_of_document = np.repeat(np.cumsum(n_full) - n_full, n_full)
    full_start = (np.arange(full_document.size) - first_of_document) * seq_len

    n_targets = sizes - 1 - n_full * seq_len
    order = np.argsort(-n_targets, kind="stable")[: np.count_nonzero(n_targets)]
    rest = n_targets + 1
    row = full_document.size + _best_fit_decreasing(rest[order], capacity)
    by_row = np.argsort(row, kind="stable")
    document = order[by_row]
    n_pieces = np.bincount(row - full_document.size) if row.size else np.empty(0, np.int64)
    return Packed(
        np.concatenate([np.arange(full_document.size + 1), full_document.size + np.cumsum(n_pieces)]),
        np.concatenate([full_document, document]),
        np.concatenate([full_start, (n_full * seq_len)[document]]),
        np.concatenate([np.full(full_document.size, capacity), rest[document]]),
    )


def _best_fit_decreasing(sizes: Int64s, capacity: int) -> Int64s:
    """The row of each piece, for sizes in descending order: each goes where the least room that suffices is left.

    Rows are kept by the room left in them. Pieces of one size are placed together: best fit fills a row with them until
    it holds no more, then turns to the next row of that room.
    """
    rows = np.empty(sizes.size, dtype=np.int64)
    if not sizes.size:
        return rows
    rows_by_room: dict[int, list[int]] = {}
    rooms: list[int] = []
    smallest = int(sizes[-1])
    n_rows = 0

    def put(room: int, some: list[int]) -> None:
        if room >= smallest and some:
            if room not in rows_by_room:
                rows_by_room[room] = []
                insort(rooms, room)
            rows_by_room[room] += some

    ends = np.append(np.flatnonzero(np.diff(sizes)) + 1, sizes.size)
    at = 0
    for end in ends.tolist():
        size = int(sizes[at])
        while at < end:
            k = bisect_left(rooms, size)
            room = rooms[k] if k < len(rooms) else capacity
            per_row = room // size
            n_wanted = -(-(end - at) // per_row)
            if k < len(rooms):
                stock = rows_by_room[room]
                taken = stock[-n_wanted:]
                del stock[-n_wanted:]
                if not stock:
                    del rows_by_room[room], rooms[k]
            else:
                taken = list(range(n_rows, n_rows + n_wanted))
                n_rows += n_wanted
            n_placed = min(len(taken) * per_row, end - at)
            rows[at : at + n_placed] = np.repeat(taken, per_row)[:n_placed]
            at += n_placed
            put(room - per_row * size, taken[:-1])
            put(room - (n_placed - (len(taken) - 1) * per_row) * size, taken[-1:])
    return rows


def order_rows(packed: Packed, ids: npt.NDArray[np.uint8], seed: int) -> Packed:
    """The same rows, and the pieces in each, in an order decided by a hash of (seed, document id, place in document).

    Best fit leaves long documents first, among rows and in each row; a run over the first rows would see no short ones.

    Args:
        packed: from `pack`.
        ids: uint8 [documents, 16].
        seed: the recipe's seed, in [0, 2**64).
    """
    n_rows = packed.row_offsets.size - 1
    words = np.ascontiguousarray(ids, dtype=np.uint8).view("<u8").reshape(-1, 2)[packed.piece_document]
    key = _mix(_mix(_mix(words[:, 0] ^ np.uint64(seed)) ^ words[:, 1]) ^ packed.piece_start.astype(np.uint64))
    n_pieces = np.diff(packed.row_offsets)
    row_of_piece = np.repeat(np.arange(n_rows), n_pieces)
    within_row = np.lexsort((key, row_of_piece))
    # The first piece has the least key of its row: sorting by it would bring rows of many pieces to the front. A second
    # hash does not.
    row_order = np.argsort(_mix(~key[within_row[packed.row_offsets[:-1]]]), kind="stable")
    offsets = np.concatenate([[0], np.cumsum(n_pieces[row_order])])
    source = np.repeat(packed.row_offsets[:-1][row_order] - offsets[:-1], n_pieces[row_order]) + np.arange(
        within_row.size
    )
    piece = within_row[source]
    return Packed(offsets, packed.piece_document[piece], packed.piece_start[piece], packed.piece_length[piece])


def _mix(x: Uint64s) -> Uint64s:
    """SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 13)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def fill(
    packed: Packed,
    tokens: npt.NDArray[Any],
    offsets: Int64s,
    ids: npt.NDArray[np.uint8],
    *,
    seq_len: int,
    pad_id: int,
    dtype: npt.DTypeLike,
    begin: int = 0,
    end: int | None = None,
) -> Sequences:
    """The rows begin : end with their tokens.

    Args:
        packed: from `pack`, `order_rows` or `concat.pack`.
        tokens: [total] ids of all documents, bos and eos included.
        offsets: int64 [documents + 1]; document d has tokens[offsets[d] : offsets[d + 1]].
        ids: uint8 [documents, 16].
        seq_len: as given to `pack`.
        pad_id: fills the places behind the last piece of a row.
        dtype: uint16 or uint32; it must hold every id.
        begin, end: the rows wanted; all from `begin` on if `end` is None.
    """
    row_offsets = packed.row_offsets[begin : None if end is None else end + 1]
    pieces = slice(int(row_offsets[0]), int(row_offsets[-1]))
    piece_offsets = row_offsets - row_offsets[0]
    document, start, length = (x[pieces] for x in (packed.piece_document, packed.piece_start, packed.piece_length))
    before = np.cumsum(length) - length
    source = np.repeat(offsets[document] + start - before, length) + np.arange(int(length.sum()))
    values = tokens[source]
    largest = max(pad_id, int(values.max(initial=0)))
    if largest > np.iinfo(np.dtype(dtype)).max:
        raise ValueError(f"token {largest} does not fit into {np.dtype(dtype).name}")
    n_tokens = np.diff(np.concatenate([[0], np.cumsum(length)])[piece_offsets])
    matrix = np.full((piece_offsets.size - 1, seq_len + 1), pad_id, dtype=dtype)
    matrix[np.arange(seq_len + 1) < n_tokens[:, None]] = values
    return Sequences(matrix, piece_offsets, length.astype(np.int32), start, ids[document])


def blocks(
    packed: Packed,
    tokens: npt.NDArray[Any],
    offsets: Int64s,
    ids: npt.NDArray[np.uint8],
    *,
    seq_len: int,
    pad_id: int,
    dtype: npt.DTypeLike,
    begin: int = 0,
    end: int | None = None,
    block_rows: int = 256,
) -> Iterator[Sequences]:
    """`fill` in blocks of `block_rows` rows, so that memory does not grow with the shard; the last may be shorter."""
    stop = packed.row_offsets.size - 1 if end is None else min(end, packed.row_offsets.size - 1)
    for first in range(begin, stop, block_rows):
        last = min(first + block_rows, stop)
        yield fill(packed, tokens, offsets, ids, seq_len=seq_len, pad_id=pad_id, dtype=dtype, begin=first, end=last)
