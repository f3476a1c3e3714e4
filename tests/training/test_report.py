"""What a run leaves to be seen: metrics with each step once, MFU, TensorBoard's copy, and a page if there is room."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from training import report
from training.config import TrainConfig
from training.curves import scalars
from training.data import Dataset
from training.evaluate import CellLoss
from training.report import Report, read_metrics
from training.summary import peak_tokens_per_s
from training.train import train
from training.trainer import Step, Trainer
from training.world import World, alone

Make = Callable[..., TrainConfig]
CPU = torch.device("cpu")
LOSSES = {"web": CellLoss(200.0, 100, 400), "empty": CellLoss(0.0, 0, 0), "no bytes": CellLoss(5.0, 1, 0)}
EVENT = {"kind": "skip", "position": 8, "reason": "loss 9", "documents": ["a"], "command": "pipeline trace v --row 8"}
RESULT = {"hellaswag": {"accuracy": 0.3, "standard_error": 0.01, "chance": 0.25, "n": 1000}}


def steps(shown: Report, first: int, last: int) -> None:
    for step in range(first, last + 1):
        shown.step(step, Step(9.0 / step, 0.001, 1.0, 0, 0.25), 0.5, 1000)


def lines(folder: Path) -> list[dict[str, Any]]:
    return list(read_metrics(folder / report.METRICS))


def test_a_line_of_metrics_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Report(tmp_path, 0, 2, CPU, peak_tokens_per_s=8000.0, about=["Data: d"]) as shown:
        shown.step(1, Step(7.25, 0.001, float("inf"), 0, 0.25), 0.5, 1000)
        shown.step(2, Step(7.0, 0.002, 1.5, 0, 0.004), 0.5, 1000)
    first, second = lines(tmp_path)
    resident = first.pop("resident_bytes")
    assert 10**7 < resident < 10**11
    known = {"step": 1, "loss": 7.25, "lr": 0.001, "gradient_norm": None}
    assert first == {**known, "tokens_per_s": 2000.0, "mfu": 0.25, "waiting_share": 0.5}
    assert second["waiting_share"] == 0.008
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Data: d"
    assert out[1].startswith(
        f"step 1/2  loss 7.250  2,000 tokens/s  MFU 25.0%  waiting 50%  {resident / 2**30:.2f} GiB"
    )
    assert "MFU 25.0%  " in out[2] and "waiting" not in out[2]


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    with Report(tmp_path, 0, 1, CPU) as shown:
        shown.step(1, Step(7.0, 0.001, 1.0, 0), 0.5, 1000)
        shown.evaluation(1, LOSSES, 6.5)
    assert not {"mfu", "peak_gpu_bytes"} & lines(tmp_path)[0].keys()
    cells = {
        "web": {"loss": 2.0, "bits_per_byte": LOSSES["web"].bits_per_byte},
        "no bytes": {"loss": 5.0, "bits_per_byte": None},
    }
    assert lines(tmp_path)[1] == {"step": 1, "validation": cells, "unigram": 6.5}


def test_the_peak_by_hand(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Trainer(make_config("precision=bf16"), Dataset(make_config().data), alone("cpu"))
    assert peak_tokens_per_s(made) is None  # on a CPU
    made.device = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    # The vocabulary of 600 filled up to 640, width 32; two blocks with queries, keys, values and output (4 x 32 x 32)
    # and a feed-forward of four times the width; context 32.
    n = 640 * 32 + 2 * (4 * 32 * 32 + 2 * 32 * 128)
    assert n == 45_056
    assert peak_tokens_per_s(made) == 989e12 / (6 * n + 12 * 2 * 32 * 32)
    made.world = World(0, 4, made.device)
    assert peak_tokens_per_s(made) == 4 * 989e12 / (6 * n + 12 * 2 * 32 * 32)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA T1000")
    assert peak_tokens_per_s(made) is None


def test_a_run_killed_while_it_wrote_goes_on_with_each_step_once(tmp_path: Path) -> None:
    with Report(tmp_path, 0, 9, CPU) as shown:
        steps(shown, 1, 4)
        shown.evaluation(4, LOSSES, 6.5)
        shown.tasks(4, RESULT)
        steps(shown, 5, 6)
        shown.event(6, EVENT)
    path = tmp_path / report.METRICS
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 7, "loss": 1.2')
    with Report(tmp_path, 4, 9, CPU) as shown:
        shown.evaluation(4, LOSSES, 6.5)
        shown.tasks(4, RESULT)
        steps(shown, 5, 6)
        shown.event(6, EVENT)  # the run meets it again
        steps(shown, 7, 7)
        shown.evaluation(7, LOSSES, 6.5)
        shown.rewind(4)
        steps(shown, 5, 5)
        shown.rewind(5)
        steps(shown, 6, 9)
    found = lines(tmp_path)
    assert [m["step"] for m in found if "loss" in m] == list(range(1, 10))
    assert [m["step"] for m in found if "validation" in m] == [m["step"] for m in found if "tasks" in m] == [4]
    assert [m for m in found if "event" in m] == [{"step": 6, "event": EVENT}]
    curves = shown._summary.curves
    assert curves["loss",].points() == [(step, 9.0 / step) for step in range(1, 10)]
    assert curves["tasks", "hellaswag", "low"].points() == [(4, 0.29)]


def test_all_processes_but_one_are_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Report(tmp_path, 0, 9, CPU, about=["Data: d"], is_shown=False) as shown:
        steps(shown, 1, 2)
        shown.evaluation(2, LOSSES, 6.5)
        shown.tasks(2, RESULT)
        shown.event(2, EVENT)
        shown.rewind(1)
        shown.sample(2, "text")
    assert capsys.readouterr().out == "" and not list(tmp_path.iterdir())


def test_the_page_is_drawn_when_it_costs_little_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / report.PAGE
    with Report(tmp_path, 0, 9, CPU) as shown:
        steps(shown, 1, 2)
        shown.page()
        assert not page.exists()
        monkeypatch.setattr(report, "DRAWING_SHARE", 1e9)
        shown.page()
        assert "step 2/9" in page.read_text() and not list(tmp_path.glob(".aside-*"))
        monkeypatch.undo()
        steps(shown, 3, 3)
        shown.page()
        assert "step 2/9" in page.read_text()
    assert "step 3/9" in page.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_costs_the_page_and_not_the_run(make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    config = make_config("n_steps=3")
    config.output.mkdir()
    (config.output / f".aside-{report.PAGE}").symlink_to("/dev/full")
    assert train(config) == 0
    out = capsys.readouterr().out
    assert "report.html was not written: No space left on device. The run goes on." in out
    assert "Validation:" in out and not (config.output / report.PAGE).exists()


class Writer:
    """What SummaryWriter does to its folder, as the reader sees it: `purge_step` hides steps from it on."""

    written: ClassVar[list[tuple[str, float, int]]] = []

    def __init__(self, folder: Path, purge_step: int) -> None:
        assert folder.name == "tensorboard"
        Writer.written = [point for point in Writer.written if point[2] < purge_step]

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        if value == 4.5:  # the loss of step 2
            raise OSError(28, "No space left on device")
        Writer.written.append((tag, value, step))

    def close(self) -> None:
        pass


def flat(folder: Path) -> list[tuple[str, float, int]]:
    return sorted(("/".join(names), value, m["step"]) for m in lines(folder) for names, value in scalars(m))


def resumed(folder: Path, first: int) -> None:
    with Report(folder, 0, 9, CPU) as shown:
        shown.evaluation(0, LOSSES, 6.5)
        steps(shown, first, 5)
        shown.evaluation(4, LOSSES, 6.5)
    with Report(folder, 4, 9, CPU) as shown:
        shown.evaluation(4, LOSSES, 6.5)
        shown.tasks(4, RESULT)
        steps(shown, 5, 7)
        shown.sample(7, "text")


@pytest.fixture
def fake_board(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Writer, "written", [])


@pytest.mark.usefixtures("fake_board")
def test_tensorboard_is_given_what_metrics_hold(tmp_path: Path) -> None:
    resumed(tmp_path, 3)
    assert sorted(Writer.written) == flat(tmp_path)
    assert ("validation/web/loss", 2.0, 4) in Writer.written and ("tasks/hellaswag/accuracy", 0.3, 4) in Writer.written


@pytest.mark.usefixtures("fake_board")
def test_tensorboard_without_room_is_given_up_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Report(tmp_path, 0, 9, CPU) as shown:
        steps(shown, 1, 5)
    assert capsys.readouterr().out.count("tensorboard was not written: No space left on device") == 1
    assert len(lines(tmp_path)) == 5


def test_tensorboard_that_is_broken_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch.utils.tensorboard")
    module.__getattr__ = lambda name: json.loads("no JSON")  # type: ignore[method-assign, assignment]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with Report(tmp_path, 0, 9, CPU) as shown:
        steps(shown, 1, 2)
    assert len(lines(tmp_path)) == 2


def test_tensorboard_reads_what_metrics_hold(tmp_path: Path) -> None:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    resumed(tmp_path, 1)
    accumulator = module.EventAccumulator(str(tmp_path / report.TENSORBOARD), {"scalars": 0})
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    found = [(tag, point.value, point.step) for tag in tags for point in accumulator.Scalars(tag)]
    expected = [(tag, float(np.float32(value)), step) for tag, value, step in flat(tmp_path)]
    assert sorted(found) == sorted(expected)
