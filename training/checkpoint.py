"""Checkpoints: a folder for each, complete or not there at all.

    checkpoints/step-00000200/model.safetensors       weights, float32
                              optimizer.safetensors   the optimizer's moments, such as "exp_avg.NAME"
                              state.json              everything else, and the sha256 of the two files above

A checkpoint is written aside, fsynced and renamed, so a folder named `step-*` is whole even after a power cut. Nothing
is pickled. The bytes depend on the run alone: no times, no hosts.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from pipeline.manifest import canonical_json
from training.config import TrainConfig, TrainingError
from training.model import Transformer
from training.optim import Optimizer

FORMAT = "gristmill-checkpoint/1"
FOLDER = "checkpoints"
STATE, MODEL, OPTIMIZER = "state.json", "model.safetensors", "optimizer.safetensors"
_PREFIX, _ASIDE = "step-", ".aside-"


class CheckpointError(Exception):
    """A checkpoint that is damaged, incomplete or of another format."""


@dataclass(slots=True)
class Progress:
    """Where a run stands.

    `position` counts Sequences consumed, `n_updates` the optimizer's updates, `tokens` the tokens seen of each Cell.
    `skipped` lists where the windows began whose loss or gradient was no finite number, and which changed no weight.
    """

    position: int = 0
    n_updates: int = 0
    skipped: list[int] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a checkpoint shares with the run that continues it: the dataset's version and what decides the weights."""

    version: str
    tokenizer: str
    config: dict[str, Any]

    def differences(self, other: "Identity") -> list[str]:
        """One line for each field in which `other` differs, as "NAME: here, there"."""
        mine, theirs = dict(_leaves(asdict(self))), dict(_leaves(asdict(other)))
        return [
            f"{name}: {mine.get(name, 'absent')!r} here, {theirs.get(name, 'absent')!r} in the checkpoint"
            for name in sorted(mine | theirs)
            if mine.get(name, ...) != theirs.get(name, ...)
        ]


def _leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def identity(config: TrainConfig, version: str, tokenizer: str) -> Identity:
    """The identity of a run; `tokenizer` is the fingerprint in the manifest."""
    return Identity(version, tokenizer, json.loads(canonical_json(config.decisive())))


def save(
    output: Path,
    step: int,
    model: Transformer,
    optimizer: Optimizer,
    progress: Progress,
    run: Identity,
    keep: int,
) -> Path:
    """Write `output/checkpoints/step-NNNNNNNN`, then remove half-written checkpoints and all but the newest `keep`."""
    folder = folder_of(output, step)
    aside = folder.with_name(_ASIDE + folder.name)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tensors = {MODEL: _weights(model), OPTIMIZER: optimizer.tensors()}
    for name, content in tensors.items():
        save_file(content, aside / name)
    state = {
        "format": FORMAT,
        "step": step,
        **asdict(progress),
        **asdict(run),
        "libraries": {"torch": torch.__version__},
        "files": {name: {"sha256": _sha256(aside / name), "size": (aside / name).stat().st_size} for name in tensors},
    }
    (aside / STATE).write_text(json.dumps(state, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    for path in (*aside.iterdir(), aside):
        _fsync(path)
    if folder.exists():  # a damaged one of the same step, passed over when the run was continued
        shutil.rmtree(folder)
    aside.rename(folder)
    _fsync(folder.parent)
    for old in (*found(output)[keep:], *unfinished(output)):
        shutil.rmtree(old)
    return folder


def folder_of(output: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return output / FOLDER / f"{_PREFIX}{step:08d}"


def found(output: Path) -> list[Path]:
    """Checkpoint folders below `output`, the newest first."""
    return sorted((output / FOLDER).glob(f"{_PREFIX}*"), reverse=True)


def unfinished(output: Path) -> list[Path]:
    """Folders of checkpoints whose writing was interrupted."""
    return sorted((output / FOLDER).glob(f"{_ASIDE}*"))


def read_state(folder: Path) -> dict[str, Any]:
    """`state.json` of a checkpoint.

    Raises:
        CheckpointError: if it is missing, damaged or of another format.
    """
    path = folder / STATE
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not of format {FORMAT!r}")
    return state


def read_tensors(folder: Path, name: str, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of one file of a checkpoint, on the CPU.

    Raises:
        CheckpointError: if the file is missing or its bytes are not those that were written.
    """
    path = folder / name
    try:
        raw = path.read_bytes()
        expected = state["files"][name]["sha256"]
        actual = hashlib.sha256(raw).hexdigest()
        if actual != expected:
            raise CheckpointError(f"{path}: sha256 is {actual[:16]}..., {STATE} says {expected[:16]}...")
        return dict(load(raw))
    except (OSError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: {error}") from None


def restore(folder: Path, model: Transformer, optimizer: Optimizer, run: Identity) -> Progress:
    """Load a checkpoint into `model` and `optimizer`.

    Raises:
        CheckpointError: if the checkpoint is damaged; `model` and `optimizer` are as before.
        TrainingError: if it belongs to another version or configuration; the text lists what differs.
    """
    state = read_state(folder)
    try:
        theirs = Identity(state["version"], state["tokenizer"], state["config"])
        progress = Progress(*(state[name] for name in ("position", "n_updates", "skipped", "tokens")))
    except KeyError as error:
        raise CheckpointError(f"{folder / STATE}: {error} is missing") from None
    differences = run.differences(theirs)
    if differences:
        raise TrainingError(
            f"{folder.parent.parent} holds checkpoints of another run:\n  " + "\n  ".join(differences) + "\n"
            "Choose another folder with `--output FOLDER`, or restore those values to continue that run."
        )
    weights = read_tensors(folder, MODEL, state)
    moments = read_tensors(folder, OPTIMIZER, state)
    try:
        model.load_state_dict(weights)
        optimizer.load(moments, progress.n_updates)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: its tensors do not fit the model ({error})") from None
    return progress


def _weights(model: Transformer) -> dict[str, Tensor]:
    return {name: p.detach().cpu().contiguous() for name, p in model.named_parameters()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
