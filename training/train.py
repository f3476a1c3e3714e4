"""One training run: from a dataset version to checkpoints, curves and a sample of text."""

import math
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

import torch
from filelock import FileLock, Timeout

from pipeline.manifest import by_phase, realised_share
from pipeline.tokenizer import vocab as tokenizer
from training import checkpoint, export, model, optim, report
from training.config import TrainConfig, TrainingError
from training.data import Batches, Dataset, find_version
from training.devices import known, pick_device
from training.evaluate import CellLoss, evaluate, sample
from training.schedule import lr_factor

MAX_SKIPPED_IN_A_ROW = 10
"""Windows without a finite loss or gradient after which a run has diverged for good."""
SAMPLE = "sample.txt"


class Signals:
    """Inside: the first SIGINT or SIGTERM is remembered in `received`, a second one has its usual effect."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._usual = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def __enter__(self) -> "Signals":
        for number in self._usual:
            signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._usual.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self.__exit__()


class Trainer:
    """Model, optimizer and data of one run; `progress` says how far it is."""

    def __init__(self, config: TrainConfig, dataset: Dataset) -> None:
        self.config, self.dataset = config, dataset
        self.device = pick_device(config.device)
        self.batches = Batches(dataset, config.seed, config.model.context)
        described = dataset.manifest.tokenizer
        self.vocab = tokenizer.load(dataset.folder / described["path"], **described.get("load", {}))
        recompute = config.activation_checkpointing
        self.model = model.Transformer(config.model, dataset.vocab_size, config.seed, recompute)
        if config.start_from:
            export.load_gpt2(self.model, config.start_from)
        self.model.to(self.device)
        self.optimizer = optim.make_optimizer(self.model, config.optim)
        self.forward = torch.compile(self.model) if config.compile else self.model
        self.n_bytes = torch.from_numpy(self.vocab.token_bytes()).to(self.device)
        self.progress = checkpoint.Progress()
        self.saved: Path | None = None
        self.identity = checkpoint.identity(config, dataset.version, dataset.manifest.tokenizer["fingerprint"])

    @property
    def n_steps_done(self) -> int:
        """Windows consumed, skipped ones included."""
        return self.progress.position // self.config.batch.sequences

    @property
    def places_per_step(self) -> int:
        """Places of the model's input in one window, padding included; what speed is measured in."""
        return self.config.batch.sequences * self.dataset.seq_len

    def autocast(self) -> AbstractContextManager[object]:
        """Automatic mixed precision, if the configuration asks for it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def resume(self) -> list[str]:
        """Go on from the newest whole checkpoint below `output`, if there is one; returns what to tell the user.

        Raises:
            TrainingError: if checkpoints are there, but of another run, or none of them is whole.
        """
        notes = [f"{path}: half-written, ignored" for path in checkpoint.unfinished(self.config.output)]
        folders = checkpoint.found(self.config.output)
        for folder in folders:
            try:
                self.progress = checkpoint.restore(folder, self.model, self.optimizer, self.identity)
            except checkpoint.CheckpointError as error:
                notes.append(f"damaged checkpoint passed over: {error}")
                continue
            self.saved = folder
            return [*notes, f"Going on from {folder}, step {self.n_steps_done}."]
        if folders:
            raise TrainingError(
                "\n".join(notes)
                + "\nNo checkpoint is whole: delete the folder to start afresh, or choose another `--output`."
            )
        return notes

    def save(self) -> Path:
        """The checkpoint of the present state, written unless that was done already."""
        step = self.n_steps_done
        if self.saved is None or self.saved != checkpoint.folder_of(self.config.output, step):
            keep = self.config.checkpoint.keep
            self.saved = checkpoint.save(
                self.config.output, step, self.model, self.optimizer, self.progress, self.identity, keep
            )
        return self.saved

    def step(self) -> tuple[float, float, float]:
        """Consume one window of Sequences and update the weights, unless the loss or the gradient is no finite number.

        Returns:
            Mean loss in nats per target before the update, learning rate, and gradient norm before clipping.
        """
        config, progress = self.config, self.progress
        lr = config.optim.lr * lr_factor(self.n_steps_done, config.n_steps, config.schedule)
        self.optimizer.set_lr(lr)
        summed, n_targets = torch.zeros((), device=self.device), 0
        at_once, end = config.batch.sequences_at_once, progress.position + config.batch.sequences
        for position in range(progress.position, end, at_once):
            batch, n_tokens = self.batches.at(position, at_once)
            n_targets += int((batch.targets != model.IGNORED).sum())
            batch = batch.to(self.device)
            with self.autocast():
                logits = self.forward(*batch.inputs)
                loss = model.summed_loss(logits, batch.targets)
            loss.backward()  # type: ignore[no-untyped-call]
            summed += loss.detach()
            for cell, n in n_tokens.items():
                progress.tokens[cell] = progress.tokens.get(cell, 0) + n
        norm = float(optim.average_and_clip(self.model.parameters(), max(1, n_targets), config.optim.clip))
        mean = float(summed) / max(1, n_targets)
        if math.isfinite(mean) and math.isfinite(norm):
            self.optimizer.step()
            progress.n_updates += 1
        else:
            progress.skipped.append(progress.position)
        self.optimizer.zero_grad()
        progress.position = end
        return mean, lr, norm

    def n_skipped_in_a_row(self) -> int:
        """Windows skipped since the last update."""
        for n, position in enumerate(reversed(self.progress.skipped)):
            if position != self.progress.position - (n + 1) * self.config.batch.sequences:
                return n
        return len(self.progress.skipped)

    def validate(self) -> dict[str, CellLoss]:
        """Validation loss of each Cell."""
        options = self.config.evaluate
        return evaluate(
            self.forward,
            self.dataset,
            self.config.model.context,
            options.sequences_per_cell,
            self.config.batch.sequences_at_once,
            self.n_bytes,
            self.autocast,
        )


def train(config: TrainConfig) -> int:
    """Run `config` from its newest checkpoint (or from the start) to its end.

    Returns:
        The exit code: 0, or 128 + the signal that ended the run after a checkpoint.

    Raises:
        TrainingError, ManifestError, ShardError, VocabError: for what a person can put right.
    """
    dataset = Dataset(find_version(config.data))
    try:
        config.output.mkdir(parents=True, exist_ok=True)
        with FileLock(config.output / ".lock", blocking=False):
            return _train(config, dataset)
    except Timeout:
        raise TrainingError(f"{config.output} is in use by another training run; choose another `--output`") from None
    except OSError as error:
        raise TrainingError(f"{error.filename or config.output}: {error.strerror or error}") from None


def _train(config: TrainConfig, dataset: Dataset) -> int:
    trainer = Trainer(config, dataset)
    notes = trainer.resume()
    unigram = trainer.batches.unigram_entropy()
    with Signals() as signals, report.Report(config.output, trainer.n_steps_done, config.n_steps) as shown:
        for line in (*_opening(trainer), *notes):
            shown.say(line)
        losses, places_per_s = _loop(trainer, signals, shown, unigram)
    report.draw_curve(config.output)
    if signals.received is None:
        _closing(trainer, losses, unigram, places_per_s)
        return 0
    print(f"Stopped by {signals.received.name} after step {trainer.n_steps_done} of {config.n_steps}; {trainer.save()}")
    print("holds the state. Run the same command again to go on.")
    return 128 + signals.received


def _loop(
    trainer: Trainer, signals: Signals, shown: report.Report, unigram: float
) -> tuple[dict[str, CellLoss], float]:
    """Train until the last step or a signal, and save; returns the last validation losses and the tokens per second."""
    config = trainer.config
    losses = trainer.validate()
    shown.evaluation(trainer.n_steps_done, losses, unigram)
    trained_s, n_places = 0.0, 0
    while trainer.n_steps_done < config.n_steps and signals.received is None:
        started = time.monotonic()
        values = trainer.step()
        seconds = time.monotonic() - started
        trained_s, n_places = trained_s + seconds, n_places + trainer.places_per_step
        step = trainer.n_steps_done
        shown.step(step, *values, trainer.places_per_step / seconds)
        _check_finite(trainer, shown)
        is_last = step == config.n_steps
        if is_last or step % config.checkpoint.every == 0:
            trainer.save()  # before the evaluation, which may run out of memory
        if is_last or (step % config.evaluate.every == 0 and signals.received is None):
            losses = trainer.validate()
            shown.evaluation(step, losses, unigram)
    trainer.save()
    return losses, n_places / trained_s if trained_s else 0.0


def _check_finite(trainer: Trainer, shown: report.Report) -> None:
    """Say that a window was skipped; give up after `MAX_SKIPPED_IN_A_ROW`."""
    n = trainer.n_skipped_in_a_row()
    if n == 0:
        return
    position = trainer.progress.skipped[-1]
    shown.say(
        f"step {trainer.n_steps_done}: loss or gradient is no finite number; window at position {position} skipped"
    )
    if n >= MAX_SKIPPED_IN_A_ROW:
        newest = checkpoint.found(trainer.config.output)
        raise TrainingError(
            f"the last {n} windows, from position {trainer.progress.skipped[-n]} on, gave a loss or gradient that is "
            f"not finite. None reached the weights; the last checkpoint: {newest[0] if newest else 'none yet'}. "
            "Lower optim.lr, lengthen schedule.warmup_steps, or try precision fp32, with a new `--output`."
        )


def _opening(trainer: Trainer) -> list[str]:
    config, dataset = trainer.config, trainer.dataset
    n_parameters = trainer.model.n_parameters()
    n_plan = trainer.batches.order.n_rows
    passes = config.n_steps * config.batch.sequences / n_plan
    return [
        f"Data: {dataset.folder}, version {dataset.version}: {n_plan:,} Sequences of {dataset.seq_len} tokens",
        *_phases(trainer),
        f"Model: {n_parameters:,} parameters, vocabulary {dataset.vocab_size:,}, context {config.model.context}, "
        f"on {_device_name(trainer.device)}, {config.precision}.",
        f"Run: {config.n_steps:,} steps of {trainer.places_per_step:,} tokens, {passes:.2f} passes over the plan. "
        f"Output: {config.output}.",
    ]


def _phases(trainer: Trainer) -> list[str]:
    """The mixture, phase by phase; how far this run comes, where there are several."""
    config, order = trainer.config, trainer.batches.order
    phases = by_phase(order.plan)
    lines = []
    for phase, begin, end in zip(phases, [0, *order.phase_ends], order.phase_ends, strict=False):
        shares = ", ".join(f"{row.cell} {realised_share(row, phase):.1%}" for row in phase)
        step = f"steps {begin // config.batch.sequences + 1:,} to {-(-end // config.batch.sequences):,}: "
        lines.append(f"  {step if len(phases) > 1 else ''}{shares}")
    one_pass = -(-order.n_rows // config.batch.sequences)
    if len(phases) > 1 and config.n_steps != one_pass:
        what = "ends before the last phase does" if config.n_steps < one_pass else "begins with the first phase again"
        lines.append(f"  This run {what}; all {len(phases)} phases, once: `--set n_steps={one_pass}`.")
    return lines


def _closing(trainer: Trainer, losses: Mapping[str, CellLoss], unigram: float, places_per_s: float) -> None:
    """Sample, curve and the summary at the end."""
    config, output = trainer.config, trainer.config.output
    text = sample(trainer.model, trainer.vocab, config.sample, config.model.context, config.seed)
    (output / SAMPLE).write_text(text + "\n", encoding="utf-8")
    columns = max(40, shutil.get_terminal_size().columns)
    line = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    print(f"\nSample of the model's text ({output / SAMPLE}):\n  {line[: 4 * columns]}\n")
    print(f"Validation: {report.summary_line(losses, unigram)}")
    print(report.loss_table(losses))
    tokens = ", ".join(f"{cell} {n:,}" for cell, n in sorted(trainer.progress.tokens.items()))
    print(f"Trained on {sum(trainer.progress.tokens.values()):,} tokens ({tokens}); skipped windows: ", end="")
    print(len(trainer.progress.skipped))
    if places_per_s:
        print(f"Speed: {places_per_s:,.0f} tokens/s{_mfu(trainer, places_per_s)}")
    print(f"Curve: {output / report.CURVE}, numbers: {output / report.METRICS}")
    print(f"Model: {checkpoint.found(output)[0] / checkpoint.MODEL}")
    print(
        "Next: look at the curve; if the loss still falls, raise n_steps with a new `--output`. "
        "recipes/train/gpt2-124m.yaml is a preset for one GPU."
    )


def _mfu(trainer: Trainer, places_per_s: float) -> str:
    """Model FLOP utilisation, where the device's peak is known and the precision is that of the peak."""
    if trainer.device.type != "cuda" or trainer.config.precision != "bf16":
        return ""
    name = torch.cuda.get_device_name(trainer.device)
    device = known(name)
    if device is None:
        return f" (no MFU: the peak of {name} is not known)"
    flops = model.flops_per_token(trainer.model.n_multiplied(), trainer.config.model) * places_per_s
    return f", MFU {flops / device.peak_flops:.1%} by 6N + 12LdT, of {device.peak_flops / 1e12:.0f} TFLOP/s"


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
