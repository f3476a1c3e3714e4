"""Checkpoints: a folder for each, complete or not there at all.

    checkpoints/step-00000200/model.safetensors       weights, float32
                              optimizer.safetensors   the optimizer's moments, such as "exp_avg.NAME"
                              state.json              everything else, and the sha256 of the two files above

A checkpoint is written aside, fsynced and renamed, so a folder named `step-*` is whole even after a power cut. Nothing
is pickled. The bytes depend on the run alone: no times, no hosts. A `Saver` writes while training goes on.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from pipeline.manifest import Manifest, canonical_json
from training.config import CheckpointOptions, TrainConfig, TrainingError
from training.model import Transformer
from training.optim import Optimizer
from training.spikes import History

FORMAT = "gristmill-checkpoint/2"
FOLDER = "checkpoints"
STATE, MODEL, OPTIMIZER = "state.json", "model.safetensors", "optimizer.safetensors"
_PREFIX, _ASIDE = "step-", ".aside-"


class CheckpointError(Exception):
    """A checkpoint that is damaged, incomplete or of another format."""


@dataclass(slots=True)
class Progress:
    """Where a run stands.

    `position` counts Sequences consumed, `n_updates` the optimizer's updates, `tokens` the tokens seen of each Cell.
    `skipped` lists where the windows begin that change no weight, because loss or gradient stood out or was no finite
    number; after a rollback, windows ahead are among them. `n_objections` counts such windows since the last update.
    """

    position: int = 0
    n_updates: int = 0
    n_objections: int = 0
    skipped: list[int] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    history: History = field(default_factory=History)


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


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a checkpoint, for a reader: the dataset's name, the sha256 of its recipe and of the trainer's code."""

    dataset: str
    recipe: str
    code: str


def origin(manifest: Manifest) -> Origin:
    """The origin of checkpoints trained on the version of `manifest`."""
    recipe = hashlib.sha256(canonical_json(manifest.recipe)).hexdigest()
    return Origin(manifest.name, recipe, _code_digest())


@cache
def _code_digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


@dataclass(frozen=True, slots=True)
class State:
    """What a checkpoint says beside its tensors."""

    step: int
    progress: Progress
    identity: Identity
    origin: Origin

    def to_json(self, files: Mapping[str, Mapping[str, Any]]) -> str:
        """The text of `state.json`; `files` gives sha256 and size of each file of tensors."""
        value = {
            "format": FORMAT,
            "step": self.step,
            **asdict(self.progress),
            **asdict(self.identity),
            "origin": asdict(self.origin),
            "libraries": {"torch": torch.__version__},
            "files": files,
        }
        return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


class Saver:
    """Writes checkpoints in a thread of its own, one at a time. Only copying the tensors holds training up."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[Path] | None = None

    def save(
        self, output: Path, model: Transformer, optimizer: Optimizer, state: State, options: CheckpointOptions
    ) -> None:
        """Write the present state to `output/checkpoints/step-NNNNNNNN`, then remove half-written checkpoints and those
        that `options` does not keep; after the one before is written.

        Raises:
            OSError: if the one before could not be written, such as for a full disk. Older ones are whole.
        """
        self.wait()
        tensors = {MODEL: _copies(dict(model.named_parameters())), OPTIMIZER: _copies(optimizer.tensors())}
        state = replace(state, progress=deepcopy(state.progress))  # which changes while this is written
        self._writing = self._thread.submit(_write, output, tensors, state, options)

    def check(self) -> None:
        """Raises OSError if a checkpoint could not be written. Does not wait."""
        if self._writing and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Return when nothing is being written. Raises OSError as `save`."""
        writing, self._writing = self._writing, None
        if writing:
            writing.result()


def _write(output: Path, tensors: Mapping[str, dict[str, Tensor]], state: State, options: CheckpointOptions) -> Path:
    folder = folder_of(output, state.step)
    aside = folder.with_name(_ASIDE + folder.name)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name, content in tensors.items():
        save_file(content, aside / name)
    files = {name: {"sha256": _sha256(aside / name), "size": (aside / name).stat().st_size} for name in tensors}
    (aside / STATE).write_text(state.to_json(files), encoding="utf-8")
    for path in (*aside.iterdir(), aside):
        _fsync(path)
    if folder.exists():  # a damaged one of the same step, passed over when the run was continued
        shutil.rmtree(folder)
    aside.rename(folder)
    _fsync(folder.parent)
    for old in (*_surplus(output, options), *unfinished(output)):
        shutil.rmtree(old)
    return folder


def _surplus(output: Path, options: CheckpointOptions) -> list[Path]:
    """Checkpoints that need not be kept. The newest one made on schedule is, since a rollback goes back to it."""
    folders = found(output)
    on_schedule = [folder for folder in folders if step_of(folder) % options.every == 0]
    forever = [folder for folder in folders if options.keep_every and step_of(folder) % options.keep_every == 0]
    kept = {*folders[: options.keep], *on_schedule[:1], *forever}
    return [folder for folder in folders if folder not in kept]


def forget_after(output: Path, step: int) -> None:
    """Remove the checkpoints of later steps than `step`."""
    for folder in found(output):
        if step_of(folder) > step:
            shutil.rmtree(folder)


def step_of(folder: Path) -> int:
    """The step in the name of a checkpoint's folder."""
    return int(folder.name.removeprefix(_PREFIX))


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
        progress = _progress(state)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / STATE}: {error} is missing or of another type") from None
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


def _progress(state: Mapping[str, Any]) -> Progress:
    names = ("position", "n_updates", "n_objections", "skipped", "tokens")
    return Progress(**{name: state[name] for name in names}, history=History(**state["history"]))


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values on the CPU, untouched by what training does next."""
    return {
        name: t.detach().clone().contiguous() if t.device.type == "cpu" else t.detach().cpu().contiguous()
        for name, t in tensors.items()
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
