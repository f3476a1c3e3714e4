"""Whole documents from the pieces in a version's shards."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.manifest import DataFile, Manifest
from pipeline.shards import ShardError, open_shard


class Whole(NamedTuple):
    """Documents of one Part, by id, each once: `ids` uint8 [documents, 16]; document d has
    tokens[offsets[d] : offsets[d + 1]], bos and eos included; `n_rows` of the shards were read for it."""

    ids: npt.NDArray[np.uint8]
    tokens: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    n_rows: int


def whole_documents(folder: Path, described: Manifest, cell: str, split: str) -> Iterator[Whole]:
    """The documents of a Cell and split, a Part at a time: the pieces of a document lie in shards of one Part.

    A document that was packed several times comes once. Memory: three times the tokens of a Part.

    Raises:
        ShardError: for a damaged shard, or pieces that do not make whole documents.
    """
    shards = [file for file in described.files if (file.kind, file.cell, file.split) == ("shard", cell, split)]
    for _, files in groupby(sorted(shards, key=lambda file: file.path), key=lambda file: file.made_from):
        yield _joined(folder, list(files))


def _joined(folder: Path, files: list[DataFile]) -> Whole:
    tokens, places, lengths, starts, ids = [], [], [], [], []
    n_places = 0
    for file in files:
        for batch in open_shard(folder / file.path).batches():
            n_pieces = np.diff(batch.offsets)
            sizes = batch.lengths[batch.offsets[0] : batch.offsets[-1]].astype(np.int64)
            before = np.cumsum(sizes) - sizes
            first = np.repeat(before[batch.offsets[:-1] - batch.offsets[0]], n_pieces)
            row = np.repeat(np.arange(len(n_pieces)), n_pieces)
            places.append(n_places + row * batch.tokens.shape[1] + before - first)
            tokens.append(batch.tokens.reshape(-1))
            lengths.append(sizes)
            starts.append(batch.starts[batch.start_offsets[0] : batch.start_offsets[-1]])
            ids.append(batch.ids[batch.id_offsets[0] : batch.id_offsets[-1]])
            n_places += batch.tokens.size
    n_rows = sum(file.rows for file in files)
    joined = (np.concatenate(x) for x in (tokens, places, lengths, starts, ids))
    return _in_order(files[0].path, n_rows, *joined)


def _in_order(
    path: str,
    n_rows: int,
    tokens: npt.NDArray[Any],
    places: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint8],
) -> Whole:
    """Pieces sorted by document and start, those of other copies left out, joined without the tokens they share."""
    keys = np.ascontiguousarray(ids).view(">u8").astype(np.uint64)
    order = np.lexsort((starts, keys[:, 1], keys[:, 0]))
    is_new = np.append(True, (keys[order][1:] != keys[order][:-1]).any(axis=1))
    is_copy = np.append(False, ~is_new[1:] & (starts[order][1:] == starts[order][:-1]))
    order, is_new = order[~is_copy], is_new[~is_copy]
    starts, lengths, places = starts[order], lengths[order], places[order]
    follows = np.append(0, starts[:-1] + lengths[:-1] - 1)
    if (starts != np.where(is_new, 0, follows)).any():
        raise ShardError(f"{path}: pieces of a document are missing, here or in shards of its Part; pipeline verify")
    shared = (~is_new).astype(np.int64)
    begins, ends = (places + shared).tolist(), (places + lengths).tolist()
    joined = np.concatenate([tokens[a:b] for a, b in zip(begins, ends, strict=True)])
    n_tokens = np.add.reduceat(lengths - shared, np.flatnonzero(is_new))
    return Whole(ids[order][is_new], joined, np.concatenate([[0], np.cumsum(n_tokens)]), n_rows)
