"""`pipeline diff`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import command, plain_errors, say
from pipeline.cli.summary import aligned
from pipeline.cli.why import OutputFolder
from pipeline.run.events import printable

if TYPE_CHECKING:
    from pipeline.look.diff import Moved

SHOWN_CHANGES, SHOWN_MEASURES, SHOWN_REASONS = 40, 12, 20


def diff(
    a: Annotated[str, typer.Argument(help="A version, its first digits, a dataset's name, or a folder.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    output: OutputFolder = Path("datasets"),
) -> None:
    """Show what is different between two versions, and which documents entered and left, by reason."""
    with plain_errors():
        from pipeline.ledger.read import Ledger, LedgerError
        from pipeline.look import diff as look
        from pipeline.manifest import load_manifest
        from pipeline.versions import find_version

        folders = [find_version(wanted, output) for wanted in (a, b)]
        one, other = (load_manifest(folder) for folder in folders)
        say(f"from {folders[0]}")
        say(f"to   {folders[1]}")
        _head("Recipe, libraries, assets")
        _some([printable(line, 200) for line in look.recipe_changes(one, other)], SHOWN_CHANGES)
        _head("Records")
        _table(
            ("source", "what", "from", "to", "change"),
            [(s, w, f"{x:,}", f"{y:,}", f"{y - x:+,}") for s, w, x, y in look.changed(look.funnel(one, other))],
        )
        _head("Mixture")
        mixed = [(cell, tokens, shares) for cell, tokens, shares in look.mix(one, other) if tokens[0] != tokens[1]]
        _table(
            ("Cell", "tokens read, from", "to", "share, from", "to"),
            [(c, f"{t[0]:,}", f"{t[1]:,}", f"{s[0]:.1%}", f"{s[1]:.1%}") for c, t, s in mixed],
        )
        _head("Measures of all extracted documents")
        measured = look.measures(one, other)
        _table(
            ("measure", "median, from", "to", "documents moved"),
            [(m.name, f"{m.medians[0]:,g}", f"{m.medians[1]:,g}", f"{m.moved:.1%}") for m in measured[:SHOWN_MEASURES]],
        )
        if len(measured) > SHOWN_MEASURES:
            say(f"  and {len(measured) - SHOWN_MEASURES} more")
        try:
            entered, left = look.moved(Ledger(folders[0]), Ledger(folders[1]))
        except LedgerError as error:
            say()
            say(f"Which documents entered and left cannot be told: {error}")
            raise typer.Exit(2) from None
    _moved("Documents that entered", "were", entered)
    _moved("Documents that left", "are now", left)
    say()
    if left or entered:
        first = [*left, *entered][0].examples[0]
        say(f"Next: {command('why', b, first, output=output)} tells what became of one, and why")
    else:
        say(f"Both keep the same documents. Next: {command('sample', b, output=output)} shows some")


def _head(text: str) -> None:
    say()
    say(text)


def _some(lines: Sequence[str], n: int) -> None:
    for line in lines[:n] or ["no difference"]:
        say(f"  {line}")
    if len(lines) > n:
        say(f"  and {len(lines) - n} more")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    plain = [[printable(cell, 60) for cell in row] for row in rows]
    for line in aligned([head, *plain]) if rows else ["no difference"]:
        say(f"  {line}")


def _moved(head: str, verb: str, moved: Sequence["Moved"]) -> None:
    _head(f"{head}: {sum(each.documents for each in moved):,}")
    for each in moved[:SHOWN_REASONS]:
        what = printable(f"{each.kind}: {each.reason}" if each.reason else each.kind)
        say(f"  {each.documents:>10,}  {verb} {what}, such as {', '.join(each.examples)}")
    if len(moved) > SHOWN_REASONS:
        say(f"  and {len(moved) - SHOWN_REASONS} reasons more")
