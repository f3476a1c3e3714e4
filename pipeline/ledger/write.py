"""Parts of a version -> its ledger. The rows of one Part are held at a time, and what `Sorter` holds."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.document import ID_TYPE
from pipeline.files import Folder, PartStore, fault
from pipeline.ledger.layout import (
    DROPPED,
    FOLDER,
    KEPT,
    LEDGER,
    MAX_VALUE_CHARS,
    NO_DOCUMENT,
    TABLES,
    Bucket,
    Contents,
    RecordsPart,
    file_name,
    limits_of,
    page_key,
    url_key,
)
from pipeline.ledger.tables import Sorter
from pipeline.manifest import Manifest, canonical_json
from pipeline.measures import LOOK_PREFIX
from pipeline.shards import open_shard
from pipeline.text.url_parts import MAX_HOST_CHARS

_PLAIN = r"^https?://[a-z0-9-]+([.][a-z0-9-]+)+(/[A-Za-z0-9/._~!$&'()*+,;=:?-]*)?$"
"""URLs that `page_of` changes at the front and at the end only."""
DECIDED = ["id", "url", "reason", "survivor", "cluster", "similarity"]


def write_ledger(
    version: Folder, described: Manifest, parts: Sequence[RecordsPart], cluster: str, store: PartStore
) -> int:
    """Write the ledger of a published version, in place of any that is there; how many records it has.

    What is no longer in `store` is left out: without the measures of a Part, say, its records have no values.

    Raises:
        FileNotFoundError: the decisions of a Part are neither in the store nor in the version.
        DamagedError, ShardError: a file is not what its marker says.
    """
    folder = version.child(FOLDER)
    folder.remove_aside()
    if folder.exists(LEDGER):
        folder.fs.rm_file(folder.path(LEDGER))
    limits = limits_of(described)
    buckets: dict[Bucket, int] = {}
    with tempfile.TemporaryDirectory(prefix="gristmill-") as scratch:
        sorters = {name: Sorter(schema, Path(scratch), name) for name, schema in TABLES.items()}
        for place, part in enumerate(parts):
            decided = _decisions(version, part, store)
            found = _found(part, store, limits, decided)
            own = _buckets(described, part, decided, found.pop("documents"), buckets)
            sorters["records"].add(_records(place, decided, own, list(found.values())))
            sorters["urls"].add(_urls(decided))
            sorters["clusters"].add(_clusters(decided))
        shards = sorted(file.path for file in described.files if file.kind == "shard")
        for place, path in enumerate(shards):
            for table in _pieces(version, path, place):
                sorters["pieces"].add(table)
        files: dict[str, dict[str, Any]] = {}
        for name, sorter in sorters.items():
            sha256, size = version.commit(file_name(name), sorter.write)
            files[name] = {"sha256": sha256, "size": size, "rows": sorter.rows}
            fault("ledger:file")
    contents = Contents(described.version, list(buckets), list(parts), cluster, shards, files)
    folder.commit_bytes(LEDGER, canonical_json(asdict(contents)))
    return sorters["records"].rows


def _decisions(version: Folder, part: RecordsPart, store: PartStore) -> pa.Table:
    key = part.keys.get("select", "")
    if key and store.is_done("select", key):
        return store.table("select", key, "decisions.parquet", DECIDED)
    if not part.decisions:
        raise FileNotFoundError(f"{version.url}: its Parts are gone, and it has no decisions (keep.fates is false)")
    return version.read_table(part.decisions, DECIDED)


def _found(
    part: RecordsPart, store: PartStore, limits: Sequence[Mapping[str, Any]], decided: pa.Table
) -> dict[str, Any]:
    """What the Parts say: `documents`, the ids of extracted documents (None if they are gone), and columns of values
    for the rows of `decided`, as strings, null where a row has none."""
    keys = {stage: key for stage, key in part.keys.items() if store.is_done(stage, key)}
    found: dict[str, Any] = {"documents": None, "alike": decided["similarity"].cast(pa.string())}
    if "extract" in keys:
        fates = store.table("extract", keys["extract"], "fates.parquet", ["id", "detail"])
        detail = pc.if_else(pc.equal(fates["detail"], ""), None, fates["detail"])
        found["detail"] = detail.take(pc.index_in(decided["id"], fates["id"]))
        found["look"] = _looked(store, keys["extract"], decided)
    if "judge" in keys and "measure" in keys:
        judged = store.table("judge", keys["judge"], "decisions.parquet", ["id", "failed"])
        found["documents"] = judged["id"]
        found["limit"] = _failed(store, keys["measure"], limits, judged, decided)
    return found


def _looked(store: PartStore, key: str, decided: pa.Table) -> pa.ChunkedArray | pa.Array:
    """The measure of each record that a look dropped."""
    values = pa.nulls(decided.num_rows, pa.string())
    if "looks.parquet" not in (file.name for file in store.marker("extract", key).files):
        return values
    looks = store.table("extract", key, "looks.parquet")
    at = pc.index_in(decided["id"], looks["id"])
    for name in looks.column_names[1:]:
        is_own = pc.equal(decided["reason"], LOOK_PREFIX + name)
        values = pc.if_else(is_own, looks[name].cast(pa.string()).take(at), values)
    return values


def _failed(
    store: PartStore, key: str, limits: Sequence[Mapping[str, Any]], judged: pa.Table, decided: pa.Table
) -> pa.ChunkedArray | pa.Array:
    """The measure of the Limit that dropped each document."""
    lists = judged["failed"].combine_chunks()
    parents, places = (np.asarray(part) for part in (pc.list_parent_indices(lists), pc.list_flatten(lists)))
    first = np.full(len(lists), -1)
    first[parents[::-1]] = places[::-1]
    at = pc.index_in(decided["id"], judged["id"])
    used = np.unique(first[first >= 0]).tolist()
    values = pa.nulls(judged.num_rows, pa.string())
    columns = list(dict.fromkeys(limits[place]["measure"] for place in used))
    measures = store.table("measure", key, "measures.parquet", ["id", *columns])
    for place in used:
        column = measures[limits[place]["measure"]].cast(pa.string())
        values = pc.if_else(pa.array(first == place), column, values)
    # A removal on request, or no text left, is not the Limit's doing.
    names = pa.array([*(limit["name"] for limit in limits), ""])
    named = names.take(pa.array(np.where(first < 0, len(limits), first)))
    is_own = pc.equal(decided["reason"], named.take(at))
    return pc.if_else(pc.fill_null(is_own, False), values.take(at), None)


def _buckets(
    described: Manifest,
    part: RecordsPart,
    decided: pa.Table,
    documents: pa.ChunkedArray | None,
    buckets: dict[Bucket, int],
) -> npt.NDArray[np.uint16]:
    """The bucket of each record; new ones are added to `buckets`. A Limit may be called as a fate is: where it is not
    known which records became documents, such a name counts as the Limit's."""
    reasons = decided["reason"].combine_chunks().dictionary_encode()
    if documents is not None:
        is_document = np.asarray(pc.is_in(decided["id"], value_set=documents.combine_chunks()))
    else:
        dropped = {*described.counts.get("dropped", {}).get(part.source, {}), ""}
        is_document = np.asarray(pc.is_in(decided["reason"], value_set=pa.array(sorted(dropped))))
    own = np.asarray(reasons.indices).astype(np.int64) * 2 + is_document
    codes = np.zeros(len(own), np.uint16)
    for value in np.unique(own).tolist():
        reason = reasons.dictionary[value // 2].as_py()
        kind = NO_DOCUMENT if not value % 2 else DROPPED if reason else KEPT
        codes[own == value] = buckets.setdefault(Bucket(kind, reason), len(buckets))
    return codes


def _records(place: int, decided: pa.Table, own: npt.NDArray[np.uint16], values: Sequence[Any]) -> pa.Table:
    n = decided.num_rows
    columns = [
        decided["id"],
        pa.array(np.full(n, place, np.uint32)),
        pa.array(own),
        pc.utf8_slice_codeunits(pc.coalesce(*values), 0, MAX_VALUE_CHARS),
    ]
    return pa.table(columns, TABLES["records"].names).cast(TABLES["records"])


def _urls(decided: pa.Table) -> pa.Table:
    stated = decided.filter(pc.not_equal(decided["url"], ""))
    return pa.table([url_keys(stated["url"]), stated["id"]], TABLES["urls"].names).cast(TABLES["urls"])


def url_keys(urls: pa.ChunkedArray) -> pa.Array:
    """`url_key` of each URL. Most are spelled plainly, and their pages are found a column at a time."""
    is_plain = pc.and_(pc.match_substring_regex(urls, _PLAIN), pc.less(pc.binary_length(urls), MAX_HOST_CHARS))
    pages = pc.utf8_rtrim(pc.replace_substring_regex(urls, "^https?://(www[.])?", ""), "/")
    rows = zip(urls.to_pylist(), pages.to_pylist(), is_plain.to_pylist(), strict=True)
    return pa.array([page_key(page) if plain else url_key(url) for url, page, plain in rows], ID_TYPE)


def _clusters(decided: pa.Table) -> pa.Table:
    own = pc.and_(pc.equal(decided["id"], decided["cluster"]), pc.equal(decided["id"], decided["survivor"]))
    names = TABLES["clusters"].names
    return decided.filter(pc.invert(own)).select(names).cast(TABLES["clusters"])


def _pieces(version: Folder, path: str, place: int) -> Iterator[pa.Table]:
    """Where the pieces of a shard are, a record batch at a time; tokens are not read."""
    with _here(version, path) as local:
        row = 0
        for batch in open_shard(local).batches():
            counts = np.diff(batch.offsets)
            n = int(counts.sum())
            ids = np.ascontiguousarray(batch.ids[batch.id_offsets[0] : batch.id_offsets[-1]])
            columns = [
                pa.Array.from_buffers(ID_TYPE, n, [None, pa.py_buffer(ids)]),
                pa.array(np.full(n, place, np.uint32)),
                pa.array(np.repeat(np.arange(row, row + len(counts), dtype=np.uint32), counts)),
                pa.array(batch.starts[batch.start_offsets[0] : batch.start_offsets[-1]]),
                pa.array(batch.lengths[batch.offsets[0] : batch.offsets[-1]]),
            ]
            yield pa.Table.from_arrays(columns, schema=TABLES["pieces"])
            row += len(counts)


@contextmanager
def _here(folder: Folder, name: str) -> Iterator[Path]:
    """A file of a folder on this machine: itself, or a copy of a store's."""
    if folder.is_local:
        yield Path(folder.path(name))
        return
    with tempfile.NamedTemporaryFile(prefix="gristmill-") as copy:
        folder.fs.get_file(folder.path(name), copy.name)
        yield Path(copy.name)


def parts_of(
    rows: Iterable[Mapping[str, str]], published: Mapping[str, str], sources: Iterable[str]
) -> list[RecordsPart]:
    """The Parts of a version's records.

    Args:
        rows: the keys of each Extract Part and of what was made from it, by stage.
        published: committed file (below `work/`) -> the file of the version that it is.
        sources: of each of `rows`.
    """
    return [
        RecordsPart(
            source,
            published.get(f"select/{row['select']}/documents.parquet", ""),
            published.get(f"select/{row['select']}/decisions.parquet", ""),
            {stage: row[stage] for stage in ("extract", "measure", "judge", "select")},
        )
        for row, source in zip(rows, sources, strict=True)
    ]
