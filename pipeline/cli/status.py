"""`pipeline status`: how far the newest run of a dataset is, from another shell."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.console import OutputOption, plain_errors, say
from pipeline.files import Folder
from pipeline.versions import VersionError

if TYPE_CHECKING:
    from pipeline.run.status import RunStatus

RUNS = "work/runs"
SUFFIXES = (".yaml", ".yml")


def status(
    wanted: Annotated[
        str | None, typer.Argument(metavar="[RECIPE|DATASET]", help="By default the dataset with the newest run.")
    ] = None,
    output: OutputOption = "datasets",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say how far a run is, or how the last one ended.

    With what its workers are on, or were on when they were killed.
    """
    from pipeline.run.status import read_status

    with plain_errors():
        name = _dataset(wanted, output)
        dataset = Folder(f"{output.rstrip('/')}/{name}")
        found = read_status(dataset)
        if found is None:
            raise VersionError(f"no run of {name} below {output}; there: {', '.join(_datasets(output)) or 'none'}")
        if as_json:
            notes = [{**asdict(note), "place": note.place()} for note in found.notes]
            say(json.dumps({**found.values, "state": found.state, "folder": found.folder, "workers": notes}))
        else:
            _show(name, found)


def _datasets(output: str) -> list[str]:
    """Names of datasets with runs, the newest run first."""
    folder = Folder(output)
    newest = {name: (runs[-1], name) for name in folder.names() if (runs := folder.names(f"{name}/{RUNS}"))}
    return sorted(newest, key=newest.__getitem__, reverse=True)


def _dataset(wanted: str | None, output: str) -> str:
    """The name of a dataset, given as such, as its folder or as a recipe."""
    if wanted is None:
        found = _datasets(output)
        if not found:
            raise VersionError(f"no runs below {output}; start one with `pipeline run RECIPE`")
        return found[0]
    if wanted.endswith(SUFFIXES):
        from pipeline.recipe import load_recipe

        return load_recipe(Path(wanted)).name
    return Path(wanted).name


def _show(name: str, found: "RunStatus") -> None:
    from rich.console import Console

    from pipeline.run.events import printable
    from pipeline.run.progress import summarised, table

    values = found.values
    says = {
        "running": f"running since {values['started']}, process {values['pid']} on {values['host']}",
        "finished": f"finished at {values['updated']}: version {values.get('version')}",
        "stopped": f"stopped at {values['updated']}",
        "failed": f"failed at {values['updated']}: {values.get('message')}",
        "died": f"died without a word, last heard of at {values['updated']} (killed, or its machine is lost)",
    }
    say(printable(f"{name}: {says.get(found.state, found.state)}"))
    say()
    stages = summarised(values["stages"])
    width = shutil.get_terminal_size().columns
    Console(width=width, highlight=False).print(table(stages, width, values.get("stage", "")))
    say()
    is_are = "is" if found.state == "running" else "was"
    lines = [
        f"process {note.process} on {note.host} {is_are} on {note.stage} {note.part} {note.place()}".rstrip()
        for note in found.notes
    ]
    lines += [f"warning: {warning['message']}" for warning in values["warnings"]]
    for line in [*lines, f"Folder: {found.folder}", _what_next(found.state, values)]:
        say(printable(line))


def _what_next(state: str, values: Mapping[str, Any]) -> str:
    if state == "running":
        return "Next: wait; Ctrl-C in the shell of the run stops it, and what is committed stays."
    if state == "finished":
        return f"Next: read the card, {values['dataset']}/{values.get('version')}/card.html"
    return f"Committed Parts are safe. Next: {values['command']}"
