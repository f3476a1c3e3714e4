"""A Recipe and a listing of its inputs -> Stages and Parts with keys. Pure: nothing is read but names and sizes.

A Part's key is the sha256 of its ingredients: stage and revision, the recipe fields that the stage reads, versions of
the libraries that make bytes, asset hashes, the code's syntax trees in an editable install, and what goes in (raw
files as relative path, size and ETag or mtime; other Parts as their keys). Workers, engines and output paths are no
ingredients.
"""

import hashlib
import platform
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline import assets
from pipeline.code import code_digests, is_editable, origin_of
from pipeline.dedup.earlier import earlier_files
from pipeline.dedup.options import band_names, needs_shingles
from pipeline.manifest import digest
from pipeline.recipe import Recipe
from pipeline.sources.listing import cut, list_files
from pipeline.sources.record import Slice
from pipeline.steps.model_files import PINNED, find
from pipeline.steps.options import CountedStep, DatatroveStep, Step
from pipeline.steps.overlap_options import asset_hashes, benchmark_files
from pipeline.steps.presets import ReadingStep, count_group, counted_steps, expand, requested
from pipeline.steps.url_lists import ListFile, list_libraries, own_files, url_files
from pipeline.tokenizer.given import read_model
from pipeline.tokenizer.options import OF_FILES

KEY_DIGITS = 32
MATCH_RANGE_BYTES = 10**13
"""Raw input for which Match has one Part a band: some 400 million pages of a crawl, of which it reads the keys."""
LANGUAGE_MODEL = "language.model"
QUALITY_MODELS = "quality_models"
RANGE_INPUT_BYTES = 32 * 10**9
"""Input bytes for each Part of Repeats. It bounds their time; memory is bounded in `pipeline.dedup.lines`. 32 GB of
crawl hold some hundred million lines, which are merged in minutes."""


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What decides a stage's bytes besides recipe and inputs.

    `revision` is raised by hand when the stage's bytes change for equal ingredients (tests/golden guards it). `modules`
    are the first-party modules whose import closure makes the bytes; `libraries` the distributions whose version may.
    """

    name: str
    revision: int
    modules: tuple[str, ...]
    libraries: tuple[str, ...] = ()


STAGES: Mapping[str, StageSpec] = {
    spec.name: spec
    for spec in (
        StageSpec(
            "extract",
            3,
            (
                "pipeline.sources.read",
                "pipeline.extract.charset",
                "pipeline.extract.child",
                "pipeline.extract.worker",
                "pipeline.extract.textform",
                "pipeline.steps.limits",
                "pipeline.steps.predictor",
                "pipeline.steps.url",
                "pipeline.text.markup",
                "pipeline.text.scan",
            ),
            ("fastwarc", "resiliparse", "trafilatura", "justext", "lxml", "fasttext-numpy2-wheel", "numpy", "pyarrow"),
        ),
        StageSpec(
            "lines",
            1,
            ("pipeline.text.line_hashes", "pipeline.dedup.lines", "pipeline.steps.sites"),
            ("publicsuffixlist", "numpy", "pyarrow"),
        ),
        StageSpec("repeats", 1, ("pipeline.dedup.lines",), ("numpy", "pyarrow")),
        StageSpec(
            "measure",
            4,
            (
                "pipeline.text.scan",
                "pipeline.sources.items",
                "pipeline.text.line_rules",
                "pipeline.text.line_hashes",
                "pipeline.text.shingles",
                "pipeline.steps.overlap",
                "pipeline.steps.predictor",
                "pipeline.dedup.keys",
                "pipeline.steps.sites",
                "pipeline.dedup.lines",
                "pipeline.dedup.signatures",
                "pipeline.interop.walk",
            ),
            ("fasttext-numpy2-wheel", "numpy", "pyarrow"),
        ),
        StageSpec("judge", 1, ("pipeline.steps.limits", "pipeline.steps.removals"), ("pyarrow",)),
        StageSpec("match", 2, ("pipeline.dedup.match", "pipeline.dedup.stored"), ("numpy", "pyarrow")),
        StageSpec("cluster", 2, ("pipeline.dedup.cluster", "pipeline.dedup.stored"), ("numpy", "pyarrow")),
        StageSpec(
            "select",
            5,
            (
                "pipeline.card.sampling",
                "pipeline.text.spans",
                "pipeline.steps.overlap",
                "pipeline.steps.pii.scrubber",
                "pipeline.text.words",
            ),
            ("phonenumbers", "pyarrow"),
        ),
        StageSpec(
            "tokenizer",
            2,
            ("pipeline.tokenizer.train", "pipeline.text.word_counts"),
            ("sentencepiece", "tokenizers", "pyarrow"),
        ),
        StageSpec(
            "pack",
            3,
            (
                "pipeline.tokenizer.encode",
                "pipeline.packing.cells",
                "pipeline.packing.concat",
                "pipeline.packing.held_out",
                "pipeline.shards",
            ),
            ("sentencepiece", "tokenizers", "numpy", "pyarrow"),
        ),
        StageSpec(
            "describe", 4, ("pipeline.manifest", "pipeline.assembly", "pipeline.mixture.plan", "pipeline.card.markdown")
        ),
    )
}


COUNTING_STAGES = ("lines", "repeats")
"""Stages of recipes with a step that counts lines."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a stage's work. `label` says which piece, in words that stay the same when its key changes; `work`
    is what the stage's function needs to know, JSON only."""

    stage: str
    label: str
    key: str
    ingredients: Mapping[str, Any]
    work: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """All Parts of a run, by stage in the order of the corridor."""

    stages: Mapping[str, tuple[Part, ...]]

    def parts(self) -> Iterable[Part]:
        """Every Part, in order."""
        for parts in self.stages.values():
            yield from parts


@cache
def library_versions(stage: str) -> Mapping[str, str]:
    """Versions of the distributions, and of Python's Unicode tables, that may change a stage's bytes."""
    versions = {name: metadata.version(name) for name in STAGES[stage].libraries}
    if stage in ("extract", "lines", "measure", "select"):
        versions["unicode"] = unicodedata.unidata_version
    return versions


def stage_code(stage: str) -> str:
    """Digest of the code that makes a stage's bytes (see `pipeline.code`)."""
    shared = ("pipeline.document", "pipeline.files")
    return code_digests(tuple((name, (*spec.modules, *shared)) for name, spec in STAGES.items()))[stage]


def step_libraries(steps: Iterable[Step]) -> dict[str, str]:
    """What stands for the code of a recipe's datatrove steps: versions, and digests of what has none."""
    found: dict[str, str] = {}
    for step in steps:
        if isinstance(step, DatatroveStep):
            found |= {"datatrove": metadata.version("datatrove")}
            found |= {} if step.class_.startswith("datatrove.") else origin_of(step.class_)
    return found


def all_libraries(steps: Iterable[Step] = (), lists: Iterable[str] = ()) -> dict[str, str]:
    """Every version that may change bytes of a dataset of a recipe with these parts, for its manifest."""
    joined = {"python": platform.python_version(), **step_libraries(steps), **list_libraries(lists)}
    is_counting = any(isinstance(step, CountedStep) for step in steps)
    for stage in STAGES:
        if is_counting or stage not in COUNTING_STAGES:
            joined |= library_versions(stage)
    return dict(sorted(joined.items()))


def models_of(recipe: Recipe) -> dict[str, dict[str, str]]:
    """Field of the recipe -> path and sha256 of the model it names; the path of a pinned one is its name.

    Raises:
        pipeline.config.ConfigError: a model's file cannot be read.
    """
    named = {LANGUAGE_MODEL: recipe.language.model}
    named |= {f"{QUALITY_MODELS}.{name}": model.path for name, model in recipe.quality_models.items()}
    found = {}
    for field, path in named.items():
        if field == LANGUAGE_MODEL and path in PINNED:
            found[field] = {"path": path, "sha256": assets.sha256_of(path)}
        else:
            model = find(path, field)
            found[field] = {"path": path if "://" in path else str(model.path), "sha256": model.sha256}
    return found


def _model_hashes(models: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Name of a pinned model, or field of the recipe -> sha256."""
    return {m["path"] if m["path"] in PINNED else field: m["sha256"] for field, m in models.items()}


def _part(
    stage: str,
    label: str,
    recipe: Any,
    inputs: Any,
    work: Mapping[str, Any],
    libraries: Mapping[str, str] = MappingProxyType({}),
    models: Mapping[str, str] = MappingProxyType({}),
) -> Part:
    spec = STAGES[stage]
    ingredients: dict[str, Any] = {
        "stage": stage,
        "revision": spec.revision,
        "label": label,
        "recipe": recipe,
        "libraries": {**library_versions(stage), **libraries},
        "assets": dict(models),
        "inputs": inputs,
    }
    if is_editable():
        ingredients["code"] = stage_code(stage)
    return Part(stage, label, digest(ingredients)[:KEY_DIGITS], ingredients, work)


# Fields of a source that only decide which files are listed and how they are cut: the slices themselves are inputs.
_LISTING_FIELDS = {"part_mb", "path", "mirror", "files", "snapshot", "format", "distributions", "standard_library"}
# Fields that decide how files are fetched, or whether a version may lack some: no bytes of a Part.
_FETCHING_FIELDS = {"max_requests_per_s", "max_unavailable_share"}


def _label(slices: Sequence[Slice]) -> str:
    first, last = slices[0], slices[-1]
    if len(slices) == 1:
        whole = first.start == 0 and first.end == first.size
        return f"{first.source}:{first.path}" + ("" if whole else f"[{first.start}:{first.end}]")
    return f"{first.source}:{first.path}..{last.path} ({len(slices)} files)"


def _extract_parts(
    recipe: Recipe,
    cuts: Iterable[Sequence[Slice]],
    lists: Mapping[str, ListFile],
    models: Mapping[str, Mapping[str, str]],
) -> list[Part]:
    url = recipe.url.model_dump(mode="json", exclude={"files"})
    shared = {"url": url, "extract": recipe.extract.model_dump(mode="json")}
    looked = {LANGUAGE_MODEL: models[LANGUAGE_MODEL]} if recipe.extract.bounds else {}
    hashes, libraries = _hashes("url", lists) | _model_hashes(looked), list_libraries(recipe.url.lists)
    if looked:
        shared["language"] = {"max_chars": recipe.language.max_chars}
    left_out = _LISTING_FIELDS | _FETCHING_FIELDS
    sources = {name: source.model_dump(mode="json", exclude=left_out) for name, source in recipe.sources.items()}
    parts = []
    for slices in cuts:
        # Not `asdict`, which copies deeply: a source may have many thousand files.
        pieces = [{f.name: getattr(s, f.name) for f in dataclass_fields(s)} for s in slices]
        inputs = [{k: v for k, v in piece.items() if k != "url" and (v or k != "unavailable")} for piece in pieces]
        fields = {"source": sources[slices[0].source], **shared}
        work = {"slices": pieces, "lists": lists, "models": looked}
        parts.append(_part("extract", _label(slices), fields, inputs, work, libraries, hashes))
    return parts


def _hashes(field: str, lists: Mapping[str, ListFile]) -> dict[str, str]:
    """The files that a field of the recipe names, as assets."""
    return {f"{field}.{name}": file["sha256"] for name, file in lists.items()}


def _pack_groups(recipe: Recipe, extracts: Sequence[Part]) -> list[list[int]]:
    """Indices of consecutive Parts of one source whose inputs sum to at most `pack_mb`."""
    groups: list[list[int]] = []
    filled, source = 0, ""
    for i, part in enumerate(extracts):
        slices = part.work["slices"]
        size = sum(s["end"] - s["start"] for s in slices)
        if slices[0]["source"] != source or filled + size > recipe.packing.pack_mb * 10**6:
            groups.append([])
            filled, source = 0, slices[0]["source"]
        groups[-1].append(i)
        filled += size
    return groups


def _tokenizer_part(recipe: Recipe, selected: list[str]) -> Part:
    """Trained on the clean text of all Parts, or a file, whose bytes alone decide."""
    options = recipe.tokenizer
    if options.path is not None:
        path = options.path if "://" in options.path else str(Path(options.path).expanduser().absolute())
        sha256 = hashlib.sha256(read_model(path)).hexdigest()
        fields: dict[str, Any] = {"tokenizer": {"type": "file", **options.load_options}}
        work: dict[str, Any] = {"path": path, "sha256": sha256, "load": options.load_options}
        return _part("tokenizer", "all", fields, [sha256], work)
    fields = {"tokenizer": options.model_dump(mode="json", exclude={*OF_FILES}), "seed": recipe.seed}
    return _part("tokenizer", "all", fields, selected, {"select": selected})


def _match_parts(recipe: Recipe, compared: Mapping[str, Any], upstream: str, n_bytes: int) -> list[Part]:
    """A Part for each range of each band's keys; one range for what most people have."""
    scope, verify = recipe.dedup.scope, recipe.dedup.verify
    fields = {"scope": scope, "verify": verify and verify.model_dump(mode="json")}
    n = max(1, -(-n_bytes // MATCH_RANGE_BYTES))
    return [
        _part(
            "match",
            band + (f" ({place + 1} of {n})" if n > 1 else ""),
            fields,
            upstream,
            {**compared, "band": band, "range": [place, n]},
        )
        for band in band_names(recipe.dedup)
        for place in range(n)
    ]


def _counting_parts(recipe: Recipe, extracts: list[Part]) -> tuple[dict[str, Part], list[Part]]:
    """Of sources whose lines are counted, Parts of Lines by the key of their Extract Part; the Parts of Repeats."""
    counting: dict[str, Part] = {}
    n_bytes = 0
    for extract in extracts:
        slices = extract.work["slices"]
        if steps := counted_steps(recipe.steps, slices[0]["source"]):
            n_bytes += sum(s["end"] - s["start"] for s in slices)
            groups, min_words = sorted({*map(count_group, steps)}), min(step.min_words for step in steps)
            fields = {"groups": groups, "min_words": min_words}
            work = {"extract": extract.key, **fields}
            counting[extract.key] = _part("lines", extract.label, fields, [extract.key], work)
    keys = [part.key for part in counting.values()]
    n_ranges = max(1, -(-n_bytes // RANGE_INPUT_BYTES)) if keys else 0
    return counting, [
        _part("repeats", f"range {i + 1} of {n_ranges}", {}, digest(keys), {"lines": keys, "range": [i, n_ranges]})
        for i in range(n_ranges)
    ]


def _reading_fields(steps: Iterable[ReadingStep]) -> list[dict[str, Any]]:
    """What Measure reads of the steps; the name of a datatrove step is a Limit's, and so Judge's."""
    return [
        step.model_dump(mode="json", exclude={"name"} if isinstance(step, DatatroveStep) else None) for step in steps
    ]


def make_plan(recipe: Recipe) -> Plan:
    """List the inputs and cut the work. A tokenizer and models that the recipe brings along are read, since their bytes
    are in keys.

    Raises:
        pipeline.sources.listing.SourceError: for inputs that are missing or can't be listed.
        pipeline.config.ConfigError: for a tokenizer or model file that cannot be read.
    """
    listed = ((source.part_mb, list_files(name, source)) for name, source in recipe.sources.items())
    cuts = (slices for part_mb, files in listed for slices in cut(files, part_mb))
    return _plan(recipe, cuts)


def without_files(recipe: Recipe, plan: Plan, lost: Mapping[tuple[str, str], str]) -> Plan:
    """`plan` for a version that lacks files: (source, path) -> why each could not be had.

    All Parts of such a file, and what is made of them, have other keys than before: they are no results for a run that
    finds the file.
    """

    def mark(piece: Mapping[str, Any]) -> Slice:
        found = Slice(**piece)
        return replace(found, unavailable=lost.get((found.source, found.path), found.unavailable))

    cuts = ([mark(piece) for piece in part.work["slices"]] for part in plan.stages["extract"])
    return _plan(recipe, cuts)


def _signature_fields(recipe: Recipe, dump: Mapping[str, Any]) -> dict[str, Any]:
    """What the signatures of a document depend on, beside its text."""
    fields = ("ngram_words", "bands", "rows", "scheme", "seed", "near", "url")
    return {name: dump["dedup"][name] for name in fields} | {"shingles": needs_shingles(recipe.dedup)}


def _measure_fields(recipe: Recipe, dump: Mapping[str, Any], benchmarks: Collection[str]) -> dict[str, Any]:
    reading, limits = expand(recipe.steps)
    fields = {
        "language": {"max_chars": recipe.language.max_chars},
        QUALITY_MODELS: {name: {k: m[k] for k in ("label", "max_chars")} for name, m in dump[QUALITY_MODELS].items()},
        "lines": _reading_fields(reading),
        "on_request": requested(limits),
        "dedup": _signature_fields(recipe, dump),
    }
    if step_libraries(recipe.steps):
        fields["seed"] = recipe.seed
    if benchmarks:
        compared = {name: list(recipe.overlap.fields_of(name)) for name in benchmarks}
        fields["overlap"] = {**recipe.overlap.model_dump(mode="json"), "benchmarks": compared}
    return fields


def _judge_parts(
    recipe: Recipe, extract: Sequence[Part], measure: Sequence[Part], removals: Mapping[str, Any]
) -> list[Part]:
    _, limits = expand(recipe.steps)
    fields: dict[str, Any] = {"limits": [limit.model_dump(mode="json") for limit in limits]}
    if removals:
        fields["removals"] = {"with_copies": recipe.removals.with_copies}
    return [
        _part(
            "judge",
            m.label,
            fields,
            [e.key, m.key],
            {"extract": e.key, "measure": m.key, "removals": removals},
            models=_hashes("removals", removals),
        )
        for e, m in zip(extract, measure, strict=True)
    ]


def _select_parts(
    recipe: Recipe, dump: Mapping[str, Any], extract: Sequence[Part], rows: Sequence[dict[str, str]], cluster: str
) -> tuple[list[Part], list[Part]]:
    """The Parts of clean documents, and those of the text of the others where `keep` asks for it."""
    fields = {"pii": dump["pii"]}
    if recipe.keep.signatures:
        fields["keep"] = {"signatures": True, **_signature_fields(recipe, dump)}
    select, dropped = [], []
    for index, (e, row) in enumerate(zip(extract, rows, strict=True)):
        work = {**row, "cluster": cluster, "index": index}
        select.append(_part("select", e.label, fields, [row, cluster], work))
        if recipe.keep.dropped_text:
            of_dropped = {"pii": dump["pii"], "keep": {"dropped_text": True}}
            label = f"{e.label} (dropped text)"
            dropped.append(_part("select", label, of_dropped, [row, cluster], {**work, "dropped_text": True}))
    return select, dropped


def _pack_parts(
    recipe: Recipe,
    dump: Mapping[str, Any],
    extract: Sequence[Part],
    measure: Sequence[Part],
    select: Sequence[Part],
    tokenizer: str,
) -> list[Part]:
    """How a source is cut into Cells is a matter of its own Parts only."""
    cells = dump["packing"]["cells"]
    shared = {"packing": {k: v for k, v in dump["packing"].items() if k != "cells"}, "seed": recipe.seed}
    if recipe.dedup.repeat_by_cluster_size:
        shared["dedup"] = {"repeat_by_cluster_size": dump["dedup"]["repeat_by_cluster_size"]}
    pack = []
    for group in _pack_groups(recipe, extract):
        first, last = extract[group[0]], extract[group[-1]]
        source, keys = first.work["slices"][0]["source"], [select[i].key for i in group]
        label = first.label + (f" to {last.label}" if len(group) > 1 else "")
        fields = shared | ({"cells": cells[source]} if source in cells else {})
        work = {"select": keys, "tokenizer": tokenizer, "source": source, "measure": [measure[i].key for i in group]}
        pack.append(_part("pack", label, fields, [keys, tokenizer], work))
    return pack


def _plan(recipe: Recipe, cuts: Iterable[Sequence[Slice]]) -> Plan:
    dump = recipe.model_dump(mode="json")
    sources = list(recipe.sources)
    models, lists = models_of(recipe), url_files(recipe.url)
    removals = own_files(recipe.removals.files, "removals.files", "files")
    benchmarks = benchmark_files(recipe.overlap)
    hashes = _model_hashes(models) | asset_hashes(benchmarks)
    extract = _extract_parts(recipe, cuts, lists, models)
    counting, repeating = _counting_parts(recipe, extract)
    fields, classes = _measure_fields(recipe, dump, benchmarks), step_libraries(recipe.steps)
    measure = []
    for e in extract:
        repeats = [r.key for r in repeating] if e.key in counting else []
        todo = {"extract": e.key, "models": models, "benchmarks": benchmarks, "repeats": repeats}
        measure.append(_part("measure", e.label, fields, [e.key, *repeats], todo, classes, hashes))
    judge = _judge_parts(recipe, extract, measure, removals)
    rows = [
        {"extract": e.key, "measure": m.key, "judge": j.key, **({"lines": n.key} if (n := counting.get(e.key)) else {})}
        for e, m, j in zip(extract, measure, judge, strict=True)
    ]
    earlier = [
        _part(
            "measure",
            f"{file['version']}/{file['path']}",
            {"dedup": _signature_fields(recipe, dump)},
            [file["sha256"]],
            {"earlier": file},
        )
        for file in earlier_files(recipe.dedup)
    ]
    compared = {"rows": rows, "earlier": [part.key for part in earlier]}
    upstream = digest(compared)
    n_bytes = sum(s["end"] - s["start"] for e in extract for s in e.work["slices"])
    match = _match_parts(recipe, compared, upstream, n_bytes)
    cluster_fields = {"survivor": dump["dedup"]["survivor"], "sources": sources}
    matched = [m.key for m in match]
    from_all = [upstream, matched, compared["earlier"]]
    cluster = _part("cluster", "all", cluster_fields, from_all, {**compared, "match": matched})
    select, dropped = _select_parts(recipe, dump, extract, rows, cluster.key)
    selected = [s.key for s in select]
    dropped = [
        _part(
            "select",
            f"{e.label} (dropped text)",
            {"pii": dump["pii"], "keep": {"dropped_text": True}},
            [row, cluster.key],
            {**row, "cluster": cluster.key, "index": index, "dropped_text": True},
        )
        for index, (e, row) in enumerate(zip(extract, rows, strict=True))
        if recipe.keep.dropped_text
    ]
    tokenizer = _tokenizer_part(recipe, selected)
    pack = _pack_parts(recipe, dump, extract, measure, select, tokenizer.key)
    packed = [p.key for p in pack]
    work: dict[str, Any] = {"rows": [{**r, "select": k} for r, k in zip(rows, selected, strict=True)]}
    work |= {"cluster": cluster.key, "tokenizer": tokenizer.key, "pack": packed, "dropped": [p.key for p in dropped]}
    work["assets"] = hashes | _hashes("url", lists) | _hashes("removals", removals)
    describe_fields = dump | {"libraries": all_libraries(recipe.steps, recipe.url.lists), "assets": work["assets"]}
    inputs = [cluster.key, selected, work["dropped"], tokenizer.key, packed]
    describe = _part("describe", "all", describe_fields, inputs, work)
    stages = {
        "extract": extract,
        **({"lines": list(counting.values()), "repeats": repeating} if counting else {}),
        "measure": [*measure, *earlier],
        "judge": judge,
        "match": match,
        "cluster": [cluster],
        "select": [*select, *dropped],
        "tokenizer": [tokenizer],
        "pack": pack,
        "describe": [describe],
    }
    return Plan({name: tuple(parts) for name, parts in stages.items()})


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed between two sets of ingredients, each as `field: old -> new`, shallow fields first."""
    changed: list[str] = []
    _walk("", before, now, changed)
    return changed


def _walk(path: str, before: Any, now: Any, changed: list[str]) -> None:
    if before == now:
        return
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted({*before, *now}):
            _walk(f"{path}.{key}" if path else str(key), before.get(key), now.get(key), changed)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (a, b) in enumerate(zip(before, now, strict=True)):
            _walk(f"{path}.{_called(a, b) or i}", a, b, changed)
    else:
        changed.append(f"{path}: {_short(before)} -> {_short(now)}")


def _called(before: Any, now: Any) -> str:
    """The name that two entries of a list have in common, as Limits have one; "" if there is none."""
    names = [entry.get("name") if isinstance(entry, Mapping) else None for entry in (before, now)]
    return str(names[0]) if names[0] and names[0] == names[1] else ""


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
