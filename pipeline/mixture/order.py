"""Rows by the value of a measure: a phase -> stretches, in which the Cells of low and high values take turns.

A row is of one Cell, and Cells may be buckets of a measure. To read easy text first is to read the buckets of each
source one after another: no row is sorted, and nothing is packed again.
"""

import math
from fractions import Fraction
from itertools import pairwise

from pipeline.mixture.options import OrderOptions
from pipeline.mixture.shares import GRAIN, Amounts

Stretch = dict[str, tuple[int, Fraction]]
"""Cell -> rows, and the part of the Cell's share of the phase that they stand for."""


def stretches(rows: dict[str, int], wanted: Amounts, order: OrderOptions | None) -> list[Stretch]:
    """The stretches of a phase: within each, rows are shuffled.

    Sources that are cut by the measure are read bucket by bucket, each with its part of all tokens in each; a
    Cell that is no bucket has its part of each. A source cut by language, too, is read so in each language.

    Args:
        rows: of each Cell in the whole phase.
        wanted: tokens of each Cell in the whole phase.
        order: by which measure; None: one stretch.

    Returns:
        Stretches whose rows add to `rows`, and parts of a Cell to 1 (of one that is not wanted: to 0).
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for cell in rows:
        group, bucket = _bucket(cell, order.measure) if order else (cell, 0)
        groups.setdefault(group, []).append((-bucket if order and order.first == "high" else bucket, cell))
    spans: dict[str, tuple[int, int]] = {}
    for members in groups.values():
        total, before = sum(wanted[cell] for _, cell in members), Fraction(0)
        for _, cell in sorted(members):
            if wanted[cell]:
                after = before + wanted[cell]
                spans[cell] = (math.floor(before / total * GRAIN), math.floor(after / total * GRAIN))
                before = after
    ends = sorted({0, GRAIN, *(end for span in spans.values() for end in span)})
    return [
        {
            cell: _between(rows[cell], span, begin, end)
            for cell, span in spans.items()
            if span[0] < end and span[1] > begin
        }
        for begin, end in pairwise(ends)
    ]


def _bucket(cell: str, measure: str) -> tuple[str, int]:
    """(group, bucket) of a Cell called GROUP.MEASURE-BUCKET; other Cells are alone in their group."""
    group, _, last = cell.rpartition(".")
    name, _, number = last.rpartition("-")
    return (group, int(number)) if group and name == measure else (cell, 0)


def _between(rows: int, span: tuple[int, int], begin: int, end: int) -> tuple[int, Fraction]:
    """What a Cell that is read evenly over `span` of a phase gives from `begin` to `end`, all in parts of GRAIN."""
    first, last = (Fraction(min(max(at, span[0]), span[1]) - span[0], span[1] - span[0]) for at in (begin, end))
    return round_half_up(rows * last) - round_half_up(rows * first), last - first


def round_half_up(value: Fraction) -> int:
    """The nearest whole number, the larger of two."""
    return math.floor(value + Fraction(1, 2))
