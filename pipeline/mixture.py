"""Cells, weights -> token budgets and epochs.

A Cell's tokens are read by whole rows, so the plan is a number of rows for each Cell; data are never repacked for
another mixture.
"""

import difflib
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated

from pydantic import Field, field_validator

from pipeline.config import Options
from pipeline.manifest import CellTotals, MixtureRow

TRAIN = "train"


class MixtureOptions(Options):
    """Shares of the training tokens by source; a source is a Cell."""

    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Source name -> share of tokens, normalised to 1; a source left out gets none. "
        "Empty: natural proportions.",
    )
    tokens: int | None = Field(
        None,
        ge=1,
        description="Token budget. None: with weights the most that `max_epochs` allows for all shares, "
        "without weights every row once.",
    )
    max_epochs: float = Field(4.0, gt=0, description="How often a Cell may be repeated at the most.")
    tolerance: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Largest distance of a realised share from its plan; beyond it the build fails. The default, one "
        "percentage point, is what rounding to whole rows can cost a mixture of a hundred rows or fewer.",
    )

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        if weights and not sum(weights.values()) > 0:
            raise ValueError("all weights are 0; give at least one source a weight above 0, or no weights at all")
        return weights


class MixtureError(Exception):
    """A mixture that the packed data cannot give."""


def plan(cells: Sequence[CellTotals], options: MixtureOptions) -> list[MixtureRow]:
    """How many rows of each Cell make one run over the mixture.

    - No weights, no budget: every row once (less if `max_epochs` is below 1).
    - No weights, a budget: natural proportions, scaled.
    - Weights, no budget: the largest budget for which no Cell is read more than `max_epochs` times.
    - Weights and a budget: the budget, or an error.

    A Cell whose share is above 0 gets at least one row (none if `max_epochs` below 1 leaves no whole row). A Cell that
    the weights leave out gets none: its `share_asked` and `rows` are 0.

    Args:
        cells: what was packed; those of other splits than "train" are passed over.
        options: the recipe's mixture part.

    Returns:
        One entry for each training Cell, sorted by name. `tokens` is `rows` times the Cell's mean tokens a row.

    Raises:
        MixtureError: if a weight names no Cell, a weighted Cell is empty, the budget needs more than `max_epochs` of a
            Cell, or whole rows cannot meet a share within `tolerance`.
        ValueError: if a Cell is given twice.
    """
    train = sorted((c for c in cells if c.split == TRAIN), key=lambda c: c.cell)
    if len({c.cell for c in train}) != len(train):
        raise ValueError(f"a Cell is given twice: {[c.cell for c in train]}")
    if sum(c.tokens for c in train) == 0:
        raise MixtureError(
            "there are no training rows to mix: no document survived, or all are held out for validation"
        )
    shares = _shares(train, options)
    budget = _budget(train, shares, options)
    max_rows = {c.cell: math.floor(Fraction(options.max_epochs) * c.rows) for c in train}
    needed = {c.cell: shares[c.cell] * budget * c.rows / c.tokens if c.tokens else Fraction(0) for c in train}
    _check_epochs(train, shares, needed, budget, options)
    rows = {cell: min(max_rows[cell], max(1, _round(n))) if n else 0 for cell, n in needed.items()}
    mixture = _realise(train, shares, rows)
    _check_shares(mixture, budget, options)
    return mixture


ABOUT_ONCE = 1.005
"""Epochs that are shown as 1.00 and not worth a remark: a plan in whole rows seldom meets a share exactly."""
SHOWN_MISS = 0.0005
"""A realised share that is farther from its plan is shown with other figures: cards have one decimal of a per cent."""


def remarks(mixture: Sequence[MixtureRow]) -> list[str]:
    """What a person should know about a plan, a sentence each: Cells not read at all, in part, or more than once, and
    shares that miss their plan within the tolerance."""
    said = []
    for row in mixture:
        if row.rows == 0 and row.rows_available:
            why = "max_epochs leaves it no whole row" if row.share_asked else "the weights leave it out or give it 0"
            said.append(f"{row.cell}: not read at all, since {why}")
        elif 0 < row.rows < row.rows_available:
            said.append(f"{row.cell}: {row.rows} of {row.rows_available} rows are read ({row.epochs:.2f} epochs)")
        elif row.rows > row.rows_available * ABOUT_ONCE:
            said.append(f"{row.cell}: repeated, {row.epochs:.2f} epochs of {row.rows_available} rows")
        if row.rows and abs(row.share - row.share_asked) > SHOWN_MISS:
            said.append(f"{row.cell}: {_missed(row)}")
    return said


def _missed(row: MixtureRow) -> str:
    return f"planned {row.share_asked:.2%}, realised {row.share:.2%} (whole rows: {row.rows})"


def _shares(train: Sequence[CellTotals], options: MixtureOptions) -> dict[str, Fraction]:
    if not options.weights:
        total = sum(c.tokens for c in train)
        return {c.cell: Fraction(c.tokens, total) for c in train}
    names = [c.cell for c in train]
    for name in options.weights:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise MixtureError(
                f"mixture.weights names {name!r}, which is no source with training rows.{hint} "
                f"There are: {', '.join(names)}"
            )
    for cell in train:
        if options.weights.get(cell.cell, 0) > 0 and cell.tokens == 0:
            raise MixtureError(
                f"mixture.weights gives {cell.cell!r} a weight of {options.weights[cell.cell]:g}, but it has no "
                "training rows: no document of it survived. Take it out of the weights, or loosen the Limits that "
                "dropped it"
            )
    weights = {c.cell: Fraction(options.weights.get(c.cell, 0)) for c in train}
    total_weight = sum(weights.values())
    return {cell: weight / total_weight for cell, weight in weights.items()}


def _budget(train: Sequence[CellTotals], shares: dict[str, Fraction], options: MixtureOptions) -> Fraction:
    if options.tokens is not None:
        return Fraction(options.tokens)
    max_epochs = Fraction(options.max_epochs)
    if not options.weights:
        return min(Fraction(1), max_epochs) * sum(c.tokens for c in train)
    return _largest_budget(train, shares, max_epochs)


def _largest_budget(train: Sequence[CellTotals], shares: dict[str, Fraction], max_epochs: Fraction) -> Fraction:
    return min(max_epochs * c.tokens / shares[c.cell] for c in train if shares[c.cell])


def _check_epochs(
    train: Sequence[CellTotals],
    shares: dict[str, Fraction],
    needed: dict[str, Fraction],
    budget: Fraction,
    options: MixtureOptions,
) -> None:
    over = [c for c in train if needed[c.cell] > Fraction(options.max_epochs) * c.rows]
    if not over:
        return
    lines = [
        f"  {c.cell}: asked {float(shares[c.cell]):.2%} = {float(shares[c.cell] * budget):,.0f} tokens; there are "
        f"{c.tokens:,} in {c.rows:,} rows: {float(needed[c.cell] / c.rows):.2f} epochs, mixture.max_epochs is "
        f"{options.max_epochs:g}"
        for c in over
    ]
    largest = math.floor(_largest_budget(train, shares, Fraction(options.max_epochs)))
    epochs = max(float(needed[c.cell] / c.rows) for c in over)
    raise MixtureError(
        f"the mixture of {float(budget):,.0f} tokens cannot be read from what was packed:\n" + "\n".join(lines) + "\n"
        f"Set mixture.tokens to {largest:,} or less, raise mixture.max_epochs to {math.ceil(epochs * 100) / 100:g}, "
        "give these sources less weight, or add data"
    )


def _realise(train: Sequence[CellTotals], shares: dict[str, Fraction], rows: dict[str, int]) -> list[MixtureRow]:
    tokens = {c.cell: Fraction(rows[c.cell] * c.tokens, c.rows) if c.rows else Fraction(0) for c in train}
    total = sum(tokens.values())
    if not total:
        raise MixtureError("the mixture holds not one whole row: raise mixture.max_epochs or add data")
    return [
        MixtureRow(
            cell=c.cell,
            share_asked=float(shares[c.cell]),
            share=float(tokens[c.cell] / total),
            rows=rows[c.cell],
            rows_available=c.rows,
            tokens=_round(tokens[c.cell]),
            epochs=rows[c.cell] / c.rows if c.rows else 0.0,
        )
        for c in train
    ]


def _check_shares(mixture: Sequence[MixtureRow], budget: Fraction, options: MixtureOptions) -> None:
    wrong = [m for m in mixture if abs(m.share - m.share_asked) > options.tolerance]
    if wrong:
        lines = [f"  {m.cell}: {_missed(m)}" for m in wrong]
        raise MixtureError(
            f"shares of {float(budget):,.0f} tokens cannot be met within mixture.tolerance {options.tolerance:g}, "
            "since rows are read whole:\n" + "\n".join(lines) + "\nRaise mixture.tokens or mixture.tolerance, or plan "
            "other shares in mixture.weights (only Describe will run again); or lower packing.seq_len, or add data"
        )


def _round(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
