"""The processes that train together: one for each GPU, started by torchrun, or this one alone."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from training.config import TrainingError
from training.devices import pick_device


@dataclass(frozen=True, slots=True)
class World:
    """This process's place: `rank` of `size`, and the device it computes on. Rank 0 writes and reports."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes checkpoints and reports."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes, in double precision and the same everywhere; all must call it together."""
        if self.size == 1:
            return list(values)
        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(summed)
        return summed.tolist()

    def sum_if_all(self, values: Sequence[float] | None, n: int) -> list[float] | None:
        """The sums of `n` values over all processes; None if one of them has None instead."""
        n_without, *summed = self.sum([float(values is None), *(values or [0.0] * n)])
        return None if n_without else summed

    def of_first(self, value: float) -> float:
        """What rank 0 gives, for all."""
        return self.sum([value if self.is_first else 0.0])[0]


def alone(wanted: str) -> World:
    """The world of one process, on `device: auto|cpu|cuda`."""
    return World(0, 1, pick_device(wanted))


@contextmanager
def join(wanted: str) -> Iterator[World]:
    """The world that torchrun's environment variables describe, on `device: auto|cpu|cuda`.

    Raises:
        TrainingError: for cuda where there is none, or fewer GPUs than processes on this machine.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if size == 1:
        yield alone(wanted)
        return
    device = pick_device(wanted)
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise TrainingError(
                f"process {local} on this machine has no GPU: torch finds {torch.cuda.device_count()}; lower `--gpus`"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    try:
        yield World(rank, size, device)
    except RuntimeError as error:
        if rank and "by peer" in str(error):  # gloo's words for a process that ended; that one says why
            raise SystemExit(2) from None
        raise
    finally:
        dist.destroy_process_group()
