"""What a version cost to make: the time of every Part that it was made from, whichever run did it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.card.escape import number, table

Cost = Sequence[Mapping[str, Any]]
"""Of each `stage`, in order: its `parts`, and of them `timed`, which took `seconds` in all, by the clock."""

FILE = "cost.json"
"""Beside the card; times belong to no version, so it is outside the hash."""


def add_up(parts: Iterable[tuple[str, float | None]]) -> Cost:
    """The cost of Parts, given as stage and seconds; None for a Part whose time is not known."""
    found: dict[str, dict[str, Any]] = {}
    for stage, seconds in parts:
        entry = found.setdefault(stage, {"stage": stage, "parts": 0, "timed": 0, "seconds": 0.0})
        entry["parts"] += 1
        entry["timed"] += seconds is not None
        entry["seconds"] = round(entry["seconds"] + (seconds or 0.0), 3)
    return list(found.values())


def cost(spent: Cost) -> str:
    """The part `What it cost` of the section `How it was made`; empty if nothing is known."""
    if not any(entry["timed"] for entry in spent):
        return ""
    rows = [(str(e["stage"]), number(e["parts"]), _hours(e["seconds"])) for e in spent]
    sums = {key: sum(e[key] for e in spent) for key in ("parts", "timed", "seconds")}
    rows.append(("**all**", number(sums["parts"]), _hours(sums["seconds"])))
    note = (
        "A Part is worked on by one worker, which has one core; its core hours are the time it took by the clock, "
        "waiting for a disk or a network included. Parts that runs of other versions had done before count, too; work "
        "that was lost, as in a crash, and the last stage, Describe, do not."
    )
    if missing := sums["parts"] - sums["timed"]:
        note += f" The time of {number(missing)} Parts is not known."
    return f"### What it cost\n\n{note}\n\n{table(('stage', 'Parts:', 'core hours:'), rows)}"


def _hours(seconds: float) -> str:
    """Core hours; three decimals are some seconds."""
    text = f"{seconds / 3600:,.3f}"
    return "under 0.001" if text == "0.000" and seconds else text
