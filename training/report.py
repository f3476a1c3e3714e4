"""What a person sees of a run: progress, `metrics.jsonl`, `curve.png`."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.evaluate import CellLoss

METRICS, CURVE = "metrics.jsonl", "curve.png"
LINE_EVERY_S = 10.0
"""Seconds between two lines of progress where the output is no terminal."""


class Report:
    """Progress on stdout (a bar on a terminal, plain lines elsewhere) and lines in `output/metrics.jsonl`.

    A run that goes on from a checkpoint drops the lines written after it, so that the file holds each step once.
    """

    def __init__(self, output: Path, step: int, n_steps: int) -> None:
        self.output, self.n_steps, self.first_step = output, n_steps, step
        self.started = self.last_line = time.monotonic()
        self.path = output / METRICS
        self._forget_after(step)
        self._file = self.path.open("a", encoding="utf-8")
        self._bar = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            disable=not sys.stdout.isatty(),
        )
        self._task = self._bar.add_task("", total=n_steps, completed=step)

    def __enter__(self) -> "Report":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._file.close()

    def say(self, text: str) -> None:
        """Print `text`, above the bar if there is one."""
        if self._bar.disable:
            print(text, flush=True)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, step: int, loss: float, lr: float, norm: float, tokens_per_s: float) -> None:
        """One optimizer step; `step` counts those done. A value that is no finite number is written as null."""
        numbers = {"loss": loss, "lr": lr, "gradient_norm": norm, "tokens_per_s": tokens_per_s}
        self._write({"step": step, **{k: v if abs(v) < float("inf") else None for k, v in numbers.items()}})
        text = f"loss {loss:.3f}  {tokens_per_s:,.0f} tokens/s"
        self._bar.update(self._task, completed=step, description=text)
        now = time.monotonic()
        if self._bar.disable and (now - self.last_line >= LINE_EVERY_S or step in (self.first_step + 1, self.n_steps)):
            left = (now - self.started) / (step - self.first_step) * (self.n_steps - step)
            print(f"step {step}/{self.n_steps}  {text}  {_duration(left)} left", flush=True)
            self.last_line = now

    def evaluation(self, step: int, losses: Mapping[str, CellLoss], unigram: float) -> None:
        """Validation losses by Cell after `step` steps; `unigram` in nats per token."""
        if step == self.first_step:
            self.started = time.monotonic()  # the time left is reckoned from training alone
        cells = {c: {"loss": x.loss, "bits_per_byte": x.bits_per_byte} for c, x in losses.items() if x.n_targets}
        self._write({"step": step, "validation": cells, "unigram": unigram})
        self.say(f"step {step}/{self.n_steps}  validation: {summary_line(losses, unigram)}")

    def _write(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()

    def _forget_after(self, step: int) -> None:
        """Keep the lines of steps up to `step`, but no evaluation at it: that one is made again."""
        kept = [m for m in read_metrics(self.path) if m["step"] < step or (m["step"] == step and "loss" in m)]
        aside = self.path.with_name(f".aside-{METRICS}")
        aside.write_text("".join(json.dumps(m) + "\n" for m in kept), encoding="utf-8")
        aside.replace(self.path)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, without a last one that was cut off; none if there is no file."""
    lines = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            lines.append(json.loads(line))
    except FileNotFoundError:
        pass
    except ValueError:  # the process was killed while it wrote this line
        pass
    return [line for line in lines if isinstance(line, dict) and isinstance(line.get("step"), int)]


def overall(losses: Mapping[str, CellLoss]) -> CellLoss:
    """The sums over all Cells."""
    return sum(losses.values(), start=CellLoss(0.0, 0, 0))


def summary_line(losses: Mapping[str, CellLoss], unigram: float) -> str:
    """One line: loss and bits per byte over all Cells, beside the unigram entropy."""
    whole = overall(losses)
    if not whole.n_targets:
        return f"no validation Sequences; unigram entropy of the training data {unigram:.3f} nats per token"
    return (
        f"{whole.loss:.3f} nats per token, {whole.bits_per_byte:.3f} bits per byte "
        f"(unigram entropy of the training data: {unigram:.3f} nats per token)"
    )


def loss_table(losses: Mapping[str, CellLoss]) -> str:
    """A line for each Cell: loss, bits per byte, tokens evaluated."""
    width = max((len(cell) for cell in losses), default=0)
    return "\n".join(
        f"  {cell:<{width}}  {x.loss:7.3f} nats per token  {x.bits_per_byte:6.3f} bits per byte  {x.n_targets:,} tokens"
        for cell, x in losses.items()
        if x.n_targets
    )


def draw_curve(output: Path) -> Path:
    """Draw `curve.png` from `metrics.jsonl`: training loss, validation loss of each Cell, unigram entropy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = read_metrics(output / METRICS)
    steps = [m for m in metrics if m.get("loss") is not None]
    evaluations = [m for m in metrics if "validation" in m]
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="step", ylabel="loss, nats per token")
    axes.plot([m["step"] for m in steps], [m["loss"] for m in steps], label="training", linewidth=0.8, color="0.6")
    for cell in sorted({cell for m in evaluations for cell in m["validation"]}):
        points = [(m["step"], m["validation"][cell]["loss"]) for m in evaluations if cell in m["validation"]]
        axes.plot(*zip(*points, strict=True), label=f"validation, {cell}", marker="o", markersize=3)
    if evaluations:
        axes.axhline(evaluations[-1]["unigram"], label="unigram entropy", linestyle="--", color="black", linewidth=0.8)
    axes.legend()
    axes.grid(alpha=0.3)
    aside = output / f".aside-{CURVE}"
    figure.savefig(aside, format="png", dpi=120)
    aside.replace(output / CURVE)
    return output / CURVE


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
