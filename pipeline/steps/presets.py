"""What a recipe's steps come to. Presets are named lists of line rules and Limits in `preset_files/<name>.yaml`.

A preset may have a table `languages`: language -> numbers, those of the Limits named in `columns`. Such a Limit has the
word `by_language` for a bound, and is written out as one Limit for each different number. A step that is `not_for` some
of the languages gets the others as its `where`.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from pipeline.config_words import did_you_mean, one_of
from pipeline.measures import ON_REQUEST, VERDICT_PREFIX
from pipeline.steps.options import (
    PRESET_FILES,
    CountedStep,
    DatatroveStep,
    Limit,
    LimitOverride,
    LineStep,
    PresetStep,
    Step,
    Where,
)

BY_LANGUAGE = "by_language"
ReadingStep = LineStep | CountedStep | DatatroveStep
"""A step that reads texts."""


class PresetError(ValueError):
    """A step that cannot be expanded; `step` is its place in the recipe's list, counted from 0."""

    def __init__(self, step: int, message: str) -> None:
        super().__init__(f"steps[{step}]: {message}")
        self.step = step


@cache
def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(PRESET_FILES.joinpath(f"{name}.yaml").read_text("utf-8"))
    return found


def preset_source(name: str) -> str:
    """Where a preset's numbers and order are from."""
    return str(_read(name)["source"])


@cache
def preset_steps(name: str) -> tuple[LineStep | Limit, ...]:
    """The steps of a preset as its file gives them, bounds by language written out."""
    file = _read(name)
    written = [part for step in file["steps"] for part in _for_languages(file, step)]
    steps: tuple[LineStep | Limit, ...] = TypeAdapter(tuple[LineStep | Limit, ...]).validate_python(written)
    return steps


def _for_languages(file: dict[str, Any], step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps that one of a preset's file comes to: more than one where its bound is `by_language`."""
    step = dict(step)
    table: dict[str, list[float]] = file.get("languages", {})
    left_out = step.pop("not_for", ())
    languages = tuple(code for code in table if code not in left_out)
    bound = next((field for field in ("min", "max", "one_of") if step.get(field) == BY_LANGUAGE), None)
    if bound == "one_of":
        yield {**step, bound: languages}
    elif bound:
        column = file["columns"].index(step["name"])
        for number in sorted({table[code][column] for code in languages}):
            these = tuple(code for code in languages if table[code][column] == number)
            yield {**step, bound: number, "where": {"language": these}}
    else:
        yield {**step, "where": {"language": languages}} if left_out else step


def expand(steps: Iterable[Step]) -> tuple[tuple[ReadingStep, ...], tuple[Limit, ...]]:
    """The steps of a recipe that read texts and its Limits, each in order, with presets written out.

    A preset's `where` goes to each of its steps, and of those for some languages to the ones that both name; `override`
    replaces fields of its Limits, in all languages. A datatrove step reads texts, and is a Limit on its verdict, too. A
    formatter's always holds: which class is one is not known here.

    Raises:
        PresetError: an override of a Limit that the preset does not have, or that is no valid Limit; two Limits with
            one name that apply to the same documents.
    """
    reading: list[ReadingStep] = []
    limits: list[Limit] = []
    seen: set[tuple[str, Where]] = set()
    for place, step in _parts(steps):
        if not isinstance(step, Limit):
            reading.append(step)
        if isinstance(step, DatatroveStep):
            column = f"{VERDICT_PREFIX}{sum(isinstance(step, DatatroveStep) for step in reading) - 1}"
            # Not validated: the column is this recipe's own, so the registry of measures does not have it.
            step = Limit.model_construct(name=step.name, measure=column, one_of=("",), where=step.where)
        if isinstance(step, Limit):
            if (step.name, step.where) in seen:
                raise PresetError(place, f"a second limit is named {step.name!r}; give it another name or `where`")
            seen.add((step.name, step.where))
            limits.append(step)
    return tuple(reading), tuple(limits)


def resolved(steps: Iterable[Step]) -> tuple[ReadingStep | Limit, ...]:
    """Steps that say the same as a recipe's, with presets written out; line rules first where this changes nothing.

    Raises:
        PresetError: as `expand`.
    """
    parts = [step for _, step in _parts(steps)]
    if any(isinstance(step, DatatroveStep) for step in parts):
        return tuple(parts)
    return tuple(sorted(parts, key=lambda step: isinstance(step, Limit)))


def counted_steps(steps: Iterable[Step], source: str) -> tuple[CountedStep, ...]:
    """The steps of a recipe that count the lines of a source, in order.

    A step counts the documents of the sources that its `where` names, in all languages, since lines are counted before
    a language is known.
    """
    found = (step for step in steps if isinstance(step, CountedStep))
    return tuple(step for step in found if not step.where.source or source in step.where.source)


def count_group(step: CountedStep) -> tuple[str, ...]:
    """What tells apart the counts that steps need: the scope, and the names of the sources, if not all are meant."""
    return step.scope, *sorted(set(step.where.source))


def _parts(steps: Iterable[Step]) -> Iterator[tuple[int, ReadingStep | Limit]]:
    """The steps that a recipe's come to, each with the place in the recipe that it is from."""
    for place, step in enumerate(steps):
        for part in _written_out(place, step) if isinstance(step, PresetStep) else (step,):
            yield place, part


def requested(limits: Iterable[Limit]) -> list[str]:
    """The groups of `pipeline.measures.ON_REQUEST` that Limits ask for."""
    asked = {limit.measure for limit in limits}
    return [group for group, names in ON_REQUEST.items() if names & asked]


def _written_out(place: int, preset: PresetStep) -> Iterable[LineStep | Limit]:
    """The steps of a preset with its `where` and overrides."""
    steps = preset_steps(preset.name)
    names = [step.name for step in steps if isinstance(step, Limit)]
    for name in preset.override:
        if name not in names:
            near = did_you_mean(name, names) or f"; its limits are: {one_of(dict.fromkeys(names))}"
            raise PresetError(place, f"preset {preset.name} has no limit {name[:60]!r} to override{near}")
    for step in steps:
        where = _both(preset.where, step.where)
        if where is None:
            continue
        step = step.model_copy(update={"where": where})
        fields = preset.override.get(step.name) if isinstance(step, Limit) else None
        if isinstance(step, Limit) and fields:
            if "where" in fields.model_fields_set and names.count(step.name) > 1:
                message = "the preset has it by language; give the preset a `where`, or write a Limit of your own"
                raise PresetError(place, f"override of {step.name}: {message}")
            step = _overridden(place, step, fields)
        yield step


def _both(asked: Where, own: Where) -> Where | None:
    """What a recipe's `where` and that of a preset's step, which names languages only, both allow; None if none."""
    if not asked.language or not own.language:
        return Where(source=asked.source, language=asked.language or own.language)
    language = tuple(code for code in own.language if code in asked.language)
    return Where(source=asked.source, language=language) if language else None


def _overridden(place: int, limit: Limit, fields: LimitOverride) -> Limit:
    try:
        return Limit.model_validate({**limit.model_dump(), **fields.model_dump()})
    except ValidationError as error:
        found = "; ".join(str(e.get("ctx", {}).get("error", e["msg"])) for e in error.errors())
        raise PresetError(place, f"override of {limit.name}: {found}") from None
