"""Validation loss of each Cell, a sample of text, and what to do where memory is short."""

import math
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass
from typing import TypeVar

import torch

from pipeline.tokenizer.vocab import Vocab
from training.config import SampleOptions
from training.data import Batch, Dataset, make_batch
from training.model import IGNORED, Transformer, summed_loss
from training.world import World

T = TypeVar("T")
Forward = Callable[..., torch.Tensor]
"""`Transformer.forward`, perhaps compiled: `Batch.inputs` -> logits (B, T, V)."""


@dataclass(frozen=True, slots=True)
class CellLoss:
    """The sums of one Cell: `nats` over `n_targets` predicted tokens that stand for `n_bytes` bytes of UTF-8 text."""

    nats: float
    n_targets: int
    n_bytes: int

    @property
    def loss(self) -> float:
        """Mean loss in nats per predicted token."""
        return self.nats / self.n_targets if self.n_targets else math.nan

    @property
    def bits_per_byte(self) -> float:
        """nats / ln 2 / n_bytes. Comparable across tokenizers, unlike the loss per token.

        The sums run over the same targets. The end of a document costs nats and has no bytes, as it is information too.
        A token that begins a row's piece is a target in the piece before; bos, which is none, has no bytes.
        """
        return self.nats / math.log(2) / self.n_bytes if self.n_bytes else math.nan

    def __add__(self, other: "CellLoss") -> "CellLoss":
        return CellLoss(self.nats + other.nats, self.n_targets + other.n_targets, self.n_bytes + other.n_bytes)


@torch.no_grad()
def batch_loss(forward: Forward, batch: Batch, n_bytes: torch.Tensor) -> CellLoss:
    """The sums of one batch; `n_bytes` is `Vocab.token_bytes` on the batch's device."""
    nats = summed_loss(forward(*batch.inputs), batch.targets)
    targets = batch.targets[batch.targets != IGNORED]
    return CellLoss(float(nats), targets.numel(), int(n_bytes[targets].sum()))


def evaluate(
    forward: Forward,
    dataset: Dataset,
    context: int,
    limit: int | None,
    at_once: int,
    n_bytes: torch.Tensor,
    autocast: Callable[[], AbstractContextManager[object]],
    world: World,
) -> dict[str, CellLoss]:
    """Losses on the share that this process of `world` has of the first `limit` validation Sequences of each Cell (of
    all if None)."""
    losses = {}
    for cell, rows in dataset.validation.items():
        total = CellLoss(0.0, 0, 0)
        n_rows = min(len(rows), limit or len(rows))
        for start in range(world.rank * at_once, n_rows, at_once * world.size):
            where = [(cell, row) for row in range(start, min(start + at_once, n_rows))]
            read = dataset.read(dataset.validation, where)
            with autocast():
                total += batch_loss(forward, make_batch(read, context).to(n_bytes.device), n_bytes)
        losses[cell] = total
    return losses


def of_all(losses: Mapping[str, CellLoss] | None, cells: Collection[str], world: World) -> dict[str, CellLoss]:
    """The sums over all processes, which must call it together; nothing if one of them has None."""
    mine = None if losses is None else [value for cell in cells for value in astuple(losses[cell])]
    summed = iter(world.sum_if_all(mine, 3 * len(cells)) or ())
    triples = zip(cells, zip(summed, summed, summed, strict=True), strict=False)
    return {cell: CellLoss(nats, int(n), int(n_bytes)) for cell, (nats, n, n_bytes) in triples}


@torch.no_grad()
def sample(model: Transformer, vocab: Vocab, options: SampleOptions, context: int, seed: int) -> str:
    """Text written by `model` from the start of a document to its end, or to `n_tokens`; the same for the same seed."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    tokens = [vocab.bos_id]
    for _ in range(options.n_tokens):
        seen = torch.tensor([tokens[-context:]], device=device)
        positions = torch.arange(seen.size(1), device=device)[None]
        logits = model(seen, positions, torch.zeros_like(seen))[0, -1, : vocab.vocab_size].cpu()
        if options.temperature == 0:
            token = int(logits.argmax())
        else:
            weights = torch.softmax(logits / options.temperature, dim=-1)
            token = int(torch.multinomial(weights, 1, generator=generator))
        if token == vocab.eos_id:
            break
        tokens.append(token)
    return vocab.decode(tokens)


def within_memory(what: str, n_at_once: int, work: Callable[[int], T], say: Callable[[str], None]) -> T | None:
    """`work(n_at_once)`, again with half as many as long as a GPU's memory runs out; None where 1 is too many.

    An evaluation must not end a run, and its needs are not those of a step. `say` is told.
    """
    while True:
        try:
            return work(n_at_once)
        except torch.OutOfMemoryError as error:
            reason = str(error).partition("\n")[0][:200]
        torch.cuda.empty_cache()  # here, where no traceback holds tensors any more; does nothing without a GPU
        if n_at_once == 1:
            say(f"{what}: given up, out of memory with one row at once ({reason}); training goes on")
            return None
        n_at_once //= 2
        say(f"{what}: out of memory, again with {n_at_once} at once")
