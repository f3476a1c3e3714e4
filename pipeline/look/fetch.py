"""A version on a store -> what the trainer reads of it, on the local disk and verified."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

from pipeline.assets import cache_folder
from pipeline.files import DamagedError, Folder, fsync_folder, sha256_of_file
from pipeline.manifest import VERSION_DIGITS, DataFile, ManifestError, read_manifest
from pipeline.versions import LATEST, MANIFEST, VersionError

VERSIONS = "versions"
KINDS = ("shard", "tokenizer")
AT_ONCE = 8
"""Files copied at the same time: stores give each connection a share of the line."""


def fetch_version(url: str, on_file: Callable[[int, int], None]) -> Path:
    """Copy shards, tokenizer and manifest of a version to the cache, if they are not there; returns their folder.

    A copy that was interrupted goes on with the files that are missing. Nothing is at the returned place before every
    file has the size and sha256 of the manifest.

    Args:
        url: an fsspec URL of a version's folder, or of a dataset's, whose `latest` counts.
        on_file: called with (bytes of the file, bytes of all) for each file that is there.

    Raises:
        VersionError: if there is no version at `url`.
        ManifestError, DamagedError, OSError: for damaged or missing files, and a disk that cannot hold them.
    """
    store = _version_at(url)
    raw = store.read(MANIFEST)
    version = hashlib.sha256(raw).hexdigest()[:VERSION_DIGITS]
    if (name := store.root.rstrip("/").rpartition("/")[2]) != version:
        raise ManifestError(f"{store.url}/{MANIFEST}: its sha256 begins with {version}, the folder is called {name}")
    described = read_manifest(raw, f"{store.url}/{MANIFEST}")
    folder = cache_folder() / VERSIONS / version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / MANIFEST).is_file():
            aside = folder.with_name(f".aside-{version}")
            _copy_all(store, [file for file in described.files if file.kind in KINDS], aside, on_file)
            (aside / MANIFEST).write_bytes(raw)
            for below in (*(path for path in aside.rglob("*") if path.is_dir()), aside):
                fsync_folder(below)
            aside.rename(folder)
            fsync_folder(folder.parent)
    return folder


def _version_at(url: str) -> Folder:
    found = Folder(url.rstrip("/"))
    if not found.exists(MANIFEST) and found.exists(LATEST):
        found = found.child(found.read(LATEST).decode(errors="replace").strip())
    if not found.exists(MANIFEST):
        raise VersionError(f"{found.url}: holds neither {MANIFEST} nor {LATEST}; name a dataset or version")
    return found


def _copy_all(store: Folder, files: list[DataFile], aside: Path, on_file: Callable[[int, int], None]) -> None:
    n_bytes = sum(file.size for file in files)
    aside.mkdir(exist_ok=True)
    free = shutil.disk_usage(aside).free
    missing = n_bytes - sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
    if missing > free:
        raise OSError(
            f"{store.url}: {n_bytes:,} bytes do not fit on the disk of {aside.parent} ({free:,} free); "
            "set GRISTMILL_CACHE to a folder on a larger one"
        )
    for size in _each_copied(store, files, aside):
        on_file(size, n_bytes)


def _each_copied(store: Folder, files: list[DataFile], aside: Path) -> Iterator[int]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            yield from threads.map(lambda file: _copy(store, file, aside), files)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _copy(store: Folder, file: DataFile, aside: Path) -> int:
    path = aside / file.path
    if aside.resolve() not in path.resolve().parents:
        raise DamagedError(f"{store.url}/{MANIFEST}: lists {file.path!r}, which lies outside of the version")
    if _is_whole(path, file):
        return file.size
    path.parent.mkdir(parents=True, exist_ok=True)
    store.fs.get_file(store.path(file.path), str(path))
    if not _is_whole(path, file):
        path.unlink()
        raise DamagedError(
            f"{store.url}/{file.path}: not the {file.size:,} bytes with sha256 {file.sha256[:16]}... that the manifest "
            "names; publish the version there again"
        )
    return file.size


def _is_whole(path: Path, file: DataFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and sha256_of_file(path) == file.sha256
