"""A version's ledger, opened: records found by id and by URL."""

import json
import shlex
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pipeline.files import DamagedError
from pipeline.ledger.layout import FOLDER, FORMAT, LEDGER, TABLES, Bucket, Contents, RecordsPart, file_name, url_key
from pipeline.ledger.tables import SortedTable
from pipeline.versions import VersionError


class LedgerError(VersionError):
    """A version that has no ledger."""


class Entry(NamedTuple):
    """A record: its bucket, the value that put it there ("" if none), and its Part, whose place in the plan is
    `place`."""

    id: bytes
    bucket: Bucket
    value: str
    part: RecordsPart
    place: int


class Piece(NamedTuple):
    """A document's tokens `start` : `start + n_tokens` are in row `row` of `shard`, a file of the version."""

    shard: str
    row: int
    start: int
    n_tokens: int


class Cluster(NamedTuple):
    """`similarity`: of the record's text with its survivor's, None if it is not known."""

    cluster: bytes
    survivor: bytes
    similarity: float | None


class Ledger:
    """The index of a version on a local disk; tables are opened when they are asked.

    Raises:
        LedgerError: the version has none, with how to have it made.
        DamagedError: it is not whole, here or when it is read.
    """

    def __init__(self, version: Path) -> None:
        self.version = version
        self._again = f"to write it anew: pipeline index {shlex.quote(str(version))}"
        path = version / FOLDER / LEDGER
        try:
            read = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise LedgerError(f"{version}: has no index of its records ({FOLDER}/{LEDGER}); {self._again}") from None
        except ValueError as error:
            raise DamagedError(f"{path}: not JSON ({error}); {self._again}") from None
        if not isinstance(read, dict) or read.get("format") != FORMAT:
            raise DamagedError(f"{path}: not an index in the format {FORMAT}; {self._again}")
        try:
            read["buckets"] = [Bucket(**bucket) for bucket in read["buckets"]]
            read["parts"] = [RecordsPart(**part) for part in read["parts"]]
            self.contents = Contents(**read)
            sizes = {name: self.contents.files[name]["size"] for name in TABLES}
        except (KeyError, TypeError) as error:
            raise DamagedError(f"{path}: not the fields of {FORMAT} ({error}); {self._again}") from None
        for name, size in sizes.items():
            there = version / file_name(name)
            found = there.stat().st_size if there.is_file() else -1
            if found != size:
                what = "missing" if found < 0 else f"{found} bytes"
                raise DamagedError(f"{there}: expected {size} bytes, found {what}; {self._again}")

    @cached_property
    def records(self) -> SortedTable:
        """One row for each record."""
        return self._table("records")

    @cached_property
    def _urls(self) -> SortedTable:
        return self._table("urls")

    def _table(self, name: str) -> SortedTable:
        return SortedTable(self.version / file_name(name), TABLES[name], self._again)

    def damaged(self, what: str) -> DamagedError:
        """An error that says `what` and how to have the ledger made."""
        return DamagedError(f"{self.version / FOLDER}: {what}; {self._again}")

    def entry(self, key: bytes) -> Entry | None:
        """The record with this id, None if no such record was read."""
        rows = self.records.find(key)
        if not rows:
            return None
        row = rows[0]
        try:
            bucket, part = self.contents.buckets[row["bucket"]], self.contents.parts[row["part"]]
        except IndexError:
            raise self.damaged(f"record {key.hex()} is in a bucket or Part that there is not") from None
        return Entry(key, bucket, row["value"] or "", part, row["part"])

    def ids_of(self, url: str) -> list[bytes]:
        """The ids of all records whose URL names the same page."""
        return [row["id"] for row in self._urls.find(url_key(url))]

    def cluster(self, key: bytes) -> Cluster:
        """The cluster of a record, its own if it has no duplicates."""
        rows = self._table("clusters").find(key)
        return (
            Cluster(rows[0]["cluster"], rows[0]["survivor"], rows[0]["similarity"]) if rows else Cluster(key, key, None)
        )

    def pieces(self, key: bytes) -> list[Piece]:
        """Where a document is in the shards, by its tokens; of one that was packed several times each copy."""
        try:
            found = [
                Piece(self.contents.shards[row["shard"]], row["row"], row["start"], row["tokens"])
                for row in self._table("pieces").find(key)
            ]
        except IndexError:
            raise self.damaged(f"document {key.hex()} is in a shard that there is not") from None
        return sorted(found, key=lambda piece: (piece.start, piece.shard, piece.row))
