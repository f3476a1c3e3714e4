"""Shards -> batches. A batch is a pure function of (version, plan, seed, position).

`position` counts Sequences consumed since the start of training. The plan is the manifest's mixture: rows to read of
each Cell, phase by phase; `training.order` says which stands at a position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.manifest import Manifest, load_manifest
from pipeline.shards import Shard, open_shard
from training.config import TrainingError
from training.model import IGNORED
from training.order import RowOrder

UNIGRAM_ROWS, UNIGRAM_BLOCK = 16_384, 256
"""Sequences counted for the unigram entropy: bounded work (less than twice as many), and an error far below 0.01 nats;
and how many are read at a time."""


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
