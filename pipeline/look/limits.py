"""The Limits of a version by name, and the key of a recipe that sets one of their bounds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pipeline.config import ConfigError
from pipeline.config_words import did_you_mean, one_of
from pipeline.look.tally import Bound
from pipeline.manifest import Manifest
from pipeline.measures import MEASURES, VERDICT_PREFIX, measure_of
from pipeline.recipe import Recipe
from pipeline.steps.options import Limit, PresetStep, Where
from pipeline.steps.presets import expand

Side = Literal["min", "max"]


def limits_of(described: Manifest) -> list[Limit]:
    """The Limits of a version as Judge counted them, in the order of its recipe, presets written out.

    A filter of datatrove is one on its verdicts. A formatter, which no document can fail, is none; of a filter the
    manifest counts how many documents fail it, if only 0.
    """
    filters = {name for failed in described.counts.get("failed", {}).values() for name in failed}
    found = []
    for step in described.recipe.get("steps") or ():
        if step["type"] == "limit":
            found.append(Limit.model_validate(step))
        elif step["type"] == "datatrove" and step["name"] in filters:
            where = Where.model_validate(step["where"])
            found.append(Limit.model_construct(name=step["name"], measure=VERDICT_PREFIX, one_of=("",), where=where))
    return found


def bounds_of(described: Manifest, name: str, side: Side | None) -> list[Bound]:
    """The bounds of all Limits called `name`: both, if there are two and `side` names neither.

    Limits of one name are for different documents (`where`), so each is varied by itself.

    Raises:
        ConfigError: if there is no such Limit, or a word is asked for a min or max.
    """
    limits = limits_of(described)
    found = [(place, limit) for place, limit in enumerate(limits) if limit.name == name]
    if not found:
        names = list(dict.fromkeys(limit.name for limit in limits))
        near = did_you_mean(name, names) or f"; there are: {one_of(names) or 'none'}"
        raise ConfigError([f"--limit {name}: the version has no such Limit{near}"])
    if any(limit.measure == VERDICT_PREFIX for _, limit in found):
        raise ConfigError([f"--limit {name}: a filter of datatrove has no bound to vary; change its `args` and run"])
    return [bound for place, limit in found for bound in _bounds(limit, place, side)]


def _bounds(limit: Limit, place: int, side: Side | None) -> list[Bound]:
    bound = Bound(limit.name, limit.measure, "one_of", limit.one_of, limit.where, limit.exclusive, place)
    if limit.one_of is not None:
        _check_side(limit.measure, side)
        return [bound]
    sides: list[Side] = [side] if side else [each for each in ("min", "max") if getattr(limit, each) is not None]
    return [
        replace(bound, side=each, today=getattr(limit, each), rest=_rest(limit, {"min": "max", "max": "min"}[each]))
        for each in sides
    ]


def _rest(limit: Limit, other: str) -> Limit | None:
    """The Limit with its bound `other` only; None if it has none."""
    if getattr(limit, other) is None:
        return None
    return limit.model_copy(update={"min": None, "max": None, other: getattr(limit, other)})


def new_bound(measure: str, side: Side | None) -> Bound:
    """A bound of a measure that no Limit has yet.

    Raises:
        ConfigError: if there is no such measure, or `side` does not fit it.
    """
    entry = measure_of(measure)
    if entry is None:
        near = did_you_mean(measure, MEASURES)
        raise ConfigError([f"--measure {measure}: no such measure{near}; docs/recipes.md lists them"])
    if entry.kind == "word":
        _check_side(measure, side)
        return Bound(f"new_{measure}", measure, "one_of", None, Where())
    if side is None:
        raise ConfigError([f"--measure {measure}: say which bound, --min or --max"])
    return Bound(f"new_{measure}", measure, side, None, Where())


def _check_side(measure: str, side: Side | None) -> None:
    if side:
        raise ConfigError([f"--{side}: {measure} is a word, and has neither min nor max; leave --{side} out"])


def check_values(bound: Bound, values: Sequence[float]) -> None:
    """Refuse values with which no document could pass.

    Raises:
        ConfigError: naming the first.
    """
    if bound.rest is None:
        return
    for value in values:
        if bound.side == "min" and bound.rest.max is not None and value > bound.rest.max:
            raise ConfigError([f"--values {value:.12g}: above the Limit's max {bound.rest.max:.12g}"])
        if bound.side == "max" and bound.rest.min is not None and value < bound.rest.min:
            raise ConfigError([f"--values {value:.12g}: below the Limit's min {bound.rest.min:.12g}"])


def setting(written: Recipe, limit: Limit, side: str) -> str | None:
    """The key by which `--set` reaches a bound of a Limit, such as `steps.0.override.language_score.min`.

    Args:
        written: the recipe as a person wrote it, presets not expanded.
        limit: as the version has it.
        side: `min`, `max` or `one_of`.

    Returns:
        None if the recipe does not have the Limit.
    """
    for place, step in enumerate(written.steps):
        if step == limit:
            return f"steps.{place}.{side}"
        if isinstance(step, PresetStep) and limit in expand((step,))[1]:
            return f"steps.{place}.override.{limit.name}.{side}"
    return None
