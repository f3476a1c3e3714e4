"""What a version holds, in a few lines: the funnel, the mix, where it is, what to do next."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.console import say
from pipeline.extract.verdicts import FOLDER as GIVEN_UP
from pipeline.extract.verdicts import kept_pages
from pipeline.manifest import by_cell, load_manifest, source_of, total
from pipeline.mixture.plan import remarks
from pipeline.run import drift
from pipeline.run.events import printable

FUNNEL = ("records", "extracted", "dropped", "kept")
MIX = ("tokens read", "share", "epochs")


def print_summary(dataset: Path, version: str, warnings: Sequence[str] | None = None) -> None:
    """The funnel, the mix, warnings, paths and the next step. `warnings`: those of the run that made the version; None
    where nothing ran, for those that the version's own counts give."""
    described = load_manifest(dataset / version)
    counts = described.counts
    if warnings is None:
        found = [*drift.failures(counts), *drift.unavailable(counts), *drift.empty(counts, described.sources)]
        warnings = [warning.message for warning in found]
    rows = []
    for name in described.sources:
        own = [row for row in described.mixture if source_of(row.cell) == name]
        available = sum(row.rows_available for row in by_cell(own))
        numbers = [total(counts.get(key, {}).get(name, 0)) for key in ("records", "extracted", "dropped", "documents")]
        epochs = sum(row.rows for row in own) / max(1, available)
        mix = [f"{sum(row.tokens for row in own):,}", f"{sum(row.share for row in own):.1%}", f"{epochs:.2f}"]
        rows.append([printable(name), *(f"{n:,}" for n in numbers), *mix])
    say()
    for line in _fitting(rows):
        say(line)
    say()
    held_out = {cell.cell for cell in described.cells if cell.split == "validation" and cell.rows}
    asked = counts.get("removals", {"entries": 0, "matched": 0})
    unseen = [row.cell for row in by_cell(described.mixture) if row.rows and row.cell not in held_out]
    notes = [*(f"warning: {printable(warning)}" for warning in warnings), *remarks(described.mixture)]
    notes += [f"{name}: no documents for validation; raise packing.validation_share" for name in unseen]
    if unmatched := asked["entries"] - asked["matched"]:
        notes.append(f"{unmatched:,} of {asked['entries']:,} entries of the removal lists name no document")
    if n := kept_pages(dataset):
        notes.append(f"given up in extraction, so far: {n:,}, kept in {dataset / GIVEN_UP} with the reasons")
    say("\n".join([*notes, ""]) if notes else "Every source is read once.\n")
    say(f"version  {version}")
    say(f"data     {dataset / version}")
    say(f"card     {dataset / version / 'card.html'}")
    say()
    say("Next: read the card, then train on the shards (extra: pip install 'gristmill[train]'):")
    say(f"  pipeline train recipes/train/tiny.yaml --data {dataset / version}")


def _fitting(rows: Sequence[Sequence[str]]) -> list[str]:
    """Funnel and mix side by side, or below each other on a narrow terminal."""
    lines = aligned([("source", *FUNNEL, *MIX), *rows])
    if max(map(len, lines)) <= shutil.get_terminal_size().columns:
        return lines
    funnel = aligned([("source", *FUNNEL), *(row[: 1 + len(FUNNEL)] for row in rows)])
    return [*funnel, "", *aligned([("source", *MIX), *([row[0], *row[1 + len(FUNNEL) :]] for row in rows)])]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart, the first to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(n) for cell, n in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
