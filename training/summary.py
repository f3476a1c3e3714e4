"""What is printed before and after a run."""

import shutil
from typing import NamedTuple

import torch

from pipeline.manifest import by_phase, realised_share
from training import checkpoint, model, report, tasks
from training.devices import known
from training.evaluate import CellLoss
from training.trainer import Trainer


class Evaluation(NamedTuple):
    """Validation losses by Cell, results by task, and a sample of the model's text."""

    losses: dict[str, CellLoss]
    tasks: dict[str, dict[str, float]]
    text: str


def opening(trainer: Trainer) -> list[str]:
    """What a run is: data, model, length."""
    config, dataset = trainer.config, trainer.dataset
    n_parameters = trainer.model.n_parameters()
    n_plan = trainer.batches.order.n_rows
    passes = config.n_steps * config.batch.sequences / n_plan
    return [
        f"Data: {dataset.folder}, version {dataset.version}: {n_plan:,} Sequences of {dataset.seq_len} tokens",
        *_phases(trainer),
        f"Model: {n_parameters:,} parameters, vocabulary {dataset.vocab_size:,}, context {config.model.context}, "
        f"on {_devices(trainer)}, {config.precision}.",
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


def closing(trainer: Trainer, found: Evaluation, unigram: float, places_per_s: float) -> None:
    """The sample and the summary at the end."""
    output = trainer.config.output
    columns = max(40, shutil.get_terminal_size().columns)
    line = "".join(char if char.isprintable() else " " for char in " ".join(found.text.split()))
    print(f"\nSample of the model's text ({output / report.SAMPLE}):\n  {line[: 4 * columns]}\n")
    print(f"Validation: {report.summary_line(found.losses, unigram)}")
    print(report.loss_table(found.losses))
    for name, of_task in found.tasks.items():
        print(f"Task {tasks.summary(name, of_task)}")
    tokens = ", ".join(f"{cell} {n:,}" for cell, n in sorted(trainer.progress.tokens.items()))
    print(f"Trained on {sum(trainer.progress.tokens.values()):,} tokens ({tokens}); skipped windows: ", end="")
    print(len(trainer.progress.skipped))
    if places_per_s:
        print(f"Speed: {places_per_s:,.0f} tokens/s{_mfu(trainer, places_per_s)}")
    print(f"Report: {output / report.PAGE}, numbers: {output / report.METRICS}")
    print(f"Model: {checkpoint.found(output)[0] / checkpoint.MODEL}")
    print(
        "Next: open the report; if the loss still falls, raise n_steps with a new `--output`. "
        "recipes/train/gpt2-124m.yaml is a preset for one GPU."
    )


def peak_tokens_per_s(trainer: Trainer) -> float | None:
    """Tokens per second at the peak of all devices, by 6N + 12LdT; None unless it is known, and the precision's."""
    if trainer.device.type != "cuda" or trainer.config.precision != "bf16":
        return None
    device = known(torch.cuda.get_device_name(trainer.device))
    flops = model.flops_per_token(trainer.model.n_multiplied(), trainer.config.model)
    return trainer.world.size * device.peak_flops / flops if device else None


def _mfu(trainer: Trainer, places_per_s: float) -> str:
    """Model FLOP utilisation, where the device's peak is known and the precision is that of the peak."""
    peak = peak_tokens_per_s(trainer)
    if peak is None and trainer.device.type == "cuda" and trainer.config.precision == "bf16":
        return f" (no MFU: the peak of {torch.cuda.get_device_name(trainer.device)} is not known)"
    return f", MFU {places_per_s / peak:.1%} by 6N + 12LdT" if peak else ""


def _devices(trainer: Trainer) -> str:
    n, device = trainer.world.size, trainer.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return name if n == 1 else f"{n} processes of {name}"
