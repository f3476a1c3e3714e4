"""A source whose entropy is known is learned to it, and not below."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.manifest import CellTotals, MixtureRow, load_manifest
from pipeline.tokenizer import vocab
from training.config import TrainConfig
from training.data import Dataset
from training.train import train
from training.trainer import Trainer
from training.world import alone

from .conftest import write_rows

SYMBOLS, FIRST = 12, 100
N_DOCUMENTS, LENGTH = 3_000, 61


@pytest.fixture(scope="module")
def chain() -> np.ndarray:
    """Transition probabilities (SYMBOLS, SYMBOLS); the first symbol of a document is uniform."""
    random = np.random.default_rng(5)
    return random.dirichlet(np.full(SYMBOLS, 0.3), SYMBOLS)


def documents(chain: np.ndarray, seed: int) -> np.ndarray:
    """Symbols (N_DOCUMENTS, LENGTH)."""
    random = np.random.default_rng(seed)
    symbols = np.empty((N_DOCUMENTS, LENGTH), np.int64)
    symbols[:, 0] = random.integers(0, SYMBOLS, N_DOCUMENTS)
    for place in range(1, LENGTH):
        drawn = random.random((N_DOCUMENTS, 1))
        symbols[:, place] = (chain[symbols[:, place - 1]].cumsum(1) < drawn).sum(1).clip(max=SYMBOLS - 1)
    return symbols


def nats_of_truth(chain: np.ndarray, symbols: np.ndarray) -> float:
    """What the source itself, asked for each next token of these documents, costs on the mean: a document has a first
    symbol of 1 in SYMBOLS, transitions, and an end that its length makes certain."""
    inside = -np.log(chain[symbols[:, :-1], symbols[:, 1:]]).sum()
    return float((inside + len(symbols) * np.log(SYMBOLS)) / (len(symbols) * (LENGTH + 1)))


@pytest.fixture(scope="module")
def markov(version: Path, chain: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("markov") / "v"
    folder.mkdir()
    (folder / "tokenizer").symlink_to(version / "tokenizer")
    words = vocab.load(folder / "tokenizer" / "tokenizer.model")
    files, cells = [], []
    for split, seed in (("train", 1), ("validation", 2)):
        symbols = FIRST + documents(chain, seed)
        edges = (np.full((N_DOCUMENTS, 1), words.bos_id), symbols, np.full((N_DOCUMENTS, 1), words.eos_id))
        tokens = np.concatenate(edges, axis=1).reshape(-1)
        offsets = np.arange(N_DOCUMENTS + 1) * (LENGTH + 2)
        ids = np.random.default_rng(seed).integers(0, 256, (N_DOCUMENTS, 16), dtype=np.uint8)
        file, n_rows, n_tokens = write_rows(folder, "chain", split, (tokens, offsets, ids), words, 20)
        files.append(file)
        cells.append(CellTotals("chain", split, n_rows, n_tokens, N_DOCUMENTS, N_DOCUMENTS * LENGTH))
    row = MixtureRow("chain", 1.0, 1.0, cells[0].rows, cells[0].rows, cells[0].tokens, 1.0)
    described = load_manifest(version)
    described = replace(described, name="chain", sources=["chain"], files=files, cells=cells, mixture=[row])
    (folder / "manifest.json").write_bytes(described.to_bytes())
    return folder


def test_the_loss_comes_down_to_the_entropy(
    make_config: Callable[..., TrainConfig], markov: Path, chain: np.ndarray
) -> None:
    config = make_config(
        "n_steps=500",
        "model.context=64",
        "batch={sequences: 8, sequences_at_once: 8}",
        "optim.lr=0.04",
        "optim.weight_decay=0",
        "schedule.min_lr_ratio=0",
        "evaluate={every: 1000, sequences_per_cell: 1000}",
        "checkpoint.every=1000",
    ).model_copy(update={"data": markov})
    assert train(config) == 0
    made = Trainer(config, Dataset(markov), alone("cpu"))
    made.resume()
    truth = nats_of_truth(chain, documents(chain, 2))
    unigram = made.batches.unigram_entropy()
    learned = made.validate(8)["chain"].loss
    assert unigram > truth + 0.5, "the chain must be worth learning"
    assert truth - 0.005 < learned < truth + 0.03, (truth, learned, unigram)
