"""A version's documents in the formats of other trainers. docs/exports.md describes the files.

The folder of an export appears whole or not at all: it is written aside and renamed.
"""

import json
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ConfigError
from pipeline.document import ID_TYPE, fixed_bytes, one_array
from pipeline.files import write_parquet
from pipeline.look.aside import new_folder
from pipeline.look.megatron import MegatronFile
from pipeline.look.whole import Whole, whole_documents
from pipeline.manifest import Manifest, by_cell, load_manifest, source_of
from pipeline.packing.held_out import is_held_out
from pipeline.shards import ShardError

SPLITS = ("train", "validation")
MAX_NANOGPT_VOCAB = 1 << 16
"""nanoGPT's train.py reads its files as uint16."""
TEXT_COLUMNS = ("text", "url", "title", "date", "language", "licence", "source")

Progress = Callable[[str, int], None]
"""Called with what is being read and how many more rows of it have been."""


@dataclass(frozen=True, slots=True)
class Exported:
    """Documents and tokens (0 for text) of one Cell and split, as they were written, copies counted."""

    cell: str
    split: str
    documents: int
    tokens: int


class Writer(ABC):
    """Writes one format to a folder."""

    def __init__(self, folder: Path, described: Manifest) -> None:
        self.folder = folder
        self.vocab_size = int(described.tokenizer["vocab_size"])

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def add(self, cell: str, split: str, documents: Whole) -> None:
        """Write documents of a Cell and split behind those already written."""

    def close(self) -> None:  # noqa: B027  # most have nothing to finish
        """Finish all files."""


class Megatron(Writer):
    """`<split>/<cell>.bin` and `.idx`, a document for each document."""

    def __init__(self, folder: Path, described: Manifest) -> None:
        super().__init__(folder, described)
        self._files: dict[str, MegatronFile] = {}

    def add(self, cell: str, split: str, documents: Whole) -> None:
        """See Writer."""
        name = f"{split}/{cell}"
        if name not in self._files:
            self._files[name] = MegatronFile(self.folder / name, self.vocab_size)
        self._files[name].add(documents.tokens, np.diff(documents.offsets))

    def close(self) -> None:
        """See Writer."""
        for file in self._files.values():
            file.close()


class NanoGpt(Writer):
    """`train.bin` and `val.bin`, documents end to end as uint16, and `meta.pkl`.

    Raises:
        ConfigError: for a vocabulary whose ids do not fit.
    """

    def __init__(self, folder: Path, described: Manifest) -> None:
        super().__init__(folder, described)
        if self.vocab_size > MAX_NANOGPT_VOCAB:
            raise ConfigError(
                [
                    f"--format nanogpt: its ids are 16 bits wide, and the vocabulary has {self.vocab_size:,} pieces; "
                    "use --format megatron or parquet-ids, or a tokenizer of at most 65,536 pieces"
                ]
            )

    def add(self, cell: str, split: str, documents: Whole) -> None:
        """See Writer."""
        with (self.folder / {"train": "train.bin", "validation": "val.bin"}[split]).open("ab") as file:
            documents.tokens.astype("<u2").tofile(file)

    def close(self) -> None:
        """See Writer. nanoGPT's train.py looks for the vocabulary's size in a pickle beside the files."""
        (self.folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": self.vocab_size}))


class ParquetIds(Writer):
    """`<split>/<cell>-NNNNN.parquet` with `id`, `cell` and `input_ids`, a file for each Part."""

    def __init__(self, folder: Path, described: Manifest) -> None:
        super().__init__(folder, described)
        self._numbers: dict[str, int] = {}

    def add(self, cell: str, split: str, documents: Whole) -> None:
        """See Writer."""
        name = f"{split}/{cell}"
        number = self._numbers[name] = self._numbers.get(name, -1) + 1
        path = self.folder / f"{name}-{number:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = pa.array(documents.tokens.astype(np.int32))
        ids = [row.tobytes().hex() for row in documents.ids]
        columns = {
            "id": pa.array(ids, pa.string()),
            "cell": pa.array([cell] * len(ids), pa.string()),
            "input_ids": pa.LargeListArray.from_arrays(pa.array(documents.offsets), values),
        }
        write_parquet(pa.table(columns), path)


WRITERS: dict[str, type[Writer]] = {"megatron": Megatron, "nanogpt": NanoGpt, "parquet-ids": ParquetIds}
TEXT = "parquet-text"
FORMATS = (*WRITERS, TEXT)


def export(
    folder: Path, kind: str, to: Path, splits: Sequence[str], by_mixture: bool, progress: Progress
) -> list[Exported]:
    """Write the documents of a version's splits to the new folder `to`.

    Args:
        folder: a version on a local disk.
        kind: one of FORMATS.
        splits: of SPLITS.
        by_mixture: training documents as often as the mixture reads their Cell, instead of once.

    Raises:
        ConfigError: `to` is there already, or the format cannot hold the vocabulary, or not how often a Cell is read.
        ManifestError, ShardError: for damaged files.
    """
    described = load_manifest(folder)
    cut = sorted({source_of(total.cell) for total in described.cells if total.cell != source_of(total.cell)})
    if kind == TEXT and by_mixture and cut:
        raise ConfigError(
            [
                f"--mixture: {', '.join(cut)} is cut into Cells that are read a different number of times, and files "
                f"of text do not say which Cell a document is in; use --format parquet-ids, or go without --mixture"
            ]
        )
    with new_folder(to, "--to") as aside:
        if kind == TEXT:
            written = write_texts(folder, described, aside, splits, by_mixture, progress)
        else:
            written = _export_ids(folder, described, aside, WRITERS[kind], splits, by_mixture, progress)
        (aside / "export.json").write_bytes(_about(described, kind, by_mixture, written, aside))
    return written


def _about(described: Manifest, kind: str, by_mixture: bool, written: list[Exported], folder: Path) -> bytes:
    """The bytes of `export.json`: where the files come from, and what they hold."""
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    names = ("fingerprint", "vocab_size", "bos_id", "eos_id", "pad_id")
    about = {
        "dataset": described.name,
        "version": described.version,
        "format": kind,
        "by_mixture": by_mixture,
        "tokenizer": {name: described.tokenizer.get(name) for name in names},
        "cells": [{name: getattr(one, name) for name in Exported.__slots__} for one in written],
        "files": {name: (folder / name).stat().st_size for name in files},
    }
    return json.dumps(about, indent=1).encode() + b"\n"


def epochs(described: Manifest) -> dict[str, float]:
    """How often the mixture reads each Cell."""
    return {row.cell: row.epochs for row in by_cell(described.mixture)}


def _times(ids: npt.NDArray[np.uint8], epochs_of_cell: float) -> npt.NDArray[np.int64]:
    """How often each document comes: `epochs_of_cell` on average, at least its whole part. Ids are hashes, and those
    below the fraction come once more."""
    place = np.ascontiguousarray(ids[:, :8]).view(">u8")[:, 0] / 2.0**64
    return int(epochs_of_cell) + (place < epochs_of_cell % 1).astype(np.int64)


def _export_ids(
    folder: Path,
    described: Manifest,
    aside: Path,
    writer_of: type[Writer],
    splits: Sequence[str],
    by_mixture: bool,
    progress: Progress,
) -> list[Exported]:
    written, times_read = [], epochs(described)
    with writer_of(aside, described) as writer:
        for total in described.cells:
            if total.split not in splits or not total.rows:
                continue
            n_documents = n_tokens = 0
            for documents in whole_documents(folder, described, total.cell, total.split):
                n_rows = documents.n_rows
                if by_mixture and total.split == "train":
                    documents = _repeated(documents, _times(documents.ids, times_read.get(total.cell, 0)))
                if len(documents.ids):
                    writer.add(total.cell, total.split, documents)
                n_documents, n_tokens = n_documents + len(documents.ids), n_tokens + len(documents.tokens)
                progress(f"{total.cell}, {total.split}", n_rows)
            if not by_mixture and n_documents != total.documents:
                raise ShardError(
                    f"{folder}: the manifest counts {total.documents} {total.split} documents of {total.cell}, the "
                    f"shards hold {n_documents}; pipeline verify"
                )
            written.append(Exported(total.cell, total.split, n_documents, n_tokens))
    return written


def _repeated(documents: Whole, times: npt.NDArray[np.int64]) -> Whole:
    """Each document as often as `times` says, copies one after another."""
    which = np.repeat(np.arange(len(times)), times)
    bounds = list(zip(documents.offsets[which].tolist(), documents.offsets[which + 1].tolist(), strict=True))
    tokens = [documents.tokens[a:b] for a, b in bounds]
    offsets = np.concatenate([[0], np.cumsum([b - a for a, b in bounds], dtype=np.int64)])
    joined = np.concatenate(tokens) if tokens else documents.tokens[:0]
    return Whole(documents.ids[which], joined, offsets, documents.n_rows)


def write_texts(
    folder: Path, described: Manifest, aside: Path, splits: Sequence[str], by_mixture: bool, progress: Progress
) -> list[Exported]:
    """`<split>/<file>` for each file of documents: id as text, and TEXT_COLUMNS."""
    share, seed = described.recipe["packing"]["validation_share"], described.recipe["seed"]
    counted: dict[tuple[str, str], int] = {}
    times_read = epochs(described)
    for file in (file for file in described.files if file.kind == "documents"):
        columns = ["id", "cluster", *TEXT_COLUMNS]
        documents = pq.read_table(folder / file.path, columns=columns, page_checksum_verification=True)
        held_out = is_held_out(documents["cluster"], seed, share)
        for split in splits:
            found = documents.filter(pa.array(held_out == (split == "validation")))
            keys = fixed_bytes(one_array(found["id"], ID_TYPE))
            if by_mixture and split == "train":
                which = np.repeat(np.arange(len(keys)), _times(keys, times_read.get(file.source, 0)))
                found, keys = found.take(pa.array(which)), keys[which]
            if len(found):
                path = aside / split / Path(file.path).name
                path.parent.mkdir(exist_ok=True)
                ids = pa.array([key.tobytes().hex() for key in keys], pa.string())
                write_parquet(found.select(TEXT_COLUMNS).add_column(0, "id", ids), path)
            counted[file.source, split] = counted.get((file.source, split), 0) + len(found)
        progress(file.source, file.rows)
    return [Exported(cell, split, n, 0) for (cell, split), n in counted.items() if n]
