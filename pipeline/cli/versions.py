"""`pipeline list` and `pipeline verify`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import plain_errors, say
from pipeline.manifest import ManifestError, load_manifest
from pipeline.versions import find_version, list_versions, verify


def list_command(output: Annotated[Path, typer.Option(help="Folder of datasets.")] = Path("datasets")) -> None:
    """List the versions of all datasets below a folder."""
    found = list_versions(output)
    if not found:
        say(f"No versions below {output}. Next: pipeline run recipes/commoncrawl.yaml")
        return
    for entry in found:
        try:
            described = load_manifest(entry.folder)
        except ManifestError as error:
            say(f"{entry.dataset}/{entry.version}  damaged: {error}")
        else:
            kept = sum(described.counts.get("documents", {}).values())
            tokens = sum(cell.tokens for cell in described.cells)
            mark = "latest" if entry.is_latest else ""
            say(f"{entry.dataset}/{entry.version}  {kept:>12,} documents  {tokens:>15,} tokens  {mark}".rstrip())
    say()
    say("Next: pipeline verify VERSION, or pipeline train recipes/train/tiny.yaml --data FOLDER/VERSION")


def verify_command(
    version: Annotated[str, typer.Argument(help="A version, its first digits, a dataset's name, or a folder.")],
    output: Annotated[Path, typer.Option(help="Folder of datasets.")] = Path("datasets"),
) -> None:
    """Read every file of a version and compare it with the manifest."""
    with plain_errors():
        folder = find_version(version, output)
        problems = verify(folder)
        for problem in problems:
            say(problem)
        if problems:
            say()
            say(f"{len(problems)} problems in {folder.resolve()}. Next: remove that folder and run its recipe again.")
            raise typer.Exit(1)
        files = load_manifest(folder).files
    say(f"{folder}: {len(files)} files, {sum(f.size for f in files):,} bytes, all as the manifest says.")
    say(f"Next: pipeline train recipes/train/tiny.yaml --data {folder}")
