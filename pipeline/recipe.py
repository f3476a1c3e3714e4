"""The Recipe: what a person writes, and all that decides the bytes of a dataset.

Each room's fields live in the room's `options.py` (or in the room, where it is one file); this module joins them, and
checks what only the whole can show: names that one part uses and another defines.
"""

import pathlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field

from pipeline.config import Finding, Options, load, locate
from pipeline.config_words import did_you_mean, one_of
from pipeline.dedup.options import BestBy, DedupOptions, band_names
from pipeline.extract.options import ExtractOptions, Look
from pipeline.measures import KEPT_PREFIX, MEASURES, ON_REQUEST, OVERLAP, QUALITY_NAME, QUALITY_PREFIX, nearest_measure
from pipeline.mixture.options import MixtureOptions
from pipeline.packing.options import PackingOptions
from pipeline.sources.options import CommonCrawlSource, Source, WarcSource
from pipeline.steps.language_codes import LID_176
from pipeline.steps.model_files import PINNED
from pipeline.steps.options import (
    DECLARED,
    OVERLAP_RULE,
    LanguageOptions,
    Limit,
    LineStep,
    PiiOptions,
    PresetStep,
    QualityModel,
    QualityName,
    RemovalOptions,
    Step,
    UrlOptions,
    Where,
)
from pipeline.steps.overlap_options import OverlapOptions
from pipeline.steps.presets import PresetError, expand, requested
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.yaml_nodes import Path

RESERVED_REASONS = (
    *("exact_duplicate", "url_duplicate", "near_duplicate", "earlier_duplicate"),
    *("no_text_left", "removed_on_request", "copy_of_removed"),
)
"""Drop reasons that stages give; no Limit may have such a name."""


class CardOptions(Options):
    """What only a person can say about a dataset."""

    summary: str = ""
    intended_use: str = ""
    limits: str = ""
    contact: str = ""


class KeepOptions(Options):
    """What a version stores of the records that are no documents of it."""

    fates: bool = Field(
        True, description="One row for every record read, with its fate or drop reason: `decisions/` in the version."
    )
    dropped_text: bool = Field(
        False,
        description="The extracted text of dropped documents, personal data replaced: `dropped/` in the version.",
    )
    signatures: bool = Field(
        True,
        description="What duplicates of the documents are found by, for `dedup.against` of later versions: "
        "`signatures/` in the version, 4 bytes for each MinHash value of a document.",
    )
    examples: bool = Field(
        True,
        description="The beginnings of ten documents kept of each source and ten dropped for each reason, personal "
        "data replaced: in the manifest, for the card's page.",
    )


SourceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""A source's name is part of file names and labels."""


class Recipe(Options):
    """A dataset as a value: the same recipe and inputs give the same bytes."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Folder name of the dataset.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of everything random.")
    sources: dict[SourceName, Source] = Field(min_length=1, description="Source name -> where its records come from.")
    url: UrlOptions = UrlOptions()
    extract: ExtractOptions = ExtractOptions()
    language: LanguageOptions = LanguageOptions()
    quality_models: dict[QualityName, QualityModel] = Field(
        default_factory=dict, description="Name -> fastText classifier; Limits may use its measure `quality_NAME`."
    )
    overlap: OverlapOptions = OverlapOptions()
    steps: tuple[Step, ...] = Field(
        (),
        description="Line rules, Limits and datatrove's classes, in order; the first one failed is the reason.",
    )
    dedup: DedupOptions = DedupOptions()
    removals: RemovalOptions = RemovalOptions()
    pii: PiiOptions = PiiOptions()
    mixture: MixtureOptions = MixtureOptions()
    tokenizer: TokenizerOptions = TokenizerOptions()
    packing: PackingOptions = PackingOptions()
    keep: KeepOptions = KeepOptions()
    card: CardOptions = CardOptions()


SCHEMA_FILE = "recipe.schema.json"
"""Name of the JSON Schema beside a recipe, in whose first line an editor finds it."""
SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a recipe file: fields, types, bounds, defaults, descriptions.

    What only `check` and validators can see is not in it: names that one part uses and another defines, and bounds that
    depend on the measure.
    """
    made = Recipe.model_json_schema()
    parts = made["$defs"]
    _require_types(made, parts)
    made["properties"]["sources"]["additionalProperties"] = False  # names that the pattern does not allow
    for part in ("Limit", "LimitOverride"):
        declared = QUALITY_NAME.replace("^", f"^{QUALITY_PREFIX}", 1)
        parts[part]["properties"]["measure"]["anyOf"] = [{"enum": list(MEASURES)}, {"pattern": declared}]
    # Of another model the labels are not known here; an editor still offers these.
    parts["Where"]["properties"]["language"]["items"]["anyOf"] = [{"enum": sorted(LID_176)}, {}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Gristmill recipe"}


def _require_types(node: Any, parts: dict[str, Any]) -> None:
    """In each union that a key tells apart, ask for that key: a default in one member does not make it optional.

    `discriminator`, which says so in OpenAPI, is no word of JSON Schema and goes.
    """
    if isinstance(node, dict):
        if found := node.pop("discriminator", None):
            for reference in found["mapping"].values():
                part = parts[reference.rpartition("/")[2]]
                part["required"] = list(dict.fromkeys([found["propertyName"], *part.get("required", ())]))
        node = list(node.values())
    for entry in node if isinstance(node, list) else ():
        _require_types(entry, parts)


def load_recipe(
    path: pathlib.Path,
    overrides: Sequence[str] = (),
    check_steps: Callable[[Iterable[Step]], Iterable[Finding]] = lambda steps: (),
) -> Recipe:
    """The recipe at `path`, or the one that ships under this name (see `pipeline.config.locate`), checked as a whole.

    `check_steps` finds more that is wrong with the steps, such as `pipeline.interop.walk.check`.

    Raises:
        pipeline.config.ConfigError: with everything that is wrong, each with its place.
    """
    found, _ = locate(path)
    return load(found, Recipe, overrides, lambda recipe: (*check(recipe), *check_steps(recipe.steps)), _declared)


def _declared(written: Any) -> dict[str, Any]:
    """The measures that a recipe file declares."""
    models = written.get("quality_models") if isinstance(written, dict) else None
    return {DECLARED: [QUALITY_PREFIX + name for name in models] if isinstance(models, dict) else []}


def check(recipe: Recipe) -> Iterator[Finding]:
    """What does not fit together, in the order of the recipe's fields."""
    for i, step in enumerate(recipe.steps):
        at = ("steps", i)
        yield from _check_where(recipe, step.where, at)
        if isinstance(step, Limit):
            yield from _check_limit(recipe, step, at)
        if isinstance(step, LineStep) and step.rule == OVERLAP_RULE:
            yield from _check_benchmarks(recipe, f"the rule {step.rule}", (*at, "rule"))
        if isinstance(step, PresetStep):
            yield from _check_overrides(recipe, step, at)
    yield from _check_names(recipe)
    yield from _check_looks(recipe)
    yield from _check_survivor(recipe)
    if recipe.removals.files and recipe.removals.with_copies and not band_names(recipe.dedup):
        message = "copies are found by dedup, which is off; switch dedup.exact on, or say with_copies: false"
        yield ("removals", "with_copies"), message
    yield from _check_cells(recipe)
    for name in recipe.tokenizer.weights:
        yield from _known(name, recipe.sources, "source", ("tokenizer", "weights", name))


def _check_where(recipe: Recipe, where: Where, at: Path) -> Iterator[Finding]:
    for j, name in enumerate(where.source):
        yield from _known(name, recipe.sources, "source", (*at, "where", "source", j))
    for j, code in enumerate(where.language if recipe.language.model in PINNED else ()):
        yield from _known(code, LID_176, "language code", (*at, "where", "language", j))


def _check_limit(recipe: Recipe, limit: Limit, at: Path) -> Iterator[Finding]:
    if limit.measure in OVERLAP:
        yield from _check_benchmarks(recipe, f"the measure {limit.measure}", (*at, "measure"))
    if limit.measure == "language" and recipe.language.model in PINNED:
        for j, code in enumerate(limit.one_of or ()):
            yield from _known(code, LID_176, "language code", (*at, "one_of", j))
    if limit.exclusive and limit.min is not None and limit.min == limit.max:
        yield (*at, "exclusive"), f"min and max are both {limit.min:g} and excluded: no document would pass"


def _check_benchmarks(recipe: Recipe, what: str, at: Path) -> Iterator[Finding]:
    if not recipe.overlap.benchmarks:
        yield at, f"{what} looks for benchmark items, and overlap.benchmarks names none (docs/overlap.md)"


def _check_overrides(recipe: Recipe, preset: PresetStep, at: Path) -> Iterator[Finding]:
    for name, fields in preset.override.items():
        here = (*at, "override", name)
        try:
            _, limits = expand((preset.model_copy(update={"override": {name: fields}}),))
        except PresetError as error:
            yield here, str(error).removeprefix("steps[0]: ")
            continue
        yield from _check_where(recipe, fields.where, here)
        yield from _check_limit(recipe, next(limit for limit in limits if limit.name == name), here)


def _check_survivor(recipe: Recipe) -> Iterator[Finding]:
    """A survivor rule may go by any number that Measure takes for this recipe."""
    try:
        asked = requested(expand(recipe.steps)[1])
    except PresetError:
        return  # has been said
    for i, rule in enumerate(recipe.dedup.survivor):
        if isinstance(rule, BestBy):
            at = ("dedup", "survivor", i, "measure")
            yield from _check_number(recipe, rule.measure, asked, at, "a survivor is chosen by a number")


def _check_number(recipe: Recipe, name: str, asked: Container[str], at: Path, why: str) -> Iterator[Finding]:
    """A number that Measure takes of all documents for this recipe; `asked`: groups on request that it asks for."""
    declared = [QUALITY_PREFIX + name for name in recipe.quality_models]
    group = next((group for group, names in ON_REQUEST.items() if name in names and group not in asked), None)
    if name not in MEASURES and name not in declared:
        close = nearest_measure(name, declared)
        yield at, f"unknown measure {name[:60]!r}" + (f"; did you mean {close!r}?" if close else "")
    elif name in MEASURES and MEASURES[name].kind != "number":
        yield at, f"{name} is a word; {why}"
    elif name in OVERLAP:
        yield from _check_benchmarks(recipe, f"the measure {name}", at)
    elif group:
        yield at, f"{name} is taken only where a Limit asks for it, or for another one of its group; add such a Limit"


def _check_cells(recipe: Recipe) -> Iterator[Finding]:
    """Cells are cut of known sources by known measures, and the mixture speaks of Cells that there may be."""
    try:
        asked = requested(expand(recipe.steps)[1])
    except PresetError:
        return  # has been said
    cut, names = recipe.packing.cells, list(recipe.sources)
    for source, cells in cut.items():
        at = ("packing", "cells", source)
        yield from _known(source, recipe.sources, "source", at)
        for name in cells.cell_names(source) if source in recipe.sources else ():
            of_language = name.rpartition(".")[0]
            names += [part for part in (of_language, name) if part not in names]
        for j, code in enumerate(cells.languages if recipe.language.model in PINNED else ()):
            yield from _known(code, LID_176, "language code", (*at, "languages", j))
        if cells.measure is not None:
            yield from _check_number(recipe, cells.measure, asked, (*at, "measure"), "Cells are cut by numbers")
    mixed = recipe.mixture
    for where, name in mixed.named().items():
        yield from _known(name, names, "source or Cell" if cut else "source", ("mixture", *where))
    orders = [(("order",), mixed.order), *((("phases", i, "order"), p.order) for i, p in enumerate(mixed.phases))]
    measures = [cells.measure for cells in cut.values() if cells.measure]
    for place, order in orders:
        if order and order.measure not in measures:
            near = (
                did_you_mean(order.measure, measures) or "; cut a source by it: packing.cells.SOURCE, docs/mixture.md"
            )
            yield ("mixture", *place, "measure"), f"no source is cut by {order.measure[:60]!r}{near}"


def _check_names(recipe: Recipe) -> Iterator[Finding]:
    """Limits of one name are one drop reason, so no document may meet two of them."""
    seen: dict[str, list[tuple[int, Limit]]] = {}
    for i, step in enumerate(recipe.steps):
        at = ("steps", i) if isinstance(step, PresetStep) else ("steps", i, "name")
        twice: dict[int, list[str]] = {}
        for limit in _limits(step):
            if limit.name in RESERVED_REASONS:
                yield at, f"the name {limit.name} is kept for deduplication; choose another"
            for earlier, other in seen.get(limit.name, ()):
                if _overlap(limit.where, other.where):
                    twice.setdefault(earlier, []).append(limit.name)
            seen.setdefault(limit.name, []).append((i, limit))
        for earlier, names in twice.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield at, f"steps.{earlier} has a limit called {names[0]}{more}, too, for the same documents; rename one"


def _check_looks(recipe: Recipe) -> Iterator[Finding]:
    """A look drops pages of every source that has pages, so in each a Limit at least as strict has to follow."""
    pages = [name for name, source in recipe.sources.items() if isinstance(source, CommonCrawlSource | WarcSource)]
    try:
        limits = expand(recipe.steps)[1]
    except PresetError:
        return  # has been said
    for i, look in enumerate(recipe.extract.bounds):
        for j, code in enumerate(look.one_of or () if recipe.language.model in PINNED else ()):
            yield from _known(code, LID_176, "language code", ("extract", "looks", i, "one_of", j))
        for name in pages:
            same = [limit for limit in limits if _is_held_to(limit, look, name)]
            if any(_is_as_strict(limit, look) for limit in same):
                continue
            what = ", ".join(f"{limit.name} ({_bounds(limit)})" for limit in same) or "none"
            yield (
                ("extract", "looks", i),
                f"the look at {look.measure} ({_bounds(look)}) drops pages of {name} that the Limits on it would keep: "
                f"{what}; loosen the look, or give {name} a Limit on {look.measure} that is at least as strict",
            )


def _is_held_to(limit: Limit, look: Look, source: str) -> bool:
    """Whether a Limit bounds the look's measure for all documents of a source, in the whole text or its kept lines."""
    measures = (look.measure, KEPT_PREFIX + look.measure) if look.max is None else (look.measure,)
    is_here = not limit.where.source or source in limit.where.source
    return limit.measure in measures and is_here and not limit.where.language


def _is_as_strict(limit: Limit, look: Look) -> bool:
    if look.one_of is not None:
        return limit.one_of is not None and set(limit.one_of) <= set(look.one_of)
    is_above = look.min is None or (limit.min is not None and limit.min >= look.min)
    return is_above and (look.max is None or (limit.max is not None and limit.max <= look.max))


def _bounds(bounds: Limit | Look) -> str:
    ends = [f"{name} {end:g}" for name, end in (("min", bounds.min), ("max", bounds.max)) if end is not None]
    return ", ".join([*ends, *([f"one_of {', '.join(bounds.one_of)}"] if bounds.one_of else [])])


def _limits(step: Step) -> tuple[Limit, ...]:
    if isinstance(step, PresetStep):
        step = step.model_copy(update={"override": {}})
    return expand((step,))[1]


def _overlap(a: Where, b: Where) -> bool:
    fields = ((a.source, b.source), (a.language, b.language))
    return all(not x or not y or set(x) & set(y) for x, y in fields)


def _known(name: str, names: Iterable[str], what: str, at: Path) -> Iterator[Finding]:
    known = list(names)
    if name not in known:
        near = did_you_mean(name, known)
        many = (
            "; codes have two or three letters, such as en" if what == "language code" else f"; there are {len(known)}"
        )
        listed = f"; there are: {one_of(known)}" if len(known) <= 12 else many
        yield at, f"no {what} is called {name[:60]!r}{near or listed}"
