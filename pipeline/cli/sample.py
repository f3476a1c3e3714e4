"""`pipeline sample`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import command, plain_errors, say
from pipeline.cli.why import OutputFolder, VersionArgument
from pipeline.run.events import printable, printable_lines

if TYPE_CHECKING:
    from pipeline.look.sample import Sampled

KEPT = "reason = ''"


def sample(
    version: VersionArgument,
    where: Annotated[
        str, typer.Option(metavar="SQL", help="Which records, such as \"n_words < 50 AND source = 'web'\".")
    ] = KEPT,
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, help="How many.")] = 10,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Another seed chooses others.")] = 0,
    chars: Annotated[int, typer.Option(min=0, help="Characters of each text that are shown.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, with the whole text.")] = False,
    output: OutputFolder = Path("datasets"),
) -> None:
    """Show some documents of a version, kept ones or those that --where names.

    The same version, expression and seed always show the same ones. docs/evidence.md lists the columns.
    """
    with plain_errors():
        from pipeline.ledger.read import Ledger
        from pipeline.look.sample import sample as sampled
        from pipeline.manifest import load_manifest
        from pipeline.versions import find_version

        folder = find_version(version, output)
        found, total = sampled(folder, load_manifest(folder), Ledger(folder), where, n, seed)
    if as_json:
        for each in found:
            say(json.dumps(asdict(each)))
        return
    for each in found:
        _show(each, chars)
    say(f"{len(found):,} of {total:,} records with {printable(where)}")
    if found:
        say(f"Next: {command('why', version, found[0].id, output=output)} tells what became of the first, and why")
    else:
        say(f"Next: {command('sample', version, output=output)} shows kept documents; the card lists all reasons")


def _show(found: "Sampled", chars: int) -> None:
    say(f"{found.id}  {printable(found.reason or 'kept')}")
    for name, value in (("url", found.url), ("title", found.title), ("record", f"{found.path}, offset {found.offset}")):
        if value:
            say(f"  {name:<7} {printable(' '.join(value.split()), 200)}")
    shown = found.text[:chars] + ("..." if len(found.text) > chars else "")
    for line in printable_lines(shown) if shown else ["(no text is kept of it)"]:
        say(f"    {line}")
    say()
