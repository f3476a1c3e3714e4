"""What a run would be, before it is: parameters, FLOPs, memory, data, hours, cost. Nothing is trained."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from training.config import TrainConfig
from training.data import Dataset, find_version
from training.devices import GIB, Device, known, named, pick_device
from training.model import Transformer, flops_per_token, summed_loss
from training.optim import make_optimizer
from training.order import RowOrder
from training.trainer import Trainer
from training.world import alone

CHINCHILLA = 20
"""Tokens for each parameter at which a given amount of computing is spent best (Hoffmann et al. 2022, arXiv 2203.15556,
table 3 and approach 1)."""
PROBE_WARM, PROBE_STEPS, PROBE_PASSES = 3, 5, 4
"""Steps before the clock starts, steps measured, and forward passes of a step at the most: seconds, not minutes."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one device must hold, in bytes.

    `activations`: all that a forward pass keeps for the way back, the weights' bf16 copies included, without compiling.
    `transient`: the gradient of the logits, and what one block keeps where activations are computed again.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    transient: int

    @property
    def total(self) -> int:
        """The sum, in bytes; kernels and the allocator's gaps come on top."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.transient


def needs(config: TrainConfig, vocab_size: int, n_rows: int) -> Needs:
    """The memory of training on `n_rows` rows of the model's context at once.

    Forward pass and optimizer are those of the run, on tensors without content, so the sizes are exact.
    """
    kept = _kept(config, vocab_size, n_rows, config.activation_checkpointing)
    transient = n_rows * config.model.context * vocab_size * (6 if config.precision == "bf16" else 4)
    if config.activation_checkpointing:
        transient += (_kept(config, vocab_size, n_rows, recompute=False) - kept) // config.model.n_layers
    model = empty(config, vocab_size)
    weights = 4 * model.n_parameters()
    return Needs(weights, weights, make_optimizer(model, config.optim).n_bytes(), kept, transient)


def empty(config: TrainConfig, vocab_size: int, recompute: bool = False) -> Transformer:
    """The model, of tensors without content."""
    with FakeTensorMode():
        return Transformer(config.model, vocab_size, config.seed, recompute)


def _kept(config: TrainConfig, vocab_size: int, n_rows: int, recompute: bool) -> int:
    """Bytes that a forward pass keeps. Along the row, since on a GPU attention needs no mask (see `Places`)."""
    along = config.model_copy(update={"model": config.model.model_copy(update={"attention": "row"})})
    kept: list[torch.Tensor] = []  # held, so that no storage takes the place of another

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        model = Transformer(along.model, vocab_size, config.seed, recompute)
        tokens = torch.zeros(n_rows, config.model.context, dtype=torch.long)
        precision = torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16")
        with mode, precision, torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            held = summed_loss(model(tokens, tokens, tokens), tokens)
        weights = {p.untyped_storage()._cdata for p in model.parameters()}
        sizes = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in kept}
        del held
    return sum(size for storage, size in sizes.items() if storage not in weights)


def rows_read(order: RowOrder, n_positions: int) -> list[int]:
    """Rows of each entry of `order.plan` at the first `n_positions` positions: exact for whole stretches; of the one
    where they end, its share."""
    passes, rest = divmod(n_positions, order.n_rows)
    begins = dict(zip(order.stretch_ends.tolist(), [0, *order.stretch_ends.tolist()], strict=False))
    found = []
    for row, end in zip(order.plan, order.ends.tolist(), strict=True):
        stretch_end = next(e for e in begins if e >= end)
        size = stretch_end - begins[stretch_end]
        found.append(passes * row.rows + round(row.rows * min(size, max(0, rest - begins[stretch_end])) / size))
    return found


def probe(config: TrainConfig, dataset: Dataset) -> tuple[float, int] | str:
    """Tokens per second and the largest memory in bytes of a few steps on the run's GPU; or why there is none."""
    if config.device == "cpu" or not torch.cuda.is_available():
        return "`device: cpu`" if config.device == "cpu" else "torch finds no CUDA device"
    at_once = config.batch.sequences_at_once
    n = at_once * min(PROBE_PASSES, config.batch.sequences // at_once)
    short = config.model_copy(update={"batch": config.batch.model_copy(update={"sequences": n})})
    trainer = Trainer(short, dataset, alone(config.device))
    for _ in range(PROBE_WARM):
        trainer.step()
    torch.cuda.synchronize()
    started = time.monotonic()
    for _ in range(PROBE_STEPS):
        trainer.step()  # waits for the gradient's norm
    seconds = time.monotonic() - started
    return PROBE_STEPS * trainer.places_per_step / seconds, torch.cuda.max_memory_allocated()


def show_plan(config: TrainConfig, on: str, mfu: float, price: float | None) -> None:
    """Print the plan of `config`.

    Args:
        on: a part of a device's name; "" for all that are known.
        mfu: share of a device's peak that is assumed.
        price: of one device for one hour, in any currency.

    Raises:
        TrainingError, ManifestError, ShardError: for what a person can put right.
    """
    devices = named(on)
    dataset = Dataset(find_version(config.data))
    n_tokens = config.n_steps * config.batch.sequences * dataset.seq_len
    model = empty(config, dataset.vocab_size)
    flops = flops_per_token(model.n_multiplied(), config.model)
    for line in (
        *_model(config, model),
        f"FLOPs   {flops:,} a token by 6N + 12LdT, N = {model.n_multiplied():,} that are multiplied",
        f"        {flops * n_tokens:.3g} in all",
        _tokens(config, dataset, model.n_parameters(), n_tokens),
        *_data(config, dataset),
        *_memory(config, dataset),
        *_hours(devices, flops * n_tokens, mfu, price),
        *_measured(config, dataset, flops, n_tokens, price),
        "Nothing was trained. Next: the same command without `--plan`.",
    ):
        print(line)


def _model(config: TrainConfig, model: Transformer) -> Iterator[str]:
    parts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel()
    listed = ", ".join(f"{name} {n:,}" for name, n in parts.items())
    yield f"Model   {config.model.architecture}: {model.n_parameters():,} parameters ({listed})"
    unused = model.embedding.num_embeddings - model.vocab_size
    if unused:
        yield f"        vocabulary {model.vocab_size:,}, and {unused} rows that fill it up to a multiple of 64"


def _tokens(config: TrainConfig, dataset: Dataset, n_parameters: int, n_tokens: int) -> str:
    best = CHINCHILLA * n_parameters
    places = config.batch.sequences * dataset.seq_len
    return (
        f"Tokens  {n_tokens:,} in {config.n_steps:,} steps of {places:,}: {n_tokens / n_parameters:.1f} a parameter, "
        f"{n_tokens / best:.0%} of Chinchilla's {CHINCHILLA} ({best:,}, `--set n_steps={-(-best // places)}`)"
    )


def _data(config: TrainConfig, dataset: Dataset) -> Iterator[str]:
    order = RowOrder(dataset.manifest.mixture, config.seed)
    read: dict[str, int] = {}
    for row, n in zip(order.plan, rows_read(order, config.n_steps * config.batch.sequences), strict=True):
        read[row.cell] = read.get(row.cell, 0) + n
    available = {row.cell: row.rows_available for row in order.plan}
    passes = config.n_steps * config.batch.sequences / order.n_rows
    yield f"Data    {dataset.folder}, version {dataset.version}: {passes:.2f} passes over the plan"
    width = max(map(len, read))
    for cell, n in sorted(read.items()):
        epochs = n / available[cell]
        yield f"        {cell:<{width}}  {n:>12,} Sequences, {epochs:6.2f} epochs of {available[cell]:,}"


def _memory(config: TrainConfig, dataset: Dataset) -> Iterator[str]:
    n_rows = config.batch.sequences_at_once * (dataset.seq_len // config.model.context)
    found = needs(config, dataset.vocab_size, n_rows)
    parts = {
        "weights": found.weights,
        "gradients": found.gradients,
        config.optim.type: found.optimizer,
        "activations": found.activations,
        "transient": found.transient,
    }
    size, unit = (GIB, "GiB") if found.total > GIB else (GIB >> 10, "MiB")
    yield f"Memory  about {found.total / size:.2f} {unit} with {n_rows} rows of {config.model.context} at once"
    yield "        " + ", ".join(f"{name} {n / size:.2f}" for name, n in parts.items()) + "; less when compiled"


def _hours(devices: Sequence[Device], flops: float, mfu: float, price: float | None) -> Iterator[str]:
    yield f"Hours   on one device, if {mfu:.0%} of its peak is reached (`--mfu`)"
    width = max(len(device.name) for device in devices)
    for device in devices:
        hours = flops / (mfu * device.peak_flops) / 3600
        peak = f"{device.peak_flops / 1e12:,.0f} TFLOP/s, {device.memory_gib} GB"
        yield f"        {device.name:<{width}}  {peak:>23}  {_cost(hours, price)}"


def _measured(config: TrainConfig, dataset: Dataset, flops: int, n_tokens: int, price: float | None) -> Iterator[str]:
    found = probe(config, dataset)
    if isinstance(found, str):
        yield f"Probe   skipped, {found}: the hours above are computed, not measured"
        return
    tokens_per_s, n_bytes = found
    name = torch.cuda.get_device_name(pick_device(config.device))
    device = known(name)
    share = f", MFU {flops * tokens_per_s / device.peak_flops:.1%}" if device and config.precision == "bf16" else ""
    yield f"Probe   {name}: {tokens_per_s:,.0f} tokens/s{share}, {n_bytes / GIB:.2f} GiB"
    yield f"        {_cost(n_tokens / tokens_per_s / 3600, price)}"


def _cost(hours: float, price: float | None) -> str:
    return f"{hours:10,.2f} hours" + (f", {hours * price:,.2f} at {price:,.2f} an hour" if price is not None else "")
