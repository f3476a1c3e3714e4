"""`pipeline mix`: what a recipe's mixture would read, from what is known so far."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import OutputOption, RecipeArgument, SetOption, VerboseOption, plain_errors, say
from pipeline.cli.run import load_planned
from pipeline.cli.summary import aligned
from pipeline.config import ConfigError
from pipeline.manifest import MixtureRow, by_cell, by_phase, planned_share, realised_share
from pipeline.mixture.options import MixtureOptions
from pipeline.run.events import printable
from pipeline.state import pending

if TYPE_CHECKING:
    from pipeline.look.mix import Available

SHOWN_PHASES = 6
"""Phases with columns in the table; `--json` has all."""


def mix(
    recipe_path: RecipeArgument,
    overrides: SetOption = None,
    output: OutputOption = "datasets",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Show what a mixture reads of each Cell: tokens, shares, epochs, phase by phase.

    Nothing is run. Once everything is packed the figures are exact; before that they are what the words or bytes of the
    clean text tell, and say so. Try other mixtures with --set mixture.weights.NAME=0.2.
    """
    with plain_errors(verbose):
        recipe, plan, _, store = load_planned(recipe_path, overrides, output)
        from pipeline.look.mix import available
        from pipeline.mixture.plan import plan as plan_mixture
        from pipeline.mixture.plan import remarks
        from pipeline.mixture.shares import MixtureError

        found = available(recipe, plan, store)
        again = ["pipeline", "run", str(recipe_path)]
        again += [word for override in overrides or () for word in ("--set", override)]
        again += ["--output", output] * (output != "datasets")
        todo = [stage for stage, parts in pending(store, plan).items() if parts]
        try:
            mixture = plan_mixture(found.cells, recipe.mixture)
        except MixtureError as error:
            raise ConfigError([f"{error}\n(the sizes are {found.how})"]) from None
        notes = remarks(mixture)
        steps = [_next(todo, recipe.mixture), f"  {shlex.join(again)}"]
        if as_json:
            value = {"stage": found.stage, "is_exact": found.is_exact, "how": found.how, "notes": notes, "next": steps}
            say(json.dumps({**value, "cells": [*map(asdict, found.cells)], "mixture": [*map(asdict, mixture)]}))
        else:
            _show(found, mixture, [*notes, "", *steps])


def _next(todo: Sequence[str], options: MixtureOptions) -> str:
    runs = f"only {todo[0].capitalize()} runs" if len(todo) == 1 else f"from {todo[0].capitalize()} on" if todo else ""
    made = f"To make this mixture ({runs}):" if todo else "This mixture is made; to see its version:"
    name, weight = next(iter(options.weights.items()), ("", 0.0))
    trial = f"mixture.weights.{name}={2 * weight or 1:g}" if name else "mixture.alpha=0.5"
    return f"Next: try other values, such as --set {trial}. {made}"


def _show(found: "Available", mixture: Sequence[MixtureRow], closing: Sequence[str]) -> None:
    about = "" if found.is_exact else "~"
    phases, plans = by_phase(mixture), by_cell(mixture)
    tokens = {cell.cell: cell.tokens for cell in found.cells}
    say(f"Sizes: {found.how}.")
    say()
    rows: list[tuple[str, ...]] = [("Cell", "available", "asked", "planned", "realised", "rows", "tokens", "epochs")]
    for row in sorted(plans, key=lambda row: (-row.share, row.cell)):
        shares = (f"{share:.1%}" for share in (row.share_asked, row.share_asked + row.spread, row.share))
        counts = (f"{about}{row.rows:,}", f"{about}{row.tokens:,}", f"{row.epochs:.2f}")
        rows.append((printable(row.cell), f"{about}{tokens[row.cell]:,}", *shares, *counts))
    sums = (sum(tokens.values()), sum(row.rows for row in plans), sum(row.tokens for row in plans))
    whole, n_rows, n_tokens = (f"{about}{n:,}" for n in sums)
    rows.append(("all", whole, "", "", "", n_rows, n_tokens, ""))
    for line in aligned(rows):
        say(line.rstrip())
    say()
    if len(phases) > 1:
        for line in aligned(_phase_rows(phases)):
            say(line)
        more = len(phases) - SHOWN_PHASES
        say(f"and {more} more phases (--json has all)\n" if more > 0 else "")
    for line in closing:
        say(line)


def _phase_rows(phases: Sequence[Sequence[MixtureRow]]) -> list[tuple[str, ...]]:
    """A line for each Cell: its realised share of the tokens of each phase, and the planned one."""
    shown = phases[:SHOWN_PHASES]
    whole = sum(row.share for phase in phases for row in phase)
    head = [
        f"phase {number} ({sum(row.share for row in phase) / whole:.1%})" for number, phase in enumerate(shown, start=1)
    ]
    rows = [("realised (planned)", *head)]
    for cell in dict.fromkeys(row.cell for phase in shown for row in sorted(phase, key=lambda row: -row.share)):
        cells = [next(((row, phase) for row in phase if row.cell == cell), None) for phase in shown]
        rows.append(
            (printable(cell), *(f"{realised_share(*at):.1%} ({planned_share(*at):.1%})" if at else "" for at in cells))
        )
    return rows
