"""Folders on a disk or an fsspec store, and the atomic commit of a Part.

A file appears under its final name only when all of its bytes are safe: on a disk it is written aside, fsynced and
renamed; on a store without rename it is written to local disk and put as one object. A Part is done when its marker,
which is written last, exists. Arrow is imported where it is used, since a look at what is done already must stay quick.
"""

import hashlib
import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.manifest import Counts, canonical_json

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc

MARKER = "part.json"
TIME = "time.json"
"""Beside a marker, and not a part of it: the same Part takes another time on another day."""
ROW_GROUP_ROWS = 16_384
FAULT_VARIABLE = "GRISTMILL_FAULT"
_ASIDE = ".aside-"


class DamagedError(Exception):
    """A committed file that is missing or has other bytes than its marker says."""


def fault(point: str) -> None:
    """Kill this process if the environment variable GRISTMILL_FAULT names this `point`, as `point` or `point@FILE`.

    A hook for tests of crash safety. FILE, if given, is created by the crash, and a process that finds it goes on, so
    that the crash happens once.
    """
    wanted, _, once = os.environ.get(FAULT_VARIABLE, "").partition("@")
    if wanted != point:
        return
    if once:
        try:
            os.close(os.open(once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
    os.kill(os.getpid(), signal.SIGKILL)


def sha256_of_file(path: Path) -> str:
    """sha256 of a local file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_folder(path: Path) -> None:
    """Make the names in a local folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Folder:
    """A folder at a local path or an fsspec URL."""

    def __init__(self, url: str) -> None:
        import fsspec  # late: looking a record up is to be quick, and reads local files only

        self.url = url
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:  # a store whose package is not installed, or an unknown scheme
            raise OSError(f"{url}: {error}") from None
        self.is_local = "file" in ([self.fs.protocol] if isinstance(self.fs.protocol, str) else self.fs.protocol)

    def path(self, name: str) -> str:
        """The path of `name` in the folder's filesystem."""
        return f"{self.root.rstrip('/')}/{name}" if name else self.root

    def child(self, name: str) -> "Folder":
        """The folder `name` below this one."""
        return Folder(self.fs.unstrip_protocol(self.path(name)))

    def exists(self, name: str = "") -> bool:
        """Whether a file or folder of that name is there."""
        return bool(self.fs.exists(self.path(name)))

    def size(self, name: str) -> int:
        """Size of a file in bytes. Raises FileNotFoundError."""
        return int(self.fs.size(self.path(name)))

    def names(self, name: str = "") -> list[str]:
        """Sorted names of what lies directly in a folder; empty if it does not exist."""
        try:
            found = self.fs.ls(self.path(name), detail=False)
        except FileNotFoundError:
            return []
        return sorted(p.rstrip("/").rsplit("/", 1)[-1] for p in found)

    def read(self, name: str) -> bytes:
        """All bytes of a file. Raises FileNotFoundError."""
        return cast(bytes, self.fs.cat_file(self.path(name)))

    def read_table(
        self, name: str, columns: Sequence[str] | None = None, rows: "pc.Expression | None" = None
    ) -> "pa.Table":
        """A Parquet file, or only its `rows`, as a table. Raises OSError if a page is not what its checksum says."""
        import pyarrow.parquet as pq

        settings = {"columns": columns, "filters": rows, "use_threads": False, "page_checksum_verification": True}
        if self.is_local:
            return pq.read_table(self.path(name), partitioning=None, **settings)
        with self.fs.open(self.path(name), "rb") as file:
            return pq.read_table(file, **settings)

    def commit(self, name: str, write: Callable[[Path], None]) -> tuple[str, int]:
        """Let `write` fill a file, then publish it as `name` in one step; returns its sha256 and size in bytes."""
        if not self.is_local:
            with tempfile.TemporaryDirectory(prefix="gristmill-") as folder:
                aside = Path(folder) / "file"
                write(aside)
                digest, size = sha256_of_file(aside), aside.stat().st_size
                self.fs.put_file(str(aside), self.path(name))
            return digest, size
        final = Path(self.path(name))
        final.parent.mkdir(parents=True, exist_ok=True)
        aside = final.with_name(f"{_ASIDE}{secrets.token_hex(6)}-{final.name}")
        try:
            write(aside)
            digest, size = sha256_of_file(aside), aside.stat().st_size
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.rename(final)
        finally:
            aside.unlink(missing_ok=True)
        fsync_folder(final.parent)
        return digest, size

    def commit_bytes(self, name: str, data: bytes) -> None:
        """Publish `data` as the file `name` in one step."""
        self.commit(name, lambda path: _write_all(path, data))

    def link(self, other: "Folder", name: str, new_name: str) -> None:
        """Make the committed file `name` of `other` appear here as `new_name`, without a copy where the disk can."""
        if not (self.is_local and other.is_local):
            with other.fs.open(other.path(name), "rb") as source, self.fs.open(self.path(new_name), "wb") as target:
                shutil.copyfileobj(source, target, 8 << 20)
            return
        target_path = Path(self.path(new_name))
        target_path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(other.path(name), target_path)
        except OSError:  # another disk, or one without hard links
            self.commit(new_name, lambda path: _copy(Path(other.path(name)), path))

    def remove_aside(self) -> None:
        """Remove what crashed writers left aside in this folder (local disks only)."""
        if self.is_local:
            for aside in Path(self.root).glob(f"{_ASIDE}*"):
                aside.unlink(missing_ok=True)


def _write_all(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


@dataclass(frozen=True, slots=True)
class PartFile:
    """One committed file of a Part."""

    name: str
    sha256: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class Marker:
    """What a Part's marker says: which Part, from what, its files and counts, and facts that later stages need."""

    stage: str
    key: str
    label: str
    ingredients: Mapping[str, Any]
    files: tuple[PartFile, ...]
    counts: Counts
    facts: Mapping[str, Any]

    def file(self, name: str) -> PartFile:
        """The file called `name`. Raises KeyError."""
        for file in self.files:
            if file.name == name:
                return file
        raise KeyError(f"{self.stage} {self.key}: no file {name!r}; there are {[f.name for f in self.files]}")


class PartStore:
    """The committed Parts of a dataset: `work/<stage>/<key>/` below the dataset's folder."""

    def __init__(self, dataset_url: str) -> None:
        self.dataset = Folder(dataset_url)
        self.folder = self.dataset.child("work")

    def part(self, stage: str, key: str) -> Folder:
        """The folder of one Part."""
        return self.folder.child(f"{stage}/{key}")

    def is_done(self, stage: str, key: str) -> bool:
        """Whether the Part has been committed."""
        return self.folder.exists(f"{stage}/{key}/{MARKER}")

    def marker(self, stage: str, key: str) -> Marker:
        """The marker of a committed Part.

        Raises:
            FileNotFoundError: if the Part is not committed.
            DamagedError: if its marker is no JSON.
        """
        try:
            value = json.loads(self.folder.read(f"{stage}/{key}/{MARKER}"))
        except ValueError:
            part = self.folder.path(f"{stage}/{key}")
            raise DamagedError(f"{part}/{MARKER}: not JSON; remove the folder {part} and run again") from None
        files = tuple(PartFile(**f) for f in value.pop("files"))
        return Marker(files=files, counts=Counts(value.pop("counts")), **value)

    def seconds(self, stage: str, key: str) -> float | None:
        """How long a committed Part took, by the clock; None where that is not known."""
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            return float(json.loads(self.folder.read(f"{stage}/{key}/{TIME}"))["wall_s"])
        return None

    def table(
        self,
        stage: str,
        key: str,
        name: str,
        columns: Sequence[str] | None = None,
        rows: "pc.Expression | None" = None,
    ) -> "pa.Table":
        """A Parquet file of a committed Part, or only its `rows`; row groups that hold none are not read.

        Raises:
            DamagedError: if the file is missing, its size is not the marker's, or a page's checksum is wrong.
        """
        where = self._checked(stage, key, name)
        try:
            return self.folder.read_table(where, columns, rows)
        except OSError as error:
            part = self.folder.path(f"{stage}/{key}")
            raise DamagedError(f"{part}/{name}: {error}; remove the folder {part} and run again") from None

    def row_groups(self, stage: str, key: str, name: str) -> "Iterator[pa.Table]":
        """The row groups of a Parquet file of a committed Part, one after another. Raises DamagedError as `table`."""
        import pyarrow.parquet as pq

        where = self._checked(stage, key, name)
        try:
            with (
                self.folder.fs.open(self.folder.path(where), "rb") as raw,
                pq.ParquetFile(raw, page_checksum_verification=True) as file,
            ):
                for number in range(file.num_row_groups):
                    yield file.read_row_group(number, use_threads=False)
        except OSError as error:
            part = self.folder.path(f"{stage}/{key}")
            raise DamagedError(f"{part}/{name}: {error}; remove the folder {part} and run again") from None

    @contextmanager
    def batch(self, stage: str, key: str, name: str) -> "Iterator[pa.RecordBatch]":
        """What `PartWriter.write_batch` wrote, memory-mapped; from a store, a copy on this machine is. Raises
        DamagedError if the file is missing or its size is not the marker's."""
        import pyarrow as pa

        where = self._checked(stage, key, name)
        path = self.folder.path(where) if self.folder.is_local else _local_copy(self.folder.url, where).name
        with pa.memory_map(path) as mapped, pa.ipc.open_file(mapped) as file:
            yield file.get_batch(0)

    def _checked(self, stage: str, key: str, name: str) -> str:
        """The name of a Part's file below `work/`, which has the size that the marker says."""
        expected = self.marker(stage, key).file(name).size
        where = f"{stage}/{key}/{name}"
        try:
            found = self.folder.size(where)
        except FileNotFoundError:
            found = -1
        if found != expected:
            raise DamagedError(
                f"{self.folder.path(where)}: expected {expected} bytes, found {'none' if found < 0 else found}; "
                f"remove the folder {self.folder.path(f'{stage}/{key}')} and run again"
            )
        return where


@lru_cache(maxsize=32)
def _local_copy(folder_url: str, name: str) -> "tempfile._TemporaryFileWrapper[bytes]":
    """A copy of a store's file, which goes when 32 others have been asked for, or the process ends."""
    folder = Folder(folder_url)
    copy = tempfile.NamedTemporaryFile(prefix="gristmill-")  # noqa: SIM115  # lives as long as the cache holds it
    folder.fs.get_file(folder.path(name), copy.name)
    return copy


class PartWriter:
    """Collects the files and counts of one Part and commits them with a marker."""

    def __init__(self, store: PartStore, stage: str, key: str, label: str, ingredients: Mapping[str, Any]) -> None:
        self.folder = store.part(stage, key)
        self.stage, self.key, self.label, self.ingredients = stage, key, label, ingredients
        self.files: list[PartFile] = []
        self.counts = Counts()
        self.facts: dict[str, Any] = {}
        self._begun = time.monotonic()

    def write(self, name: str, write: Callable[[Path], None], rows: int) -> PartFile:
        """Commit the file `name`, filled by `write`."""
        sha256, size = self.folder.commit(name, write)
        self.files.append(PartFile(name, sha256, size, rows))
        fault(f"{self.stage}:file")
        return self.files[-1]

    def write_table(self, name: str, table: "pa.Table") -> PartFile:
        """Commit a table as Parquet with fixed settings, so that equal tables give equal bytes."""
        plain = table.replace_schema_metadata(None)
        return self.write(name, lambda path: write_parquet(plain, path), table.num_rows)

    def write_batch(self, name: str, table: "pa.Table") -> PartFile:
        """Commit a table as an Arrow IPC file of one batch, to be memory-mapped and read by row."""
        plain = table.replace_schema_metadata(None)
        return self.write(name, lambda path: _write_batch(plain, path), table.num_rows)

    def commit(self) -> None:
        """Write the marker: from now on the Part is done."""
        fault(f"{self.stage}:before_marker")
        self.folder.commit_bytes(TIME, canonical_json({"wall_s": round(time.monotonic() - self._begun, 3)}))
        value = {
            "stage": self.stage,
            "key": self.key,
            "label": self.label,
            "ingredients": self.ingredients,
            "files": [asdict(f) for f in self.files],
            "counts": self.counts,
            "facts": self.facts,
        }
        self.folder.commit_bytes(MARKER, canonical_json(value))
        fault(f"{self.stage}:after_marker")


def write_parquet(table: "pa.Table", path: Path) -> None:
    """Write a table with the settings that all files of this project have: equal tables give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        table,
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=3,
        version="2.6",
        data_page_version="1.0",
        use_dictionary=[f.name for f in table.schema if f.type == pa.string()],
        write_statistics=True,
        write_page_checksum=True,
        store_schema=True,
    )


def _write_batch(table: "pa.Table", path: Path) -> None:
    import pyarrow as pa

    arrays = [column.combine_chunks() for column in table.columns]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=table.schema))
