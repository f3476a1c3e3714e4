"""Megatron-LM's files of token ids: `NAME.bin` holds the ids, `NAME.idx` where each document is.

The layout is that of `IndexedDataset` in Megatron-LM's `megatron/core/datasets/indexed_dataset.py`: the index is the
bytes MMIDIDX 00 00, the version 1 (uint64), a code for the type of ids (uint8), the numbers of sequences and of
document boundaries (uint64 each), then the length of each sequence in ids (int32), where it begins in the `.bin` in
bytes (int64), and the number of the first sequence of each document, with the number of all at the end (int64).
Little-endian. Here each document is one sequence.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
TYPE_CODES = {"<u2": 8, "<i4": 4}


class MegatronFile:
    """Writes one pair of files."""

    def __init__(self, stem: Path, vocab_size: int) -> None:
        stem.parent.mkdir(parents=True, exist_ok=True)
        self._stem = stem
        self._dtype = np.dtype("<u2" if vocab_size <= 1 << 16 else "<i4")
        self._lengths: list[npt.NDArray[np.int32]] = []
        self._file = stem.with_name(f"{stem.name}.bin").open("wb")

    def add(self, tokens: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> None:
        """Write documents of `lengths` ids each, one after another in `tokens`."""
        tokens.astype(self._dtype).tofile(self._file)
        self._lengths.append(lengths.astype("<i4"))

    def close(self) -> None:
        """Write the index."""
        self._file.close()
        lengths = np.concatenate([*self._lengths, np.empty(0, "<i4")])
        ends = np.cumsum(lengths, dtype="<i8") * self._dtype.itemsize
        with self._stem.with_name(f"{self._stem.name}.idx").open("wb") as file:
            file.write(MAGIC + struct.pack("<QB", VERSION, TYPE_CODES[self._dtype.str]))
            file.write(struct.pack("<QQ", len(lengths), len(lengths) + 1))
            for array in (lengths, ends - lengths.astype("<i8") * self._dtype.itemsize):
                file.write(array.tobytes())
            file.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())
