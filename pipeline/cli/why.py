"""`pipeline why` and `pipeline index`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import command, plain_errors, say
from pipeline.run.events import printable

if TYPE_CHECKING:
    from pipeline.ledger.read import Entry
    from pipeline.look.why import Check, Story

MAX_STORIES = 3
"""Records of one URL that are told of in full."""
MAX_LISTED = 50
"""Records of one URL that are listed."""
MAX_ROWS = 8
"""Rows of the shards that are listed."""
SHOWN_CHARS = 300

VersionArgument = Annotated[str, typer.Argument(help="A version, its first digits, a dataset's name, or a folder.")]
OutputFolder = Annotated[Path, typer.Option(help="Folder of datasets.")]


def why(
    version: VersionArgument,
    record: Annotated[str, typer.Argument(metavar="URL|ID", help="A page's URL, or the 32 digits of a record's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    output: OutputFolder = Path("datasets"),
) -> None:
    """Tell what became of a record, and why: looks, Limits, duplicates, personal data, rows of the shards.

    Exit codes: 0 told, 1 a file is damaged, 2 there is no such record or version.
    """
    from pipeline.ledger.read import Ledger
    from pipeline.look.lookup import records_of
    from pipeline.look.why import story
    from pipeline.manifest import load_manifest
    from pipeline.versions import find_version

    with plain_errors():
        folder = find_version(version, output)
        described, ledger = load_manifest(folder), Ledger(folder)
        found = records_of(described, ledger, record)
        told = [story(folder, described, ledger, entry) for entry in found[:MAX_STORIES]]
    if as_json:
        say(json.dumps({"version": folder.name, "records": len(found), "stories": [asdict(each) for each in told]}))
        return
    if len(found) > 1:
        _list(found, version, output)
    for each in told:
        for line in _lines(each, version, output):
            say(line)
        say()
    say("Next: " + _next(told[0], version, output))


def index(version: VersionArgument, output: OutputFolder = Path("datasets")) -> None:
    """Write the index of a version's records anew: what `why` and `diff` look things up in.

    A run writes it with the version. The version itself does not change.
    """
    from pipeline.look.index import write_index
    from pipeline.manifest import ManifestError
    from pipeline.shards import ShardError
    from pipeline.versions import find_version, locked

    with plain_errors():
        folder = find_version(version, output)
        try:
            with locked(folder.resolve().parent):
                records, is_whole = write_index(folder)
        except ShardError as error:
            raise ManifestError(str(error)) from None
    say(f"{folder}: {records:,} records in the index.")
    if not is_whole:
        say("Some Parts of the version are gone, so that records have a reason, but not the value that led to it.")
    say(f"Next: {command('why', version, output=output)} URL")


def _list(found: list["Entry"], version: str, output: Path) -> None:
    say(f"{len(found):,} records have this URL:")
    for entry in found[:MAX_LISTED]:
        say(f"  {entry.id.hex()}  {printable(entry.part.source)}  {_outcome(entry.bucket.kind, entry.bucket.reason)}")
    more = [f"{len(found) - MAX_LISTED:,} more are not listed"] if len(found) > MAX_LISTED else []
    more += [f"the first {MAX_STORIES} follow; any: {command('why', version, 'ID', output=output)}"] * (
        len(found) > MAX_STORIES
    )
    for line in [*more, ""]:
        say(line)


def _outcome(kind: str, reason: str) -> str:
    return printable(f"{kind}: {reason}" if reason else kind)


def _lines(told: "Story", version: str, output: Path) -> Iterator[str]:
    value = f" ({printable(told.value, SHOWN_CHARS)})" if told.value else ""
    yield f"{_outcome(told.kind, told.reason)}{value}"
    yield from _fields(
        {
            "id": told.id,
            "url": told.record.get("url", ""),
            "source": told.record.get("source", ""),
            "archive": f"{told.record['path']}, offset {told.record['offset']}" if told.record else "",
            **told.document,
        }
    )
    yield from _checks("Looks at the page, before it is extracted", told.looks)
    if told.scores:
        yield from ["", "Language and quality of the text"]
        yield from _fields({name: _number(value) for name, value in told.scores.items()})
        yield from _fields({name: f"{n:,}" for name, n in told.chars.items()})
    yield from _checks("Limits, in the recipe's order", told.limits)
    if told.cluster_size != 1 and (told.cluster_size or told.survivor != told.id):
        yield from ["", "Duplicates"]
        yield from _cluster(told)
    if told.replaced:
        found = ", ".join(f"{printable(kind)} {n:,}" for kind, n in told.replaced.items())
        yield from ["", f"Personal data replaced: {found}"]
    if told.pieces:
        rows = "1 row" if len(told.pieces) == 1 else f"{len(told.pieces):,} rows"
        yield from ["", f"Tokens: {told.tokens:,}, in {rows} of the shards"]
        for piece in told.pieces[:MAX_ROWS]:
            where = command("trace", version, "--shard", piece.shard, "--row", str(piece.row), output=output)
            yield f"  {piece.start:,} to {piece.start + piece.n_tokens - 1:,}:  {where}"
        if len(told.pieces) > MAX_ROWS:
            yield f"  and {len(told.pieces) - MAX_ROWS:,} more"
    if told.missing:
        yield from ["", *map(printable, told.missing)]


def _cluster(told: "Story") -> Iterator[str]:
    alike = "" if told.similarity is None else f", {told.similarity:.3f} alike"
    is_own = told.survivor == told.id
    yield from _fields(
        {
            "cluster": told.cluster,
            "documents": "" if told.cluster_size is None else f"{told.cluster_size:,}",
            "survivor": "this one" if is_own else f"{told.survivor}{alike}",
            "its url": "" if is_own else told.survivor_url,
        }
    )


def _fields(values: dict[str, str]) -> Iterator[str]:
    """Names and values of those that have one; values come from data."""
    for name, value in values.items():
        if value:
            plain = printable(" ".join(str(value).split()), SHOWN_CHARS + 1)
            yield f"  {name:<17} {plain if len(plain) <= SHOWN_CHARS else plain[:SHOWN_CHARS] + '...'}"


def _checks(head: str, checks: list["Check"]) -> Iterator[str]:
    if not checks:
        return
    yield from ["", head]
    names = [
        check.name if check.name.endswith(check.measure) else f"{check.name} ({check.measure})" for check in checks
    ]
    width = max(map(len, names))
    for name, check in zip(names, checks, strict=True):
        mark = {"passes": "ok", "fails": "FAILS", "not taken": "-"}[check.outcome]
        value = "not taken" if check.value is None else _number(check.value)
        yield f"  {mark:<5}  {printable(name):<{width}}  {printable(value, 60):>12}  {printable(check.bounds)}".rstrip()


def _number(value: float | str | None) -> str:
    return value if isinstance(value, str) else "" if value is None else f"{value:,.6g}"


def _next(told: "Story", version: str, output: Path) -> str:
    failed = [check for check in told.limits if check.outcome == "fails"]
    if told.kind == "dropped" and failed and failed[0].name == told.reason:
        return f"{command('sweep', version, '--limit', told.reason, output=output)} shows what other bounds would keep"
    if told.survivor != told.id:
        return f"{command('why', version, told.survivor, output=output)} tells of the survivor"
    if told.reason:
        where = f"\"reason = '{printable(told.reason)}'\""
        return f"{command('sample', version, output=output)} --where {where} shows others that ended there"
    return f"{command('sample', version, output=output)} --where \"id = '{told.id}'\" shows its text"
