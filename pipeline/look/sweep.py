"""What other values of a Limit's bound would keep of a version, without running anything.

Each document's measure and failed Limits are in the Parts that Measure and Judge committed, so what a bound keeps is
counted, not estimated, up to deduplication, which is not redone: of the documents that pass, some are duplicates.

Tokens are known of packed documents only, and are estimated for all: characters of a document's kept lines times
tokens per character, which is the tokens (both splits, with those that begin and end documents) of the version's
documents of the same source and language over the characters of their kept lines. A language none of whose documents is
in the version is counted at its source's tokens per character, and a source without any at the version's. So the
estimate is exact for the documents of the version as a whole, and good as far as those dropped are like those kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.look.grid import candidates, choose
from pipeline.look.parts import MadeFrom
from pipeline.look.tally import Bound, tally
from pipeline.manifest import Manifest, by_source

Cell = tuple[str, str]
"""Source and language."""
SPLITS = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Kept:
    """`documents` and an estimate of their `tokens`."""

    documents: int
    tokens: float

    def __add__(self, other: "Kept") -> "Kept":
        return Kept(self.documents + other.documents, self.tokens + other.tokens)

    def __sub__(self, other: "Kept") -> "Kept":
        return Kept(self.documents - other.documents, self.tokens - other.tokens)


NOTHING = Kept(0, 0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """What one value keeps: `alone`, if this were the only Limit, and `after_others`, of what all other Limits keep.

    `value` is None for no bound at all. For words, a row is of the documents with the word `value`, and `is_today` says
    whether it is allowed.
    """

    value: float | str | None
    is_today: bool
    alone: Kept
    after_others: Kept


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one source or language; `name` is "" for all. `whole`: the documents that the Limit is for."""

    name: str
    whole: Kept
    rows: tuple[Row, ...]

    def changes(self) -> list[Kept]:
        """For each row, what would be kept in addition, if negative no longer, with its value instead of today's.

        For words: if the word were allowed, or allowed no longer.
        """
        if self.rows and isinstance(self.rows[0].value, str):
            return [NOTHING - row.after_others if row.is_today else row.after_others for row in self.rows]
        today = next(row.after_others for row in self.rows if row.is_today)
        return [row.after_others - today for row in self.rows]


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens per character of a source and language, and whose they are: of `language`, `source` or `version`."""

    source: str
    language: str
    tokens_per_char: float
    measured_on: Literal["language", "source", "version"]
    chars: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """A bound, its values, and what they keep.

    `outside`: documents that the Limit is not for, and how many of them all Limits pass. `rates`: of all sources and
    languages that the Limit is for.
    """

    bound: Bound
    groups: tuple[Group, ...]
    outside: int
    outside_passed: int
    rates: tuple[Rate, ...]


def sweep(
    made: MadeFrom,
    described: Manifest,
    bound: Bound,
    values: Sequence[float] | Sequence[str] = (),
    by: Literal["source", "language"] | None = None,
) -> Sweep:
    """Count what `values` of a bound keep.

    Args:
        made: the Parts behind the version.
        described: its manifest.
        bound: of one of its Limits, or a new one.
        values: numbers, or words where the measure is one; today's are added. Empty: chosen by `pipeline.look.grid`,
            with no bound at all; all words.
        by: one Group for each source, in the recipe's order, or for each language, the one with most documents first.

    Raises:
        ConfigError, DamagedError: see `pipeline.look.tally.tally`.
    """
    levels = _levels(bound, values)
    counts = tally(made, bound, np.asarray(levels, np.float64))
    rates = _rates(counts, described)
    concerned = counts.filter(counts["level"].is_valid())
    rest = counts.filter(counts["level"].is_null())
    cells = _by_cell(concerned)
    shown = _words(concerned, bound, values) if bound.side == "one_of" else levels
    filled = {cell: _fill(table, shown, rates[cell].tokens_per_char) for cell, table in cells.items()}
    everything = _group("", filled.values(), shown, bound)
    groups = [everything]
    if by:
        at = ("source", "language").index(by)
        names = [name for name in described.sources if by == "source"] or sorted({cell[at] for cell in filled})
        groups = [_group(name, [f for cell, f in filled.items() if cell[at] == name], shown, bound) for name in names]
        groups = [group for group in groups if group.whole.documents]
        if by == "language":
            groups.sort(key=lambda group: -group.whole.documents)
    if bound.side != "one_of":
        groups = [_picked(group, _places(everything, bound, levels, bool(values))) for group in groups]
    return Sweep(
        bound,
        tuple(groups),
        _sum(rest, "documents"),
        _sum(rest.filter(rest["passes_others"]), "documents"),
        tuple(replace(rates[cell], chars=_sum(table, "chars")) for cell, table in sorted(cells.items())),
    )


def _levels(bound: Bound, values: Sequence[Any]) -> list[float]:
    """All values that may be shown, loosest first."""
    if bound.side == "one_of":
        return []
    found = {float(value) for value in values or candidates(bound.entry)}
    if isinstance(bound.today, float):
        found.add(bound.today)
    return sorted(found, reverse=bound.side == "max")


def _words(counts: pa.Table, bound: Bound, asked: Sequence[Any]) -> list[str]:
    """Words by their documents, the most frequent first: those asked for, or all; and those allowed today."""
    n: dict[str, int] = {}
    for word, documents in zip(counts["level"].to_pylist(), counts["documents"].to_pylist(), strict=True):
        n[word] = n.get(word, 0) + documents
    allowed = bound.today if isinstance(bound.today, tuple) else ()
    return sorted({*(asked or n), *allowed}, key=lambda word: (-n.get(word, 0), word))


def _sum(table: pa.Table, column: str) -> int:
    return int(np.asarray(table[column]).sum())


def _by_cell(counts: pa.Table) -> dict[Cell, pa.Table]:
    rows: dict[Cell, list[int]] = {}
    for place, cell in enumerate(zip(counts["source"].to_pylist(), counts["language"].to_pylist(), strict=True)):
        rows.setdefault(cell, []).append(place)
    return {cell: counts.take(pa.array(places)) for cell, places in rows.items()}


def _rates(counts: pa.Table, described: Manifest) -> dict[Cell, Rate]:
    """Tokens per character of each source and language that occurs."""
    found: dict[Cell, tuple[int, int]] = {}
    for cell, table in _by_cell(counts).items():
        tokens = sum(by_source(described.counts, f"{split}_tokens", cell[0]).get(cell[1], 0) for split in SPLITS)
        found[cell] = (tokens, _sum(table.filter(table["is_packed"]), "chars"))
    rates = {}
    for source, language in found:
        near: Mapping[Literal["language", "source", "version"], list[tuple[int, int]]] = {
            "language": [found[source, language]],
            "source": [known for cell, known in found.items() if cell[0] == source],
            "version": list(found.values()),
        }
        for whose, known in near.items():
            tokens, chars = (sum(numbers) for numbers in zip(*known, strict=True))
            if chars:
                rates[source, language] = Rate(source, language, tokens / chars, whose, 0)
                break
        else:
            rates[source, language] = Rate(source, language, 0.0, "version", 0)
    return rates


@dataclass(frozen=True, slots=True)
class _Filled:
    """What each value keeps of one source and language: documents and tokens, alone and after the others.

    `kept`: float64 [2, 2, n]: (alone, after others) x (documents, tokens) x values; for numbers no bound comes first.
    """

    whole: Kept
    kept: npt.NDArray[np.float64]


def _fill(table: pa.Table, shown: Sequence[float] | Sequence[str], tokens_per_char: float) -> _Filled:
    is_word = pa.types.is_string(table["level"].type)
    if is_word:
        places = {word: place for place, word in enumerate(shown)}
        level = np.array([places.get(word, -1) for word in table["level"].to_pylist()])
    else:
        level = np.asarray(table["level"])
    passes = np.asarray(table["passes_others"])
    kept = np.zeros((2, 2, len(shown) + 1))
    for j, column in enumerate(("documents", "chars")):
        numbers = np.asarray(table[column], np.float64)  # whole numbers below 2^53 are exact
        for i, chosen in enumerate((level >= 0, passes & (level >= 0))):
            counted = np.bincount(level[chosen], numbers[chosen], minlength=len(shown) + 1)
            kept[i, j] = counted if is_word else counted[::-1].cumsum()[::-1]
    kept[:, 1] *= tokens_per_char
    return _Filled(Kept(_sum(table, "documents"), _sum(table, "chars") * tokens_per_char), kept)


def _group(name: str, filled: Iterable[_Filled], shown: Sequence[float] | Sequence[str], bound: Bound) -> Group:
    parts = list(filled)
    whole = sum((part.whole for part in parts), NOTHING)
    kept = sum((part.kept for part in parts), np.zeros((2, 2, len(shown) + 1)))
    values: list[float | str | None] = [*shown] if bound.side == "one_of" else [None, *shown]
    rows = tuple(
        Row(value, _is_today(bound, value), *(Kept(round(n), float(t)) for n, t in kept[:, :, place]))
        for place, value in enumerate(values)
    )
    return Group(name, whole, rows)


def _is_today(bound: Bound, value: float | str | None) -> bool:
    if isinstance(bound.today, tuple):
        return value in bound.today
    return bound.side == "one_of" or value == bound.today


def _places(group: Group, bound: Bound, levels: Sequence[float], is_asked: bool) -> list[int]:
    """Places of the rows to show, among all of them."""
    if is_asked:
        return [*([0] if bound.today is None else []), *range(1, len(group.rows))]
    today = levels.index(bound.today) if isinstance(bound.today, float) else None
    kept = [row.alone.documents for row in group.rows]
    return [0, *(place + 1 for place in choose(levels, kept, today, bound.entry.edges))]


def _picked(group: Group, places: Sequence[int]) -> Group:
    return replace(group, rows=tuple(group.rows[place] for place in places))
