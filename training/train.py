"""One training run: from a dataset version to checkpoints, curves and a sample of text."""

import math
import signal
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import FrameType

from filelock import FileLock, Timeout

from training import checkpoint, report, summary, tasks, world
from training.config import CommonError, RollbackOptions, TrainConfig, TrainingError
from training.data import Dataset, find_version
from training.evaluate import of_all, sample, within_memory
from training.trainer import Step, Trainer

MAX_IN_A_ROW = 10
"""Windows in a row that stand out after which a run without finite numbers has diverged for good, and one with them has
come to another level."""
SAME_SIGNAL_S = 5.0
"""Seconds in which a second signal is taken for the first, which torchrun passes on to processes that have it."""


class Signals:
    """Inside: the first SIGINT or SIGTERM is remembered in `received`; one that comes later has its usual effect."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._first_s = 0.0
        self._usual = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def __enter__(self) -> "Signals":
        for number in self._usual:
            signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._usual.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self._first_s = signal.Signals(number), now
        elif now - self._first_s > SAME_SIGNAL_S:
            self.__exit__()
            signal.raise_signal(number)


def train(config: TrainConfig, only_evaluate: bool = False) -> int:
    """Run `config` from its newest checkpoint (or from the start) to its end, or no further than that checkpoint.

    Returns:
        The exit code: 0, or 128 + the signal that ended the run after a checkpoint.

    Raises:
        TrainingError, ManifestError, ShardError, VocabError: for what a person can put right.
    """
    dataset = Dataset(find_version(config.data))
    if only_evaluate and not checkpoint.found(config.output):
        raise TrainingError(f"--evaluate: no checkpoint below {config.output}; train first, or name another `--output`")
    try:
        config.output.mkdir(parents=True, exist_ok=True)
        with world.join(config.device) as here, _lock(config, here):
            return _train(Trainer(config, dataset, here), only_evaluate)
    except Timeout:
        raise TrainingError(f"{config.output} is in use by another training run; choose another `--output`") from None
    except OSError as error:
        raise TrainingError(f"{error.filename or config.output}: {error.strerror or error}") from None


def _lock(config: TrainConfig, here: world.World) -> AbstractContextManager[object]:
    return FileLock(config.output / ".lock", blocking=False) if here.is_first else nullcontext()


def _train(trainer: Trainer, only_evaluate: bool) -> int:
    config, is_first = trainer.config, trainer.world.is_first
    notes = trainer.resume()
    unigram = trainer.batches.unigram_entropy()
    about = (*summary.opening(trainer), *notes)
    span = trainer.n_steps_done, config.n_steps
    shown = report.Report(config.output, *span, trainer.device, summary.peak_tokens_per_s(trainer), about, is_first)
    n_steps = trainer.n_steps_done if only_evaluate else config.n_steps
    with Signals() as signals, shown:
        found, places_per_s = _loop(trainer, signals, shown, unigram, n_steps)
    trainer.loader.close()
    is_whole, received = trainer.n_steps_done == n_steps, signals.received or signal.SIGTERM
    if is_first and is_whole:
        summary.closing(trainer, found, unigram, places_per_s)
    elif is_first:
        print(f"Stopped by {received.name} after step {trainer.n_steps_done} of {config.n_steps}; {trainer.save()}")
        print("holds the state. Run the same command again to go on.")
    return 0 if is_whole else 128 + received


def _loop(
    trainer: Trainer, signals: Signals, shown: report.Report, unigram: float, n_steps: int
) -> tuple[summary.Evaluation, float]:
    """Train until step `n_steps` or a signal, and save; returns the last evaluation and the tokens per second."""
    config = trainer.config
    found = _evaluate(trainer, shown, unigram)
    trained_s, n_places, is_stopping = 0.0, 0, False
    while trainer.n_steps_done < n_steps and not is_stopping:
        started = time.monotonic()
        made = trainer.step(signals.received is not None)
        seconds = time.monotonic() - started
        trained_s, n_places, is_stopping = trained_s + seconds, n_places + trainer.places_per_step, made.is_stopping
        if trainer.progress.position > made.position:
            shown.step(trainer.n_steps_done, made, seconds, trainer.places_per_step)
        if made.objection:
            _answer(trainer, made, shown)
        step = trainer.n_steps_done
        trainer.saver.check()
        is_last = step == config.n_steps
        if is_last or step % config.checkpoint.every == 0:
            trainer.save()  # before the evaluation, which may run out of memory
        if is_last or (step % config.evaluate.every == 0 and not is_stopping):
            found = _evaluate(trainer, shown, unigram)
            shown.page()
    trainer.save(wait=True)
    return found, n_places / trained_s if trained_s else 0.0


def _evaluate(trainer: Trainer, shown: report.Report, unigram: float) -> summary.Evaluation:
    """Validation losses, tasks and a sample, all told to `shown`; without what there is no memory for.

    Tasks and sample take the model as it is not compiled: their rows have many lengths.
    """
    config, here, step = trainer.config, trainer.world, trainer.n_steps_done
    at_once, context = config.batch.sequences_at_once, config.model.context
    mine = within_memory("validation loss", at_once, trainer.validate, shown.say)
    losses = of_all(mine, list(trainer.dataset.validation), here)
    shown.evaluation(step, losses, unigram)
    found: dict[str, dict[str, float]] = {}
    for task in trainer.tasks:
        work = partial(tasks.score, trainer.model, task, trainer.autocast, shown.busy, here)
        scores = within_memory(task.name, at_once * trainer.dataset.seq_len // context, work, shown.say)
        if summed := tasks.of_all(scores, task, here):
            found[task.name] = tasks.results(task, *summed)
            shown.say(f"step {step}/{config.n_steps}  {tasks.summary(task.name, found[task.name])}")
    shown.tasks(step, found)
    text = None
    if here.is_first:
        write = partial(sample, trainer.model, trainer.vocab, config.sample, context, config.seed)
        text = within_memory("sample", 1, lambda _: write(), shown.say)
    if text is not None:
        shown.sample(step, text)
    return summary.Evaluation(losses, found, text or "")


def _answer(trainer: Trainer, made: Step, shown: report.Report) -> None:
    """Do and say what `spikes.policy` wants of a window that changed no weight.

    Raises:
        TrainingError: for `stop`, and where no more windows give finite numbers.
    """
    policy, n_in_a_row = trainer.config.spikes.policy, trainer.progress.n_objections
    event = trainer.event(made)
    found = f"step {made.position // trainer.config.batch.sequences + 1}: {made.objection}"
    look = f"  what stands out most in it: {event['command']}"
    if policy == "stop":
        shown.event(trainer.n_steps_done, event)
        saved = trainer.save(wait=True)
        raise CommonError(
            f"{found}; stopped before it, as spikes.policy says\n{look}\n{saved} holds the state. "
            "To go on without this window: the same command with `--set spikes.policy=skip`."
        )
    is_finite = math.isfinite(made.loss) and math.isfinite(made.gradient_norm)
    if n_in_a_row >= MAX_IN_A_ROW and not is_finite:
        newest = checkpoint.found(trainer.config.output)
        raise CommonError(
            f"the last {n_in_a_row} windows, from position {trainer.progress.skipped[-n_in_a_row]} on, gave a loss or "
            f"gradient that is not finite. None reached the weights; the last checkpoint: "
            f"{newest[0] if newest else 'none yet'}. Lower optim.lr, lengthen schedule.warmup_steps, or try precision "
            "fp32, with a new `--output`."
        )
    done = _roll_back(trainer, made, shown) or f"window at position {made.position} skipped"
    if n_in_a_row >= MAX_IN_A_ROW:
        trainer.progress.history.clear()
        done += f"; after {n_in_a_row} in a row, this counts as the new level"
    shown.event(trainer.n_steps_done, event)
    shown.say(f"{found}; {done}\n{look}")


def _roll_back(trainer: Trainer, made: Step, shown: report.Report) -> str:
    """Roll back if `spikes.policy` says so and there is a checkpoint; what was done, "" for nothing."""
    options = trainer.config.spikes
    if not isinstance(options, RollbackOptions) or not (folder := trainer.roll_back(made.position, options)):
        return ""
    shown.rewind(trainer.n_steps_done)
    around = f" and {options.around} on each side" if options.around else ""
    return f"back to {folder}, from where on the window at position {made.position}{around} is left out"
