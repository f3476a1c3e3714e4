"""How tokens are shared among Cells: weights, size^alpha, UniMax; and what is spread where a Cell is short.

All numbers are fractions, so that a plan is the same on every machine.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from pipeline.manifest import CellTotals, source_of
from pipeline.mixture.options import MixtureOptions, Phase

Amounts = dict[str, Fraction]
"""Cell -> share, or tokens."""

GRAIN = 1 << 80
"""Shares are whole multiples of 1 / GRAIN: sums of fractions without a common denominator grow with every Cell."""
ALPHA_DIGITS = 12
"""Decimals kept of size^alpha, which is a float: how the last bits of a power are rounded depends on the machine."""


class MixtureError(Exception):
    """A mixture that the data cannot give."""


def shares(train: Sequence[CellTotals], phase: Phase, options: MixtureOptions) -> Amounts:
    """The share of each Cell in the tokens of a phase; they add to 1.

    - `weights`: normalised; a source's is shared out among its Cells by size.
    - `alpha`: p_c = n_c^alpha / sum of n^alpha, over Cells with n_c tokens, written as in XLM-R and mT5, where alpha
      is 0.3 (Conneau et al. 2020, arXiv 1911.02116; Xue et al. 2021, arXiv 2010.11934). It is temperature sampling with
      T = 1 / alpha (Arivazhagan et al. 2019, arXiv 1907.05019).
    - `unimax`: equal, but at most `max_epochs` of a Cell (Chung et al. 2023, arXiv 2304.09151, algorithm 1; there in
      characters, here in tokens).
    - none of them: by size.

    Raises:
        MixtureError: if a weight names no Cell with training rows; with `when_short: spread` one without rows will do.
    """
    sizes = {c.cell: Fraction(c.tokens) for c in train}
    total = sum(sizes.values())
    if phase.weights:
        return _normalised(_weights(train, phase.weights, options))
    if phase.alpha is not None:
        power = {cell: round(float(n / total) ** phase.alpha, ALPHA_DIGITS) if n else 0.0 for cell, n in sizes.items()}
        return _normalised({cell: Fraction(value) for cell, value in power.items()})
    if phase.unimax and (budget := options.budget()):
        capacity = {cell: Fraction(options.max_epochs) * n for cell, n in sizes.items()}
        equal = {cell: Fraction(budget, len(sizes)) for cell in sizes}
        filled = spread([equal], capacity)
        return _normalised(filled[0] if filled else capacity)
    return _normalised(sizes)


def _normalised(amounts: Amounts) -> Amounts:
    total = sum(amounts.values())
    return {cell: floored(amount / total) for cell, amount in amounts.items()}


def floored(value: Fraction) -> Fraction:
    """The next multiple of 1 / GRAIN, not above: so no plan needs a little more of a Cell than there is."""
    return Fraction(math.floor(value * GRAIN), GRAIN)


def _weights(train: Sequence[CellTotals], weights: Mapping[str, float], options: MixtureOptions) -> Amounts:
    found = {c.cell: Fraction(0) for c in train}
    whole = sum(map(Fraction, weights.values()))
    for name, weight in weights.items():
        own = [c for c in train if f"{c.cell}.".startswith(f"{name}.")]
        n = sum(c.tokens for c in own)
        if not own:
            names = sorted({*found, *map(source_of, found)})
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise MixtureError(
                f"the mixture names {name!r}, which has no training rows.{hint} There are: {', '.join(names)}"
            )
        if n == 0 and weight > 0 and options.when_short == "error":
            raise MixtureError(
                f"the mixture gives {name!r} a weight of {weight:g}, but it has no training rows: no document of it "
                "survived. Take it out of the weights, loosen the Limits that dropped it, or spread its share over the "
                "others with mixture.when_short: spread"
            )
        for c in own:
            found[c.cell] = floored(Fraction(weight) / whole * (Fraction(c.tokens, n) if n else Fraction(1, len(own))))
    return found


def spread(asked: Sequence[Amounts], capacity: Amounts) -> list[Amounts] | None:
    """What each phase gets of each Cell if no Cell can give more than its capacity to all phases together.

    Water-filling: Cells that are asked for too much give all they have, to the phases in proportion to what those asked
    for; what a phase lacks is added to the other Cells in proportion to what it asked of them, until no Cell is asked
    for too much. For equal amounts in one phase this is UniMax's algorithm.

    Args:
        asked: of each phase, tokens of each Cell.
        capacity: tokens that a Cell can give.

    Returns:
        As `asked`, with the same sum for each phase; None if a phase asks for more than its Cells have.
    """
    full: dict[str, list[Fraction]] = {}
    while True:
        got = []
        for number, phase in enumerate(asked):
            fixed = {cell: parts[number] for cell, parts in full.items()}
            rest = sum(phase.values()) - sum(fixed.values())
            free = sum(amount for cell, amount in phase.items() if cell not in fixed)
            if rest > 0 and not free:
                return None
            got.append(
                {cell: fixed[cell] if cell in fixed else n * rest / free if n else n for cell, n in phase.items()}
            )
        sums = {cell: sum((phase[cell] for phase in got), Fraction(0)) for cell in capacity}
        over = [cell for cell, n in sums.items() if cell not in full and n > capacity[cell]]
        if not over:
            return got
        full |= {cell: [floored(phase[cell] * capacity[cell] / sums[cell]) for phase in got] for cell in over}
