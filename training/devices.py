"""Which device a run uses, and what GPUs can do at the most."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from training.config import TrainingError

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Device:
    """`name`: how torch's name of it begins. `peak_flops`: FLOP/s in bf16 with fp32 sums, dense. `memory_gib`: of the
    largest of that name."""

    name: str
    peak_flops: float
    memory_gib: int


DEVICES = (
    Device("NVIDIA A100", 312e12, 80),
    Device("NVIDIA H100 PCIe", 756e12, 80),
    Device("NVIDIA H100", 989e12, 80),
    Device("NVIDIA H200", 989e12, 141),
    Device("NVIDIA B200", 2250e12, 180),
    Device("NVIDIA L40S", 362e12, 48),
    Device("NVIDIA GeForce RTX 4090", 165e12, 24),
)
"""From NVIDIA's data sheets of each (RTX 4090: its Ada architecture white paper, appendix A), whose figures "with
sparsity" are halved. The first whose name fits counts."""


def pick_device(wanted: str) -> torch.device:
    """The device that `device: auto|cpu|cuda` means.

    Raises:
        TrainingError: for cuda where there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device: cuda was asked for, but torch finds no CUDA device; use `--set device=auto`")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def known(name: str) -> Device | None:
    """The entry of `DEVICES` for torch's name of a device."""
    return next((device for device in DEVICES if name.startswith(device.name)), None)


def named(part: str) -> list[Device]:
    """The devices with `part` in their names, all of them for "".

    Raises:
        TrainingError: if there is none.
    """
    found = [device for device in DEVICES if part.lower() in device.name.lower()]
    if not found:
        names = ", ".join(device.name for device in DEVICES)
        raise TrainingError(f"--on {part}: no device of that name; known are {names}")
    return found


def memory(device: torch.device) -> dict[str, int]:
    """Bytes that this process holds in memory now (Linux), and the most that torch has allocated on a GPU so far."""
    found = {}
    with suppress(OSError):
        found["resident_bytes"] = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if device.type == "cuda":
        found["peak_gpu_bytes"] = torch.cuda.max_memory_allocated(device)
    return found
