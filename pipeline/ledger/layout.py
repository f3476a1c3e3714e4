"""What a ledger is made of: the index of all records of a version, which lies beside it and is no part of it.

`<version>/ledger/` holds `ledger.json` and the tables below, of which `pipeline.ledger.tables` has the form. A record's
row says what became of it, and which Part's tables tell the rest: they are sorted by id, too.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.document import ID_BYTES, ID_TYPE
from pipeline.manifest import Manifest
from pipeline.measures import VERDICT_PREFIX
from pipeline.text.url_parts import page_of

FORMAT = "gristmill-ledger/1"
FOLDER = "ledger"
LEDGER = "ledger.json"
"""Written last: without it there is no ledger."""

TABLES = {
    "records": pa.schema([("id", ID_TYPE), ("part", pa.uint32()), ("bucket", pa.uint16()), ("value", pa.string())]),
    "urls": pa.schema([("page", pa.binary(ID_BYTES)), ("id", ID_TYPE)]),
    "clusters": pa.schema([("id", ID_TYPE), ("cluster", ID_TYPE), ("survivor", ID_TYPE), ("similarity", pa.float32())]),
    "pieces": pa.schema(
        [("id", ID_TYPE), ("shard", pa.uint32()), ("row", pa.uint32()), ("start", pa.int64()), ("tokens", pa.int32())]
    ),
}
"""`records`: one row for each record read; `bucket` is a place in `Contents.buckets`; `value`: of the measure that the
Limit or look bounds, how alike the survivor is, or the detail of a fate, at most MAX_VALUE_CHARS; null if none.
`urls`: `page` is `url_key` of a record's URL. `clusters`: records whose cluster or survivor is not their own id.
`pieces`: where documents are in the shards, `shard` a place in `Contents.shards`, `start` and `tokens` of the
document's tokens."""

MAX_VALUE_CHARS = 80
KEPT, DROPPED, NO_DOCUMENT = "kept", "dropped", "no document"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where records end. `kind`: KEPT, DROPPED or NO_DOCUMENT; `reason`: "", the drop reason or the fate."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordsPart:
    """The records of an Extract Part, in the order of the plan.

    `documents` and `decisions`: files of the version, "" if it has none. `keys`: stage -> the Part made of these
    records, empty if that is not known.
    """

    source: str
    documents: str
    decisions: str
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contents:
    """What `ledger.json` says. `cluster`: key of the Cluster Part; `files`: table -> its sha256, size and rows."""

    version: str
    buckets: list[Bucket]
    parts: list[RecordsPart]
    cluster: str
    shards: list[str]
    files: dict[str, dict[str, Any]]
    format: str = FORMAT


def file_name(table: str) -> str:
    """Where a table lies, from the version's folder."""
    return f"{FOLDER}/{table}.arrow"


def url_key(url: str) -> bytes:
    """BLAKE2b, 128 bits, of the page that a URL names: equal for http and https, with `www.` and without, with a final
    slash and without (`pipeline.text.url_parts.page_of`)."""
    return page_key(page_of(url))


def page_key(page: str) -> bytes:
    """`url_key` of the URLs of a page, by what `page_of` gives of them."""
    return hashlib.blake2b(page.encode(), digest_size=ID_BYTES).digest()


def limits_of(described: Manifest) -> list[dict[str, Any]]:
    """The Limits as Judge counted them (the fields of a recipe's entry), in order; of datatrove's filters those that
    drop by a verdict, with the column of the measures that holds it."""
    return list(_limits(described))


def _limits(described: Manifest) -> Iterator[dict[str, Any]]:
    filters = {name for failed in described.counts.get("failed", {}).values() for name in failed}
    n_classes = 0
    for step in described.recipe.get("steps") or ():
        if step["type"] == "limit":
            yield step
        elif step["type"] == "datatrove":
            if step["name"] in filters:
                yield {**step, "measure": f"{VERDICT_PREFIX}{n_classes}", "one_of": [""]}
            n_classes += 1
