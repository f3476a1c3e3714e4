"""`--plan`: its numbers are those of the run that it describes."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.manifest import MixtureRow
from training.__main__ import main
from training.config import TrainConfig
from training.data import Dataset, RowOrder
from training.devices import known
from training.model import Transformer, summed_loss
from training.plan import needs, probe, rows_read
from training.trainer import Trainer
from training.world import alone

Make = Callable[..., TrainConfig]
SHAPES = {
    "gpt2": "model={architecture: gpt2, n_layers: 3, n_heads: 2, d_model: 32, context: 32, attention: row}",
    "llama": "model={architecture: llama, n_layers: 3, n_heads: 4, n_kv_heads: 2, d_model: 32, context: 32}",
    "modern": "model={architecture: modern, n_layers: 3, n_heads: 2, d_model: 32, context: 32, attention: row}",
}
OPTIMS = {
    "adamw": "optim={type: adamw, lr: 0.01, betas: [0.9, 0.95], weight_decay: 0.1, clip: 1.0}",
    "sgd": "optim={type: sgd, lr: 0.3, momentum: 0.9, weight_decay: 0.0001, clip: 1.0}",
    "muon": "optim={type: muon, lr: 0.01, momentum: 0.95, betas: [0.9, 0.95], weight_decay: 0.1, clip: 1.0}",
}


@pytest.mark.parametrize("name", OPTIMS)
def test_memory_of_weights_and_optimizer_is_that_of_a_run(make_config: Make, name: str) -> None:
    trainer = Trainer(make_config(OPTIMS[name], SHAPES["gpt2"]), Dataset(make_config().data), alone("cpu"))
    trainer.step()
    found = needs(trainer.config, trainer.dataset.vocab_size, 2)
    assert found.weights == found.gradients == sum(p.numel() * 4 for p in trainer.model.parameters())
    assert found.optimizer == sum(t.numel() * 4 for t in trainer.optimizer.tensors().values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("architecture", SHAPES)
def test_memory_of_activations_is_that_of_a_forward_pass(make_config: Make, architecture: str, precision: str) -> None:
    config = make_config(SHAPES[architecture], "model.attention=row", f"precision={precision}")
    model, kept = Transformer(config.model, 600, seed=0), {}
    weights = {p.data_ptr() for p in model.parameters()}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    tokens = torch.zeros(4, 32, dtype=torch.long)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with autocast, torch.autograd.graph.saved_tensors_hooks(hold, lambda t: t):
        summed_loss(model(tokens, tokens, tokens), tokens)
    expected = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert needs(config, 600, 4).activations == pytest.approx(expected, rel=0.01)
    less = needs(config.model_copy(update={"activation_checkpointing": True}), 600, 4)
    assert less.activations < 0.8 * expected and less.transient > needs(config, 600, 4).transient


def test_rows_that_a_run_reads() -> None:
    def row(cell: str, rows: int, available: int, phase: int) -> MixtureRow:
        return MixtureRow(cell, 0.5, 0.5, rows, available, 0, rows / available, phase=phase)

    mixture = [row("a", 30, 40, 0), row("b", 90, 30, 0), row("a", 50, 40, 1), row("b", 10, 30, 1), row("c", 1, 1, 1)]
    order = RowOrder(mixture, seed=1)
    for n in (0, 60, 120, 150, 181, 400):
        counted = Counter(order.at(np.arange(n))[0].tolist())
        found = rows_read(order, n)
        exact = n in (0, 120, 181)  # where a stretch ends
        assert all(abs(found[i] - counted[i]) <= (0 if exact else 8) for i in range(len(order.plan)))
        assert abs(sum(found) - n) <= 1


def planned(config_file: Path, version: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main([str(config_file), "--data", str(version), "--plan", *arguments])
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out


def test_what_a_plan_says(
    config_file: Path, version: Path, make_config: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = planned(config_file, version, capsys, "--on", "h200", "--price", "3", "--mfu", "0.5", "--set", "n_steps=1000")
    trainer = Trainer(make_config(), Dataset(version), alone("cpu"))
    n = trainer.model.n_parameters()
    tokens, flops = 1000 * 4 * 64, 6 * n + 12 * 2 * 32 * 32
    assert f"modern: {n:,} parameters (embedding 20,480, blocks {n - 20_480:,})" in out
    assert f"FLOPs   {flops:,} a token by 6N + 12LdT" in out
    assert f"{tokens:,} in 1,000 steps of 256: {tokens / n:.1f} a parameter" in out and f"({20 * n:,}, " in out
    for cell, rows in trainer.dataset.train.items():
        found = re.search(rf"^ +{cell} +([\d,]+) Sequences, +([\d.]+) epochs of {len(rows)}$", out, re.M)
        assert found and float(found[2]) == pytest.approx(int(found[1].replace(",", "")) / len(rows), abs=0.01)
    hours = flops * tokens / (0.5 * 989e12) / 3600
    assert f"{hours:.2f} hours, {3 * hours:,.2f} at 3.00 an hour" in out and "A100" not in out
    assert "Probe   skipped, `device: cpu`" in out
    assert not (tmp_path / "checkpoints").exists() and sorted(p.name for p in tmp_path.iterdir()) == ["config.yaml"]


def test_what_is_wrong_is_said(config_file: Path, version: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(config_file), "--data", str(version), "--plan", "--on", "abacus"]) == 2
    assert "--on abacus: no device of that name; known are NVIDIA A100" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(config_file), "--plan", "--mfu", "40"])
    assert "'40' is no share above 0 and up to 1" in capsys.readouterr().err


def test_the_probe_needs_a_gpu(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config: Any = make_config("device=auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert probe(config, Dataset(config.data)) == "torch finds no CUDA device"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="measures on a GPU")
def test_the_probe_measures(make_config: Make) -> None:
    config = make_config("device=cuda", "precision=bf16")
    found = probe(config, Dataset(config.data))
    assert not isinstance(found, str) and found[0] > 0 and found[1] > 0


def test_names_of_devices() -> None:
    peaks = {
        name: device.peak_flops for name in ("NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3") if (device := known(name))
    }
    assert peaks == {"NVIDIA H100 PCIe": 756e12, "NVIDIA H100 80GB HBM3": 989e12}
    assert known("NVIDIA T4") is None
