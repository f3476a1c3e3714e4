"""A version of random tokens, for what costs the same whatever a text says. Needs numpy and pyarrow only.

Rows are packed from lengths like those of web pages: log-normal, median 545 tokens.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import shards
from pipeline.manifest import CellTotals, DataFile, Manifest, MixtureRow
from pipeline.packing.pack import blocks, order_rows, pack

SEQ_LEN, VOCAB_SIZE = 2048, 50_000
NO_TOKENIZER: Mapping[str, Any] = {"fingerprint": ""}


def write_version(
    folder: Path,
    n_documents: int,
    vocab_size: int = VOCAB_SIZE,
    tokenizer: Mapping[str, Any] = NO_TOKENIZER,
    seq_len: int = SEQ_LEN,
) -> None:
    """A version of two Cells; `tokenizer` is what its manifest says of one."""
    random = np.random.default_rng(1)
    files, cells = [], []
    for cell in ("web", "books"):
        lengths = random.lognormal(6.3, 1.1, n_documents // 2).astype(np.int64) + 2
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        tokens = random.integers(4, vocab_size, int(offsets[-1]), dtype=np.uint16)
        ids = random.integers(0, 256, (len(lengths), 16), dtype=np.uint8)
        packed = order_rows(pack(lengths, seq_len), ids, 0)
        path = folder / "shards" / "train" / f"{cell}-00000.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        filled = blocks(packed, tokens, offsets, ids, seq_len=seq_len, pad_id=3, dtype=np.uint16)
        n_rows = shards.write_shard(path, filled, shards.ShardMeta(cell, "train", seq_len, 3, ""))
        size = path.stat().st_size
        files.append(DataFile(str(path.relative_to(folder)), "shard", "", size, n_rows, cell, cell, "train"))
        cells.append(CellTotals(cell, "train", n_rows, int(offsets[-1]), len(lengths), 0))
    mixture = [MixtureRow(c.cell, 0.5, 0.5, c.rows, c.rows, c.tokens, 1.0) for c in cells]
    described = Manifest(
        name="random",
        sources=["web", "books"],
        recipe={},
        libraries={},
        assets={},
        inputs=[],
        files=files,
        counts={},
        histograms={},
        tokenizer={**tokenizer, "vocab_size": vocab_size},
        packing={"seq_len": seq_len, "dtype": "uint16"},
        cells=cells,
        mixture=mixture,
    )
    (folder / "manifest.json").write_bytes(described.to_bytes())
