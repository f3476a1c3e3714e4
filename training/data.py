"""Shards -> batches. A batch is a pure function of (version, plan, seed, position).

`position` counts Sequences consumed since the start of training. The plan is the manifest's mixture: rows to read of
each Cell, phase by phase; `training.order` says which stands at a position.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.manifest import Manifest, load_manifest
from pipeline.shards import Shard, open_shard
from training.config import TrainingError
from training.model import IGNORED
from training.order import RowOrder

ORDERED_AT_ONCE = 1024
"""Positions that are put in order together: of one, the permutations cost as much as of many."""
UNIGRAM_ROWS, UNIGRAM_BLOCK = 16_384, 256
"""Sequences counted for the unigram entropy: bounded work (less than twice as many), and an error far below 0.01 nats;
and how many are read at a time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows of T places, all int64.

    `targets` is the next token, or IGNORED where the next token belongs to another document or is padding; `positions`
    restart with each document; `documents` numbers the documents of a row from 0, padding being -1. `begins` (n + 1,)
    int32 are the places, counted through all rows, where positions restart, and B x T.
    """

    tokens: Tensor
    targets: Tensor
    positions: Tensor
    documents: Tensor
    begins: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the model is given."""
        return self.tokens, self.positions, self.documents, self.begins

    def pinned(self) -> "Batch":
        """The same batch in memory from which a GPU copies while both sides go on."""
        return Batch(*(part.pin_memory() for part in self._parts()))

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; from pinned memory the copy does not wait."""
        return Batch(*(part.to(device, non_blocking=True) for part in self._parts()))

    def _parts(self) -> tuple[Tensor, ...]:
        return self.tokens, self.targets, self.positions, self.documents, self.begins


class Rows(NamedTuple):
    """Some Sequences: `tokens` (n, S + 1) unsigned; `n_pieces` (n,) document pieces of each row; `lengths` int32 and
    `starts` int64 (pieces,) of all pieces, row after row: tokens of a piece, and which token of its document it begins
    with."""

    tokens: NDArray[Any]
    n_pieces: NDArray[np.int64]
    lengths: NDArray[np.int32]
    starts: NDArray[np.int64]

    def n_tokens(self) -> NDArray[np.int64]:
        """Places of each row that hold a token, (n,)."""
        ends = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
        behind = np.cumsum(self.n_pieces)
        counted: NDArray[np.int64] = ends[behind] - ends[behind - self.n_pieces]
        return counted

    def n_shared(self) -> NDArray[np.int64]:
        """Tokens of each row that are in the piece before, too, (n,): a piece that continues a document has one."""
        before = np.concatenate([[0], np.cumsum(self.starts > 0)])
        behind = np.cumsum(self.n_pieces)
        counted: NDArray[np.int64] = before[behind] - before[behind - self.n_pieces]
        return counted


def make_batch(rows: Rows, context: int) -> Batch:
    """n Sequences of S + 1 tokens -> a Batch with B = n * S / context and T = context.

    A Sequence longer than `context` is cut into rows that overlap in one token, so each target is predicted once.
    """
    n, seq_len = rows.tokens.shape[0], rows.tokens.shape[1] - 1
    n_tokens = rows.n_tokens()
    # Places of the inputs fall into segments: the pieces of a row, then its padding; the row's last place is no input.
    behind = np.cumsum(rows.n_pieces)
    sizes = np.insert(rows.lengths.astype(np.int64), behind, seq_len - n_tokens)
    paddings = behind + np.arange(n)
    sizes[paddings[n_tokens > seq_len] - 1] -= 1
    sizes[paddings[n_tokens > seq_len]] = 0
    numbers = np.arange(sizes.size) - np.repeat(paddings - rows.n_pieces, rows.n_pieces + 1)
    numbers[paddings] = -1
    documents = np.repeat(numbers, sizes)

    ends = np.cumsum(sizes)
    starts = np.union1d(ends - sizes, np.arange(0, n * seq_len, context))
    starts = starts[starts < n * seq_len]
    positions = np.arange(n * seq_len)
    positions -= np.repeat(starts, np.diff(starts, append=n * seq_len))

    targets = rows.tokens[:, 1:].astype(np.int64)
    is_piece_end = np.ones(sizes.size, np.bool_)
    is_piece_end[paddings] = False
    is_piece_end[paddings[n_tokens > seq_len] - 1] = False  # its end is the row's last place
    targets.reshape(-1)[ends[is_piece_end] - 1] = IGNORED
    for row in np.flatnonzero(n_tokens < seq_len):
        targets[row, n_tokens[row] :] = IGNORED
    arrays = (rows.tokens[:, :-1].astype(np.int64), targets, positions, documents)
    begins = np.append(starts, n * seq_len).astype(np.int32)
    return Batch(*(torch.from_numpy(array) for array in (*(a.reshape(-1, context) for a in arrays), begins)))


class CellRows:
    """The Sequences of one Cell and split, over all of its shards."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.shards: list[Shard] = [open_shard(path) for path in paths]
        self.ends: list[int] = list(accumulate(len(shard) for shard in self.shards))

    def __len__(self) -> int:
        return self.ends[-1] if self.shards else 0

    def read(self, row: int) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]:
        """(tokens (S + 1,), lengths of pieces, starts of pieces) of `row`, views of the memory-mapped shard."""
        number = bisect_right(self.ends, row)
        return self.shards[number].read(row - (self.ends[number - 1] if number else 0))

    def ids(self, row: int) -> list[str]:
        """The ids of the documents in `row`, as hexadecimal digits."""
        number = bisect_right(self.ends, row)
        found = self.shards[number].ids(row - (self.ends[number - 1] if number else 0))
        return list(dict.fromkeys(key.tobytes().hex() for key in found))


class Dataset:
    """One version, as the trainer sees it.

    Raises:
        TrainingError: if shards are missing or do not hold what the manifest says.
        ManifestError, ShardError: if a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = load_manifest(folder)
        self.version = self.manifest.version
        self.seq_len = int(self.manifest.packing["seq_len"])
        self.vocab_size = int(self.manifest.tokenizer["vocab_size"])
        self.train = _cells(folder, self.manifest, "train")
        self.validation = _cells(folder, self.manifest, "validation")
        for row in self.manifest.mixture:
            found = len(self.train.get(row.cell, ()))
            if row.rows and found != row.rows_available:
                raise TrainingError(
                    f"{folder}: the mixture counts {row.rows_available} training Sequences of {row.cell!r}, the shards "
                    f"hold {found}; the version is damaged, run the pipeline again"
                )
        if not any(row.rows for row in self.manifest.mixture):
            raise TrainingError(
                f"{folder}: the version has no training Sequences (its mixture is empty); "
                "see its card for where the documents went"
            )

    def read(self, cells: Mapping[str, CellRows], where: Sequence[tuple[str, int]]) -> Rows:
        """The Sequences at `where`, as (Cell, row of it), at least one; checked.

        Raises:
            TrainingError: if one holds a token outside of the vocabulary or documents longer than itself.
        """
        tokens, lengths, starts = zip(*(cells[cell].read(row) for cell, row in where), strict=True)
        n_pieces = np.fromiter(map(len, lengths), np.int64, len(where))
        rows = Rows(np.stack(tokens), n_pieces, np.concatenate(lengths), np.concatenate(starts))
        self._check(rows, where)
        return rows

    def _check(self, rows: Rows, where: Sequence[tuple[str, int]]) -> None:
        shortest = rows.lengths.min(initial=2)
        if rows.tokens.max() < self.vocab_size and rows.n_tokens().max() <= rows.tokens.shape[1] and shortest >= 2:
            return
        too_short = np.repeat(np.arange(len(where)), rows.n_pieces)[rows.lengths < 2]
        is_wrong = (rows.tokens.max(axis=1) >= self.vocab_size) | (rows.n_tokens() > rows.tokens.shape[1])
        is_wrong[too_short] = True
        wrong = int(is_wrong.argmax())
        cell, row = where[wrong]
        raise TrainingError(
            f"{self.folder}: row {row} of {cell!r} is no Sequence of this version (tokens up to "
            f"{rows.tokens[wrong].max()}, vocabulary {self.vocab_size}, {rows.n_tokens()[wrong]} tokens in documents, "
            f"row of {rows.tokens.shape[1]}); the shard is damaged, run the pipeline again"
        )


def _cells(folder: Path, manifest: Manifest, split: str) -> dict[str, CellRows]:
    """Cell -> rows, in the order of names; shards in the order of paths."""
    files = sorted(f.path for f in manifest.files if f.kind == "shard" and f.split == split)
    missing = [path for path in files if not (folder / path).is_file()]
    if missing:
        raise TrainingError(
            f"{folder}: {len(missing)} of {len(files)} {split} shards are missing, the first is {missing[0]}; "
            "copy the whole version folder, or run the pipeline again"
        )
    names = {f.path: f.cell for f in manifest.files}
    return {
        cell: CellRows([folder / path for path in files if names[path] == cell])
        for cell in sorted({names[path] for path in files})
    }


def find_version(path: Path) -> Path:
    """The version folder meant by `path`: itself if it holds a manifest, else the one that its file `latest` names.

    Raises:
        TrainingError: if there is neither.
    """
    if (path / "manifest.json").is_file():
        return path
    latest = path / "latest"
    if latest.is_file():
        folder = path / latest.read_text(encoding="utf-8").strip()
        if (folder / "manifest.json").is_file():
            return folder
        raise TrainingError(
            f"{latest} names the version {folder.name!r}, but {folder / 'manifest.json'} does not exist"
        )
    what = "holds neither `manifest.json` nor `latest`" if path.is_dir() else "does not exist"
    raise TrainingError(
        f"data: {path} {what}; make a dataset with `pipeline run recipes/commoncrawl.yaml`, "
        "or name one with `--data FOLDER`"
    )


class Batches:
    """Batches by position, over a Dataset, a RowOrder and a context."""

    def __init__(self, dataset: Dataset, seed: int, context: int) -> None:
        if dataset.seq_len % context:
            fitting = [n for n in range(8, dataset.seq_len + 1) if dataset.seq_len % n == 0]
            nearest = min(fitting, key=lambda n: abs(n - context), default=dataset.seq_len)
            raise TrainingError(
                f"model.context {context} does not divide the dataset's seq_len {dataset.seq_len}; "
                f"the nearest that does is `--set model.context={nearest}`"
            )
        self.dataset = dataset
        self.context = context
        self.order = RowOrder(dataset.manifest.mixture, seed)
        self._ordered: dict[int, list[tuple[str, int]]] = {}

    def at(self, position: int, n_sequences: int) -> tuple[Batch, dict[str, int]]:
        """The Sequences at position .. position + n_sequences - 1, and how many tokens of each Cell they hold; a token
        that two pieces of a document share counts in the first."""
        where = [self.where(place) for place in range(position, position + n_sequences)]
        read = self.dataset.read(self.dataset.train, where)
        n_tokens: dict[str, int] = {}
        for (cell, _), n in zip(where, (read.n_tokens() - read.n_shared()).tolist(), strict=True):
            n_tokens[cell] = n_tokens.get(cell, 0) + n
        return make_batch(read, self.context), n_tokens

    def where(self, position: int) -> tuple[str, int]:
        """Cell and row of it at a position; `ORDERED_AT_ONCE` positions are put in order together, which costs as much
        as few."""
        block, place = divmod(position, ORDERED_AT_ONCE)
        ordered = self._ordered.get(block)
        if ordered is None:
            first = block * ORDERED_AT_ONCE
            cells, rows = self.order.at(np.arange(first, first + ORDERED_AT_ONCE, dtype=np.int64))
            names = [self.order.plan[cell].cell for cell in cells]
            ordered = list(zip(names, rows.tolist(), strict=True))
            self._ordered = {block: ordered}  # replaced, not changed: the loader's thread may look at another block
        return ordered[place]

    def unigram_entropy(self) -> float:
        """Entropy in nats of the training targets' frequencies: the loss of a model that knows frequencies only.

        Counted over `UNIGRAM_ROWS` positions of the plan (all of a smaller one), in blocks that lie evenly over its
        phases; targets as in `make_batch`.
        """
        counts = np.zeros(self.dataset.vocab_size, dtype=np.int64)
        n_rows = self.order.n_rows
        for start in range(0, n_rows, UNIGRAM_BLOCK * max(1, n_rows // UNIGRAM_ROWS)):
            targets = self.at(start, min(UNIGRAM_BLOCK, n_rows - start))[0].targets.numpy()
            counts += np.bincount(targets[targets != IGNORED], minlength=counts.size)
        share = counts[counts > 0] / max(1, counts.sum())
        return float(-(share * np.log(share)).sum())
