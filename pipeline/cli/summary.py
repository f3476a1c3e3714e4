"""What a version holds, in a few lines: the funnel, the mix, where it is, what to do next."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.cli.console import say
from pipeline.manifest import Manifest, load_manifest, total
from pipeline.mixture import remarks


def _empty_sources(described: Manifest) -> Iterator[str]:
    """A warning for each source that gave no document although it has records, with the most frequent reasons."""
    counts = described.counts
    for name in described.sources:
        if not counts.get("records", {}).get(name):
            yield f"warning: {name}: its files hold no records"
        elif not counts.get("documents", {}).get(name):
            ends = {**counts.get("fates", {}).get(name, {}), **counts.get("dropped", {}).get(name, {})}
            most = sorted(ends.items(), key=lambda item: (-item[1], item[0]))[:3]
            why = ", ".join(f"{reason} {n:,}" for reason, n in most)
            yield f"warning: {name}: none of {counts['records'][name]:,} records became a document ({why})"


def print_summary(dataset: Path, version: str) -> None:
    """The funnel, the mix and the next step, from the version's manifest."""
    described = load_manifest(dataset / version)
    counts = described.counts
    table = Table("source", box=None, pad_edge=False)
    for heading in ("records", "extracted", "dropped", "kept", "tokens read", "share", "epochs"):
        table.add_column(heading, justify="right")
    planned = {row.cell: row for row in described.mixture}
    for name in described.sources:
        row = planned.get(name)
        numbers = [total(counts.get(key, {}).get(name, 0)) for key in ("records", "extracted", "dropped", "documents")]
        mix = [f"{row.tokens:,}", f"{row.share:.1%}", f"{row.epochs:.2f}"] if row else ["0", "0.0%", "0.00"]
        table.add_row(name, *(f"{n:,}" for n in numbers), *mix)
    say()
    Console(width=max(80, shutil.get_terminal_size().columns)).print(table)
    say()
    notes = [*_empty_sources(described), *remarks(described.mixture)]
    say("\n".join([*notes, ""]) if notes else "Every source is read once.\n")
    say(f"version  {version}")
    say(f"data     {dataset / version}")
    say(f"card     {dataset / version / 'card.md'}")
    say()
    say("Next: read the card, then train on the shards (extra: pip install 'gristmill[train]'):")
    say(f"  pipeline train recipes/train/tiny.yaml --data {dataset / version}")
