"""What a person sees of a run: progress, `metrics.jsonl`, `report.html`; TensorBoard's files, where it is installed."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training import devices
from training.curves import Summary, scalars
from training.evaluate import CellLoss
from training.trainer import Step

METRICS, PAGE, SAMPLE, TENSORBOARD = "metrics.jsonl", "report.html", "sample.txt", "tensorboard"
LINE_EVERY_S = 10.0
"""Seconds between two lines of progress where the output is no terminal."""
SHOWN_WAITING = 0.01
"""Share of a step spent waiting for data from which progress shows it."""
DRAWING_SHARE = 0.02
"""Of the run's time that drawing the page may take, but for the last time."""


class Report:
    """Progress on stdout (a bar on a terminal, plain lines elsewhere), lines in `output/metrics.jsonl`, and the page.

    A run that goes on from a checkpoint drops the lines written after it, but not events, so that the file holds each
    step once.

    Args:
        output: where the files go.
        step: steps done, from which the run goes on.
        n_steps: steps of the whole run.
        device: whose memory is reported.
        peak_tokens_per_s: what the peak of all devices would give, by 6N + 12LdT; MFU is tokens/s over it. None: not
            known.
        about: lines that say what the run is; said first, and shown on the page.
        is_shown: False for all but one of a run's processes: nothing is then said, read or written.
    """

    def __init__(
        self,
        output: Path,
        step: int,
        n_steps: int,
        device: torch.device,
        peak_tokens_per_s: float | None = None,
        about: Sequence[str] = (),
        is_shown: bool = True,
    ) -> None:
        self.output, self.n_steps, self.first_step = output, n_steps, step
        self.device, self.peak_tokens_per_s, self.about, self.is_shown = device, peak_tokens_per_s, about, is_shown
        self.started = self.last_line = self._drawn = time.monotonic()
        self._drawing_s = 1.0
        self._board: Any = None
        self.state = f"step {step}/{n_steps}"
        self._bar = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            disable=not (is_shown and sys.stdout.isatty()),
        )
        self._task = self._bar.add_task("", total=n_steps, completed=step)

    def __enter__(self) -> "Report":
        if self.is_shown:
            self._open(self.first_step, is_evaluated_again=True)
        self._bar.start()
        for line in self.about:
            self.say(line)
        return self

    def __exit__(self, *_: object) -> None:
        self.page(is_last=True)
        self._bar.stop()
        if self.is_shown:
            self._close()

    def say(self, text: str) -> None:
        """Print `text`, above the bar if there is one."""
        if self._bar.disable and self.is_shown:
            print(text, flush=True)
        elif self.is_shown:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, step: int, made: Step, seconds: float, n_tokens: int) -> None:
        """One window; `step` counts those done, `n_tokens` the places of the model's input, padding included."""
        if not self.is_shown:
            return
        is_passed_over = math.isnan(made.loss) and math.isnan(made.gradient_norm)  # which takes no time
        speed, waiting = math.nan if is_passed_over else n_tokens / seconds, made.waiting_s / seconds
        line = {"loss": made.loss, "lr": made.lr, "gradient_norm": made.gradient_norm, "tokens_per_s": speed}
        text = f"loss {made.loss:.3f}  {speed:,.0f} tokens/s"
        if self.peak_tokens_per_s:
            line["mfu"] = speed / self.peak_tokens_per_s
            text += f"  MFU {line['mfu']:.1%}"
        line["waiting_share"] = waiting
        text += f"  waiting {waiting:.0%}" if waiting > SHOWN_WAITING else ""
        memory = devices.memory(self.device)
        text += f"  {max(memory.values()) / devices.GIB:.2f} GiB" if memory else ""
        self._write({"step": step, **line, **memory})
        self.state = f"step {step}/{self.n_steps}  {text}"
        self._bar.update(self._task, completed=step, description=text)
        now = time.monotonic()
        if self._bar.disable and (now - self.last_line >= LINE_EVERY_S or step in (self.first_step + 1, self.n_steps)):
            left = (now - self.started) / (step - self.first_step) * (self.n_steps - step)
            print(f"{self.state}  {_duration(left)} left", flush=True)
            self.last_line = now

    def busy(self, text: str) -> None:
        """Show what is being done between two steps: beside the bar, or as a line if the last one is some time ago."""
        self._bar.update(self._task, description=text)
        if self._bar.disable and time.monotonic() - self.last_line >= LINE_EVERY_S:
            self.say(f"  {text}")
            self.last_line = time.monotonic()

    def evaluation(self, step: int, losses: Mapping[str, CellLoss], unigram: float) -> None:
        """Validation losses by Cell after `step` steps; `unigram` in nats per token."""
        if step == self.first_step:
            self.started = time.monotonic()  # the time left is reckoned from training alone
        cells = {c: {"loss": x.loss, "bits_per_byte": x.bits_per_byte} for c, x in losses.items() if x.n_targets}
        self._write({"step": step, "validation": cells, "unigram": unigram})
        self.say(f"step {step}/{self.n_steps}  validation: {summary_line(losses, unigram)}")

    def tasks(self, step: int, results: Mapping[str, Mapping[str, float]]) -> None:
        """Results after `step` steps, by task: `accuracy`, `standard_error` and `chance` from 0 to 1, `n` items."""
        if results:
            self._write({"step": step, "tasks": {name: dict(result) for name, result in results.items()}})

    def event(self, step: int, event: Mapping[str, Any]) -> None:
        """What happened after `step` steps: `kind`, `position`, `reason`, `documents`, `command`. It is written once,
        though a run that goes on may meet it again."""
        line = {"step": step, "event": dict(event)}
        if self.is_shown and line not in self._summary.events:
            self._write(line)

    def sample(self, step: int, text: str) -> None:
        """A text by the model after `step` steps; the newest is in `sample.txt`."""
        if self.is_shown:
            (self.output / SAMPLE).write_text(text + "\n", encoding="utf-8")
        self._write({"step": step, "sample": text})

    def rewind(self, step: int) -> None:
        """Forget what came after `step` steps, but for events, since the run goes on from there."""
        self.first_step, self.started = step, time.monotonic()
        if self.is_shown:
            self._close()
            self._open(step, is_evaluated_again=False)

    def page(self, is_last: bool = False) -> None:
        """Draw `report.html`; except for the last time, only if that takes at most `DRAWING_SHARE` of the time since it
        was drawn. A full disk does not end the run."""
        now = time.monotonic()
        if self.is_shown and (is_last or now - self._drawn >= self._drawing_s / DRAWING_SHARE):
            self._unless_full(PAGE, self._draw)
            self._drawn = time.monotonic()
            self._drawing_s = self._drawn - now

    def _draw(self) -> None:
        from training import page  # which imports matplotlib

        aside = self.output / f".aside-{PAGE}"
        state = f"{self.state}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        aside.write_text(page.render(self._summary, state, self.about), encoding="utf-8", errors="replace")
        aside.replace(self.output / PAGE)

    def _write(self, line: dict[str, Any]) -> None:
        if self.is_shown:
            line = json.loads(json.dumps(line), parse_constant=lambda _: None)  # null for what is no finite number
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            self._keep(line, with_board=True)

    def _keep(self, line: dict[str, Any], with_board: bool) -> None:
        self._summary.add(line)

        def show() -> None:
            for names, value in scalars(line):
                self._board.add_scalar("/".join(names), value, line["step"])

        if with_board and self._board and not self._unless_full(TENSORBOARD, show):
            self._board = None

    def _open(self, step: int, is_evaluated_again: bool) -> None:
        """Keep the lines of steps up to `step`, but, if it is evaluated again, none that come with that."""
        path, aside = self.output / METRICS, self.output / f".aside-{METRICS}"
        self._summary, self._board = Summary(), self._open_board(step)
        with aside.open("w", encoding="utf-8") as kept:
            for line in read_metrics(path):
                is_kept = line["step"] < step or "event" in line
                if is_kept or (line["step"] == step and not (is_evaluated_again and "loss" not in line)):
                    kept.write(json.dumps(line) + "\n")
                    self._keep(line, with_board=line["step"] == step)  # TensorBoard forgets this step, too
        aside.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def _close(self) -> None:
        self._file.close()
        if self._board:
            self._unless_full(TENSORBOARD, self._board.close)

    def _open_board(self, step: int) -> Any:
        """A writer of the same numbers for TensorBoard; None where that is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter

            return SummaryWriter(self.output / TENSORBOARD, purge_step=step)
        except ModuleNotFoundError:
            return None
        except Exception as error:  # of a broken installation, such as one with another protobuf
            self.say(f"TensorBoard is installed but not usable, and done without: {type(error).__name__}: {error}")
            return None

    def _unless_full(self, what: str, write: Callable[[], None]) -> bool:
        """Whether `write` could write; what it could not is said."""
        try:
            write()
        except OSError as error:
            self.say(f"{what} was not written: {error.strerror or error}. The run goes on.")
            return False
        return True


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a metrics file up to one that was cut off; none if there is no file."""
    try:
        with path.open("rb") as file:
            for raw in file:
                line = json.loads(raw)
                if isinstance(line, dict) and isinstance(line.get("step"), int):
                    yield line
    except (FileNotFoundError, ValueError):  # the process was killed while it wrote this line
        return


def overall(losses: Mapping[str, CellLoss]) -> CellLoss:
    """The sums over all Cells."""
    return sum(losses.values(), start=CellLoss(0.0, 0, 0))


def summary_line(losses: Mapping[str, CellLoss], unigram: float) -> str:
    """One line: loss and bits per byte over all Cells, beside the unigram entropy."""
    whole = overall(losses)
    if not whole.n_targets:
        return f"no validation loss; unigram entropy of the training data {unigram:.3f} nats per token"
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


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
