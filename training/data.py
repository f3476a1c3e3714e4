"""Shards -> batches. A batch is a pure function of (version, plan, seed, position).

`position` counts Sequences consumed since the start of training. The plan is the manifest's mixture: rows to read of
each Cell, where a Cell's own rows are repeated by epochs. Nothing is shuffled in memory: `RowOrder` computes which row
stands at a position, so that a run can be continued at any position, with any batch size, at no cost.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.manifest import Manifest, MixtureRow, load_manifest
from pipeline.shards import Shard, open_shard
from training.config import TrainingError
from training.model import IGNORED

FEISTEL_ROUNDS = 6
"""Luby & Rackoff 1988 need 4 rounds for a pseudo-random permutation of ideal functions; two more for the small
domains and the plain mixer used here."""
UNIGRAM_ROWS, UNIGRAM_BLOCK = 16_384, 256
"""Sequences counted for the unigram entropy: bounded work (less than twice as many), and an error far below 0.01 nats;
and how many are read at a time."""


def _key(*parts: object) -> np.uint64:
    text = "/".join(str(part) for part in parts).encode()
    return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))


def _mix(x: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators")."""
    x = x + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def permute(index: NDArray[np.int64], n: int, key: np.uint64) -> NDArray[np.int64]:
    """Where a permutation of 0..n-1, chosen by `key`, sends each of `index` (any shape, int64, each in 0..n-1).

    A balanced Feistel network over the smallest even number of bits that holds n, walked along its cycle until the
    value falls below n (Black & Rogaway 2002, "Ciphers with arbitrary finite domains"): less than 4 turns on average.
    """
    half = np.uint64(max(1, ((n - 1).bit_length() + 1) // 2))
    low = (np.uint64(1) << half) - np.uint64(1)
    keys = [_key("feistel", int(key), turn) for turn in range(FEISTEL_ROUNDS)]
    out = index.astype(np.uint64).ravel()
    walking = np.arange(out.size)
    while walking.size:
        value = out[walking]
        left, right = value >> half, value & low
        for round_key in keys:
            left, right = right, left ^ (_mix(right, round_key) & low)
        out[walking] = (left << half) | right
        walking = walking[out[walking] >= np.uint64(n)]
    return out.astype(np.int64).reshape(index.shape)


class RowOrder:
    """Which row of which Cell stands at a position; memory does not grow with rows.

    The positions 0..n-1 (n: all rows of the plan) go through the stretches of the plan, one after another: a stretch
    has as many positions as rows, and they are a permutation of it, so that a Cell stands at exactly `rows` of them.
    Further positions are further passes over the plan, each with permutations of its own.

    All of a Cell's turns are counted, over stretches and passes: turn j reads row permutation(j mod rows_available) of
    epoch j // rows_available, each epoch with a permutation of its own. So a stretch goes on where the one before
    stopped, and no row is read again before all others of its Cell were, but that within a stretch the two sides of an
    epoch's end mix.

    Attributes:
        plan: entries of the mixture with rows, in the order in which they are read.
        n_rows: positions of one pass.
        stretch_ends, phase_ends: position in a pass behind the last of each stretch, and of each phase.
    """

    def __init__(self, mixture: Sequence[MixtureRow], seed: int) -> None:
        self.plan = sorted((row for row in mixture if row.rows > 0), key=lambda row: (row.phase, row.stretch, row.cell))
        self.seed = seed
        self.ends = np.cumsum([row.rows for row in self.plan], dtype=np.int64)
        self.n_rows = int(self.ends[-1]) if self.plan else 0
        ends = {(row.phase, row.stretch): int(end) for row, end in zip(self.plan, self.ends, strict=True)}
        self.stretch_ends = np.array(list(ends.values()), dtype=np.int64)
        self.phase_ends = list({phase: end for (phase, _), end in ends.items()}.values())
        self._before: list[int] = []
        self._per_pass: dict[str, int] = {}
        for row in self.plan:
            self._before.append(self._per_pass.get(row.cell, 0))
            self._per_pass[row.cell] = self._before[-1] + row.rows

    def at(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """positions (n,) int64 -> (index into `plan` (n,), row of that Cell (n,)), both int64."""
        cells, rows = np.empty_like(positions), np.empty_like(positions)
        passes = positions // self.n_rows
        for number in np.unique(passes):
            here = passes == number
            slots = self._slots(int(number), positions[here] % self.n_rows)
            cells[here] = np.searchsorted(self.ends, slots, side="right")
            rows[here] = self._rows(int(number), cells[here], slots)
        return cells, rows

    def _slots(self, number: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in a pass, permuted within their stretches."""
        slots = np.empty_like(places)
        stretches = np.searchsorted(self.stretch_ends, places, side="right")
        for stretch in np.unique(stretches):
            here, begin = stretches == stretch, int(self.stretch_ends[stretch - 1]) if stretch else 0
            n = int(self.stretch_ends[stretch]) - begin
            slots[here] = begin + permute(places[here] - begin, n, _key(self.seed, "plan", number, stretch))
        return slots

    def _rows(self, number: int, cells: NDArray[np.int64], slots: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = np.empty_like(slots)
        for index in np.unique(cells):
            cell, of_cell = self.plan[index], cells == index
            before = number * self._per_pass[cell.cell] + self._before[index]
            turns = before + slots[of_cell] - (self.ends[index] - cell.rows)
            epochs, within = np.divmod(turns, cell.rows_available)
            for epoch in np.unique(epochs):
                key = _key(self.seed, "epoch", epoch, cell.cell)
                within[epochs == epoch] = permute(within[epochs == epoch], cell.rows_available, key)
            rows[of_cell] = within
        return rows


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows of T places, all int64.

    `targets` is the next token, or IGNORED where the next token belongs to another document or is padding; `positions`
    restart with each document; `documents` numbers the documents of a row from 0, padding being -1.
    """

    tokens: Tensor
    targets: Tensor
    positions: Tensor
    documents: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; from pinned memory the copy does not wait."""
        pin = device.type == "cuda"
        parts = (self.tokens, self.targets, self.positions, self.documents)
        return Batch(*((p.pin_memory() if pin else p).to(device, non_blocking=pin) for p in parts))


def make_batch(rows: Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]], context: int) -> Batch:
    """Sequences of (tokens (S + 1,), document lengths) -> a Batch with B = len(rows) * S / context and T = context.

    A Sequence longer than `context` is cut into pieces that overlap in one token, so each target is predicted once.
    """
    tokens = np.stack([row for row, _ in rows]).astype(np.int64)
    documents = np.full(tokens.shape, -1, dtype=np.int64)
    for number, (_, lengths) in enumerate(rows):
        documents[number, : lengths.sum()] = np.repeat(np.arange(len(lengths)), lengths)
    same = (documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] >= 0)
    targets = np.where(same, tokens[:, 1:], IGNORED).reshape(-1, context)
    inside = documents[:, :-1].reshape(-1, context)
    place = np.broadcast_to(np.arange(context), inside.shape)
    starts = np.where(np.diff(inside, axis=1, prepend=-2) != 0, place, 0)
    positions = place - np.maximum.accumulate(starts, axis=1)
    arrays = (tokens[:, :-1].reshape(-1, context), targets, positions, inside)
    return Batch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


class CellRows:
    """The Sequences of one Cell and split, over all of its shards."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.shards: list[Shard] = [open_shard(path) for path in paths]
        self.ends = np.cumsum([len(shard) for shard in self.shards], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.shards else 0

    def read(self, row: int) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """(tokens (S + 1,), document lengths) of `row`, views of the memory-mapped shard."""
        number = int(np.searchsorted(self.ends, row, side="right"))
        shard = self.shards[number]
        inside = row - int(self.ends[number - 1] if number else 0)
        return shard.tokens(inside), shard.lengths(inside)


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

    def read(self, cells: dict[str, CellRows], cell: str, row: int) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """(tokens, lengths) of one Sequence, checked.

        Raises:
            TrainingError: if it holds a token outside of the vocabulary or documents longer than itself.
        """
        tokens, lengths = cells[cell].read(row)
        if tokens.max() >= self.vocab_size or lengths.sum() > tokens.size or (lengths.size and lengths.min() < 1):
            raise TrainingError(
                f"{self.folder}: row {row} of {cell!r} is no Sequence of this version (tokens up to {tokens.max()}, "
                f"vocabulary {self.vocab_size}, {lengths.sum()} tokens in documents, row of {tokens.size}); "
                "the shard is damaged, run the pipeline again"
            )
        return tokens, lengths


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

    def at(self, position: int, n_sequences: int) -> tuple[Batch, dict[str, int]]:
        """The Sequences at position .. position + n_sequences - 1, and how many tokens of each Cell they hold."""
        cells, rows = self.order.at(np.arange(position, position + n_sequences, dtype=np.int64))
        names = [self.order.plan[cell].cell for cell in cells]
        read = [self.dataset.read(self.dataset.train, cell, int(row)) for cell, row in zip(names, rows, strict=True)]
        n_tokens: dict[str, int] = {}
        for cell, (_, lengths) in zip(names, read, strict=True):
            n_tokens[cell] = n_tokens.get(cell, 0) + int(lengths.sum())
        return make_batch(read, self.context), n_tokens

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
