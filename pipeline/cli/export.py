"""`pipeline export`."""

import shlex
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import plain_errors, say
from pipeline.manifest import Manifest, ManifestError, by_cell, load_manifest

if TYPE_CHECKING:
    from pipeline.look.export import Exported


class Format(StrEnum):
    """The names of `pipeline.look.export.FORMATS`, which loads too much for a help text."""

    MEGATRON = "megatron"
    NANOGPT = "nanogpt"
    PARQUET_TEXT = "parquet-text"
    PARQUET_IDS = "parquet-ids"


class Split(StrEnum):
    """A split of a version."""

    TRAIN = "train"
    VALIDATION = "validation"


def export_command(
    version: Annotated[str, typer.Argument(help="A version, its first digits, a dataset's name, or a folder.")],
    kind: Annotated[Format, typer.Option("--format", help="What to write; docs/exports.md describes each.")],
    to: Annotated[Path, typer.Option(help="Folder to make.")],
    split: Annotated[Split | None, typer.Option(help="Only this split.")] = None,
    mixture: Annotated[
        bool, typer.Option("--mixture", help="Training documents as often as the mixture reads their Cell.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder of datasets.")] = Path("datasets"),
) -> None:
    """Write a version's documents for another trainer: whole, each once, or as often as the mixture says."""
    from rich.console import Console
    from rich.progress import Progress

    from pipeline.look.export import SPLITS, export
    from pipeline.shards import ShardError
    from pipeline.versions import find_version

    with plain_errors():
        folder = find_version(version, output)
        described = load_manifest(folder)
        splits = SPLITS if split is None else (split.value,)
        kinds = ("documents",) if kind is Format.PARQUET_TEXT else ("shard",)
        n_rows = sum(f.rows for f in described.files if f.kind in kinds and (not f.split or f.split in splits))
        try:
            with Progress(console=Console(stderr=True), transient=True) as display:
                task = display.add_task("reading", total=n_rows)
                written = export(
                    folder, kind.value, to, splits, mixture,
                    lambda what, n: display.update(task, description=what, advance=n),
                )  # fmt: skip
        except ShardError as error:
            raise ManifestError(str(error)) from None
        except KeyboardInterrupt:
            typer.echo(f"stopped; {to} was not made.", err=True)
            raise
    _show(described, kind, to, written, mixture)


def _show(described: Manifest, kind: Format, to: Path, written: Sequence["Exported"], mixture: bool) -> None:
    say(f"{'Cell':<24} {'split':<12} {'documents':>12} {'tokens':>16}")
    for one in written:
        tokens = f"{one.tokens:,}" if one.tokens else "-"
        say(f"{one.cell:<24} {one.split:<12} {one.documents:>12,} {tokens:>16}")
    say()
    say(f"Wrote {to} from {described.name}/{described.version}; {to / 'export.json'} says what it holds.")
    if not mixture and any(abs(row.epochs - 1) > 0.005 for row in by_cell(described.mixture)):
        say("Each document is there once, whatever the mixture reads; --mixture repeats or leaves out documents.")
    say(f"Next: {_next(described, kind, to, written, mixture)}")


def _next(described: Manifest, kind: Format, to: Path, written: Sequence["Exported"], mixture: bool) -> str:
    if kind is Format.MEGATRON:
        shares = {row.cell: row.share for row in by_cell(described.mixture)}
        cells = [one for one in written if one.split == "train"]
        if mixture:
            shares = {one.cell: one.tokens / sum(one.tokens for one in cells) for one in cells}
        blend = [word for one in cells for word in (f"{shares.get(one.cell, 0):.6f}", f"{to}/train/{one.cell}")]
        return f"Megatron-LM with --{'data' if blend else 'valid-data'}-path {shlex.join(blend) or to / 'validation'}"
    if kind is Format.NANOGPT:
        n = described.tokenizer["vocab_size"]
        return f"copy {to} to nanoGPT's data/NAME and train with --dataset=NAME; the vocabulary has {n:,} ids"
    return f'datasets.load_dataset("parquet", data_dir="{to}")'
