"""Which weights each optimizer takes, against torch's own and against formulas; and that its state comes back."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from training.config import AdamWOptions, ModelOptions, MuonOptions, SGDOptions, TrainConfig
from training.data import Dataset
from training.model import Transformer
from training.optim import make_optimizer
from training.trainer import Trainer
from training.world import alone

Make = Callable[..., TrainConfig]
ADAMW: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.5, "clip": 1.0, "betas": (0.9, 0.95)}
MUON = MuonOptions(type="muon", momentum=0.95, **ADAMW)
SGD = SGDOptions(type="sgd", lr=0.1, weight_decay=0.5, clip=1.0, momentum=0.9)
OPTIMS = {
    "adamw": "optim={type: adamw, lr: 0.01, betas: [0.9, 0.95], weight_decay: 0.1, clip: 1.0}",
    "sgd": "optim={type: sgd, lr: 0.3, momentum: 0.9, weight_decay: 0.0001, clip: 1.0}",
    "muon": "optim={type: muon, lr: 0.01, momentum: 0.95, betas: [0.9, 0.95], weight_decay: 0.1, clip: 1.0}",
}
GPT2 = "model={architecture: gpt2, n_layers: 2, n_heads: 2, d_model: 32, context: 32}"


def gpt2() -> Transformer:
    return Transformer(ModelOptions(architecture="gpt2", n_layers=2, n_heads=2, d_model=16, context=8), 64, seed=0)


@pytest.mark.parametrize("options", [AdamWOptions(type="adamw", **ADAMW), SGD, MUON], ids=lambda o: str(o.type))
def test_without_a_gradient_matrices_decay_and_vectors_stay(options: Any) -> None:
    model = gpt2()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
            parameter.grad = torch.zeros_like(parameter)
    before = [p.detach().clone() for p in model.parameters()]
    make_optimizer(model, options).step()
    for parameter, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), old * (1 - 0.1 * 0.5) if parameter.ndim == 2 else old)


def test_muon_takes_the_matrices_of_the_blocks_and_makes_them_orthogonal() -> None:
    model = gpt2()
    optimizer = make_optimizer(model, MUON.model_copy(update={"weight_decay": 0.0}))
    muon, adamw = ({id(p) for group in part.param_groups for p in group["params"]} for part in optimizer.parts)
    named = dict(model.named_parameters())
    assert muon == {id(p) for name, p in named.items() if name.startswith("blocks.") and p.ndim == 2}
    assert muon | adamw == {id(p) for p in named.values()} and not muon & adamw
    before = {name: p.detach().clone() for name, p in named.items()}
    generator = torch.Generator().manual_seed(1)
    for parameter in named.values():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()
    for name, parameter in named.items():
        change = (before[name] - parameter.detach()) / 0.1
        if id(parameter) in muon:
            values = torch.linalg.svdvals(change) / (0.2 * max(parameter.shape) ** 0.5)
            assert values.min() > 0.3 and values.max() < 1.4  # Newton-Schulz comes near 1 (Jordan et al. 2024)
        else:
            torch.testing.assert_close(change.abs(), torch.ones_like(change), rtol=1e-3, atol=1e-3)  # Adam's first


def test_sgd_is_torchs() -> None:
    ours, theirs = gpt2(), gpt2()
    optimizer = make_optimizer(ours, SGD.model_copy(update={"weight_decay": 0.0}))
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, foreach=False)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        optimizer.step()
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("model", ["model.architecture=modern", GPT2], ids=["modern", "gpt2"])
@pytest.mark.parametrize("name", OPTIMS)
def test_a_run_goes_on_bit_for_bit_with_each_optimizer(make_config: Make, name: str, model: str) -> None:
    def trainer(output: str) -> Trainer:
        config = make_config(OPTIMS[name], model, output=output)
        return Trainer(config, Dataset(config.data), alone("cpu"))

    whole, first = trainer("whole"), trainer("parts")
    for _ in range(5):
        whole.step()
    for _ in range(3):
        first.step()
    first.save(wait=True)
    second = trainer("parts")
    assert second.resume()[-1].endswith("step 3.")
    for _ in range(2):
        second.step()
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", OPTIMS)
def test_each_optimizer_lowers_the_loss(make_config: Make, name: str) -> None:
    config = make_config(OPTIMS[name], "schedule={type: wsd, warmup_steps: 2, decay_share: 0.2, min_lr_ratio: 0.0}")
    trainer = Trainer(config, Dataset(config.data), alone("cpu"))
    losses = [trainer.step()[0] for _ in range(12)]
    assert sum(losses[-3:]) / 3 < losses[0] - 0.3
