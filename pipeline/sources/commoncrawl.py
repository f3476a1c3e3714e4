"""The files of Common Crawl snapshots, or of the sample crawl that ships with the project."""

import hashlib
import json
import os
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from pipeline.assets import cache_folder
from pipeline.sources import fetching
from pipeline.sources.fetching import RequestError, ask, limit_requests
from pipeline.sources.listing import local_slice, remote_slice
from pipeline.sources.options import CommonCrawlSource
from pipeline.sources.record import Slice, SourceError, UnavailableError, reason
from pipeline.sources.remote import RemoteFile, is_remote, no_store, unavailable

MAX_PATHS_BYTES = 64 * 1024 * 1024
"""`warc.paths.gz` of a snapshot lists up to 100,000 paths of 140 bytes: 14 MB."""
AT_ONCE = 16
"""Questions for the size of a file that wait for an answer at a time."""
NAMED = 5

Known = dict[str, tuple[int, str]]
"""Path -> size in bytes and ETag."""


def list_snapshot(name: str, source: CommonCrawlSource) -> list[Slice]:
    """The files of the snapshots that `source.files` picks from the order of each one's `warc.paths.gz`.

    Files whose size the mirror does not tell are marked as unavailable, if the recipe allows that many.

    Raises:
        SourceError: if the mirror does not answer, does not have the snapshot, or has too few of its files.
    """
    if source.snapshot == "sample":
        return _list_sample(name, source)
    mirror = source.mirror.removeprefix("file://").rstrip("/")
    if is_remote(mirror):
        limit_requests(mirror, source.max_requests_per_s)
    paths = [path for snapshot in source.snapshots() for path in _paths(name, mirror, snapshot, source)]
    if not is_remote(mirror):
        return [local_slice(name, Path(mirror, path).expanduser(), path) for path in paths]
    files = _describe(name, mirror, paths)
    lost = [file for file in files if file.unavailable]
    if len(lost) > source.max_unavailable_share * len(files):
        raise SourceError(too_many_lost(name, len(files), {file.path: file.unavailable for file in lost}))
    return files


def too_many_lost(name: str, n_files: int, lost: Mapping[str, str]) -> str:
    """The message about files (path -> kind of failure) that cannot be had, of the `n_files` of a source."""
    named = ", ".join(f"{path} ({kind})" for path, kind in list(lost.items())[:NAMED])
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    share = -(-1000 * len(lost) // n_files) / 1000
    return (
        f"sources.{name}: {len(lost)} of {n_files} files cannot be had from the mirror: {named}{more}; run again to "
        f"try them again, name another `mirror`, or do without them: sources.{name}.max_unavailable_share={share}"
    )


def _list_sample(name: str, source: CommonCrawlSource) -> list[Slice]:
    folder = Path(str(resources.files("pipeline.sources"))) / "sample"
    found = sorted(folder.glob(f"*.{source.format}.gz"))
    if not found:
        raise SourceError(
            f"sources.{name}: {folder} holds no *.{source.format}.gz; the sample has WARC files only"
            if source.format != "warc"
            else f"sources.{name}: {folder} holds no *.warc.gz; the installation is damaged, install again"
        )
    return [local_slice(name, file, file.name) for file in found[source.picked()]]


def _paths(name: str, mirror: str, snapshot: str, source: CommonCrawlSource) -> list[str]:
    """The picked lines of the snapshot's list of files."""
    url = f"{mirror}/crawl-data/{snapshot}/{source.format}.paths.gz"
    inflater = zlib.decompressobj(wbits=31)
    try:
        lines = inflater.decompress(_read(name, url), MAX_PATHS_BYTES).decode("ascii").split()
    except (SourceError, OSError, zlib.error, UnicodeDecodeError) as error:
        words = reason(error) if isinstance(error, OSError) else str(error)
        words = words.removeprefix(f"sources.{name}: {url} cannot be read: ")
        raise SourceError(
            f"sources.{name}: {url} cannot be read ({words}); check the name of the snapshot and the network, "
            "or give another `mirror`"
        ) from None
    strange = [line for line in lines if not line.startswith("crawl-data/") or ".." in line.split("/")]
    if strange or not lines or not inflater.eof:
        what = f"lists {strange[0][:100]!r}, which is not below crawl-data/" if strange else "lists no file"
        what = what if inflater.eof else "is cut off, or very long"
        raise SourceError(f"sources.{name}: {url} {what}; give another `snapshot` or `mirror`")
    picked = list(dict.fromkeys(lines))[source.picked()]
    if not picked:
        raise SourceError(f"sources.{name}: {url} lists {len(lines)} files, and files: {source.files} picks none")
    return picked


def _read(name: str, url: str) -> bytes:
    if not is_remote(url):
        with Path(url).expanduser().open("rb") as local:
            return local.read(MAX_PATHS_BYTES)
    asked = Slice(name, url, url, 0, "", 0, 0)
    with _in_words(asked):
        info = ask(url, lambda: _info(url), fetching.FIRST_ANSWER_S, fetching.CLOCK)
    file = RemoteFile(remote_slice(name, url, url, info), fetching.LISTING_WAIT_S)
    return file.read(MAX_PATHS_BYTES)


def _info(url: str) -> dict[str, Any]:
    import fsspec

    store, inner = fsspec.core.url_to_fs(url)
    found: dict[str, Any] = store.info(inner)
    return found


def _list_folder(url: str) -> dict[str, dict[str, Any]]:
    """URL -> info of each file of a folder of an object store."""
    import fsspec

    store, inner = fsspec.core.url_to_fs(url)
    return {store.unstrip_protocol(info["name"]): info for info in store.ls(inner, detail=True)}


@contextmanager
def _in_words(slice_: Slice) -> Iterator[None]:
    """Make a SourceError of what goes wrong in asking for a file."""
    try:
        yield
    except RequestError as fault:
        raise unavailable(slice_, fault) from None
    except (ImportError, ValueError) as error:
        raise SourceError(f"sources.{slice_.source}: {slice_.url}: {no_store(slice_.url, error)}") from None


def _describe(name: str, mirror: str, paths: Sequence[str]) -> list[Slice]:
    """Sizes and ETags of files; those that cannot be asked for have size 0 and say why.

    An object store lists a folder in a request for each 1,000 files. A web server is asked for each file, and what it
    says is kept in the cache: files of a snapshot are not changed, and a reader that finds one changed throws the
    answers away.
    """
    if mirror.startswith(("http://", "https://")):
        cache = _Cache(mirror)
        known = cache.load()
        new = [path for path in paths if path not in known]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = list(pool.map(lambda path: _ask(name, mirror, path), new))
        cache.store({**known, **{file.path: (file.size, file.etag) for file in asked if file.etag}})
        found = {file.path: file for file in asked}
        for path in paths:
            if path in known:
                size, etag = known[path]
                found[path] = Slice(name, path, f"{mirror}/{path}", size, etag, 0, size)
        return [found[path] for path in paths]
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folders[path.rpartition("/")[0]].append(path)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        listed = pool.map(lambda folder: _list(name, mirror, folder, folders[folder]), folders)
        return [file for files in listed for file in files]


def _ask(name: str, mirror: str, path: str) -> Slice:
    url = f"{mirror}/{path}"
    file = Slice(name, path, url, 0, "", 0, 0)
    try:
        with _in_words(file):
            info = ask(url, lambda: _info(url), fetching.LISTING_WAIT_S, fetching.CLOCK)
        return remote_slice(name, url, path, info)
    except UnavailableError as error:
        return replace(file, unavailable=error.kind)


def _list(name: str, mirror: str, folder: str, paths: Sequence[str]) -> list[Slice]:
    url = f"{mirror}/{folder}"
    with _in_words(Slice(name, folder, url, 0, "", 0, 0)):
        try:
            infos = ask(url, lambda: _list_folder(url), fetching.LISTING_WAIT_S, fetching.CLOCK)
        except RequestError as fault:
            if fault.kind != "not_found":
                raise
            infos = {}
    files = []
    for path in paths:
        url = f"{mirror}/{path}"
        lost = Slice(name, path, url, 0, "", 0, 0, "not_found")
        files.append(remote_slice(name, url, path, infos[url]) if url in infos else lost)
    return files


class _Cache:
    """What a web server said of its files, between runs."""

    def __init__(self, mirror: str) -> None:
        digest = hashlib.sha256(mirror.encode()).hexdigest()[:16]
        self._path = cache_folder() / "listings" / f"{digest}.json"

    def load(self) -> Known:
        try:
            value = json.loads(self._path.read_bytes())
            return {str(path): (int(size), str(etag)) for path, (size, etag) in value.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def store(self, known: Known) -> None:
        aside = self._path.with_name(f".aside-{os.getpid()}-{self._path.name}")
        with suppress(OSError):  # a cache that cannot be written costs time, nothing else
            aside.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(json.dumps(known))
            aside.replace(self._path)

    def forget(self) -> None:
        with suppress(OSError):
            self._path.unlink()


def forget_listing(source: CommonCrawlSource) -> None:
    """Have the mirror asked for sizes and ETags again by the next plan."""
    _Cache(source.mirror.rstrip("/")).forget()
