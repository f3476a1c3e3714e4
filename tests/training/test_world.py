"""Several processes train as one does: the same order, the same loss to rounding, the same ways to stop."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training import checkpoint, launch, report
from training.__main__ import main
from training.config import TrainConfig, TrainingError
from training.data import Dataset
from training.trainer import Trainer
from training.world import World

Make = Callable[..., TrainConfig]
Start = Callable[..., subprocess.Popen[str]]
SHAPE = ("--set", "batch.sequences=8", "--set", "batch.sequences_at_once=1")
SGD = "optim={type: sgd, lr: 0.3, momentum: 0.9, weight_decay: 0, clip: 0.5}"
"""Its steps grow with the gradient; AdamW's would not show a gradient of another scale."""


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def steps(output: Path, name: str = "loss") -> list[float]:
    return [m[name] for m in report.read_metrics(output / "metrics.jsonl") if name in m]


def validation(output: Path) -> list[dict[str, dict[str, float]]]:
    return [m["validation"] for m in report.read_metrics(output / "metrics.jsonl") if "validation" in m]


@pytest.mark.parametrize(
    ("precision", "sizes"),
    [
        ("fp32", (1, 2)),
        pytest.param("fp32", (1, 2, 4), marks=pytest.mark.long),
        pytest.param("bf16", (1, 2), marks=pytest.mark.long),
    ],
)
def test_any_number_of_processes_has_the_same_losses(
    start: Start, tmp_path: Path, precision: str, sizes: tuple[int, ...]
) -> None:
    changes = (*SHAPE, "--set", f"precision={precision}", "--set", SGD)
    printed = [finished(start(*changes, "--gpus", str(n), output=str(n))) for n in sizes]
    states = [checkpoint.read_state(checkpoint.folder_of(tmp_path / str(n), 12)) for n in sizes]
    tolerance = 2e-5 if precision == "fp32" else 2e-3
    for n, out, state in zip(sizes, printed, states, strict=True):
        assert out.count("Validation:") == 1 and (n == 1 or f"on {n} processes" in out)
        for name in ("loss", "gradient_norm"):
            assert len(steps(tmp_path / str(n), name)) == 12
            assert steps(tmp_path / str(n), name) == pytest.approx(steps(tmp_path / "1", name), rel=tolerance)
        for mine, theirs in zip(validation(tmp_path / str(n)), validation(tmp_path / "1"), strict=True):
            assert {c: v["loss"] for c, v in mine.items()} == pytest.approx(
                {c: v["loss"] for c, v in theirs.items()}, rel=tolerance
            )
        assert {k: state[k] for k in ("position", "tokens", "skipped")} == {
            k: states[0][k] for k in ("position", "tokens", "skipped")
        }


@pytest.mark.long
def test_a_run_goes_on_with_another_number_of_processes(start: Start, tmp_path: Path) -> None:
    finished(start(*SHAPE, output="whole"))
    process = start(*SHAPE, "--gpus", "2", "--set", "checkpoint.every=5", output="cut")
    while not checkpoint.found(tmp_path / "cut"):
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    assert "Going on from" in finished(start(*SHAPE, output="cut"))
    whole, cut = (checkpoint.folder_of(tmp_path / name, 12) for name in ("whole", "cut"))
    ours, theirs = load_file(whole / "model.safetensors"), load_file(cut / "model.safetensors")
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-3, atol=2e-5)
    assert steps(tmp_path / "cut") == pytest.approx(steps(tmp_path / "whole"), rel=2e-5)


@pytest.mark.parametrize("ending", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_saves_and_ends_all(start: Start, tmp_path: Path, ending: signal.Signals) -> None:
    process = start(*SHAPE, "--gpus", "2", "--set", "n_steps=5000", "--set", "checkpoint.every=4000")
    while len(seen := steps(tmp_path / "out")) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    if ending == signal.SIGINT:  # a terminal sends it to all
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), ending)
    process.send_signal(ending)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + ending, (out, err)
    assert "Traceback" not in err
    assert f"Stopped by {ending.name} after step" in out and out.count("Run the same command again") == 1
    state = checkpoint.read_state(checkpoint.found(tmp_path / "out")[0])
    assert state["step"] >= len(seen) and state["step"] * 8 == state["position"]


def test_each_window_is_read_once_whatever_the_number_of_processes(make_config: Make) -> None:
    config = make_config("batch.sequences=8", "batch.sequences_at_once=1")
    dataset = Dataset(config.data)
    for size in (1, 2, 4, 8):
        made = [Trainer(config, dataset, World(rank, 1, torch.device("cpu"))) for rank in range(1)]
        shares = []
        for rank in range(size):
            made[0].world = World(rank, size, torch.device("cpu"))
            shares += list(made[0]._shares(16))
        assert sorted(shares) == list(range(16, 24))


@pytest.mark.long
def test_a_batch_that_cannot_be_shared_is_an_error(start: Start) -> None:
    process = start("--set", "batch.sequences_at_once=4", "--gpus", "2")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2 and "Traceback" not in err
    assert "batch.sequences 4 cannot be shared by 2 processes of sequences_at_once 4" in err
    assert err.count("error:") == 1, err


def test_what_is_wrong_is_said_once(start: Start, tmp_path: Path) -> None:
    process = start("--gpus", "2", data=tmp_path / "nowhere")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2 and err.count("error:") == 1 and "does not exist" in err


def test_the_script_for_several_machines(
    version: Path, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a b"
    arguments = [str(config_file), "--data", str(version), "--output", str(output), "--set", "device=auto"]
    assert main([*arguments, "--nodes", "4", "--gpus", "8"]) == 0
    script = (output / launch.SCRIPT).read_text()
    for line in ("#SBATCH --nodes=4", "#SBATCH --gpus-per-node=8", "#SBATCH --job-name=a-b", "#SBATCH --requeue"):
        assert line in script.splitlines()
    assert "--nnodes=4 --nproc-per-node=8" in script and f"--output '{output}'" in script
    assert subprocess.run(["bash", "-n", output / launch.SCRIPT], check=False).returncode == 0
    out = capsys.readouterr().out
    assert "Nothing was started." in out and f"sbatch {output.resolve() / launch.SCRIPT}" in out


def test_the_batch_must_fit_the_world(make_config: Make) -> None:
    config = make_config("batch.sequences=6", "batch.sequences_at_once=1")
    with pytest.raises(
        TrainingError, match="6 cannot be shared by 4 processes of sequences_at_once 1: their product, 4"
    ):
        Trainer(config, Dataset(config.data), World(0, 4, torch.device("cpu")))
