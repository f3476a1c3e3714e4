"""The shortest paths by which a recipe names files that belong together, and no others."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pipeline.sources.listing import TABLE_SUFFIXES, WARC_SUFFIXES
from pipeline.sources.record import Slice


def paths_of(
    root: str, files: Sequence[Slice], listed: Sequence[Slice], harmless: set[str], is_all: bool = False
) -> list[tuple[str, list[Slice]]]:
    """Paths that name `files` and of the other `listed` files none but `harmless` ones.

    `is_all`: there is nothing else. Tried in this order: the folder, the files in it with one beginning and ending;
    then smaller lots, by ending, by folder, one by one.
    """
    names = {file.path for file in files}
    allowed = names | harmless
    folder = folder_of(files)
    below = [file.path for file in listed if not folder or file.path.startswith(f"{folder}/")]
    base = _before_pattern(root) if is_pattern(root) else root.rstrip("/") or "/"
    whole = f"{base}/{folder}" if folder else base
    if len(files) == 1 and not is_all:
        return [(_remote_safe(f"{base}/{files[0].path}"), list(files))]
    if allowed.issuperset(below):
        return [(root if is_pattern(root) or not folder else _remote_safe(whole), list(files))]
    suffixes = {next((s for s in (*TABLE_SUFFIXES, *WARC_SUFFIXES) if p.endswith(s)), p) for p in names}
    if len(suffixes) == 1 and len(names) > 1:
        suffix = suffixes.pop()
        inside = [name[len(folder) :].lstrip("/") for name in names]
        start = "" if any("/" in name for name in inside) else _common_start(inside).removesuffix(suffix)
        deep = "**/" if any("/" in name for name in inside) else ""
        matched = {p for p in below if p.endswith(suffix) and PurePosixPath(p).name.startswith(start)}
        if not deep:
            matched = {p for p in matched if str(PurePosixPath(p).parent) == (folder or ".")}
        if names <= matched <= allowed:
            return [(f"{glob.escape(whole.rstrip('/'))}/{deep}{glob.escape(start)}*{suffix}", list(files))]
    lots = _lots(files, folder)
    if len(lots) == 1:
        return [(_remote_safe(f"{base}/{file.path}"), [file]) for file in files]
    return [found for lot in lots for found in paths_of(root, lot, listed, harmless)]


def is_pattern(path: str) -> bool:
    """Whether a source takes `path` for a glob, by which it reads files of any ending."""
    return glob.has_magic(path) and ("://" in path or not Path(path).expanduser().exists())


def _lots(files: Sequence[Slice], folder: str) -> list[list[Slice]]:
    """`files` by ending; if they have one ending, by the next folder below `folder`."""
    by_suffix: dict[str, list[Slice]] = {}
    by_folder: dict[str, list[Slice]] = {}
    for file in files:
        suffix = next((s for s in sorted(TABLE_SUFFIXES, key=len, reverse=True) if file.path.endswith(s)), "")
        by_suffix.setdefault(suffix, []).append(file)
        inside = file.path[len(folder) :].lstrip("/")
        by_folder.setdefault(inside.partition("/")[0] if "/" in inside else "", []).append(file)
    return list(by_suffix.values() if len(by_suffix) > 1 else by_folder.values())


def folder_of(files: Sequence[Slice]) -> str:
    """The deepest folder that holds all of `files`; "" is the root."""
    folder = os.path.commonpath([str(PurePosixPath(file.path).parent) for file in files])
    return "" if folder == "." else folder


def _common_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _before_pattern(pattern: str) -> str:
    """The folders of a glob before the first that holds a wildcard."""
    parts = pattern.split("/")
    return "/".join(parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))]) or "."


def _remote_safe(path: str) -> str:
    """A store takes every wildcard for one; on a disk, a name that exists is taken as it is."""
    return glob.escape(path) if "://" in path else path
