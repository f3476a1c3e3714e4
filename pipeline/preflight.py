"""Before a run: whether its models have the labels that the recipe asks for and its lists hold entries, and whether
what it will write fits on the disk. After a failure: whether the disk is full."""

import errno
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.card.escape import size
from pipeline.config import ConfigError
from pipeline.config_words import did_you_mean, one_of
from pipeline.files import Folder
from pipeline.plan import LANGUAGE_MODEL, QUALITY_MODELS, Part, Plan
from pipeline.recipe import Recipe
from pipeline.steps.model_files import PINNED, find, labels
from pipeline.steps.options import PresetStep
from pipeline.steps.overlap_options import benchmark_files
from pipeline.steps.presets import expand
from pipeline.steps.url_lists import check_entries, own_files
from pipeline.tokenizer.given import read_model

Factors = Mapping[str, float]

_WEB: Factors = {"extract": 0.11, "lines": 0.05, "measure": 0.06, "select": 0.10, "pack": 0.09}
_PACKED: Factors = {"extract": 1.0, "lines": 0.75, "measure": 0.35, "select": 1.5, "pack": 3.2}
"""Bytes that a stage writes for each stored byte of input, by what the input is.

Measured on finished runs of recipes that `pipeline init` wrote: _WEB on 54 MB of gzip WARC (3,505 pages), _PACKED the
largest of four collections of gzip JSON lines (books, papers, encyclopedia, source code). Parquet and Arrow count as
packed, which is too much for those that are not.
"""
_PACKING = {"warc": 4.0, "text": 3.0}
"""How much smaller gzip makes pages, and text. The shipped recipe's plain reference and code write half of what follows
from this, since of docstrings and modules of a few lines less is kept."""
_REST = 0.03
"""Repeats, Match, Cluster, Tokenizer and the records of the run, as a share of what the others write: at most .029."""
FULL_BYTES = 1_000_000
"""A disk with less free space is taken for full: markers and failures could not be written."""


class DiskError(OSError):
    """A run that does not fit on the disk: how much it needs, how much there is, what to do."""


def check_models(recipe: Recipe) -> None:
    """Compare the labels that the recipe names with those of the models it names. No model is loaded.

    Raises:
        pipeline.config.ConfigError: with every label that is missing; because a file is no whole fastText classifier.
    """
    problems: list[str] = []
    for name, model in recipe.quality_models.items():
        at = f"{QUALITY_MODELS}.{name}"
        known = labels(find(model.path, f"{at}.path"), f"{at}.path")
        problems += _missing([model.label], known, f"{at}.label", model.path)
    model_path = recipe.language.model
    wanted = _languages(recipe) if model_path not in PINNED else {}
    if wanted:
        known = labels(find(model_path, LANGUAGE_MODEL), LANGUAGE_MODEL)
        for at, codes in wanted.items():
            problems += _missing(codes, known, at, model_path)
    if problems:
        raise ConfigError(problems)


def check_lists(recipe: Recipe) -> None:
    """Read the lists of entries, and the benchmarks, that the recipe names.

    Raises:
        pipeline.config.ConfigError: one cannot be read, or has a line that is no entry or item.
    """
    from pipeline.sources.items import read_items  # late: these need pyarrow, which plans do without
    from pipeline.steps.removals import Removals

    check_entries(recipe.url)
    Removals(own_files(recipe.removals.files, "removals.files", "files"))
    for name, files in benchmark_files(recipe.overlap).items():
        at = f"overlap.benchmarks.{name}"
        for file in files:
            for _ in read_items(find(file["path"], at).path, file["path"], recipe.overlap.fields_of(name), at):
                pass


def check_tokenizer(recipe: Recipe) -> None:
    """Load the tokenizer that the recipe brings along.

    Raises:
        pipeline.config.ConfigError: it is no tokenizer, lacks the marks of documents, or loses text and may not.
    """
    options = recipe.tokenizer
    if options.path is not None:
        from pipeline.tokenizer.vocab import VocabError, load  # late: it needs numpy, which plans do without

        try:
            load(read_model(options.path), origin=options.path, **options.load_options)
        except VocabError as error:
            raise ConfigError([f"tokenizer.path: {error}"]) from None


def _missing(wanted: Iterable[str], known: Sequence[str], at: str, path: str) -> list[str]:
    return [
        f"{at}: {path} has no label {label[:60]!r}{did_you_mean(label, known) or f'; it has: {one_of(known)}'}"
        for label in dict.fromkeys(wanted)
        if label not in known
    ]


def _languages(recipe: Recipe) -> dict[str, list[str]]:
    """Place in the recipe -> the languages that are named there, presets written out."""
    found: dict[str, list[str]] = {}
    for i, step in enumerate(recipe.steps):
        lines, limits = expand((step,))
        named = [(f"steps.{i}", line.where.language) for line in lines]
        for limit in limits:
            at = f"steps.{i}" + f".override.{limit.name}" * isinstance(step, PresetStep)
            named.append((at, limit.where.language))
            named.append((at, limit.one_of or () if limit.measure == "language" else ()))
        for at, codes in named:
            found[at] = [*found.get(at, ()), *codes]
    return {at: codes for at, codes in found.items() if codes}


def check(plan: Plan, todo: Mapping[str, Sequence[Part]], dataset: Folder) -> None:
    """Compare what the pending Parts will write with the free space of the disk that holds `dataset`.

    Nothing is checked on an object store. The version itself takes no space: its files are links to those of Parts.

    Raises:
        DiskError: if the estimate is more than there is.
    """
    if not dataset.is_local:
        return
    by_stage = estimate(plan, todo)
    needed = sum(by_stage.values())
    folder = _existing(Path(dataset.root))
    free = shutil.disk_usage(folder).free
    if needed <= free:
        return
    most = sorted(by_stage.items(), key=lambda item: (-item[1], item[0]))[:3]
    named = ", ".join(f"{stage} {size(n)}" for stage, n in most)
    raise DiskError(
        f"the run would write about {size(needed)} below {dataset.root} ({named}), and that disk has "
        f"{size(free)} free. Make room (pipeline clean, pipeline drop VERSION), write to another disk "
        "(--output FOLDER), or read less (fewer files in the recipe, or --set sources.NAME.path=...). If you know "
        "better than this estimate, say --no-preflight"
    )


def estimate(plan: Plan, todo: Mapping[str, Sequence[Part]]) -> dict[str, int]:
    """Bytes that the pending Parts will write, by stage; `rest` stands for the small stages together."""
    factors: dict[str, Factors] = {}  # by key of the Extract or Select Part
    stored: dict[str, int] = {}
    for part in plan.stages["extract"]:
        slices = part.work["slices"]
        stored[part.key] = sum(piece["end"] - piece["start"] for piece in slices)
        factors[part.key] = factors_of(slices[0]["path"])
    for part in plan.stages["select"]:
        stored[part.key], factors[part.key] = stored[part.work["extract"]], factors[part.work["extract"]]
    found: dict[str, float] = {}
    for stage in ("extract", "lines", "measure", "select", "pack"):
        for part in todo.get(stage, ()):
            keys = part.work["select"] if stage == "pack" else [part.work.get("extract", part.key)]
            if "earlier" in part.work:  # signatures of another version: little beside text
                continue
            found[stage] = found.get(stage, 0.0) + sum(stored[key] * factors[key][stage] for key in keys)
    rest = _REST * sum(found.values())
    return {stage: round(n_bytes) for stage, n_bytes in {**found, "rest": rest}.items()}


def factors_of(path: str) -> Factors:
    """What each stage writes for a byte of a file of this name."""
    name = path.lower()
    if name.endswith((".warc.gz", ".warc.zst")):
        return _WEB
    if name.endswith(".warc"):
        return {stage: factor / _PACKING["warc"] for stage, factor in _WEB.items()}
    if name.endswith((".gz", ".zst", ".parquet", ".arrow", ".feather", ".ipc")):
        return _PACKED
    return {stage: factor / _PACKING["text"] for stage, factor in _PACKED.items()}


def disk_full(folder: Folder, messages: Iterable[str]) -> str:
    """A sentence for the user if a failure with these `messages` came of a full disk, else "".

    A write that fails frees what it had written, so the errors tell as much as the space that is left.
    """
    if not folder.is_local:
        return ""
    place = _existing(Path(folder.root))
    free = shutil.disk_usage(place).free
    said = any(os.strerror(errno.ENOSPC).lower() in message.lower() for message in messages)
    if not said and free >= FULL_BYTES:
        return ""
    return (
        f"the disk that holds {place} is full ({size(free)} free). Make room (pipeline clean, pipeline drop "
        "VERSION), then run the same command to go on"
    )


def _existing(path: Path) -> Path:
    """`path` or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())
