"""The shard format: write, memory-map, verify. docs/shard-format.md describes the bytes.

A shard is an Arrow IPC file of Sequences of one Cell and split, read in place: arrays are views of the mapped file.
Needs numpy and pyarrow only, since the trainer reads shards.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.document import ID_BYTES
from pipeline.manifest import canonical_json

FORMAT = "gristmill-shard/2"
METADATA_KEY = b"gristmill"
BATCH_ROWS = 256
"""Rows in a record batch; only the last batch of a file may hold fewer. So row r lies in batch r // 256."""

MAGIC = b"ARROW1"
"""First and last bytes of an Arrow IPC file (Arrow columnar format, "IPC File Format")."""

Rows = tuple[
    npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.uint8]
]
"""tokens uint16 or uint32 [rows, seq_len + 1]; piece_offsets int64 [rows + 1]; lengths int32 [pieces]; starts int64
[pieces]; ids uint8 [pieces, 16]: row r has the pieces piece_offsets[r] : piece_offsets[r + 1]."""


class ShardError(Exception):
    """A file that is no shard, or a damaged one."""


@dataclass(frozen=True, slots=True)
class ShardMeta:
    """What a shard says of itself. Places behind the last piece of a row hold `pad_id`; `tokenizer` is the fingerprint
    of the vocabulary (`pipeline.tokenizer.vocab.Vocab.fingerprint`)."""

    cell: str
    split: str
    seq_len: int
    pad_id: int
    tokenizer: str


class Batch(NamedTuple):
    """Views of one record batch, laid out as `Rows`; each column of lists has offsets of its own."""

    tokens: npt.NDArray[Any]
    offsets: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    start_offsets: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    id_offsets: npt.NDArray[np.int32]
    ids: npt.NDArray[np.uint8]


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """uint16 where every id below `vocab_size` fits, else uint32."""
    return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)


def shard_schema(meta: ShardMeta, dtype: npt.DTypeLike) -> pa.Schema:
    """The Arrow schema of a shard, metadata included. `dtype` is uint16 or uint32."""
    token = pa.field("item", pa.from_numpy_dtype(np.dtype(dtype)), nullable=False)
    length = pa.field("item", pa.int32(), nullable=False)
    start = pa.field("item", pa.int64(), nullable=False)
    document_id = pa.field("item", pa.binary(ID_BYTES), nullable=False)
    return pa.schema(
        [
            pa.field("tokens", pa.list_(token, meta.seq_len + 1), nullable=False),
            pa.field("lengths", pa.list_(length), nullable=False),
            pa.field("starts", pa.list_(start), nullable=False),
            pa.field("ids", pa.list_(document_id), nullable=False),
        ],
        metadata={METADATA_KEY: canonical_json({"format": FORMAT, **asdict(meta)})},
    )


def write_shard(sink: str | os.PathLike[str] | BinaryIO, blocks: Iterable[Rows], meta: ShardMeta) -> int:
    """Write one shard; equal rows and `meta` give equal bytes.

    Args:
        sink: a local path, or a binary file open for writing (left open).
        blocks: at least one row, in blocks of 256 (the last may be smaller), as `packing.pack.blocks` gives them.
        meta: what the shard says of itself.

    Returns:
        The number of rows written.

    Raises:
        ValueError: for no rows, blocks of other sizes, or arrays that do not fit each other.
    """
    if isinstance(sink, (str, os.PathLike)):
        with Path(sink).open("wb") as file:
            return write_shard(file, blocks, meta)
    writer, schema, n_rows = None, None, 0
    for block in blocks:
        if n_rows % BATCH_ROWS:
            raise ValueError(f"a block follows one of {n_rows % BATCH_ROWS} rows; all but the last hold {BATCH_ROWS}")
        if writer is None:
            schema = shard_schema(meta, block[0].dtype)
            writer = pa.ipc.new_file(sink, schema)
        writer.write_batch(_record_batch(block, meta, schema))
        n_rows += len(block[0])
    if writer is None:
        raise ValueError("no rows: a shard holds at least one")
    writer.close()
    return n_rows


def _record_batch(block: Rows, meta: ShardMeta, schema: pa.Schema) -> pa.RecordBatch:
    tokens, piece_offsets, lengths, starts, ids = block
    n_rows, n_pieces = len(tokens), len(lengths)
    if not 1 <= n_rows <= BATCH_ROWS:
        raise ValueError(f"a block of {n_rows} rows; it must have 1 to {BATCH_ROWS}")
    if tokens.dtype not in (np.uint16, np.uint32) or tokens.shape[1:] != (meta.seq_len + 1,):
        raise ValueError(
            f"tokens are {tokens.dtype} {list(tokens.shape)}, expected uint16 or uint32 [rows, {meta.seq_len + 1}]"
        )
    if piece_offsets.shape != (n_rows + 1,) or piece_offsets[0] != 0 or piece_offsets[-1] != n_pieces:
        raise ValueError(f"piece_offsets do not describe {n_rows} rows with {n_pieces} pieces")
    if starts.shape != (n_pieces,) or starts.dtype != np.int64:
        raise ValueError(f"starts are {starts.dtype} {list(starts.shape)}, expected int64 [{n_pieces}]")
    if ids.shape != (n_pieces, ID_BYTES) or ids.dtype != np.uint8:
        raise ValueError(f"ids are {ids.dtype} {list(ids.shape)}, expected uint8 [{n_pieces}, {ID_BYTES}]")
    offsets = pa.array(piece_offsets.astype(np.int32))
    values = pa.array(np.ascontiguousarray(tokens).reshape(-1))
    id_values = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(ID_BYTES), n_pieces, [None, pa.py_buffer(np.ascontiguousarray(ids))]
    )
    return pa.RecordBatch.from_arrays(
        [
            pa.FixedSizeListArray.from_arrays(values, type=schema.field("tokens").type),
            pa.ListArray.from_arrays(offsets, pa.array(lengths.astype(np.int32)), type=schema.field("lengths").type),
            pa.ListArray.from_arrays(offsets, pa.array(starts), type=schema.field("starts").type),
            pa.ListArray.from_arrays(offsets, id_values, type=schema.field("ids").type),
        ],
        schema=schema,
    )


def open_shard(path: str | os.PathLike[str]) -> "Shard":
    """Memory-map a shard. Reads its ends only; `Shard.verify` reads everything.

    Raises:
        ShardError: if the file is missing, truncated, no Arrow IPC file, or no shard of a format this program reads.
    """
    return Shard(path)


class Shard:
    """A memory-mapped shard of Sequences.

    Attributes:
        path: where the file lies.
        meta: what it says of itself.
        dtype: of the tokens, uint16 or uint32.

    Arrays that come as views of the file are read-only. A Shard can be pickled: the copy opens the file again.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        _check_ends(self.path)
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
            schema = self._reader.schema
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ShardError(f"{self.path}: not a readable Arrow IPC file ({error}); run `pipeline verify`") from None
        self.meta = _read_meta(self.path, schema)
        self.dtype: np.dtype[Any] = _check_schema(self.path, schema, self.meta)
        self._n_batches: int = self._reader.num_record_batches
        if self._n_batches == 0:
            raise ShardError(f"{self.path}: holds no rows; a shard has at least one")
        self._batches: dict[int, Batch] = {}
        self._n_rows: int = (self._n_batches - 1) * BATCH_ROWS + len(self._batch(self._n_batches - 1).tokens)

    def __len__(self) -> int:
        return self._n_rows

    def __reduce__(self) -> tuple[Any, ...]:
        return open_shard, (str(self.path),)

    def tokens(self, row: int) -> npt.NDArray[Any]:
        """The seq_len + 1 token ids of a row, pad included; a view of the file."""
        batch, k = self._locate(row)
        tokens: npt.NDArray[Any] = batch.tokens[k]
        return tokens

    def read(self, row: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """`tokens`, `lengths` and `starts` of a row in one call."""
        batch, k = self._locate(row)
        lengths = batch.lengths[batch.offsets[k] : batch.offsets[k + 1]]
        return batch.tokens[k], lengths, batch.starts[batch.start_offsets[k] : batch.start_offsets[k + 1]]

    def lengths(self, row: int) -> npt.NDArray[np.int32]:
        """Tokens of each document piece of a row, in order; their sum is at most seq_len + 1. A view of the file."""
        batch, k = self._locate(row)
        return batch.lengths[batch.offsets[k] : batch.offsets[k + 1]]

    def starts(self, row: int) -> npt.NDArray[np.int64]:
        """Which token of its document each piece of a row begins with. Above 0, it is the last token of the piece
        before, too. A view of the file."""
        batch, k = self._locate(row)
        return batch.starts[batch.start_offsets[k] : batch.start_offsets[k + 1]]

    def ids(self, row: int) -> npt.NDArray[np.uint8]:
        """The document id of each piece of a row, uint8 [pieces, 16]; `ids(row)[i].tobytes()` is a Document's `id`."""
        batch, k = self._locate(row)
        return batch.ids[batch.id_offsets[k] : batch.id_offsets[k + 1]]

    def batches(self) -> Iterator[Batch]:
        """All rows, a record batch at a time; views of the file."""
        return map(self._batch, range(self._n_batches))

    def rows(self, select: slice | npt.ArrayLike) -> npt.NDArray[Any]:
        """Tokens of several rows, a copy [n, seq_len + 1] in the order asked for.

        Raises:
            IndexError: for a row outside [0, len).
        """
        if isinstance(select, slice):
            select = np.arange(*select.indices(self._n_rows))
        indices: list[int] = np.asarray(select, dtype=np.int64).tolist()
        out = np.empty((len(indices), self.meta.seq_len + 1), dtype=self.dtype)
        for k, row in enumerate(indices):
            out[k] = self.tokens(row)
        return out

    def verify(self, vocab_size: int | None = None) -> int:
        """Read all and check that every row is a Sequence.

        It finds a file that is cut, was damaged in its structure, or was written wrongly. A changed token that is still
        a token, or a changed document id, is found by the sha256 in the manifest only.

        Args:
            vocab_size: if given, every token must be below it.

        Returns:
            The number of documents' tokens: pad does not count, and what two pieces share counts once.

        Raises:
            ShardError: naming the first row that is wrong.
        """
        n_tokens = 0
        for number in range(self._n_batches):
            batch = _read_batch(self, number, full=True)
            n_tokens += _check_rows(self, batch, number * BATCH_ROWS, vocab_size)
        return n_tokens

    def _locate(self, row: int) -> tuple[Batch, int]:
        if not 0 <= row < self._n_rows:
            raise IndexError(f"row {row} of {self.path}, which has the rows 0 to {self._n_rows - 1}")
        return self._batch(row // BATCH_ROWS), row % BATCH_ROWS

    def _batch(self, number: int) -> Batch:
        if number not in self._batches:
            self._batches[number] = _read_batch(self, number, full=False)
        return self._batches[number]


def _check_ends(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(MAGIC)))
            tail = file.read()
    except OSError as error:
        raise ShardError(f"{path}: cannot read the shard: {error.strerror or error}") from None
    if head != MAGIC:
        raise ShardError(f"{path}: not a shard: it starts with {head!r}, an Arrow IPC file with {MAGIC!r}")
    if size < 2 * len(MAGIC) or tail != MAGIC:
        raise ShardError(
            f"{path}: cut short or overwritten: its {size} bytes do not end with {MAGIC!r}; build it again"
        )


def _read_meta(path: Path, schema: pa.Schema) -> ShardMeta:
    raw = (schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise ShardError(f"{path}: an Arrow file, but no shard: its schema has no metadata {METADATA_KEY.decode()!r}")
    try:
        value = json.loads(raw)
        found = value.pop("format")
        if found != FORMAT:
            raise ShardError(f"{path}: format is {found!r}, this program reads {FORMAT!r}")
        meta = ShardMeta(**value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ShardError(f"{path}: its metadata is damaged ({error})") from None
    if not (isinstance(meta.cell, str) and isinstance(meta.split, str)):
        raise ShardError(f"{path}: its metadata is damaged (cell {meta.cell!r}, split {meta.split!r})")
    if not (
        type(meta.seq_len) is int and 0 < meta.seq_len < 2**31 - 1 and type(meta.pad_id) is int and meta.pad_id >= 0
    ):
        raise ShardError(f"{path}: its metadata is damaged (seq_len {meta.seq_len!r}, pad_id {meta.pad_id!r})")
    return meta


def _check_schema(path: Path, schema: pa.Schema, meta: ShardMeta) -> np.dtype[Any]:
    for dtype in (np.dtype(np.uint16), np.dtype(np.uint32)):
        expected = shard_schema(meta, dtype)
        if schema.equals(expected):
            return dtype
    found, wanted = ("; ".join(map(str, s)) for s in (schema, expected))
    raise ShardError(f"{path}: other columns than a shard has.\n  found:    {found}\n  expected: {wanted} (or uint16)")


def _read_batch(shard: Shard, number: int, full: bool) -> Batch:
    try:
        batch = shard._reader.get_batch(number)
        batch.validate(full=full)
        return _views(batch, shard.meta.seq_len + 1, number == shard._n_batches - 1)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ShardError(f"{shard.path}: record batch {number} is damaged ({error}); build the shard again") from None


def _views(batch: pa.RecordBatch, width: int, is_last: bool) -> Batch:
    n_rows = batch.num_rows
    if n_rows != BATCH_ROWS and not (is_last and 1 <= n_rows < BATCH_ROWS):
        raise ValueError(f"it has {n_rows} rows, expected {'1 to ' if is_last else ''}{BATCH_ROWS}")
    tokens, lengths, starts, ids = (batch.column(i) for i in range(4))
    arrays = (tokens, tokens.values, lengths, lengths.values, starts, starts.values, ids, ids.values)
    if any(array.null_count for array in arrays):
        raise ValueError("it holds nulls")
    id_buffer = ids.values.buffers()[1]
    id_bytes = np.frombuffer(id_buffer, dtype=np.uint8) if id_buffer is not None else np.empty(0, np.uint8)
    id_begin = ids.values.offset * ID_BYTES
    return Batch(
        tokens.flatten().to_numpy(zero_copy_only=True).reshape(n_rows, width),
        lengths.offsets.to_numpy(zero_copy_only=True),
        lengths.values.to_numpy(zero_copy_only=True),
        starts.offsets.to_numpy(zero_copy_only=True),
        starts.values.to_numpy(zero_copy_only=True),
        ids.offsets.to_numpy(zero_copy_only=True),
        id_bytes[id_begin : id_begin + len(ids.values) * ID_BYTES].reshape(-1, ID_BYTES),
    )


def _check_rows(shard: Shard, batch: Batch, first_row: int, vocab_size: int | None) -> int:
    width = shard.meta.seq_len + 1

    def fail(wrong: Any, what: str) -> None:
        if wrong.any():
            raise ShardError(f"{shard.path}: row {first_row + int(wrong.argmax())}: {what}; build the shard again")

    n_pieces = np.diff(batch.offsets)
    fail(n_pieces < 1, "no document piece")
    fail(n_pieces != np.diff(batch.start_offsets), "not as many starts as lengths")
    fail(n_pieces != np.diff(batch.id_offsets), "not as many document ids as lengths")
    begin, end = int(batch.offsets[0]), int(batch.offsets[-1])
    row_of_piece = np.repeat(np.arange(len(n_pieces)), n_pieces)
    lengths = batch.lengths[begin:end].astype(np.int64)
    starts = batch.starts[batch.start_offsets[0] : batch.start_offsets[-1]]
    too_short, too_early = (np.bincount(row_of_piece[x], minlength=len(n_pieces)) for x in (lengths < 2, starts < 0))
    fail(too_short > 0, "a document piece of less than two tokens")
    fail(too_early > 0, "a piece that starts before its document")
    n_tokens = np.add.reduceat(lengths, batch.offsets[:-1] - begin)
    fail(n_tokens > width, f"document pieces add to more than the row's {width} places")
    is_pad = np.arange(width) >= n_tokens[:, None]
    fail(
        (is_pad & (batch.tokens != shard.meta.pad_id)).any(axis=1),
        f"places behind the last piece are not pad_id {shard.meta.pad_id}",
    )
    if vocab_size is not None:
        fail((batch.tokens >= vocab_size).any(axis=1), f"a token is not below the vocabulary size {vocab_size}")
    return int(n_tokens.sum() - np.count_nonzero(starts))
