"""Checkpoints: whole or not there, and of the right run."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from training import checkpoint
from training.config import TrainConfig, TrainingError
from training.data import Dataset
from training.train import train
from training.trainer import Trainer
from training.world import alone

Make = Callable[..., TrainConfig]


def trainer(config: TrainConfig) -> Trainer:
    return Trainer(config, Dataset(config.data), alone("cpu"))


def stepped(config: TrainConfig, n: int) -> Trainer:
    made = trainer(config)
    for _ in range(n):
        made.step()
    return made


def test_what_is_saved_comes_back(make_config: Make) -> None:
    old = stepped(make_config(), 2)
    folder = old.save(wait=True)
    new = trainer(make_config())
    assert new.resume() == [f"Going on from {folder}, step 2."]
    assert new.progress == old.progress and new.n_steps_done == 2
    assert set(old.progress.tokens) == {"net", "tools"}
    for a, b in zip(old.model.parameters(), new.model.parameters(), strict=True):
        assert torch.equal(a, b)
        (theirs,), (ours,) = old.optimizer.parts, new.optimizer.parts
        for key in ("step", "exp_avg", "exp_avg_sq"):
            assert torch.equal(theirs.state[a][key], ours.state[b][key])
    state = json.loads((folder / "state.json").read_bytes())
    assert state["version"] == old.dataset.version and state["config"]["seed"] == 7
    assert set(load_file(folder / "model.safetensors")) == {name for name, _ in old.model.named_parameters()}


def test_training_goes_on_while_a_checkpoint_is_written(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is the state when `save` was called: weights, moments and progress."""
    may_write, write = Event(), checkpoint._write

    def write_later(*arguments: Any) -> Path:
        assert may_write.wait(60)
        return write(*arguments)

    monkeypatch.setattr(checkpoint, "_write", write_later)
    made = stepped(make_config(), 3)
    progress, weights = deepcopy(made.progress), [p.detach().clone() for p in made.model.parameters()]
    moments = [made.optimizer.parts[0].state[p]["exp_avg"].clone() for p in made.model.parameters()]
    made.save()
    made.step()
    may_write.set()
    made.saver.wait()
    again = trainer(make_config())
    again.resume()
    assert again.progress == progress != made.progress
    for parameter, weight, moment in zip(again.model.parameters(), weights, moments, strict=True):
        assert torch.equal(parameter, weight)
        assert torch.equal(again.optimizer.parts[0].state[parameter]["exp_avg"], moment)


def test_only_the_newest_are_kept(make_config: Make) -> None:
    made = trainer(make_config("checkpoint.keep=2"))
    for _ in range(4):
        made.step()
        made.save(wait=True)
    assert [path.name for path in checkpoint.found(made.config.output)] == ["step-00000004", "step-00000003"]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_passed_over(make_config: Make, name: str, damage: str) -> None:
    old = trainer(make_config())
    for _ in range(2):
        old.step()
        newest = old.save(wait=True)
    path = newest / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 if name != "state.json" else 0] ^= 0xFF
    path.unlink() if damage == "remove" else path.write_bytes(raw if damage == "flip" else raw[:-7])
    new = trainer(make_config())
    notes = new.resume()
    assert len(notes) == 2 and notes[0].startswith(f"damaged checkpoint passed over: {path}") and "step 1." in notes[1]
    new.step()
    assert new.save(wait=True) == newest
    assert trainer(make_config()).resume()[-1].endswith("step 2.")


def test_no_whole_checkpoint_is_an_error(make_config: Make) -> None:
    folder = stepped(make_config(), 1).save(wait=True)
    (folder / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match="No checkpoint is whole: delete the folder"):
        trainer(make_config()).resume()


def test_half_written_ones_are_ignored_and_removed(make_config: Make) -> None:
    old = stepped(make_config(), 1)
    folder = old.save(wait=True)
    half = folder.with_name(".aside-step-00000002")
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    new = trainer(make_config())
    assert new.resume() == [f"{half}: half-written, ignored", f"Going on from {folder}, step 1."]
    new.step()
    new.save(wait=True)
    assert not half.exists()


def test_another_configuration_is_an_error_that_says_what_differs(make_config: Make) -> None:
    stepped(make_config(), 1).save(wait=True)
    with pytest.raises(TrainingError) as caught:
        trainer(make_config("optim.lr=0.5", "model.n_layers=3")).resume()
    text = str(caught.value)
    assert "config.optim.lr: 0.5 here, 0.01 in the checkpoint" in text
    assert "config.model.n_layers: 3 here, 2 in the checkpoint" in text and "--output" in text
    assert "n_heads" not in text


def test_another_version_is_an_error(make_config: Make, other_version: Path) -> None:
    stepped(make_config(), 1).save(wait=True)
    with pytest.raises(TrainingError, match=r"version: '[0-9a-f]{16}' here, '[0-9a-f]{16}' in the checkpoint"):
        train(make_config().model_copy(update={"data": other_version}))


def test_what_does_not_decide_the_weights_may_change(make_config: Make) -> None:
    stepped(make_config(), 1).save(wait=True)
    assert trainer(make_config("checkpoint.keep=5", "evaluate.every=1", "sample.temperature=0.0")).resume()


def test_checkpoints_hold_no_time_and_no_place(make_config: Make) -> None:
    a, b = (stepped(make_config(output=name), 1).save(wait=True) for name in ("a", "b"))
    for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
        assert (a / name).read_bytes() == (b / name).read_bytes()
