"""`pipeline list`, `pipeline verify`, `pipeline drop` and `pipeline clean`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.card.escape import size
from pipeline.cli.console import command, plain_errors, say
from pipeline.leftovers import Leftovers, find
from pipeline.manifest import ManifestError, load_manifest
from pipeline.versions import (
    WORK,
    VersionError,
    drop,
    find_version,
    free_bytes,
    list_versions,
    locked,
    newest_version,
    remove,
    verify,
)

OutputFolder = Annotated[Path, typer.Option(help="Folder of datasets.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")]


def list_command(output: OutputFolder = Path("datasets")) -> None:
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
    output: OutputFolder = Path("datasets"),
) -> None:
    """Read every file of a version and compare it with the manifest."""
    with plain_errors():
        folder = find_version(version, output)
        problems = verify(folder)
        for problem in problems:
            say(problem)
        if problems:
            say()
            some = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
            say(f"{some} in {folder.resolve()}. Next: remove that folder and run its recipe again.")
            raise typer.Exit(1)
        files = load_manifest(folder).files
    say(f"{folder}: {len(files)} files, {size(sum(f.size for f in files))}, all as the manifest says.")
    say(f"Next: pipeline train recipes/train/tiny.yaml --data {folder}")


def drop_command(
    version: Annotated[str, typer.Argument(help="A version, at least four of its first digits, or its folder.")],
    output: OutputFolder = Path("datasets"),
    yes: YesOption = False,
) -> None:
    """Remove a version: show what goes, then ask."""
    with plain_errors():
        folder = find_version(version, output).resolve()
        if not folder.name.startswith(Path(version).name):
            raise VersionError(
                f"{version!r} names a dataset, and one version is dropped at a time; its latest is {folder.name}"
            )
        with locked(folder.parent):
            n_files = sum(path.is_file() for path in folder.rglob("*"))
            n_bytes, n_free = free_bytes([folder])
            say(f"{folder}: {n_files:,} files, {size(n_bytes)}, of which {size(n_free)} become free.")
            if n_free < n_bytes:
                say(f"The rest is shared with the Parts it was made from, below {folder.parent / WORK}.")
            if not _agreed(yes):
                say(f"Nothing was removed. Next: {command('drop', version, '--yes', output=output)}")
                return
            drop(folder)
        newest = newest_version(folder.parent)
    say(f"Dropped. The latest version of {folder.parent.name} is {newest}." if newest else "Dropped: it was the last.")
    say(f"Next: {command('clean', folder.parent.name, output=output)} shows what no version needs any more.")


def clean(
    dataset: Annotated[str | None, typer.Argument(help="A dataset's name; without it, all datasets.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also Parts of unfinished runs, and those that changed recipes start from.")
    ] = False,
    output: OutputFolder = Path("datasets"),
    yes: YesOption = False,
) -> None:
    """Remove what no version needs: show what goes, then ask. Versions stay whole, whatever goes."""
    with plain_errors():
        folders = _datasets(output, dataset)
        removed = sum(_clean(folder, everything, yes) for folder in folders)
        words = ["clean", *([dataset] if dataset else []), *(["--all"] if everything else [])]
    if removed:
        say(f"{size(removed)} became free. Next: {command('list', output=output)}")
    else:
        say(f"Nothing was removed. Next: {command(*words, '--yes', output=output)}, or pipeline run RECIPE")


def _datasets(output: Path, dataset: str | None) -> list[Path]:
    if "://" in str(output) or ":/" in str(output):
        raise VersionError(
            f"{output}: clean works on local disks; below a store, remove work/ with the store's own tool"
        )
    found = [path.parent for path in sorted(output.glob(f"*/{WORK}")) if dataset in (None, path.parent.name)]
    if dataset and not found:
        known = ", ".join(path.parent.name for path in sorted(output.glob(f"*/{WORK}"))) or "none"
        raise VersionError(f"no dataset {dataset!r} with a folder {WORK}/ below {output}; there: {known}")
    if not found:
        say(f"{output}: no dataset holds anything but versions.")
    return found


def _clean(dataset: Path, everything: bool, yes: bool) -> int:
    """Show what lies in a dataset and remove it if that is agreed to; the bytes that became free."""
    with locked(dataset):
        found = find(dataset)
        say(f"{dataset}")
        going = _show(found, everything)
        if not going or not _agreed(yes):
            say()
            return 0
        _, n_free = free_bytes(going)
        remove(dataset, going)
        say()
        return n_free


def _show(found: Leftovers, everything: bool) -> list[Path]:
    """Print a line for each lot; the folders that are to go."""
    lots = (
        ("Parts that no version needs", found.unneeded, True),
        ("logs of earlier runs", found.logs, True),
        ("Parts of unfinished runs", found.unfinished, everything),
        ("Parts behind the versions", found.behind_versions, everything),
    )
    going: list[Path] = []
    for words, folders, goes in lots:
        n_bytes, _ = free_bytes(folders)
        stays = "" if goes or not folders else "  stay; --all removes them, too"
        say(f"  {words:<28} {len(folders):>7,} {size(n_bytes):>10}{stays}")
        going += folders if goes else []
    _, n_free = free_bytes(going)
    say(f"  {'to remove':<28} {len(going):>7,} {size(n_free):>10}  become free")
    return going


def _agreed(yes: bool) -> bool:
    """Whether to remove: said beforehand, or asked on a terminal."""
    if yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return yes
    return typer.confirm("Remove?")
