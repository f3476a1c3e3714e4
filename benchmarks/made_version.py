"""A version of any number of records, made up: its Parts, manifest and shards have the form of a run's.

Half of the records are documents, and each Limit of the shipped recipe drops some of them. Texts are a few words, since
nothing here reads them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import versions
from pipeline.assembly import shortened
from pipeline.dedup.cluster import CLUSTERED
from pipeline.document import DECISION, DOCUMENT, FATE, ID_TYPE, RAW_DOCUMENT
from pipeline.files import PartStore, PartWriter
from pipeline.manifest import CellTotals, Counts, DataFile, Manifest, MixtureRow
from pipeline.measures import PAGE_COUNTS
from pipeline.recipe import Recipe, load_recipe
from pipeline.shards import ShardMeta, write_shard
from pipeline.steps.limits import judge
from pipeline.steps.options import Limit
from pipeline.steps.presets import expand, resolved

PART_RECORDS = 100_000
SEQ_LEN, DOCUMENT_TOKENS = 255, 64
FATES = ("look_language", "look_n_words", "not_a_response", "http_status", "not_html", "url_denied_word")
RECIPE = Path(__file__).parents[1] / "recipes" / "commoncrawl.yaml"

Rng = np.random.Generator


def make(output: Path, n_records: int, dedup: float = 0.2) -> Path:
    """Write a dataset with one version below `output`; the version's folder. `dedup`: share of the documents inside all
    Limits that are copies of another one of their Part."""
    recipe = load_recipe(RECIPE, ["name=made"])
    store = PartStore(str(output / recipe.name))
    rows: list[dict[str, str]] = []
    packed: list[str] = []
    counts = Counts()
    clusters = PartWriter(store, "cluster", _key("cluster", 0), "all", {"inputs": ["", [], []]})
    for place in range(-(-n_records // PART_RECORDS)):
        n = min(PART_RECORDS, n_records - place * PART_RECORDS)
        keys = {stage: _key(stage, place) for stage in ("extract", "measure", "judge", "select")}
        counts = counts + _make_part(recipe, store, place, n, keys, clusters, dedup)
        packed.append(_key("pack", place))
        rows.append(keys)
    clusters.commit()
    tokenizer = PartWriter(store, "tokenizer", _key("tokenizer", 0), "all", {"inputs": []})
    tokenizer.write("tokenizer.model", lambda path: _write(path, b"none"), 0)
    tokenizer.commit()
    inputs = [_key("cluster", 0), [row["select"] for row in rows], [], _key("tokenizer", 0), packed]
    files, origins = _files(store, rows, packed)
    n_rows = sum(file.rows for file in files if file.kind == "shard")
    described = Manifest(
        name=recipe.name,
        sources=["web"],
        recipe=recipe.model_dump(mode="json")
        | {"steps": [step.model_dump(mode="json") for step in resolved(recipe.steps)]},
        libraries={},
        assets={},
        inputs=[],
        files=files,
        counts=shortened(counts),
        histograms={},
        tokenizer={"path": "tokenizer/tokenizer.model"},
        packing={"seq_len": SEQ_LEN, "dtype": "uint16"},
        cells=[CellTotals("web", "train", n_rows, n_rows * (SEQ_LEN + 1), counts["documents"]["web"], 0)],
        mixture=[MixtureRow("web", 1.0, 1.0, n_rows, n_rows, n_rows * (SEQ_LEN + 1), 1.0)],
    )
    versions.publish(store.dataset, described, origins, {})
    out = PartWriter(store, "describe", _key("describe", 0), "all", {"inputs": inputs})
    out.facts["version"] = described.version
    out.commit()
    return Path(store.dataset.path(described.version))


def _key(stage: str, place: int) -> str:
    return hashlib.sha256(f"{stage} {place}".encode()).hexdigest()[:32]


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _make_part(
    recipe: Recipe, store: PartStore, place: int, n: int, keys: dict[str, str], clusters: PartWriter, dedup: float
) -> Counts:
    rng = np.random.default_rng(place)
    ids = pa.array(np.sort(rng.integers(0, 256, (n, 16), np.uint8).view("V16").reshape(-1)).tolist(), ID_TYPE)
    numbers = pa.array(place * PART_RECORDS + rng.permutation(n)).cast(pa.string())
    sites = pa.array(rng.integers(0, 1000, n)).cast(pa.string())
    where = {
        "id": ids,
        "source": _same("web", n),
        "path": _same(f"segments/made/warc/part-{place:05d}.warc.gz", n),
        "offset": pa.array(rng.permutation(n) * 20_000),
        "url": _joined("https://site-", sites, ".example/articles/", numbers),
    }
    records = pa.table(where)
    is_document = pa.array(rng.random(n) < 0.5)
    documents = records.filter(is_document)
    fates = records.filter(pc.invert(is_document))
    fate = pa.array(np.array(FATES, object)[rng.integers(0, len(FATES), len(fates))], pa.string())
    _commit(store, "extract", keys["extract"], {
        "documents.parquet": _fill(documents.append_column("text", _text(len(documents))), RAW_DOCUMENT),
        "fates.parquet": _fill(fates.append_column("fate", fate), FATE),
        "looks.parquet": _looks(recipe, ids, rng),
    })  # fmt: skip
    limits = expand(recipe.steps)[1]
    measures = _measures(limits, documents, rng)
    _commit(store, "measure", keys["measure"], {"measures.parquet": measures})
    judged = judge(measures, limits)
    _commit(store, "judge", keys["judge"], {"decisions.parquet": judged})
    found = _clustered(judged, rng, dedup)
    clusters.write_table(f"clusters-{place:05d}.parquet", found)
    at = pc.index_in(documents["id"], found["id"])
    reason = pc.if_else(
        pc.equal(judged["drop_reason"], ""), pc.fill_null(found["reason"].take(at), ""), judged["drop_reason"]
    )
    decided = documents.append_column("reason", reason).append_column("similarity", found["similarity"].take(at))
    for name in ("survivor", "cluster"):
        decided = decided.append_column(name, pc.coalesce(found[name].take(at), documents["id"]))
    rest = (
        fates.append_column("reason", fate).append_column("survivor", fates["id"]).append_column("cluster", fates["id"])
    )
    decisions = pa.concat_tables([_fill(decided, DECISION), _fill(rest, DECISION)]).sort_by("id")
    kept = documents.filter(pc.equal(reason, ""))
    some = kept["id"].take(pa.array(np.flatnonzero(rng.random(len(kept)) < 0.05)))
    replaced = {"id": some, "kind": _same("email", len(some)), "count": np.full(len(some), 2)}
    _commit(store, "select", keys["select"], {
        "documents.parquet": _fill(kept.append_column("text", _text(len(kept))), DOCUMENT),
        "decisions.parquet": decisions,
        "replacements.parquet": pa.table(replaced),
    }, {"inputs": [{stage: keys[stage] for stage in ("extract", "measure", "judge")}]})  # fmt: skip
    pack = PartWriter(store, "pack", _key("pack", place), "web:made", {"inputs": [[keys["select"]], ""]})
    if len(kept):
        blocks, meta = _blocks(kept["id"], rng), ShardMeta("web", "train", SEQ_LEN, 0, "none")
        pack.write("train-web-00000.arrow", lambda path: _shard(path, blocks, meta), -(-len(kept) // 4))
    pack.commit()
    counts = Counts()
    for name, number in (("records", n), ("extracted", len(documents)), ("documents", len(kept))):
        counts.add(name, "web", n=number)
    for name, values in (("fates", fate), ("dropped", reason.filter(pc.not_equal(reason, "")))):
        for each in pc.value_counts(values).to_pylist():
            counts.add(name, "web", each["values"], n=each["counts"])
    return counts


def _commit(
    store: PartStore, stage: str, key: str, tables: dict[str, pa.Table], ingredients: dict[str, Any] | None = None
) -> None:
    out = PartWriter(store, stage, key, "web:made", ingredients or {"inputs": []})
    for name, table in tables.items():
        out.write_table(name, table)
    out.commit()


def _same(value: str, n: int) -> pa.Array:
    return pa.array(np.full(n, value, object), pa.string())


def _joined(*parts: str | pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _text(n: int) -> pa.Array:
    return pa.array(np.full(n, "some words of a page", object), pa.large_string())


def _fill(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of a schema; what is not known is empty."""
    empty = {pa.string(): "", ID_TYPE: b"\0" * 16, pa.int32(): 1}
    for field in schema:
        if field.name not in table.column_names:
            value = None if field.nullable else empty[field.type]
            table = table.append_column(field, pa.repeat(pa.scalar(value, field.type), len(table)))
    return table.select(schema.names).cast(schema)


def _drawn(name: str, n: int, rng: Rng, limits: Iterable[Limit] = ()) -> npt.NDArray[Any]:
    """Values of a measure, one in thirty outside the Limits on it."""
    if name == "language":
        return np.where(rng.random(n) < 0.9, "en", "de").astype(object)
    own = [limit for limit in limits if limit.measure == name]
    low = max((limit.min for limit in own if limit.min is not None), default=0.0)
    high = min((limit.max for limit in own if limit.max is not None), default=low * 10 + 1)
    values = low + (high - low) * rng.uniform(0.02, 0.98, n)
    is_outside = rng.random(n) < 1 / 30
    values[is_outside] = high + 1 if any(limit.max is not None for limit in own) else low / 2
    return np.round(values, 3)


def _looks(recipe: Recipe, ids: pa.Array, rng: Rng) -> pa.Table:
    n = len(ids)
    counted = {name: _drawn(name, n, rng).astype(np.int64) for name in PAGE_COUNTS}
    return pa.table(
        {"id": ids, **counted, **{look.measure: _drawn(look.measure, n, rng) for look in recipe.extract.bounds}}
    )


def _measures(limits: Sequence[Limit], documents: pa.Table, rng: Rng) -> pa.Table:
    wanted = dict.fromkeys(
        ["language", "language_score", "n_chars", "kept_n_chars", *(limit.measure for limit in limits)]
    )
    drawn = {name: _drawn(name, len(documents), rng, limits) for name in wanted}
    return pa.table({"id": documents["id"], "source": documents["source"], **drawn})


def _clustered(judged: pa.Table, rng: Rng, share: float) -> pa.Table:
    """Pairs of documents inside all Limits; the first of each survives."""
    passed = judged["id"].filter(pc.equal(judged["drop_reason"], ""))
    n = int(len(passed) * share)
    first, copy = passed[:n], passed[n : 2 * n]
    alike = pa.array(np.round(0.7 + 0.3 * rng.random(n), 4), pa.float32())
    shared = {"cluster": first, "survivor": first, "size": pa.repeat(pa.scalar(2, pa.int32()), n)}
    one = pa.table({"id": first, **shared, "reason": _same("", n), "similarity": pa.nulls(n, pa.float32())})
    other = pa.table({"id": copy, **shared, "reason": _same("near_duplicate", n), "similarity": alike})
    schema = CLUSTERED.remove(CLUSTERED.get_field_index("part"))
    return pa.concat_tables([one.cast(schema), other.cast(schema)]).sort_by("id")


def _blocks(ids: pa.ChunkedArray, rng: Rng) -> Iterator[Any]:
    """Four documents a row, in an order of no note."""
    raw = np.frombuffer(b"".join(ids.to_pylist()), np.uint8).reshape(-1, 16)
    raw = raw[rng.permutation(len(raw))]
    for start in range(0, len(raw), 4 * 256):
        own = raw[start : start + 4 * 256]
        offsets = np.append(np.arange(0, len(own), 4), len(own)).astype(np.int64)
        tokens = rng.integers(1, 8000, (len(offsets) - 1, SEQ_LEN + 1)).astype(np.uint16)
        lengths = np.full(len(own), DOCUMENT_TOKENS, np.int32)
        yield tokens, offsets, lengths, np.zeros(len(own), np.int64), own


def _shard(path: Path, blocks: Iterator[Any], meta: ShardMeta) -> None:
    write_shard(path, blocks, meta)


def _files(store: PartStore, rows: list[dict[str, str]], packed: list[str]) -> tuple[list[DataFile], list[str]]:
    files, origins = [], []
    for place, (row, key) in enumerate(zip(rows, packed, strict=True)):
        made_from = []
        for kind in ("documents", "decisions"):
            file = store.marker("select", row["select"]).file(f"{kind}.parquet")
            path = f"{kind}/web-{place:05d}.parquet"
            made_from.append(path)
            files.append(DataFile(path, kind, file.sha256, file.size, file.rows, source="web"))
            origins.append(f"select/{row['select']}/{file.name}")
        for file in store.marker("pack", key).files:
            path = f"shards/train/web-{place:05d}.arrow"
            about = {"cell": "web", "split": "train", "made_from": tuple(made_from)}
            files.append(DataFile(path, "shard", file.sha256, file.size, file.rows, **about))
            origins.append(f"pack/{key}/{file.name}")
    return files, origins
