"""A small dataset version of real text: docstrings of the standard library and of this test's own dependencies."""

import hashlib
import inspect
import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch

from pipeline import shards
from pipeline.config import load
from pipeline.manifest import CellTotals, DataFile, Manifest, MixtureRow, load_manifest
from pipeline.packing import pack as packing
from pipeline.tokenizer import vocab
from training.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
SEQ_LEN = 64
MODULES = {
    "tools": ("argparse", "collections", "csv", "datetime", "decimal", "difflib", "functools", "heapq", "logging"),
    "net": ("asyncio", "email.message", "ftplib", "http.client", "imaplib", "smtplib", "socket", "ssl", "urllib.parse"),
}
CONFIG = """
data: .
output: .
model: {architecture: modern, n_layers: 2, n_heads: 2, d_model: 32, context: 32}
batch: {sequences: 4, sequences_at_once: 2}
optim: {type: adamw, lr: 0.01, betas: [0.9, 0.95], weight_decay: 0.1, clip: 1.0}
schedule: {type: cosine, warmup_steps: 2, min_lr_ratio: 0.1}
n_steps: 12
precision: fp32
device: cpu
compile: false
spikes: {policy: skip, sigma: 6}
evaluate: {every: 6, sequences_per_cell: 4}
checkpoint: {every: 3, keep: 2}
sample: {n_tokens: 12, temperature: 0.8}
seed: 7
"""


def texts(modules: tuple[str, ...]) -> list[str]:
    found = []
    for name in modules:
        module = __import__(name, fromlist=["x"])
        members = [
            v for _, v in sorted(vars(module).items(), key=lambda kv: kv[0]) if getattr(v, "__module__", "") == name
        ]
        docs = [inspect.getdoc(v) for v in (module, *members)]
        found += [doc for doc in docs if doc and len(doc) > 20]
    return found


def tokenizer_model(documents: list[str]) -> bytes:
    counts = Counter(word for text in documents for word in text.replace("\n", " \n ").split(" ") if word.strip())
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join([w] * n) for w, n in sorted(counts.items())]),
        model_writer=model,
        vocab_size=600,
        model_type="bpe",
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        byte_fallback=True,
        allow_whitespace_only_pieces=True,
        user_defined_symbols=["\n", "\t"],
        pad_id=3,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def write_rows(
    folder: Path,
    cell: str,
    split: str,
    documents: tuple[np.ndarray, np.ndarray, np.ndarray],
    words: vocab.Vocab,
    n_blocks: int = 1,
) -> tuple[DataFile, int, int]:
    """A shard of documents (tokens, offsets, ids), of at most `n_blocks` times 256 rows; its rows and tokens."""
    tokens, offsets, ids = documents
    packed = packing.order_rows(packing.pack(np.diff(offsets), SEQ_LEN), ids, 0)
    dtype = shards.token_dtype(words.vocab_size)
    filled = packing.blocks(packed, tokens, offsets, ids, seq_len=SEQ_LEN, pad_id=words.pad_id, dtype=dtype)
    blocks = list(islice(filled, n_blocks))
    path = folder / "shards" / split / f"{cell}-00000.arrow"
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = shards.ShardMeta(cell, split, SEQ_LEN, words.pad_id, words.fingerprint)
    n_rows = shards.write_shard(path, blocks, meta)
    n_tokens = sum(int(block[2].sum() - (block[3] > 0).sum()) for block in blocks)
    file = DataFile(str(path.relative_to(folder)), "shard", "", path.stat().st_size, n_rows, cell, cell, split)
    return file, n_rows, n_tokens


def write_cell(
    folder: Path, cell: str, split: str, documents: list[str], words: vocab.Vocab
) -> tuple[DataFile, CellTotals]:
    ids = np.stack([np.frombuffer(hashlib.md5(text.encode()).digest(), np.uint8) for text in documents])
    tokens, offsets = words.encode_batch(documents, bos_eos=True)
    file, n_rows, n_tokens = write_rows(folder, cell, split, (tokens, offsets, ids), words)
    n_bytes = sum(len(text.encode()) for text in documents)
    return file, CellTotals(cell, split, n_rows, n_tokens, len(documents), n_bytes)


def write_version(folder: Path) -> None:
    documents = {cell: texts(modules) for cell, modules in MODULES.items()}
    model = tokenizer_model([text for cell in documents.values() for text in cell])
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "tokenizer.model").write_bytes(model)
    words = vocab.load(model)
    written = []
    for cell, found in documents.items():
        written.append(write_cell(folder, cell, "train", found[5:], words))
        written.append(write_cell(folder, cell, "validation", found[:5], words))
    mixture = [
        MixtureRow(c.cell, 0.5, 0.5, int(c.rows * epochs), c.rows, c.tokens, epochs)
        for (_, c), epochs in zip([w for w in written if w[1].split == "train"], (1.0, 1.5), strict=True)
    ]
    about = {
        name: getattr(words, name) for name in ("vocab_size", "fingerprint", "bos_id", "eos_id", "pad_id", "unk_id")
    }
    manifest = Manifest(
        name="docstrings",
        sources=list(MODULES),
        recipe={},
        libraries={},
        assets={},
        inputs=[],
        files=[file for file, _ in written],
        counts={},
        histograms={},
        tokenizer={"type": "bpe", "path": "tokenizer/tokenizer.model", **about},
        packing={"seq_len": SEQ_LEN, "dtype": "uint16"},
        cells=[cell for _, cell in written],
        mixture=mixture,
    )
    (folder / "manifest.json").write_bytes(manifest.to_bytes())


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Models this small are slower with more."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version folder: two Cells, one read 1.0 and one 1.5 times."""
    folder = tmp_path_factory.mktemp("dataset") / "v1"
    write_version(folder)
    return folder


@pytest.fixture
def other_version(version: Path, tmp_path: Path) -> Path:
    """The same files under a manifest of another name, hence another version."""
    folder = tmp_path / "other"
    folder.mkdir()
    for name in ("shards", "tokenizer"):
        (folder / name).symlink_to(version / name)
    (folder / "manifest.json").write_bytes(replace(load_manifest(version), name="other").to_bytes())
    return folder


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def make_config(version: Path, config_file: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """`make_config("n_steps=4", output="b")`: the test configuration with changes."""

    def make(*changes: str, output: str = "out") -> TrainConfig:
        config = load(config_file, TrainConfig, changes)
        return config.model_copy(update={"data": version, "output": tmp_path / output})

    return make


@pytest.fixture
def start(version: Path, config_file: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start `python -m training` on the test configuration, as `pipeline train` does."""

    def popen(*arguments: str, output: str = "out", data: Path = version) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "training", str(config_file), "--data", str(data)]
        return subprocess.Popen(
            [*command, "--output", str(tmp_path / output), *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return popen
