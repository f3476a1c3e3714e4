"""Windows that stand out: what counts as one, and what each policy makes of it."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training import checkpoint, report
from training.__main__ import main
from training.config import TrainConfig, TrainingError
from training.data import Dataset
from training.spikes import ENOUGH, HISTORY, History, most_unusual
from training.train import MAX_IN_A_ROW, train
from training.trainer import MAX_ROLLBACKS, Step, Trainer
from training.world import alone

Make = Callable[..., TrainConfig]
LONG = ("n_steps=60", "optim.lr=0.003", "evaluate.every=1000", "checkpoint.every=10")
POISONED = 45


def history(losses: list[float], norms: list[float] | None = None) -> History:
    made = History()
    for loss, norm in zip(losses, norms or [1.0] * len(losses), strict=True):
        made.add(loss, norm)
    return made


def noise(n: int = HISTORY, seed: int = 0) -> list[float]:
    return (3 + 0.1 * np.random.default_rng(seed).standard_normal(n)).tolist()


def test_six_sigma_of_the_scatter_and_not_less() -> None:
    before = history(noise())
    scale = 1.4826 * float(np.median(np.abs(np.array(before.losses) - np.median(before.losses))))
    median = float(np.median(before.losses))
    assert 0.08 < scale < 0.12
    assert before.objection(median + 5.99 * scale, 1.0, 6) == ""
    found = before.objection(median + 6.01 * scale, 1.0, 6)
    assert re.fullmatch(r"loss 3\.\d+ lies 6\.0 sigma above its median 3\.\d+", found)
    assert before.objection(median - 50 * scale, 1.0, 6) == ""


def test_earlier_spikes_do_not_hide_the_next() -> None:
    losses = noise()
    losses[10::10] = [50.0] * len(losses[10::10])
    assert history(losses).objection(4.0, 1.0, 6)


def test_norms_are_judged_by_their_factor() -> None:
    norms = np.exp(0.5 * np.random.default_rng(1).standard_normal(HISTORY)).tolist()
    before = history([3.0] * HISTORY, norms)
    assert before.objection(3.0, 5.0, 6) == "" and "gradient norm 40" in before.objection(3.0, 40.0, 6)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_finite_number_always_stands_out(value: float) -> None:
    assert "no finite number" in History().objection(value, 1.0, 6)
    assert "no finite number" in History().objection(1.0, value, 6)


def test_few_updates_are_no_measure() -> None:
    assert history(noise(ENOUGH - 1)).objection(1e6, 1e6, 6) == ""
    assert history(noise(ENOUGH)).objection(1e6, 1.0, 6)


@given(st.integers(0, 10_000))
def test_noise_is_let_through(seed: int) -> None:
    losses = noise(HISTORY + 1, seed)
    assert history(losses[:-1]).objection(losses[-1], 1.0, 6) == ""


def test_the_furthest_from_the_median_are_named_first() -> None:
    assert most_unusual([3, 3.1, 9, 2.9, 0.1, math.nan, 3, 3]) == [5, 2, 4, 1, 3]
    assert most_unusual([math.nan, math.nan]) == [0, 1] and most_unusual([1.0]) == [0]


def poison(trainer: Trainer, window: int, factor: float = 60.0) -> None:
    """Make one Sequence of the window's four cost more: its logits point away from what they say."""
    inner = trainer.forward

    def forward(*inputs: torch.Tensor) -> torch.Tensor:
        logits = inner(*inputs)
        if torch.equal(inputs[0][0], poisoned.tokens[0]):
            logits = torch.cat([-factor * logits[:2], logits[2:]])
        return logits

    poisoned = trainer.batches.at(window * 4 + 2, 2)[0]
    trainer.forward = forward  # type: ignore[assignment]


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trainer meets a bad Sequence at place 2 of window `POISONED`."""
    inside = Trainer.__init__

    def init(self: Trainer, *arguments: object) -> None:
        inside(self, *arguments)  # type: ignore[arg-type]
        poison(self, POISONED)

    monkeypatch.setattr(Trainer, "__init__", init)


def events(config: TrainConfig) -> list[dict[str, object]]:
    return [m["event"] for m in report.read_metrics(config.output / "metrics.jsonl") if "event" in m]


@pytest.mark.usefixtures("poisoned")
def test_a_poisoned_window_is_skipped_and_named(make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    config = make_config(*LONG)
    assert train(config) == 0
    state = checkpoint.read_state(checkpoint.found(config.output)[0])
    assert state["skipped"] == [POISONED * 4] and state["n_updates"] == 59 and len(state["history"]["losses"]) == 59
    (event,) = events(config)
    batches = Trainer(config, Dataset(config.data), alone("cpu")).batches
    cell, row = batches.where(POISONED * 4 + 2)
    worst = event["documents"][0]  # type: ignore[index]
    assert (event["kind"], event["position"], worst["cell"], worst["row"]) == ("skip", POISONED * 4, cell, row)
    assert worst["ids"] == batches.dataset.train[cell].ids(row) and worst["ids"]
    assert event["command"] == f"pipeline trace {config.data} --cell {cell} --row {row}"
    out = capsys.readouterr().out
    assert f"step {POISONED + 1}: loss " in out and str(event["command"]) in out


def test_the_weights_are_as_if_the_window_were_not_there(make_config: Make) -> None:
    config = make_config(*LONG)
    made = Trainer(config, Dataset(config.data), alone("cpu"))
    poison(made, POISONED)
    while made.n_steps_done < POISONED:
        assert not made.step().objection
    weights = [p.detach().clone() for p in made.model.parameters()]
    moments = {name: tensor.clone() for name, tensor in made.optimizer.tensors().items()}
    assert made.step().objection
    assert all(torch.equal(p, old) for p, old in zip(made.model.parameters(), weights, strict=True))
    assert all(torch.equal(tensor, moments[name]) for name, tensor in made.optimizer.tensors().items())


@pytest.mark.usefixtures("poisoned")
def test_rollback_goes_back_and_leaves_out_what_is_around(make_config: Make) -> None:
    config = make_config(*LONG, "spikes={policy: rollback, sigma: 6, around: 2}")
    assert train(config) == 0
    state = checkpoint.read_state(checkpoint.found(config.output)[0])
    assert state["skipped"] == [4 * window for window in range(POISONED - 2, POISONED + 3)]
    metrics = list(report.read_metrics(config.output / "metrics.jsonl"))
    steps = [m["step"] for m in metrics if "loss" in m]
    assert steps == list(range(1, 61))
    assert [m["step"] for m in metrics if "loss" in m and m["loss"] is None] == list(range(POISONED - 1, POISONED + 4))
    (event,) = events(config)
    assert event["kind"] == "rollback"


@pytest.mark.usefixtures("poisoned")
def test_a_run_stopped_before_the_spike_rolls_back_to_the_same(make_config: Make) -> None:
    policy = "spikes={policy: rollback, sigma: 6, around: 2}"
    whole, stopped = make_config(*LONG, policy), make_config(*LONG, policy, output="stopped")
    train(whole)
    made = Trainer(stopped, Dataset(stopped.data), alone("cpu"))
    while made.n_steps_done < POISONED - 1:
        made.step()
        if made.n_steps_done % 10 == 0:
            made.save(wait=True)
    made.save(wait=True)  # off schedule, as a signal makes it
    assert train(stopped) == 0
    one, other = (checkpoint.folder_of(c.output, 60) / "model.safetensors" for c in (whole, stopped))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.usefixtures("poisoned")
def test_stop_leaves_the_window_to_a_person(make_config: Make) -> None:
    config = make_config(*LONG, "spikes.policy=stop")
    for _ in range(2):  # it stops at the same place again
        with pytest.raises(TrainingError, match=r"stopped before it[^\n]*\n.*pipeline trace[^\n]*\n.*policy=skip"):
            train(config)
        state = checkpoint.read_state(checkpoint.found(config.output)[0])
        assert (state["step"], state["skipped"]) == (POISONED, [])
    assert train(make_config(*LONG)) == 0
    assert checkpoint.read_state(checkpoint.found(config.output)[0])["skipped"] == [POISONED * 4]
    steps = [m["step"] for m in report.read_metrics(config.output / "metrics.jsonl") if "loss" in m]
    assert steps == list(range(1, 61))


def test_a_new_level_is_accepted_after_ten(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source of another kind begins: every window from 40 on has three times the loss."""
    inner = Trainer.step

    def step(self: Trainer, is_stopping: bool = False) -> Step:
        if self.n_steps_done == 40 and self.progress.history.losses:
            history = self.progress.history
            history.losses, history.norms = [x / 3 for x in history.losses], [x / 30 for x in history.norms]
        return inner(self, is_stopping)

    monkeypatch.setattr(Trainer, "step", step)
    config = make_config(*LONG)
    assert train(config) == 0
    state = checkpoint.read_state(checkpoint.found(config.output)[0])
    assert state["skipped"] == [4 * window for window in range(40, 40 + MAX_IN_A_ROW)]


def test_rolling_back_again_and_again_ends(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(History, "objection", lambda self, *_: "bad" if len(self.losses) >= 45 else "")
    config = make_config(*LONG, "checkpoint.every=30", "spikes={policy: rollback, sigma: 6, around: 0}")
    with pytest.raises(TrainingError, match=rf"went back to .*step-00000030 {MAX_ROLLBACKS} times"):
        train(config)


@pytest.mark.parametrize(("passed_over", "n_known"), [([], 3), ([20], 2), ([12, 16, 20, 24], 1)])
def test_another_phase_has_another_level(make_config: Make, passed_over: list[int], n_known: int) -> None:
    """Whether its first window is looked at or not."""
    made = Trainer(make_config(*LONG), Dataset(make_config().data), alone("cpu"))
    made.batches.order.phase_ends = [20, made.batches.order.n_rows]
    made.progress.skipped = passed_over
    for _ in range(8):
        made.step()
    assert len(made.progress.history.losses) == n_known


def test_the_command_says_what_to_do(
    version: Path, config_file: Path, tmp_path: Path, poisoned: None, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [part for change in (*LONG, "spikes.policy=stop") for part in ("--set", change)]
    assert main([str(config_file), "--data", str(version), "--output", str(tmp_path / "o"), *changes]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: step {POISONED + 1}: loss ") and "--set spikes.policy=skip" in error
