"""A run's metrics in bounded memory, however many steps it has: what its page draws."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MAX_STRETCHES = 1_000
"""Of a curve; each is drawn as two points, which is more than a chart has pixels."""
N_MEANS = 100
SHOWN_EVENTS, SHOWN_SAMPLES = 100, 5
"""The newest that are kept."""


class Stretch(NamedTuple):
    """Consecutive values: mean step and mean value; the least and the greatest, each as (value, step)."""

    mean: tuple[float, float]
    least: tuple[float, float]
    greatest: tuple[float, float]


def joined(parts: Sequence[Stretch]) -> Stretch:
    """Stretches of the same length as one."""
    steps, values = zip(*(part.mean for part in parts), strict=True)
    mean = (sum(steps) / len(parts), sum(values) / len(parts))
    return Stretch(mean, min(part.least for part in parts), max(part.greatest for part in parts))


class Curve:
    """Values over steps, thinned while they come: each stretch of `width` values keeps its extremes and its mean."""

    def __init__(self) -> None:
        self.width = 1
        self._whole: list[Stretch] = []
        self._rest: list[Stretch] = []

    def add(self, step: int, value: float) -> None:
        """The next value; steps rise."""
        self.last = value
        self._rest.append(Stretch((step, value), (value, step), (value, step)))
        if len(self._rest) == self.width:
            self._whole.append(joined(self._rest))
            self._rest.clear()
        if len(self._whole) == MAX_STRETCHES:
            self._whole = [joined(self._whole[k : k + 2]) for k in range(0, MAX_STRETCHES, 2)]
            self.width *= 2

    def stretches(self) -> list[Stretch]:
        """`MAX_STRETCHES` at the most; the last may be of fewer values."""
        return self._whole + ([joined(self._rest)] if self._rest else [])

    def points(self) -> list[tuple[float, float]]:
        """(step, value) of the stretches' extremes, by step."""
        return sorted((step, value) for s in self.stretches() for value, step in {s.least, s.greatest})

    def means(self) -> list[tuple[float, float]]:
        """(mean step, mean value) of at most `N_MEANS` parts."""
        stretches = self.stretches()
        size = -(-len(stretches) // N_MEANS)
        return [joined(stretches[k : k + size]).mean for k in range(0, len(stretches), size or 1)]


class Summary:
    """What lines of `metrics.jsonl` hold: `curves` by the names that lead to a number, events and samples, and each
    field's `last` value. ("tasks", NAME, "low") and "high" are the accuracy less and plus its standard error."""

    def __init__(self) -> None:
        self.curves: dict[tuple[str, ...], Curve] = {}
        self.events: deque[dict[str, Any]] = deque(maxlen=SHOWN_EVENTS)
        self.samples: deque[dict[str, Any]] = deque(maxlen=SHOWN_SAMPLES)
        self.last: dict[str, Any] = {}

    def add(self, line: dict[str, Any]) -> None:
        """The next line."""
        self.last |= line
        found = list(scalars(line))
        for task, x in line.get("tasks", {}).items():
            found.append((("tasks", task, "low"), x["accuracy"] - x["standard_error"]))
            found.append((("tasks", task, "high"), x["accuracy"] + x["standard_error"]))
        for names, value in found:
            self.curves.setdefault(names, Curve()).add(line["step"], value)
        for name, kept in (("event", self.events), ("sample", self.samples)):
            if name in line:
                kept.append(line)


def scalars(line: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], float]]:
    """The numbers of a line of metrics with the names that lead to them, such as ("validation", CELL, "loss")."""
    for name, value in line.items():
        if isinstance(value, Mapping) and name != "event":
            yield from (((name, *names), number) for names, number in scalars(value))
        elif isinstance(value, int | float) and name != "step":
            yield (name,), value
