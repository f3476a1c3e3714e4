"""Validation losses and samples, against hand-made sums."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from pipeline.tokenizer import vocab as tokenizer
from training.config import SampleOptions, TrainConfig
from training.data import Batch, Dataset
from training.evaluate import CellLoss, batch_loss, evaluate, sample
from training.model import IGNORED, Transformer
from training.world import alone

TEXT = "Of  the\n\ttext: é, 漢字 \U0001f642 ▁ and <0x41>.\n"


@pytest.fixture
def vocab(version: Path) -> tokenizer.Vocab:
    return tokenizer.load(version / "tokenizer" / "tokenizer.model")


def test_bits_per_byte_by_hand() -> None:
    loss = CellLoss(nats=30.0, n_targets=10, n_bytes=40)
    assert loss.loss == 3.0
    assert loss.bits_per_byte == pytest.approx(30 / 0.6931471805599453 / 40)
    assert loss + loss == CellLoss(60.0, 20, 80)
    assert math.isnan(CellLoss(0.0, 0, 0).bits_per_byte) and math.isnan(CellLoss(0.0, 0, 0).loss)


def test_token_bytes_add_to_the_text(vocab: tokenizer.Vocab) -> None:
    n_bytes = vocab.token_bytes()
    ids = vocab.encode([TEXT])[0]
    assert n_bytes[ids].sum() == len(TEXT.encode())
    assert n_bytes[[vocab.bos_id, vocab.eos_id, vocab.pad_id, vocab.unk_id]].tolist() == [0, 0, 0, 0]


def test_a_batch_by_hand() -> None:
    """A model that gives token t the logit t: its loss needs no model to compute."""
    targets = torch.tensor([[2, IGNORED, 0, 1]])

    def forward(tokens: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return torch.arange(3.0).expand(*tokens.shape, 3)

    zeros = torch.zeros_like(targets)
    batch = Batch(zeros, targets, zeros, zeros, torch.tensor([0, 4], dtype=torch.int32))
    loss = batch_loss(forward, batch, torch.tensor([1, 5, 7]))
    log_sum = math.log(1 + math.e + math.e**2)
    assert loss.nats == pytest.approx(3 * log_sum - (2 + 0 + 1), rel=1e-6)
    assert (loss.n_targets, loss.n_bytes) == (3, 13)


def test_a_uniform_model_over_whole_validation(version: Path, vocab: tokenizer.Vocab) -> None:
    """Nats are log V a target; every token but bos is a target, so bytes are the text's."""
    dataset = Dataset(version)

    def forward(tokens: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*tokens.shape, vocab.vocab_size)

    n_bytes = vocab.token_bytes()
    losses = evaluate(forward, dataset, 32, None, 3, torch.from_numpy(n_bytes), nullcontext, alone("cpu"))
    assert list(losses) == ["net", "tools"]
    for cell, loss in losses.items():
        totals = next(c for c in dataset.manifest.cells if c.cell == cell and c.split == "validation")
        assert loss.n_targets == totals.tokens - totals.documents
        assert loss.n_bytes == totals.utf8_bytes
        assert loss.loss == pytest.approx(math.log(vocab.vocab_size), rel=1e-6)
    limited = evaluate(forward, dataset, 64, 1, 3, torch.from_numpy(n_bytes), nullcontext, alone("cpu"))
    assert 0 < limited["net"].n_targets <= 64


def test_samples_are_repeatable(make_config: Callable[..., TrainConfig], vocab: tokenizer.Vocab) -> None:
    model = Transformer(make_config().model, vocab.vocab_size, seed=0)
    warm, greedy = (SampleOptions(n_tokens=40, temperature=t) for t in (1.0, 0.0))
    first = sample(model, vocab, warm, 32, seed=4)
    assert first == sample(model, vocab, warm, 32, seed=4) and first != sample(model, vocab, warm, 32, seed=5)
    assert sample(model, vocab, greedy, 32, seed=4) == sample(model, vocab, greedy, 32, seed=5)
