"""Cells and the recipe's mixture -> rows to read of each Cell, phase by phase.

A Cell's tokens are read by whole rows, so a plan is numbers of rows; nothing is packed again for another mixture.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from pipeline.manifest import OFTEN_READ, CellTotals, MixtureRow, by_cell, by_phase, planned_share, realised_share
from pipeline.mixture.options import MixtureOptions
from pipeline.mixture.order import round_half_up, stretches
from pipeline.mixture.shares import Amounts, MixtureError, floored, shares, spread

TRAIN = "train"


def plan(cells: Sequence[CellTotals], options: MixtureOptions) -> list[MixtureRow]:
    """How many rows of each Cell make one run over the mixture.

    - Nothing said: every row once (less if `max_epochs` is below 1).
    - A budget, by size: natural proportions, scaled.
    - Shares, no budget: the largest budget for which no Cell is read more than `max_epochs` times.
    - Shares and a budget: the budget, or an error, or what `when_short: spread` makes of it.

    A Cell whose share of a phase is above 0 gets at least one row in it (none if `max_epochs` leaves no whole row). One
    that gets no share is listed once, with 0 rows.

    Args:
        cells: what was packed; those of other splits than "train" are passed over.
        options: the recipe's mixture part.

    Returns:
        Rows by phase, stretch and name of the Cell. `tokens` is `rows` times the Cell's mean tokens a row.

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
    phases = options.all_phases()
    whole = sum(Fraction(phase.share) for phase in phases)
    per_phase = [
        {cell: Fraction(phase.share) / whole * share for cell, share in shares(train, phase, options).items()}
        for phase in phases
    ]
    budget = _budget(train, per_phase, options)
    asked = [{cell: share * budget for cell, share in of_cells.items()} for of_cells in per_phase]
    wanted = _within_epochs(train, asked, options)
    mixture = _realise(train, asked, wanted, options)
    _check_shares(mixture, budget, options)
    return mixture


ABOUT_ONCE = 1.005
"""Epochs that are shown as 1.00 and not worth a remark: a plan in whole rows seldom meets a share exactly."""
SHOWN_MISS = 0.0005
"""A realised share that is farther from its plan is shown with other figures: cards have one decimal of a per cent."""


def remarks(mixture: Sequence[MixtureRow]) -> list[str]:
    """What a person should know about a plan, a sentence each: Cells not read at all, in part, more than once or often,
    shares that were spread over other Cells, and shares that miss their plan within the tolerance."""
    said = []
    phases = by_phase(mixture)
    for row in by_cell(mixture):
        if row.rows == 0 and row.rows_available:
            why = "max_epochs leaves it no whole row" if row.share_asked else "the weights leave it out or give it 0"
            said.append(f"{row.cell}: not read at all, since {why}")
        elif 0 < row.rows < row.rows_available:
            said.append(f"{row.cell}: {row.rows} of {row.rows_available} rows are read ({row.epochs:.2f} epochs)")
        elif row.rows > row.rows_available * ABOUT_ONCE:
            often = "warning: " if row.epochs > OFTEN_READ else ""
            why = ", which pays less each time (docs/mixture.md)" if often else ""
            said.append(f"{often}{row.cell}: repeated, {row.epochs:.2f} epochs of {row.rows_available} rows{why}")
        if row.spread < -SHOWN_MISS:
            enough = f"{row.share_asked + row.spread:.2%}"
            said.append(
                f"{row.cell}: asked {row.share_asked:.2%}, there is enough for {enough}; the rest is spread over others"
            )
    for number, phase in enumerate(phases, start=1):
        prefix = f"phase {number}: " if len(phases) > 1 else ""
        said += [
            f"{prefix}{row.cell}: {_missed(row, phase)}" for row in phase if row.rows and _miss(row, phase) > SHOWN_MISS
        ]
    return said


def _miss(row: MixtureRow, phase: Sequence[MixtureRow]) -> float:
    return abs(realised_share(row, phase) - planned_share(row, phase))


def _missed(row: MixtureRow, phase: Sequence[MixtureRow]) -> str:
    return (
        f"planned {planned_share(row, phase):.2%}, realised {realised_share(row, phase):.2%} (whole rows: {row.rows})"
    )


def _budget(train: Sequence[CellTotals], per_phase: Sequence[Amounts], options: MixtureOptions) -> Fraction:
    if (given := options.budget()) is not None:
        return Fraction(given)
    if not any(phase.chosen() for phase in options.all_phases()):
        return min(Fraction(1), Fraction(options.max_epochs)) * sum(c.tokens for c in train)
    return _largest_budget(train, per_phase, options)


def _largest_budget(train: Sequence[CellTotals], per_phase: Sequence[Amounts], options: MixtureOptions) -> Fraction:
    of_plan = {c.cell: sum(phase[c.cell] for phase in per_phase) for c in train}
    return min(Fraction(options.max_epochs) * c.tokens / of_plan[c.cell] for c in train if of_plan[c.cell] and c.tokens)


def _within_epochs(train: Sequence[CellTotals], asked: Sequence[Amounts], options: MixtureOptions) -> Sequence[Amounts]:
    """`asked` itself if no Cell has to be read more than `max_epochs` times, else an error or what is spread."""
    budget = sum(sum(phase.values()) for phase in asked)
    capacity = {c.cell: Fraction(options.max_epochs) * c.tokens for c in train}
    needed = {c.cell: sum((phase[c.cell] for phase in asked), Fraction(0)) for c in train}
    over = [c for c in train if needed[c.cell] > capacity[c.cell]]
    if not over:
        return asked
    spread_out = spread(asked, capacity) if options.when_short == "spread" else None
    if spread_out is not None:
        return spread_out
    epochs = {c.cell: float(needed[c.cell] / c.tokens) if c.tokens else math.inf for c in over}
    lines = [
        f"  {c.cell}: asked {float(needed[c.cell] / budget):.2%} = {float(needed[c.cell]):,.0f} tokens; there are "
        f"{c.tokens:,} in {c.rows:,} rows: {epochs[c.cell]:.2f} epochs, mixture.max_epochs is {options.max_epochs:g}"
        for c in over
    ]
    if options.when_short == "spread":
        largest = sum(capacity[c.cell] for c in train if needed[c.cell])
        ways = "give other sources a weight, too, or add data"
    else:
        largest = _largest_budget(train, [{cell: n / budget for cell, n in phase.items()} for phase in asked], options)
        ways = "give these sources less weight, spread what is missing with mixture.when_short: spread, or add data"
    field = "mixture.token_targets" if options.token_targets else "mixture.tokens"
    raise MixtureError(
        f"the mixture of {float(budget):,.0f} tokens cannot be read from what there is:\n" + "\n".join(lines) + "\n"
        f"Set {field} to {math.floor(largest):,} or less, raise mixture.max_epochs to "
        f"{math.ceil(max(epochs.values()) * 100) / 100:g}, {ways}"
    )


def _realise(
    train: Sequence[CellTotals], asked: Sequence[Amounts], wanted: Sequence[Amounts], options: MixtureOptions
) -> list[MixtureRow]:
    budget = sum(sum(phase.values()) for phase in wanted)
    rows = _whole_rows(train, wanted, options)
    sizes = {c.cell: (c.tokens, max(1, c.rows)) for c in train}
    total = sum(floored(Fraction(n * sizes[cell][0], sizes[cell][1])) for phase in rows for cell, n in phase.items())
    if not total:
        raise MixtureError("the mixture holds not one whole row: raise mixture.max_epochs or add data")
    found: list[MixtureRow] = []
    listed: set[str] = set()
    for number, phase in enumerate(options.all_phases()):
        share_asked, share_wanted = (
            {cell: float(n / budget) for cell, n in amounts[number].items()} for amounts in (asked, wanted)
        )
        for place, stretch in enumerate(stretches(rows[number], wanted[number], phase.order)):
            # A Cell that nothing is wanted of is in no stretch; the first tells of it what was asked.
            untold = {cell: (0, Fraction(1)) for cell, n in wanted[number].items() if place == 0 and not n}
            for cell, (read, part) in sorted((untold | stretch).items()):
                if cell in listed and not share_asked[cell]:
                    continue
                listed.add(cell)
                n_tokens, n_rows = sizes[cell]
                found.append(
                    MixtureRow(
                        cell=cell,
                        share_asked=share_asked[cell] * float(part),
                        share=read * n_tokens / n_rows / float(total),
                        rows=read,
                        rows_available=n_rows if n_tokens else 0,
                        tokens=(2 * read * n_tokens + n_rows) // (2 * n_rows),
                        epochs=read / n_rows,
                        spread=(share_wanted[cell] - share_asked[cell]) * float(part),
                        phase=number,
                        stretch=place,
                    )
                )
    return found


def _whole_rows(
    train: Sequence[CellTotals], wanted: Sequence[Amounts], options: MixtureOptions
) -> list[dict[str, int]]:
    """Of each phase, rows by Cell. What is read by the end of a phase is rounded, so that errors do not add up."""
    done = {c.cell: 0 for c in train}
    by_now = {c.cell: Fraction(0) for c in train}
    found = []
    for phase in wanted:
        rows: dict[str, int] = {}
        for c in train:
            by_now[c.cell] += phase[c.cell]
            most = math.floor(Fraction(options.max_epochs) * c.rows)
            least = done[c.cell] + bool(phase[c.cell])
            by_end = round_half_up(by_now[c.cell] * c.rows / c.tokens) if c.tokens else 0
            rows[c.cell] = min(most, max(least, by_end)) - done[c.cell]
            done[c.cell] += rows[c.cell]
        found.append(rows)
    return found


def _check_shares(mixture: Sequence[MixtureRow], budget: Fraction, options: MixtureOptions) -> None:
    phases = by_phase(mixture)
    wrong = [
        f"  {f'phase {number}: ' if len(phases) > 1 else ''}{row.cell}: {_missed(row, phase)}"
        for number, phase in enumerate(phases, start=1)
        for row in phase
        if _miss(row, phase) > options.tolerance
    ]
    if wrong:
        raise MixtureError(
            f"shares of {float(budget):,.0f} tokens cannot be met within mixture.tolerance {options.tolerance:g}, "
            "since rows are read whole:\n" + "\n".join(wrong) + "\nRaise mixture.tokens or mixture.tolerance, or plan "
            "other shares in mixture.weights (only Describe will run again); or lower packing.seq_len, or add data"
        )
