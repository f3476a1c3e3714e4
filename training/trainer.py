"""Model, optimizer and data of one run, and one step of it."""

import math
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from pipeline.tokenizer import vocab as tokenizer
from training import checkpoint, export, model, optim, spikes, tasks
from training.config import CommonError, RollbackOptions, TrainConfig, TrainingError
from training.data import Batches, Dataset
from training.evaluate import CellLoss, evaluate
from training.loader import Loader
from training.schedule import lr_factor
from training.world import World

MAX_ROLLBACKS = 5
"""Times that a run goes back to the same checkpoint before it is given up."""


class Step(NamedTuple):
    """What one window of Sequences, from `position` on, came to.

    `loss`: mean in nats per target before the update; `gradient_norm` before clipping; both NaN for a window that was
    passed over unseen. `waiting_s`: seconds without data. `objection`: why it changed no weight, "" if it did.
    `is_stopping`: a process of this run was told to end.
    """

    loss: float
    lr: float
    gradient_norm: float
    position: int
    waiting_s: float = 0.0
    objection: str = ""
    is_stopping: bool = False


class Trainer:
    """Model, optimizer and data of one run; `progress` says how far it is."""

    def __init__(self, config: TrainConfig, dataset: Dataset, world: World) -> None:
        self.config, self.dataset, self.world, self.device = config, dataset, world, world.device
        at_once = config.batch.sequences_at_once
        if config.batch.sequences % (at_once * world.size):
            raise CommonError(
                f"batch.sequences {config.batch.sequences} cannot be shared by {world.size} processes of "
                f"sequences_at_once {at_once}: their product, {at_once * world.size}, must divide it"
            )
        self.batches = Batches(dataset, config.seed, config.model.context)
        self.loader = Loader(self.batches, at_once, at_once * world.size, self.device.type == "cuda")
        self.cells = sorted({row.cell for row in self.batches.order.plan})
        recompute = config.activation_checkpointing
        self.model = model.Transformer(config.model, dataset.vocab_size, config.seed, recompute)
        if config.start_from:
            export.load_gpt2(self.model, config.start_from)
        self.model.to(self.device)
        self.optimizer = optim.make_optimizer(self.model, config.optim)
        self.forward = torch.compile(self.model) if config.compile else self.model
        self.distributed = DistributedDataParallel(self.forward) if world.size > 1 else None
        of = config.evaluate
        self.tasks = tasks.load_tasks(of, self.vocab, config.model.context) if of.tasks else []
        self.progress = checkpoint.Progress()
        self.saved: Path | None = None
        self.saver = checkpoint.Saver()
        self.n_rollbacks: dict[Path, int] = {}
        self.identity = checkpoint.identity(config, dataset.version, dataset.manifest.tokenizer["fingerprint"])
        self.origin = checkpoint.origin(dataset.manifest)

    @cached_property
    def vocab(self) -> tokenizer.Vocab:
        """The dataset's tokenizer."""
        described = self.dataset.manifest.tokenizer
        return tokenizer.load(self.dataset.folder / described["path"], **described.get("load", {}))

    @cached_property
    def n_bytes(self) -> Tensor:
        """UTF-8 bytes of each token (V,), on the device."""
        return torch.from_numpy(self.vocab.token_bytes()).to(self.device)

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

        Rank 0 chooses, and all processes read the same one.

        Raises:
            TrainingError: if checkpoints are there, but of another run, or none of them is whole.
        """
        notes = self._restore_newest() if self.world.is_first else []
        step = int(self.world.of_first(self.n_steps_done if self.saved else -1))
        if not self.world.is_first and step >= 0:
            self._restore(checkpoint.folder_of(self.config.output, step))
        return notes

    def _restore_newest(self) -> list[str]:
        notes = [f"{path}: half-written, ignored" for path in checkpoint.unfinished(self.config.output)]
        folders = checkpoint.found(self.config.output)
        for folder in folders:
            try:
                self._restore(folder)
            except checkpoint.CheckpointError as error:
                notes.append(f"damaged checkpoint passed over: {error}")
                continue
            return [*notes, f"Going on from {folder}, step {self.n_steps_done}."]
        if folders:
            raise TrainingError(
                "\n".join(notes)
                + "\nNo checkpoint is whole: delete the folder to start afresh, or choose another `--output`."
            )
        return notes

    def _restore(self, folder: Path) -> None:
        self.progress = checkpoint.restore(folder, self.model, self.optimizer, self.identity)
        self.saved = folder

    def save(self, wait: bool = False) -> Path:
        """The checkpoint of the present state. Rank 0 writes it in a thread of its own, unless that was done already.

        Args:
            wait: return when it is written.

        Raises:
            OSError: if this one, where waited for, or the one before could not be written.
        """
        folder = checkpoint.folder_of(self.config.output, self.n_steps_done)
        if self.saved != folder and self.world.is_first:
            state = checkpoint.State(self.n_steps_done, self.progress, self.identity, self.origin)
            self.saver.save(self.config.output, self.model, self.optimizer, state, self.config.checkpoint)
        self.saved = folder
        if wait:
            self.saver.wait()
        return folder

    def step(self, is_stopping: bool = False) -> Step:
        """Consume one window of Sequences and update the weights, unless its loss or gradient is unusual.

        Args:
            is_stopping: whether this process was told to end; the Step returned says whether any was.
        """
        config, progress = self.config, self.progress
        begin, lr = progress.position, config.optim.lr * lr_factor(self.n_steps_done, config.n_steps, config.schedule)
        self._forget_other_phase(begin)
        if begin in progress.skipped:
            progress.position += config.batch.sequences
            return Step(math.nan, lr, math.nan, begin)
        waited_s = self.loader.waited_s
        summed, n_targets, n_tokens = self._backward(begin)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        here = torch.stack([summed, torch.nn.utils.get_total_norm(gradients)]).tolist()
        mine = [float(n_tokens.get(cell, 0)) for cell in self.cells]
        loss, norm, n, stopping, *of_cells = self.world.sum([*here, n_targets, is_stopping, *mine])
        n = max(1.0, n)
        made = Step(loss / n, lr, norm / n, begin, self.loader.waited_s - waited_s, "", stopping > 0)
        made = made._replace(objection=progress.history.objection(made.loss, made.gradient_norm, config.spikes.sigma))
        if made.objection:
            progress.n_objections += 1
            if config.spikes.policy != "stop":
                progress.skipped.append(begin)
        else:
            # Of several processes, each holds the mean of all their summed gradients.
            clipped = min(1.0, config.optim.clip / (made.gradient_norm + optim.CLIP_EPSILON))
            torch._foreach_mul_(gradients, clipped * self.world.size / n)
            self.optimizer.set_lr(lr)
            self.optimizer.step()
            progress.n_updates += 1
            progress.n_objections = 0
            progress.history.add(made.loss, made.gradient_norm)
        self.optimizer.zero_grad()
        if not made.objection or config.spikes.policy != "stop":
            progress.position += config.batch.sequences
            for cell, count in zip(self.cells, of_cells, strict=True):
                progress.tokens[cell] = progress.tokens.get(cell, 0) + int(count)
        return made

    def _backward(self, begin: int) -> tuple[Tensor, int, dict[str, int]]:
        """Gradients of the summed loss of this process's share of a window; the loss, its targets, tokens by Cell."""
        summed, n_targets, n_tokens = torch.zeros((), device=self.device), 0, dict[str, int]()
        shares = list(self._shares(begin))
        for position in shares:
            batch, of_cell = self.loader.at(position)
            n_targets += int((batch.targets != model.IGNORED).sum())
            batch = batch.to(self.device)
            is_last = position == shares[-1]  # gradients of all processes are added up on the way back of the last
            with nullcontext() if is_last or self.distributed is None else self.distributed.no_sync():
                with self.autocast():
                    logits = (self.distributed or self.forward)(*batch.inputs)
                    loss = model.summed_loss(logits, batch.targets)
                loss.backward()  # type: ignore[no-untyped-call]
            summed += loss.detach()
            for cell, n in of_cell.items():
                n_tokens[cell] = n_tokens.get(cell, 0) + n
        return summed, n_targets, n_tokens

    def _shares(self, begin: int) -> Iterator[int]:
        """Where the batches of this process begin in the window from `begin` on."""
        at_once, end = self.config.batch.sequences_at_once, begin + self.config.batch.sequences
        yield from range(begin + self.world.rank * at_once, end, at_once * self.world.size)

    def _forget_other_phase(self, begin: int) -> None:
        """Losses of another phase of the mixture say nothing about those of this one."""
        if begin and self._phase(begin) != self._phase(begin - self.config.batch.sequences):
            self.progress.history.clear()

    def _phase(self, position: int) -> int:
        order = self.batches.order
        n_passes, place = divmod(position, order.n_rows)
        return n_passes * len(order.phase_ends) + sum(place >= end for end in order.phase_ends)

    def roll_back(self, position: int, options: RollbackOptions) -> Path | None:
        """Go back to the newest checkpoint made on schedule, and pass over the windows around `position` from then on;
        returns it, or None, having done nothing, if there is none yet.

        A checkpoint that a signal caused is left aside, so that a run that was stopped goes back as far as one that was
        not.

        Raises:
            TrainingError: after `MAX_ROLLBACKS` to the same checkpoint, and if the checkpoint is damaged.
        """
        self.saver.wait()
        every, sequences = self.config.checkpoint.every, self.config.batch.sequences
        n_steps = (position // sequences // every) * every
        folder = checkpoint.folder_of(self.config.output, n_steps)
        if not n_steps or not self.world.of_first(folder.exists()):
            return None
        self.n_rollbacks[folder] = self.n_rollbacks.get(folder, 0) + 1
        if self.n_rollbacks[folder] > MAX_ROLLBACKS:
            raise CommonError(
                f"the run went back to {folder} {MAX_ROLLBACKS} times, and still loss or gradient stand out at "
                f"position {position}. Lower optim.lr, or raise spikes.sigma or spikes.around, with a new `--output`."
            )
        skipped = self.progress.skipped
        try:
            self._restore(folder)
        except checkpoint.CheckpointError as error:
            raise TrainingError(f"cannot go back before the spike at position {position}: {error}") from None
        if self.world.is_first:
            checkpoint.forget_after(self.config.output, n_steps)  # they are of a run that met the spike
        around = range(position - options.around * sequences, position + (options.around + 1) * sequences, sequences)
        ahead = {window for window in (*skipped, *around) if window >= self.progress.position}
        self.progress.skipped = sorted(set(self.progress.skipped) | ahead)
        return folder

    @torch.no_grad()
    def losses_of_window(self, begin: int) -> list[float]:
        """Mean loss in nats per target of each Sequence of a window, with the present weights."""
        losses = [0.0] * self.config.batch.sequences
        for position in self._shares(begin):
            batch, _ = self.batches.at(position, self.config.batch.sequences_at_once)
            batch = batch.to(self.device)
            with self.autocast():
                nats = model.losses(self.forward(*batch.inputs), batch.targets)
            n_targets = (batch.targets != model.IGNORED).view(-1, self.dataset.seq_len).sum(1).clamp(min=1)
            means = nats.view(-1, self.dataset.seq_len).sum(1) / n_targets
            losses[position - begin : position - begin + len(means)] = means.tolist()
        return self.world.sum(losses)

    def event(self, made: Step) -> dict[str, object]:
        """What is reported of a window that changed no weight: which of its Sequences stand out, whose they are, and
        the command that shows them. All processes must call it together."""
        losses = self.losses_of_window(made.position)
        named = []
        for index in spikes.most_unusual(losses):
            cell, row = self.batches.where(made.position + index)
            ids = self.dataset.train[cell].ids(row)
            loss = losses[index] if math.isfinite(losses[index]) else None
            command = shlex.join(["pipeline", "trace", str(self.dataset.folder), "--cell", cell, "--row", str(row)])
            named.append({"cell": cell, "row": row, "loss": loss, "ids": ids, "command": command})
        return {
            "kind": self.config.spikes.policy,
            "position": made.position,
            "reason": made.objection,
            "documents": named,
            "command": named[0]["command"] if named else "",
        }

    def validate(self, at_once: int) -> dict[str, CellLoss]:
        """This process's share of the validation loss of each Cell, `at_once` Sequences in one forward pass."""
        context, limit = self.config.model.context, self.config.evaluate.sequences_per_cell
        return evaluate(self.forward, self.dataset, context, limit, at_once, self.n_bytes, self.autocast, self.world)
