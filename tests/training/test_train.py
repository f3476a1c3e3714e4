"""Whole runs: they learn, go on where they were stopped, and survive bad numbers."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from training import checkpoint, report
from training.__main__ import main
from training.config import TrainConfig, TrainingError
from training.data import Dataset
from training.model import IGNORED
from training.schedule import lr_factor
from training.train import MAX_IN_A_ROW, train
from training.trainer import Trainer
from training.world import alone

Make = Callable[..., TrainConfig]
Start = Callable[..., subprocess.Popen[str]]


def final_bytes(config: TrainConfig) -> dict[str, bytes]:
    folder = checkpoint.folder_of(config.output, config.n_steps)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)


def test_a_run_learns_and_reports(make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    config = make_config("n_steps=120", "evaluate.every=40", "optim.lr=0.02", "schedule.warmup_steps=5")
    assert train(config) == 0
    out = capsys.readouterr().out
    metrics = list(report.read_metrics(config.output / "metrics.jsonl"))
    steps = [m for m in metrics if "loss" in m]
    evaluations = [m for m in metrics if "validation" in m]
    assert [m["step"] for m in steps] == list(range(1, 121))
    assert [m["step"] for m in evaluations] == [0, 40, 80, 120]
    for cell in ("net", "tools"):
        first, last = (evaluations[i]["validation"][cell] for i in (0, -1))
        assert last["loss"] < evaluations[-1]["unigram"] < first["loss"]
        assert last["bits_per_byte"] < 0.8 * first["bits_per_byte"]
        assert re.search(rf"^  {cell} +{last['loss']:.3f} nats per token", out, re.MULTILINE)
    assert out.count("unigram entropy of the training data") == 5  # each evaluation, and the summary
    assert (config.output / "sample.txt").is_file() and (config.output / "report.html").is_file()


def test_a_killed_run_goes_on_bit_for_bit(make_config: Make, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    whole, killed = make_config(output="whole"), make_config(output="killed")
    train(whole)
    process = start(output="killed")
    wait_for(lambda: bool(checkpoint.found(killed.output)), process)
    process.kill()
    process.communicate()
    assert not checkpoint.folder_of(killed.output, 12).exists()
    capsys.readouterr()
    assert train(killed) == 0
    assert re.search(r"Going on from .*, step (3|6|9)\.", capsys.readouterr().out)
    assert final_bytes(whole) == final_bytes(killed)
    state = checkpoint.read_state(checkpoint.found(killed.output)[0])
    assert state["position"] == 12 * 4 and state["n_updates"] == 12
    losses = [
        [(m["step"], m.get("loss")) for m in report.read_metrics(c.output / "metrics.jsonl")] for c in (whole, killed)
    ]
    assert [x for x in losses[0] if x[1]] == [x for x in losses[1] if x[1]]


def test_sigterm_saves_and_says_how_to_go_on(make_config: Make, start: Start) -> None:
    config = make_config("n_steps=5000", output="stopped")
    process = start("--set", "n_steps=5000", "--set", "checkpoint.every=4000", output="stopped")
    metrics = config.output / "metrics.jsonl"
    wait_for(lambda: sum("loss" in line for line in report.read_metrics(metrics)) > 2, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM and err == ""
    step = int(re.search(r"Stopped by SIGTERM after step (\d+) of 5000", out).group(1))  # type: ignore[union-attr]
    assert "Run the same command again to go on." in out
    assert checkpoint.read_state(checkpoint.found(config.output)[0])["step"] == step


def test_a_finished_run_is_only_evaluated_again(make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    config = make_config("n_steps=3")
    train(config)
    before, first = final_bytes(config), (config.output / "metrics.jsonl").read_text()
    assert train(config) == 0
    assert final_bytes(config) == before
    assert (config.output / "metrics.jsonl").read_text() == first
    assert "Validation:" in capsys.readouterr().out


def test_accumulation_gives_the_same_weights(make_config: Make) -> None:
    one, many = (
        Trainer(c, Dataset(c.data), alone("cpu")) for c in (make_config("batch.sequences_at_once=4"), make_config())
    )
    for made in (one, many):
        for _ in range(3):
            made.step()
    for a, b in zip(one.model.parameters(), many.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("clip", [0.3, 100.0])
def test_a_step_is_that_of_torch(make_config: Make, clip: float) -> None:
    """Loss, norm and weights of a mean over the window, torch's own clipping and its SGD."""
    sgd = f"optim={{type: sgd, lr: 0.05, momentum: 0.9, weight_decay: 0, clip: {clip}}}"
    config = make_config(sgd, "batch.sequences_at_once=1")
    made = Trainer(config, Dataset(config.data), alone("cpu"))
    theirs = deepcopy(made.model)
    reference = torch.optim.SGD(theirs.parameters(), lr=0.0, momentum=0.9)
    for n in range(4):
        batch, _ = made.batches.at(4 * n, 4)
        logits = theirs(*batch.inputs)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED)
        reference.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        assert (norm > clip) == (clip < 1)
        reference.param_groups[0]["lr"] = 0.05 * lr_factor(n, config.n_steps, config.schedule)
        reference.step()
        step = made.step()
        assert step.loss == pytest.approx(loss.item(), rel=1e-5)
        assert step.gradient_norm == pytest.approx(norm.item(), rel=1e-4)
        for a, b in zip(made.model.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_bf16_trains(make_config: Make) -> None:
    made = Trainer(make_config("precision=bf16"), Dataset(make_config().data), alone("cpu"))
    losses = [made.step()[0] for _ in range(8)]
    assert losses[-1] < losses[0] - 0.3
    assert all(p.dtype == torch.float32 for p in made.model.parameters())


def poison(made: Trainer, windows: range, where: str) -> None:
    """Make loss or gradient of these windows infinite."""
    inner = made.forward

    def forward(*inputs: torch.Tensor) -> torch.Tensor:
        logits = inner(*inputs)
        if made.n_steps_done in windows:
            if where == "loss":
                return logits * float("nan")
            logits.register_hook(lambda gradient: gradient * float("inf"))
        return logits

    made.forward = forward  # type: ignore[assignment]


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_bad_window_never_reaches_the_weights(make_config: Make, where: str) -> None:
    made = Trainer(make_config(), Dataset(make_config().data), alone("cpu"))
    poison(made, range(1, 3), where)
    made.step()
    weights = [p.detach().clone() for p in made.model.parameters()]
    for n in (1, 2):
        made.step()
        assert made.progress.n_objections == n
        assert all(torch.equal(p, old) for p, old in zip(made.model.parameters(), weights, strict=True))
    made.step()
    assert made.progress.n_objections == 0
    assert made.progress.skipped == [4, 8] and (made.progress.n_updates, made.progress.position) == (2, 16)
    made.save(wait=True)
    again = Trainer(make_config(), Dataset(make_config().data), alone("cpu"))
    again.resume()
    assert again.progress == made.progress
    assert any(not torch.equal(p, old) for p, old in zip(made.model.parameters(), weights, strict=True))


def test_ten_bad_windows_end_the_run(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config("n_steps=30")
    inside = Trainer.__init__

    def init(self: Trainer, *arguments: object) -> None:
        inside(self, *arguments)  # type: ignore[arg-type]
        poison(self, range(5, 99), "loss")

    monkeypatch.setattr(Trainer, "__init__", init)
    with pytest.raises(TrainingError, match=r"the last 10 windows, from position 20 on.*\n*.*optim.lr"):
        train(config)
    steps = [m for m in report.read_metrics(config.output / "metrics.jsonl") if "loss" in m]
    assert len(steps) == 5 + MAX_IN_A_ROW and steps[-1]["loss"] is None


def test_two_runs_do_not_share_a_folder(make_config: Make) -> None:
    from filelock import FileLock

    config = make_config()
    config.output.mkdir()
    with FileLock(config.output / ".lock"), pytest.raises(TrainingError, match="in use by another training run"):
        train(config)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data", "nowhere"], "data: nowhere does not exist; make a dataset with"),
        (["--set", "model.n_head=3"], "n_head"),
        (["--set", "optim.lr=-1"], "optim.lr"),
        (["--set", "model.n_heads=5"], "d_model 32 over n_heads 5"),
        (["--set", "batch.sequences_at_once=3"], "must divide"),
        (["--set", "schedule.warmup_steps=12"], "warmup_steps 12 must be below n_steps 12"),
        (["--set", "model.context=48"], "model.context 48 does not divide"),
        (["--set", "device=cuda"], "device: cuda"),
    ],
)
def test_mistakes_are_told_without_a_stack_trace(
    version: Path,
    config_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    if "device=cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert main([str(config_file), "--data", str(version), "--output", str(tmp_path / "out"), *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and expected in err and "Traceback" not in err


def test_without_torch(config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("training.") and name != "training.__main__"]:
        monkeypatch.delitem(sys.modules, name)
    assert main([str(config_file)]) == 2
    assert capsys.readouterr().err == "error: torch is not installed; run `pip install 'gristmill[train]'`\n"
