"""The WARC files of a Common Crawl snapshot, or of the sample crawl that ships with the project."""

import zlib
from importlib import resources
from pathlib import Path

from pipeline.sources.listing import local_slice, remote_slice
from pipeline.sources.options import CommonCrawlSource
from pipeline.sources.record import Slice, SourceError, reason

MAX_PATHS_BYTES = 64 * 1024 * 1024
"""`warc.paths.gz` of a snapshot lists up to 100,000 paths of 140 bytes: 14 MB."""


def list_snapshot(name: str, source: CommonCrawlSource) -> list[Slice]:
    """The first `source.files` WARC files of the snapshot, in the order of its `warc.paths.gz`.

    Raises:
        SourceError: if the mirror does not answer, or does not have the snapshot.
    """
    if source.snapshot == "sample":
        return _list_sample(name, source.files)
    mirror = source.mirror.rstrip("/")
    paths_url = f"{mirror}/crawl-data/{source.snapshot}/warc.paths.gz"
    paths = _read_paths(name, paths_url)[: source.files]
    return [_describe(name, f"{mirror}/{path}", path) for path in paths]


def _list_sample(name: str, n_files: int) -> list[Slice]:
    folder = Path(str(resources.files("pipeline.sources"))) / "sample"
    found = sorted(folder.glob("*.warc.gz"))[:n_files]
    if not found:
        raise SourceError(f"sources.{name}: {folder} holds no *.warc.gz; the installation is damaged, install again")
    return [local_slice(name, file, file.name) for file in found]


def _read_paths(name: str, url: str) -> list[str]:
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            raw = file.read(MAX_PATHS_BYTES)
        inflater = zlib.decompressobj(wbits=31)
        lines = inflater.decompress(raw, MAX_PATHS_BYTES).decode("ascii").split()
    except Exception as error:
        raise SourceError(
            f"sources.{name}: {url} cannot be read ({reason(error)}); check the name of the snapshot and the network, "
            "or give another `mirror`"
        ) from None
    if not lines:
        raise SourceError(f"sources.{name}: {url} lists no file; give another `snapshot` or `mirror`")
    return lines


def _describe(name: str, url: str, path: str) -> Slice:
    import fsspec

    try:
        store, inner = fsspec.core.url_to_fs(url)
        return remote_slice(name, url, path, store.info(inner))
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(
            f"sources.{name}: {url} cannot be read ({reason(error)}); check the network, or give another `mirror`"
        ) from None
