"""Which files a source has, and how they are cut into Parts. A plan imports this: no reader, no Arrow, no codec."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pipeline.sources.fetching import CLOCK, FIRST_ANSWER_S, RequestError, ask
from pipeline.sources.options import (
    CodeSource,
    CommonCrawlSource,
    EnvironmentSource,
    MediaWikiSource,
    Source,
    TableSource,
)
from pipeline.sources.record import Slice, SourceError, reason

WARC_SUFFIXES = (".warc", ".warc.gz", ".warc.zst", ".wet", ".wet.gz", ".wet.zst", ".arc", ".arc.gz")
"""ARC files are listed so that each gets a fate (`unsupported_archive`) and none is passed over in silence."""
TABLE_SUFFIXES = (
    *(f"{plain}{packed}" for plain in (".jsonl", ".ndjson", ".csv", ".tsv") for packed in ("", ".gz", ".zst")),
    ".parquet",
    ".arrow",
    ".feather",
    ".ipc",
    ".txt",
    ".md",
    ".markdown",
)
MARKUP_SUFFIXES = {"latex": (".tex",), "jats": (".xml", ".nxml")}
"""Whole files of a markup, which a table of that markup may be, too."""
DUMP_SUFFIXES = (".xml", ".xml.bz2", ".xml.gz")
SPLITTABLE_SUFFIXES = (*WARC_SUFFIXES[:-2], ".jsonl", ".ndjson", ".parquet", ".xml", ".xml.bz2")
"""Files whose readers find the first record at or after any byte."""
MEGABYTE = 1_000_000


def list_files(name: str, source: Source) -> list[Slice]:
    """The files of `source` (called `name` in the recipe) as whole-file Slices, sorted by path.

    Raises:
        SourceError: if nothing is there, or the store does not answer.
    """
    if isinstance(source, CommonCrawlSource):
        from pipeline.sources.commoncrawl import list_snapshot

        files = list_snapshot(name, source)
    elif isinstance(source, EnvironmentSource):
        from pipeline.sources.environment import list_environment

        files = list_environment(name, source)
    else:
        suffixes: tuple[str, ...] = WARC_SUFFIXES
        if isinstance(source, TableSource):
            suffixes = (*TABLE_SUFFIXES, *MARKUP_SUFFIXES.get(source.markup, ()))
        elif isinstance(source, MediaWikiSource):
            suffixes = DUMP_SUFFIXES
        elif isinstance(source, CodeSource):
            suffixes = ("",)
        files = find_files(name, source.path, suffixes)
        if isinstance(source, TableSource | MediaWikiSource):
            _check_endings(name, files, suffixes, "a table" if isinstance(source, TableSource) else "a dump")
        if isinstance(source, CodeSource):
            from pipeline.sources.code_licences import with_licences

            files = with_licences(files)
    return sorted(files, key=lambda file: file.path)


def find_files(name: str, path: str, suffixes: Sequence[str]) -> list[Slice]:
    """The file `path`, the files that match it as a glob, or those below the folder `path` with one of `suffixes`.

    Sorted by their path relative to the folder, or to the part of a glob that holds no wildcard.

    A file that is named in full, or matched by a glob, is taken whatever its ending. Hidden files and folders (leading
    dot) below a folder are left out, and links to folders are not followed.

    Raises:
        SourceError: if `path` is missing, or holds no such file.
    """
    remote = "://" in path and not path.startswith("file://")
    if remote:
        found = _find_remote(name, path, suffixes)
    else:
        try:
            found = _find_local(name, path.removeprefix("file://"), suffixes)
        except OSError as error:
            where = f"{path}: {error.filename}" if error.filename and str(error.filename) != path else path
            raise SourceError(f"sources.{name}: {where}: {reason(error)}; let this user read it (chmod)") from None
    return sorted(found, key=lambda file: file.path)


def _check_endings(name: str, files: Sequence[Slice], suffixes: tuple[str, ...], what: str) -> None:
    """A file's ending says how it is read; a file that was named in full, or matched by a glob, may have any."""
    for file in files:
        if not file.path.lower().endswith(suffixes):
            raise SourceError(
                f"sources.{name}: {file.path}: unknown kind of file; {what} ends in {', '.join(suffixes)}; "
                "convert or rename it, or name other files as path"
            )


def local_slice(name: str, path: Path, relative: str) -> Slice:
    """A whole local file as a Slice.

    Raises:
        SourceError: if it cannot be looked at.
    """
    try:
        status = path.stat()
    except OSError as error:
        why = "a link that leads nowhere; mend or remove it" if path.is_symlink() else reason(error)
        raise SourceError(f"sources.{name}: {path}: {why}") from None
    return Slice(name, relative, str(path.absolute()), status.st_size, str(status.st_mtime_ns), 0, status.st_size)


def _find_local(name: str, path: str, suffixes: Sequence[str]) -> list[Slice]:
    root = Path(path).expanduser()
    if root.is_file():
        return [local_slice(name, root, root.name)]
    if root.is_dir():
        found = [local_slice(name, file, file.relative_to(root).as_posix()) for file in _walk(root, suffixes)]
        ending = f" that ends in {', '.join(suffixes)}" if all(suffixes) else ""
        return found or _nothing(name, path, f"the folder holds no file{ending}; put some there, or name another")
    if glob.has_magic(path):
        root = Path(*_fixed_parts(str(root)))
        matches = (Path(match) for match in glob.glob(str(Path(path).expanduser()), recursive=True))  # noqa: PTH207 - a pattern may be absolute
        found = [local_slice(name, file, file.relative_to(root).as_posix()) for file in matches if file.is_file()]
        return found or _nothing(name, path, f"no file matches the pattern (looked from {Path.cwd()}); correct it")
    if root.is_symlink():
        return _nothing(name, path, "a link that leads nowhere; mend it, or name another file")
    if root.exists():
        return _nothing(name, path, "neither a file nor a folder; name one of these")
    near = get_close_matches(root.name, _names_in(root.parent), n=1)
    there = "; name a file, a folder or a pattern that is there" + f" (--set sources.{name}.path=PATH)" * bool(name)
    meant = f"; did you mean {root.parent / near[0]}?" if near else there
    return _nothing(name, path, f"no such file or folder (looked from {Path.cwd()}){meant}")


def _names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def _walk(root: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = [entry for entry in folders if not entry.startswith(".")]
        for file in names:
            if file.lower().endswith(tuple(suffixes)) and not file.startswith("."):
                yield Path(folder, file)


def _fixed_parts(pattern: str) -> list[str]:
    parts = Path(pattern).parts
    magic = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return list(parts[:magic])


def _find_remote(name: str, path: str, suffixes: Sequence[str]) -> list[Slice]:
    import fsspec

    def look() -> tuple[dict[str, Any], str]:
        """Path -> info of the files, and the folder that their relative paths begin behind."""
        if glob.has_magic(inner):
            root = "/".join(_fixed_parts(inner)).replace("//", "/") if not inner.startswith("http") else ""
            return store.glob(inner, detail=True), root
        info = store.info(inner)
        if info["type"] == "file":
            return {info["name"]: info}, inner.rpartition("/")[0]
        return store.find(inner, detail=True), inner

    try:
        store, inner = fsspec.core.url_to_fs(path)
        infos, root = ask(path, look, FIRST_ANSWER_S, CLOCK)
    except ImportError as error:
        from pipeline.sources.remote import no_store

        raise SourceError(f"sources.{name}: {path}: {no_store(path, error)}") from None
    except Exception as error:
        why = f"{error if isinstance(error, RequestError) else reason(error)}; check the path and the network"
        raise SourceError(f"sources.{name}: {path} cannot be listed: {why}") from None
    found = []
    for key, info in infos.items():
        relative = key.removeprefix(root).lstrip("/")
        wanted = glob.has_magic(inner) or len(infos) == 1 or key.lower().endswith(tuple(suffixes))
        if info["type"] == "file" and wanted:
            found.append(remote_slice(name, store.unstrip_protocol(key), relative, info))
    return found or _nothing(name, path, f"holds no file that ends in {', '.join(suffixes)}; name another")


def remote_slice(name: str, url: str, relative: str, info: dict[str, object]) -> Slice:
    """A whole file of an fsspec store as a Slice, from the store's `info`.

    Raises:
        SourceError: if the store does not tell its size, without which it cannot be cut into Parts.
    """
    size = info.get("size")
    if not isinstance(size, int):
        raise SourceError(f"sources.{name}: {url}: no size from the store, so it cannot be cut; name a local copy")
    tag = next((str(info[key]) for key in ("ETag", "etag", "LastModified", "mtime") if info.get(key)), "")
    return Slice(name, relative, url, size, tag.strip('"'), 0, size)


def _nothing(name: str, path: str, why: str) -> list[Slice]:
    raise SourceError(f"sources.{name}: {path}: {why}")


def cut(files: Sequence[Slice], part_mb: int) -> list[tuple[Slice, ...]]:
    """`files` cut into Parts of about `part_mb` * 10^6 stored bytes, in order.

    A large splittable file becomes byte ranges, each a Part; any other large file is a Part; consecutive small files
    share one. The cut depends on nothing but the files' paths and sizes.
    """
    parts: list[tuple[Slice, ...]] = []
    group: list[Slice] = []
    room = limit = part_mb * MEGABYTE
    for file in files:
        if file.size > room and group:
            parts.append(tuple(group))
            group, room = [], limit
        if file.size > limit and file.path.endswith(SPLITTABLE_SUFFIXES):
            starts = range(0, file.size, limit)
            parts += [(replace(file, start=start, end=min(start + limit, file.size)),) for start in starts]
        else:
            group.append(file)
            room -= file.size
    return [*parts, tuple(group)] if group else parts
