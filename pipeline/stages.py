"""The corridor: the walk of one document from archive to shard, top to bottom.

Each function runs one Part of its stage: it reads committed Parts of earlier stages (or raw slices), hands the result
of one room to the next, and writes tables sorted by id and counts. `STAGE_FUNCTIONS` lists them in order.
"""

import atexit
import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import assembly, manifest, shards, versions
from pipeline.card import sampling
from pipeline.card.cost import add_up
from pipeline.card.markdown import renderings
from pipeline.dedup.cluster import cluster as cluster_documents
from pipeline.dedup.keys import keys_of, signature_column, signed_schema
from pipeline.dedup.lines import Scoped, count_lines, is_repeated, key_ranges, look_up, merge_lines, scoped
from pipeline.dedup.match import KEY_SPACE
from pipeline.dedup.match import match as match_keys
from pipeline.dedup.options import BestBy, Repeat, needs_shingles
from pipeline.dedup.parts import SignedPart
from pipeline.dedup.signatures import DTYPES, distinct_shingles, exact_hash, page_hash, signatures
from pipeline.dedup.stored import stored_parts
from pipeline.document import (
    DECISION,
    DOCUMENT,
    FATE,
    ID_TYPE,
    RAW_DOCUMENT,
    SIGNATURE_COLUMNS,
    document_id,
    fixed_bytes,
    one_array,
    sorted_table,
)
from pipeline.extract.charset import decode
from pipeline.extract.options import ExtractOptions
from pipeline.extract.textform import text_form
from pipeline.extract.verdicts import Verdicts
from pipeline.extract.worker import Extractor
from pipeline.files import DamagedError, Folder, PartStore, PartWriter
from pipeline.ledger.write import parts_of, write_ledger
from pipeline.leftovers import lineage
from pipeline.measures import (
    KEPT_PREFIX,
    LANGUAGE_STOPS,
    LOOK_PREFIX,
    MEASURES,
    PAGE_COUNTS,
    QUALITY_PREFIX,
    VERDICT_PREFIX,
    quality_measure,
)
from pipeline.mixture.plan import plan as plan_mixture
from pipeline.packing import cells, concat
from pipeline.packing import pack as packing
from pipeline.packing.held_out import is_held_out
from pipeline.plan import LANGUAGE_MODEL, QUALITY_MODELS, STAGES, Part, all_libraries
from pipeline.recipe import Recipe
from pipeline.sources.digest import slice_digest
from pipeline.sources.items import read_items
from pipeline.sources.read import read
from pipeline.sources.record import FATES_OF_KINDS, Record, Slice
from pipeline.steps.limits import JUDGED, applies
from pipeline.steps.limits import judge as judge_limits
from pipeline.steps.model_files import find
from pipeline.steps.options import OVERLAP_RULE, CountedStep, DatatroveStep, Limit, LineStep
from pipeline.steps.overlap import Benchmarks, totals
from pipeline.steps.overlap_options import OverlapOptions
from pipeline.steps.pii.scrubber import Ordinals, Scrubber
from pipeline.steps.predictor import Predictor
from pipeline.steps.presets import count_group, counted_steps, expand, requested, resolved
from pipeline.steps.removals import COPY_OF_REMOVED, REMOVED, Removals, without_copies
from pipeline.steps.sites import sites
from pipeline.steps.url import UrlRules
from pipeline.text.chunks import measure_chunks, removed_word_fraction
from pipeline.text.line_hashes import Lines, hash_lines, joined, spans_without
from pipeline.text.line_rules import mark_lines
from pipeline.text.markup import count_markup
from pipeline.text.scan import measure_texts
from pipeline.text.shingles import shingle_hashes
from pipeline.text.spans import apply_spans, compose_spans
from pipeline.text.stop_words import count_stop_words
from pipeline.text.url_parts import host_of
from pipeline.text.word_counts import Run, merge_counts
from pipeline.text.words import count_words
from pipeline.tokenizer import vocab
from pipeline.tokenizer.encode import encode_documents
from pipeline.tokenizer.given import read_model
from pipeline.tokenizer.stored import stored_vocab
from pipeline.tokenizer.train import TokenizerError, train

BATCH_RECORDS, BATCH_RECORD_BYTES = 512, 32_000_000  # extracted at a time; they bound memory and change no byte
LOOK_LANGUAGE_CHARS = 2_000  # of what a page shows: on 3,655 real pages as good as 10,000, in a third of the time
LANGUAGE_MEASURES = ("language", "language_score")
BATCH_DOCUMENTS = 2048  # documents measured at a time; bounds memory, changes no byte
PIECE_COUNTS = "piece-counts.i64"  # how often training tokens are each id, little-endian int64; no file of a version
LENGTH_BINS = 64  # of document lengths in powers of two; an int64 has no more


ON_RECORD: ContextVar[Callable[[Record], None]] = ContextVar("ON_RECORD", default=lambda record: None)
"""Is given each record before Extract works on it: a worker that is killed leaves word where."""


# -- 1. Extract: record -> URL rules -> encoding -> main text ----------------------------------------------------------


def extract(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Read raw slices; write `documents.parquet` (RAW_DOCUMENT) and `fates.parquet` (FATE), one row a record in all; of
    pages also `looks.parquet`, what the looks found."""
    rules = UrlRules(recipe.url, part.work["lists"])
    documents: list[tuple[Any, ...]] = []
    fates: list[tuple[Any, ...]] = []
    looks, looked = list[tuple[Any, ...]](), _looks_schema(recipe)
    digests: list[dict[str, Any]] = []
    extractor = _extractor(recipe.extract.model_dump_json())
    extractor.verdicts = Verdicts(store.dataset, _conditions(recipe, part))
    for fields in part.work["slices"]:
        piece = Slice(**fields)
        source = recipe.sources[piece.source]
        for batch in _batches(read(source, piece, recipe.extract.max_page_bytes)):
            _to_documents(recipe, part.work["models"], batch, rules, extractor)
            for record in batch:
                key = document_id(piece.source, record.path, record.offset)
                where = (key, piece.source, record.path, record.offset, record.url)
                if record.looks:
                    looks.append((key, *(record.looks.get(name) for name in looked.names[1:])))
                if record.fate:
                    fates.append((*where, record.fate, record.detail))
                else:
                    stated = (record.canonical_url, record.title, record.date, record.published)
                    licence = record.licence or source.licence
                    by = (record.declared_language, record.extractor)
                    documents.append((*where, *stated, licence, *by, record.text))
        span = {"source": piece.source, "path": piece.path, "start": piece.start, "end": piece.end}
        digests.append({**span, "sha256": slice_digest(piece)})
    document_table, fate_table = sorted_table(documents, RAW_DOCUMENT), sorted_table(fates, FATE)
    _check_unique_ids(pa.concat_arrays([*document_table["id"].chunks, *fate_table["id"].chunks]), part)
    name = part.work["slices"][0]["source"]
    out.counts.add("records", name, n=len(documents) + len(fates))
    out.counts.add("extracted", name, n=len(documents))
    _count_values(out, "fates", name, fate_table["fate"])
    kinds = fate_table.filter(pc.is_in(fate_table["fate"], pa.array(FATES_OF_KINDS)))
    _count_values(out, "fate_kinds", name, pc.binary_join_element_wise(kinds["fate"], kinds["detail"], ": "))
    out.facts["inputs"] = digests
    out.write_table("documents.parquet", document_table)
    out.write_table("fates.parquet", fate_table)
    if looks:
        out.write_table("looks.parquet", sorted_table(looks, looked))


def _looks_schema(recipe: Recipe) -> pa.Schema:
    """`id`, what the first look counts, and the measures of the second: null of a page that an earlier look dropped."""
    kinds = {"number": pa.float64(), "word": pa.string()}
    asked = {look.measure: kinds[MEASURES[look.measure].kind] for look in recipe.extract.bounds}
    return pa.schema({"id": ID_TYPE, **dict.fromkeys(PAGE_COUNTS, pa.int64()), **asked})


@cache
def _extractor(options_json: str) -> Extractor:
    """One guarded child for all Parts of a process."""
    found = Extractor(ExtractOptions.model_validate_json(options_json))
    atexit.register(found.stop)
    return found


def _conditions(recipe: Recipe, part: Part) -> str:
    """What decides how an extraction ends, besides the page and the machine."""
    options = recipe.extract.model_dump(mode="json", exclude={"looks"})
    return manifest.digest({"extract": options, "libraries": part.ingredients["libraries"]})


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records in order, a few hundred together, of bounded size."""
    batch: list[Record] = []
    n_bytes = 0
    for record in records:
        batch.append(record)
        n_bytes += len(record.html or "") + len(record.text or "")
        if len(batch) >= BATCH_RECORDS or n_bytes >= BATCH_RECORD_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _to_documents(
    recipe: Recipe, models: Mapping[str, Mapping[str, str]], batch: list[Record], rules: UrlRules, extractor: Extractor
) -> None:
    """Turn pages into text in place, or give records their fates: by address, bytes, what shows, or extraction."""
    addressed = _open(batch)
    urls = pa.array([record.url.encode("utf-8", "replace") for record in addressed], pa.large_binary())
    for record, fate in zip(addressed, rules.check_all(urls.cast(pa.large_string())).to_pylist(), strict=True):
        record.fate = fate
    pages = [
        (record, decode(record.html, record.charset)[0].encode("utf-8", "replace"))
        for record in _open(batch)
        if record.html is not None
    ]
    _look_at_bytes(recipe.extract, pages)
    _look_at_what_shows(recipe, models, pages, extractor)
    for record, page in pages:
        if not record.fate:
            ON_RECORD.get()(record)
            found = extractor.extract(page, record.url)
            record.fate, record.detail, record.text = found.fate, found.detail, found.text
            record.extractor = recipe.extract.extractor
            record.title = found.facts.title or record.title
            record.licence = found.facts.licence or record.licence
            record.published, record.canonical_url = found.facts.date, found.facts.canonical_url
            record.declared_language = found.facts.declared_language or record.declared_language
        record.html = None
    for record in _open(batch):
        ON_RECORD.get()(record)
        record.text = text_form(record.text or "")
        record.fate = "" if record.text.strip() else "no_text"
    for record in batch:
        record.url, record.title = text_form(record.url), text_form(record.title)
        record.canonical_url = text_form(record.canonical_url)


def _open(batch: Iterable[Record]) -> list[Record]:
    """The records that have no fate yet."""
    return [record for record in batch if not record.fate]


def _look_at_bytes(options: ExtractOptions, pages: list[tuple[Record, bytes]]) -> None:
    """The first look: bounds on the bytes of a page and on its markup, which no parser has seen yet."""
    n_tags, depths = count_markup(pa.array([page for _, page in pages], pa.large_binary()).cast(pa.large_string()))
    for (record, _), tags, depth in zip(pages, n_tags.tolist(), depths.tolist(), strict=True):
        record.looks = dict(zip(PAGE_COUNTS, (len(record.html or ""), tags, depth), strict=True))
        if len(record.html or "") < options.min_page_bytes:
            record.fate, record.detail = "page_too_small", f"under {options.min_page_bytes} bytes"
        elif tags > options.max_tags:
            record.fate, record.detail = "page_too_many_tags", f"over {options.max_tags}"
        elif depth > options.max_depth:
            record.fate, record.detail = "page_too_deep", f"over {options.max_depth}"


def _look_at_what_shows(
    recipe: Recipe, models: Mapping[str, Mapping[str, str]], pages: list[tuple[Record, bytes]], extractor: Extractor
) -> None:
    """The second look: measures of all text that a page shows, by a parser ten times as fast as an extraction."""
    looks = tuple(
        Limit(name=LOOK_PREFIX + look.measure, **look.model_dump(exclude_unset=True)) for look in recipe.extract.bounds
    )
    seen: list[tuple[Record, str]] = []
    for record, page in pages if looks else ():
        if not record.fate:
            ON_RECORD.get()(record)
            found = extractor.visible(page, record.url)
            record.fate, record.detail = found.fate or ("" if found.text.strip() else "no_text"), found.detail
            seen += [(record, text_form(found.text))] * (not record.fate)
    by_model = [look for look in looks if look.measure in LANGUAGE_MEASURES]
    by_scan = [look for look in looks if look not in by_model]
    if seen and by_model:
        texts = pa.array([text for _, text in seen], pa.large_string())
        max_chars = min(recipe.language.max_chars, LOOK_LANGUAGE_CHARS)
        labels, scores = _model(LANGUAGE_MODEL, **models[LANGUAGE_MODEL]).likeliest(texts, max_chars)
        _judge_looks(seen, {"language": labels, "language_score": scores}, by_model)
    seen = [(record, text) for record, text in seen if not record.fate]
    if seen and by_scan:
        texts = pa.array([text for _, text in seen], pa.large_string())
        _judge_looks(seen, measure_texts(texts, pa.nulls(len(texts), pa.list_(pa.int64())), False)[0], by_scan)


def _judge_looks(seen: list[tuple[Record, str]], columns: Mapping[str, Any], looks: list[Limit]) -> None:
    table = pa.table({"id": pa.nulls(len(seen), ID_TYPE), **columns})
    for name in {look.measure for look in looks}:
        for (record, _), value in zip(seen, table[name].to_pylist(), strict=True):
            record.looks[name] = value
    for (record, _), fate in zip(seen, judge_limits(table, tuple(looks))["drop_reason"].to_pylist(), strict=True):
        record.fate = fate


def _check_unique_ids(ids: pa.Array, part: Part) -> None:
    if len(pc.unique(ids)) != len(ids):
        raise assembly.CountsError(f"{part.label}: two records share a document id; a reader gave one offset twice")


# -- Lines and Repeats: how many documents hold a line; only in recipes with a step that asks --------------------------


def lines(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Read documents; write `lines.parquet` (LINE_COUNTS): how many of them hold each of their lines, by scope."""
    documents = store.table("extract", part.work["extract"], "documents.parquet", ["id", "source", "url", "text"])
    found = _lines_of(documents, part.work["min_words"])
    scopes = (_in_scopes(documents, found, group) for group in part.work["groups"])
    out.write_table("lines.parquet", count_lines(scopes, documents))


def repeats(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Read the lines of all documents in one range of keys; write `repeats-<number>.parquet` (LINE_COUNTS), by key:
    those that two documents or more hold."""
    keys, (place, n_places) = part.work["lines"], part.work["range"]
    n_rows = sum(store.marker("lines", key).file("lines.parquet").rows for key in keys)
    for number, (low, high) in enumerate(key_ranges(n_rows, place, n_places)):
        within = (pc.field("key") >= pa.scalar(low, pa.uint64())) & (pc.field("key") <= pa.scalar(high, pa.uint64()))
        runs = (store.table("lines", key, "lines.parquet", rows=within) for key in keys)
        out.write_table(f"repeats-{number:05d}.parquet", merge_lines(runs))


def _lines_of(documents: pa.Table, min_words: int) -> Lines:
    return joined([hash_lines(texts, min_words) for texts in documents["text"].chunks])


def _in_scopes(documents: pa.Table, found: Lines, group: Sequence[str]) -> Scoped:
    """Lines with their scopes, as a step counts them (`pipeline.steps.presets.count_group`)."""
    scopes = {
        "all": lambda: pa.array([""] * documents.num_rows, pa.string()),
        "source": lambda: one_array(documents["source"], pa.string()),
        "site": lambda: sites(documents["url"].to_pylist()),
    }
    return scoped(found.hashes, found.ends, group, scopes[group[0]]())


# -- 2. Measure: numbers of the extracted text and of its kept lines ---------------------------------------------------


def measure(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Read documents; write `measures.parquet` (one row a document with all measures and kept spans),
    `signatures.arrow` and `keys.parquet` (what its duplicates are found by).

    With datatrove steps also their verdicts, and `rewritten`: the text where it is another than the spans give. With
    benchmarks also `overlaps` and `kept_overlaps`: what the text, and its kept lines, hold of them.
    """
    if "earlier" in part.work:
        _sign_earlier(recipe, part, out)
        return
    named = ["title", "date", "licence"] if _has_classes(recipe) else []
    named += ["url"] if _has_classes(recipe) or part.work["repeats"] else []
    named += ["url", "canonical_url"] if recipe.dedup.url != "off" else []
    columns = dict.fromkeys(["id", "source", "text", *named])
    documents = store.table("extract", part.work["extract"], "documents.parquet", list(columns))
    models, benchmarks = part.work["models"], _benchmarks(recipe, part)
    marks = _repeated_lines(recipe, part, store, documents)
    tables = []
    for start in range(0, max(documents.num_rows, 1), BATCH_DOCUMENTS):
        batch = documents.slice(start, BATCH_DOCUMENTS).combine_chunks()
        own = [mark.of_documents(start, start + batch.num_rows) for mark in marks]
        tables.append(_measure_batch(recipe, models, benchmarks, batch, own, out))
    table = pa.concat_tables(tables)
    if table.num_rows:
        name = table["source"][0].as_py()
        for entry in (*MEASURES.values(), *map(quality_measure, recipe.quality_models)):
            if entry.kind == "number" and entry.name in table.column_names:
                edges = np.asarray(entry.edges, dtype=np.float64)
                values = table[entry.name].to_numpy()
                bins = np.searchsorted(edges, values, side="right")
                counted = np.bincount(bins, minlength=len(edges) + 1)
                out.counts.setdefault("histograms", {}).setdefault(entry.name, {})[name] = [int(n) for n in counted]
        _count_overlaps(out, name, table, "overlap")
    if benchmarks:
        out.facts["benchmarks"] = benchmarks.described()
    signed = signed_schema(recipe.dedup)
    _write_signatures(recipe, table.select(signed.names).cast(signed), out)
    out.write_table("measures.parquet", table.drop_columns(signed.names[1:]))


def _write_signatures(recipe: Recipe, signed: pa.Table, out: PartWriter) -> None:
    out.write_batch("signatures.arrow", signed)
    out.write_table("keys.parquet", keys_of(signed, recipe.dedup))


def _sign_earlier(recipe: Recipe, part: Part, out: PartWriter) -> None:
    """The same of a file of signatures of an earlier version."""
    file = part.work["earlier"]
    data = Folder(file["version"]).read(file["path"])
    if (found := hashlib.sha256(data).hexdigest()) != file["sha256"]:
        raise DamagedError(
            f"{part.label}: sha256 is {found}, the manifest says {file['sha256']}; get the version again"
        )
    signed = pa.ipc.open_file(data).read_all()
    schema = signed_schema(recipe.dedup)
    extra = [signed.schema.field(name) for name in SIGNATURE_COLUMNS]
    _write_signatures(
        recipe, signed.select([*schema.names, *SIGNATURE_COLUMNS]).cast(pa.schema([*schema, *extra])), out
    )


def _benchmarks(recipe: Recipe, part: Part) -> Benchmarks | None:
    """The benchmarks to look for, if the recipe names some."""
    files = part.work["benchmarks"]
    return _read_benchmarks(recipe.overlap.model_dump_json(), json.dumps(files)) if files else None


@cache
def _read_benchmarks(options_json: str, files_json: str) -> Benchmarks:
    """All items, read once a process."""
    options = OverlapOptions.model_validate_json(options_json)
    items: dict[str, list[list[str]]] = {}
    for name, files in json.loads(files_json).items():
        at = f"overlap.benchmarks.{name}"
        for file in files:
            path = find(file["path"], at, file["sha256"]).path
            read = read_items(path, file["path"], options.fields_of(name), at)
            items.setdefault(name, []).extend([text_form(string) for string in strings] for strings in read)
    return Benchmarks(items, options)


def _count_overlaps(out: PartWriter, name: str, documents: pa.Table, what: str) -> None:
    """Count what documents hold of benchmarks in their column `overlaps` (`what` is overlap) or `kept_overlaps`, if
    there is one. The items themselves are facts: those of two Parts may be the same."""
    for benchmark, *numbers, items in totals(documents[f"{what}s"]) if f"{what}s" in documents.column_names else ():
        for count, n in zip((f"{what}_documents", f"{what}_ngrams"), numbers, strict=True):
            out.counts.add(count, name, benchmark, n=n)
        out.facts.setdefault(f"{what}_items", {})[benchmark] = items


@dataclass(frozen=True, slots=True)
class _Marks:
    """Which lines of documents a step found repeated: bool [lines]."""

    step: CountedStep
    found: Lines
    is_repeated: npt.NDArray[np.bool_]

    def of_documents(self, start: int, stop: int) -> "_Marks":
        """Those of the documents from `start` to `stop`."""
        first, last = self.found.ends[[start, stop]]
        hashes, n_bytes = self.found.hashes[first:last], self.found.n_bytes[first:last]
        found = Lines(hashes, n_bytes, self.found.ends[start : stop + 1] - first)
        return _Marks(self.step, found, self.is_repeated[first:last])


def _repeated_lines(recipe: Recipe, part: Part, store: PartStore, documents: pa.Table) -> list[_Marks]:
    """For each step that counts the lines of this source, the lines of the Part's documents that it drops."""
    marks = []
    for step in counted_steps(recipe.steps, part.label.split(":")[0]):
        found = _lines_of(documents, step.min_words)
        names = ((key, file.name) for key in part.work["repeats"] for file in store.marker("repeats", key).files)
        tables = (store.table("repeats", key, name) for key, name in names)
        known = look_up(_in_scopes(documents, found, count_group(step)), documents, tables)
        dropped = is_repeated(known, step.min_documents, step.min_share, step.keep == "first")
        marks.append(_Marks(step, found, dropped))
    return marks


def _measure_batch(
    recipe: Recipe,
    models: Mapping[str, Mapping[str, str]],
    benchmarks: Benchmarks | None,
    documents: pa.Table,
    marks: Sequence[_Marks],
    out: PartWriter,
) -> pa.Table:
    texts = one_array(documents["text"], pa.large_string())
    labels, scores = _model(LANGUAGE_MODEL, **models[LANGUAGE_MODEL]).likeliest(texts, recipe.language.max_chars)
    columns: dict[str, Any] = {
        "id": documents["id"],
        "source": documents["source"],
        "language": labels,
        "language_score": scores,
    }
    if marks:
        unrepeated = _drop_repeated(texts, documents.append_column("language", labels), marks, out)
        left = apply_spans(texts, unrepeated)
        documents = documents.set_column(documents.column_names.index("text"), "text", left)
        spans = compose_spans(unrepeated, _kept_spans(recipe, benchmarks, left, documents["source"], labels), texts)
    else:
        spans = _kept_spans(recipe, benchmarks, texts, documents["source"], labels)
    kept = apply_spans(texts, spans)
    verdicts: dict[str, pa.Array] = {}
    asked = requested(expand(recipe.steps)[1])
    ngrams = "kept_ngrams" in asked
    if _has_classes(recipe):
        documents = documents.append_column("language", labels).append_column("language_score", pa.array(scores))
        walked, verdicts = _walk(recipe, benchmarks, documents)
        verdicts["rewritten"] = pc.if_else(pc.equal(walked, kept), pa.scalar(None, pa.large_string()), walked)
        kept, whole = walked, pa.nulls(len(texts), spans.type)
        measured, kept_measured = measure_texts(texts, whole, False)[0], measure_texts(kept, whole, ngrams)[1]
    else:
        measured, kept_measured = measure_texts(texts, spans, ngrams)
    if "chunks" in asked:
        measured, kept_measured = measured | measure_chunks(texts), kept_measured | measure_chunks(kept)
        columns["removed_word_fraction"] = removed_word_fraction(measured, kept_measured)
    if "stop_words" in asked:
        columns[LANGUAGE_STOPS] = count_stop_words(texts, labels)
    columns |= measured
    columns |= {f"kept_{name}": values for name, values in kept_measured.items()}
    if benchmarks:
        held = benchmarks.measure(texts)
        of_kept = held if kept.equals(texts) else benchmarks.measure(kept)
        columns |= held | {f"{KEPT_PREFIX}{name}": values for name, values in of_kept.items()}
    for name, model in recipe.quality_models.items():
        field = f"{QUALITY_MODELS}.{name}"
        found = _model(field, **models[field]).probability(kept, model.max_chars, model.label)
        columns[f"{QUALITY_PREFIX}{name}"] = found
    columns |= {"kept_spans": spans, **verdicts}
    return pa.table(columns | _signed(recipe, documents, kept))


def _signed(recipe: Recipe, documents: pa.Table, kept: pa.LargeStringArray) -> dict[str, pa.Array]:
    """What duplicates of documents are found by, without their ids: see `signed_schema`."""
    options = recipe.dedup
    columns = {"exact": exact_hash(kept)}
    if options.url != "off":
        columns["url"] = page_hash(documents["url"], documents["canonical_url"] if options.url == "canonical" else None)
    if options.near:
        hashes, offsets = shingle_hashes(kept, options.ngram_words, DTYPES[options.scheme])
        columns["signature"] = signature_column(signatures(hashes, offsets, options), options)
        if needs_shingles(options):
            columns["shingles"] = distinct_shingles(hashes, offsets)
    return columns


@cache
def _model(field: str, path: str, sha256: str) -> Predictor:
    """A model, loaded once a process."""
    return Predictor(path, field, sha256)


def _walk(
    recipe: Recipe, benchmarks: Benchmarks | None, documents: pa.Table
) -> tuple[pa.LargeStringArray, dict[str, pa.Array]]:
    """The texts that the line rules and datatrove's classes leave, each given what those before it left; the verdicts.

    `documents` are without repeated lines. A document meets the first line rule whose `where` holds for it, as without
    such classes, and `benchmark_overlap` wherever it stands.
    """
    from pipeline.interop.walk import Walk  # imports datatrove's filters, which most recipes do without

    walk, verdicts = Walk(documents, recipe.seed), dict[str, pa.Array]()
    is_ruled = np.zeros(documents.num_rows, dtype=np.bool_)
    for step in expand(recipe.steps)[0]:
        is_here = applies(documents, step.where, f"step {step.type}")
        if isinstance(step, LineStep) and step.rule == OVERLAP_RULE:
            assert benchmarks is not None  # the recipe's check has seen to it
            rows = np.flatnonzero(is_here)
            texts = walk.texts(rows)
            walk.replace(rows, apply_spans(texts, benchmarks.spans_without(texts)))
        elif isinstance(step, LineStep):
            rows = np.flatnonzero(is_here & ~is_ruled)
            is_ruled |= is_here
            texts = walk.texts(rows)
            walk.replace(rows, apply_spans(texts, mark_lines(texts, step.rule)))
        elif isinstance(step, DatatroveStep):
            place = len(verdicts)
            verdicts[f"{VERDICT_PREFIX}{place}"] = walk.take(step, place, np.flatnonzero(is_here))
    return walk.texts(), verdicts


def _drop_repeated(
    texts: pa.LargeStringArray, documents: pa.Table, marks: Sequence[_Marks], out: PartWriter
) -> pa.ListArray:
    """Spans without the lines that a step for their document found repeated, which are counted for the first such."""
    found = marks[0].found
    is_dropped = np.zeros(len(found.n_bytes), np.bool_)
    for mark in marks:
        is_here = applies(documents, mark.step.where, f"step {mark.step.type}")
        new = mark.is_repeated & np.repeat(is_here, np.diff(found.ends)) & ~is_dropped
        is_dropped |= new
        for source in documents["source"][:1].to_pylist():
            out.counts.add("repeated_lines", source, mark.step.type, n=int(new.sum()))
            out.counts.add("repeated_line_bytes", source, mark.step.type, n=int(found.n_bytes[new].sum()))
    return spans_without(texts, is_dropped, found.ends)


def _kept_spans(
    recipe: Recipe,
    benchmarks: Benchmarks | None,
    texts: pa.LargeStringArray,
    sources: pa.ChunkedArray,
    labels: pa.Array,
) -> pa.Array:
    """Spans by the first line step whose `where` holds for a document, and of what it leaves by `benchmark_overlap`;
    null where none holds or all is kept."""
    table = pa.table({"source": sources, "language": labels})
    steps = [step for step in expand(recipe.steps)[0] if isinstance(step, LineStep)]
    is_here = [applies(table, step.where, f"line rule {step.rule!r}") for step in steps]
    is_cut, chosen = np.zeros(len(texts), np.bool_), np.full(len(texts), -1)
    for i, step in enumerate(steps):
        if step.rule == OVERLAP_RULE:
            is_cut |= is_here[i]
        else:
            chosen[(chosen < 0) & is_here[i]] = i
    rules = {i: partial(mark_lines, rule=steps[i].rule) for i in np.unique(chosen[chosen >= 0]).tolist()}
    spans = _spans_by(rules, texts, chosen)
    if benchmarks and is_cut.any():
        cut = _spans_by({1: benchmarks.spans_without}, apply_spans(texts, spans), is_cut.astype(np.int64))
        spans = compose_spans(spans, cut, texts)
    return spans


def _spans_by(
    markers: Mapping[int, Callable[[pa.LargeStringArray], pa.Array]],
    texts: pa.LargeStringArray,
    chosen: npt.NDArray[np.int64],
) -> pa.Array:
    """The spans that each text's marker gives; null where `chosen` names none."""
    found = [pa.nulls(1, pa.list_(pa.int64()))]
    place = np.zeros(len(texts), dtype=np.int64)  # of a document's spans in `found`; 0 holds the null
    for i, marker in markers.items():
        rows = np.flatnonzero(chosen == i)
        place[rows] = sum(map(len, found)) + np.arange(len(rows))
        found.append(marker(texts.take(pa.array(rows))))
    return pa.concat_arrays(found).take(pa.array(place))


# -- 3. Judge: Limits over columns -> drop reason ----------------------------------------------------------------------


def judge(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Read measures; write `decisions.parquet` (id, drop_reason, failed: indices of every failed Limit).

    A document that passes all Limits and has no word left by the line rules is dropped, too: `no_text_left`. One that a
    removal list names is `removed_on_request`, whatever else it is.
    """
    held = _limits(recipe)
    words = "kept_n_words_and_symbols"
    needed = dict.fromkeys(["id", "source", "language", words, *(limit.measure for limit in held)])
    table = store.table("measure", part.work["measure"], "measures.parquet", list(needed))
    decisions = judge_limits(table, held)
    is_blank = pc.and_(pc.equal(decisions["drop_reason"], ""), pc.equal(table[words], 0))
    reasons = pc.if_else(is_blank, "no_text_left", decisions["drop_reason"])
    if part.work["removals"]:
        reasons = pc.if_else(_is_removed(part, store, out), REMOVED, reasons)
    decisions = decisions.set_column(1, JUDGED.field("drop_reason"), reasons)
    if table.num_rows:
        name = table["source"][0].as_py()
        _count_values(out, "dropped", name, reasons.filter(pc.not_equal(reasons, "")))
        failed = decisions["failed"]
        alone = failed.filter(pc.equal(pc.list_value_length(failed), 1))
        for count, lists in (("failed", failed), ("failed_alone", alone)):
            for i, n in _value_counts(pc.list_flatten(lists)):
                out.counts.add(count, name, held[i].name, n=n)
        out.counts.add("passed", name, n=pc.sum(pc.equal(reasons, "")).as_py())
        for limit in held:
            if limit.measure.startswith(VERDICT_PREFIX):
                given = pc.drop_null(table[limit.measure])
                if len(given):  # so that a filter which drops nothing is known from a formatter
                    out.counts.add("failed", name, limit.name, n=0)
                labelled = pc.binary_join_element_wise(limit.name, given.filter(pc.not_equal(given, "")), ": ")
                _count_values(out, "filter_reasons", name, labelled)
    out.write_table("decisions.parquet", decisions)


def _is_removed(part: Part, store: PartStore, out: PartWriter) -> pa.BooleanArray:
    """Which documents a removal list names; counts the entries, and says which of them found a document."""
    removals = Removals(part.work["removals"])
    documents = store.table("extract", part.work["extract"], "documents.parquet", ["id", "url"])
    with store.batch("measure", part.work["measure"], "signatures.arrow") as signed:
        _check_same_ids(documents, pa.Table.from_batches([signed]))
        removed, found = removals.find(documents.append_column("exact", signed["exact"]))
    out.facts["removals"] = {"entries": removals.entries, "found": found}
    return removed


# -- 4. Match and Cluster: passing documents only ----------------------------------------------------------------------


def match(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Read the keys of one band, or a range of them; write `edges.parquet` (a, b): members of a group and its first."""
    place, n = part.work["range"]
    span = (KEY_SPACE * place // n, KEY_SPACE * (place + 1) // n)
    found = match_keys(_parts(recipe, part, store), part.work["band"], span, recipe.dedup)
    if recipe.dedup.verify is not None:
        for name, number in found.verified._asdict().items():
            out.counts.add("verified", name, n=number)
    out.write_table("edges.parquet", found.edges)


def cluster(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Read all edges; write `clusters-<index>.parquet` for each Extract Part: its documents in clusters of two or
    more."""
    measured = [rule.measure for rule in recipe.dedup.survivor if isinstance(rule, BestBy)]

    def ranks(index: int, rows: npt.NDArray[np.int64]) -> pa.Table:
        row = part.work["rows"][index]
        table = store.table("measure", row["measure"], "measures.parquet", ["source", "kept_n_chars", *measured])
        dates = store.table("extract", row["extract"], "documents.parquet", ["date"])
        source_rank = pc.index_in(table["source"], pa.array(list(recipe.sources), pa.string()))
        named = table.append_column("source_rank", source_rank).append_column("n_chars", table["kept_n_chars"])
        return named.append_column("date", dates["date"]).take(pa.array(rows))

    def edges() -> Iterator[pa.Table]:
        return (store.table("match", key, "edges.parquet") for key in part.work["match"])

    clusters = cluster_documents(edges, _parts(recipe, part, store), ranks, recipe.dedup)
    if recipe.removals.files:
        clusters = without_copies(clusters, _removed_ids(store, part.work["rows"]))
    firsts = clusters.filter(pc.and_(pc.equal(clusters["id"], clusters["survivor"]), pc.equal(clusters["reason"], "")))
    for size, n in _value_counts(firsts["size"]):
        out.counts.add("cluster_sizes", str(size), n=n)
    for key in part.work["match"]:
        out.counts = out.counts + store.marker("match", key).counts
    ends = np.searchsorted(clusters["part"].to_numpy(), np.arange(len(part.work["rows"]) + 1))
    for index, (start, end) in enumerate(pairwise(ends.tolist())):
        out.write_table(f"clusters-{index:05d}.parquet", clusters[start:end].drop_columns("part"))


def _parts(recipe: Recipe, part: Part, store: PartStore) -> list[SignedPart]:
    """Documents that passed every Limit, or are to be removed with their copies; and those of earlier versions."""
    taken = ["", REMOVED] if recipe.removals.with_copies else [""]
    return stored_parts(store, part.work["rows"], part.work["earlier"], recipe.dedup.scope, taken)


def _removed_ids(store: PartStore, rows: list[Mapping[str, str]]) -> pa.ChunkedArray:
    tables = [store.table("judge", row["judge"], "decisions.parquet", ["id", "drop_reason"]) for row in rows]
    decisions = pa.concat_tables(tables)
    return decisions["id"].filter(pc.equal(decisions["drop_reason"], REMOVED))


# -- 5. Select: decisions applied, personal data replaced --------------------------------------------------------------


def select(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Write `documents.parquet` (DOCUMENT, the clean ones), `words.parquet`, `decisions.parquet` (DECISION, one row a
    record), `examples.parquet` and, if there are any, `replacements.parquet` (personal data, by document and kind); or,
    in a Part that `keep` asks for, `dropped.parquet`: the text of the other documents."""
    documents = store.table("extract", part.work["extract"], "documents.parquet")
    fates = store.table("extract", part.work["extract"], "fates.parquet")
    rewritten = ["rewritten"] * _has_classes(recipe)
    overlaps = [f"{KEPT_PREFIX}overlaps"] * bool(recipe.overlap.benchmarks)
    columns = ["id", "language", "kept_spans", *rewritten, *overlaps]
    measures = store.table("measure", part.work["measure"], "measures.parquet", columns)
    decisions = store.table("judge", part.work["judge"], "decisions.parquet", ["id", "drop_reason"])
    clusters = store.table("cluster", part.work["cluster"], f"clusters-{part.work['index']:05d}.parquet")
    _check_same_ids(documents, measures)
    _check_same_ids(documents, decisions)
    at = pc.index_in(documents["id"], clusters["id"])
    duplicate = pc.fill_null(clusters["reason"].take(at), "")
    reason = pc.if_else(pc.equal(decisions["drop_reason"], ""), duplicate, decisions["drop_reason"])
    home = pc.coalesce(clusters["cluster"].take(at), documents["id"])
    survivor = pc.coalesce(clusters["survivor"].take(at), documents["id"])
    size = pc.coalesce(clusters["size"].take(at), pa.scalar(1, pa.int32()))
    documents = documents.append_column("language", measures["language"]).append_column("cluster", home)
    documents = documents.append_column("cluster_size", size)
    scrubber = Scrubber(recipe.pii)
    if part.work.get("dropped_text"):
        out.write_table("dropped.parquet", _dropped(documents, reason, scrubber))
        return
    mask = pc.equal(reason, "")
    clean, replaced = _clean(documents.filter(mask), measures.filter(mask), scrubber)
    name = part.label.split(":")[0]
    _count_bytes(out, name, documents["text"], reason)
    _count_clean(out, name, clean, replaced)
    _count_overlaps(out, name, measures.filter(mask), f"{KEPT_PREFIX}overlap")
    for value, n in _value_counts(duplicate.filter(pc.not_equal(duplicate, ""))):
        out.counts.add("dropped", name, value, n=n)
    out.write_table("documents.parquet", clean)
    if (replacements := _replacements(clean["id"], replaced)).num_rows:
        out.write_table("replacements.parquet", replacements)
    out.write_table("examples.parquet", _examples(clean, documents, reason, scrubber))
    out.write_table("words.parquet", count_words(one_array(clean["text"], pa.large_string())))
    found = documents.append_column("survivor", survivor).append_column("similarity", clusters["similarity"].take(at))
    out.write_table("decisions.parquet", _decisions(found, reason, fates, scrubber))
    if recipe.keep.signatures:
        with store.batch("measure", part.work["measure"], "signatures.arrow") as signed:
            kept = (
                pa.Table.from_batches([signed]).drop_columns(["shingles"] * needs_shingles(recipe.dedup)).filter(mask)
            )
            for column in SIGNATURE_COLUMNS:
                kept = kept.append_column(column, clean[column])
            out.write_batch("signatures.arrow", kept)


def _clean(
    documents: pa.Table, measures: pa.Table | None, scrubber: Scrubber
) -> tuple[pa.Table, dict[str, npt.NDArray[np.int64]]]:
    """Documents in their final form, and how many pieces of personal data were replaced in each, by kind.

    `measures` say what the Rewrites left; without them the whole text stays.
    """
    texts = one_array(documents["text"], pa.large_string())
    if measures is not None:
        texts = apply_spans(texts, one_array(measures["kept_spans"], pa.list_(pa.int64())))
        if "rewritten" in measures.column_names:
            texts = pc.coalesce(one_array(measures["rewritten"], pa.large_string()), texts)
    # The URL comes first, so that it reads as in the decisions, where it is scrubbed alone.
    columns: dict[str, Any] = {name: documents[name] for name in ("url", "canonical_url", "title")} | {"text": texts}
    replaced: dict[str, npt.NDArray[np.int64]] = {}
    ordinals: Ordinals = defaultdict(dict)
    for column, values in columns.items():
        scrub = scrubber.scrub_urls if column.endswith("url") else scrubber.scrub
        scrubbed, found = scrub(one_array(values, pa.large_string()), ordinals)
        columns[column] = scrubbed
        for kind, n in found.items():
            replaced[kind] = replaced.get(kind, 0) + n
    columns["hash"] = exact_hash(columns["text"])
    for column in DOCUMENT.names:
        columns.setdefault(column, documents[column] if column in documents.column_names else None)
    return pa.table(columns).select(DOCUMENT.names).cast(DOCUMENT), replaced


def _dropped(documents: pa.Table, reason: pa.ChunkedArray, scrubber: Scrubber) -> pa.Table:
    """The documents with a reason other than a request for removal, their whole text, personal data replaced: DOCUMENT
    and the column `reason`."""
    mask = pc.invert(pc.is_in(reason, pa.array(["", REMOVED, COPY_OF_REMOVED])))
    rest = documents.filter(mask)
    return _clean(rest, None, scrubber)[0].append_column("reason", reason.filter(mask))


def _examples(clean: pa.Table, documents: pa.Table, reason: pa.ChunkedArray, scrubber: Scrubber) -> pa.Table:
    """Beginnings of a few kept documents, and of a few dropped for each reason."""
    chosen = pa.array(sampling.first_of_each(reason))
    dropped = _dropped(documents.filter(chosen), reason.filter(chosen), scrubber)
    kept = clean.slice(0, sampling.N)
    kept = kept.append_column("reason", pa.array([""] * len(kept), pa.string()))
    return sampling.excerpts(pa.concat_tables([kept, dropped.cast(kept.schema)]))


def _decisions(documents: pa.Table, reason: pa.ChunkedArray, fates: pa.Table, scrubber: Scrubber) -> pa.Table:
    """One row for every record of the Part: "" as reason for a kept document, else its drop reason or its fate."""
    kept = documents.append_column("reason", reason).select(DECISION.names)
    rest = fates.append_column("reason", fates["fate"])
    rest = rest.append_column("survivor", rest["id"]).append_column("cluster", rest["id"])
    rest = rest.append_column("similarity", pa.nulls(len(rest), pa.float32())).select(DECISION.names)
    table = pa.concat_tables([kept.cast(DECISION), rest.cast(DECISION)]).sort_by("id")
    urls = scrubber.scrub_urls(one_array(table["url"], pa.large_string()))[0]
    return table.set_column(table.schema.get_field_index("url"), DECISION.field("url"), urls.cast(pa.string()))


def _count_bytes(out: PartWriter, name: str, texts: pa.ChunkedArray, reason: pa.ChunkedArray) -> None:
    """Bytes of extracted text, and of it what was dropped, by reason."""
    n_bytes = pc.binary_length(texts)
    out.counts.add("extracted_bytes", name, n=pc.sum(n_bytes).as_py() or 0)
    dropped = pc.not_equal(reason, "")
    _count_sums(out, "dropped_bytes", name, reason.filter(dropped), n_bytes.filter(dropped))


def _replacements(ids: pa.ChunkedArray, replaced: Mapping[str, npt.NDArray[np.int64]]) -> pa.Table:
    """How many pieces of personal data were replaced in the documents that had some: `id`, `kind`, `count`, by id."""
    schema = pa.schema({"id": ID_TYPE, "kind": pa.string(), "count": pa.int64()})
    found = [schema.empty_table()]
    for kind, n in replaced.items():
        rows = np.flatnonzero(n)
        columns = [ids.take(pa.array(rows)), pa.array([kind] * len(rows), pa.string()), pa.array(n[rows])]
        found.append(pa.table(columns, schema=schema))
    return pa.concat_tables(found).sort_by([("id", "ascending"), ("kind", "ascending")])


def _count_clean(out: PartWriter, name: str, clean: pa.Table, replaced: Mapping[str, npt.NDArray[np.int64]]) -> None:
    n_bytes = pc.binary_length(clean["text"])
    out.counts.add("documents", name, n=clean.num_rows)
    out.counts.add("utf8_bytes", name, n=pc.sum(n_bytes).as_py() or 0)
    _count_values(out, "languages", name, clean["language"])
    _count_sums(out, "language_bytes", name, clean["language"], n_bytes)
    _count_values(out, "licences", name, clean["licence"])
    _count_sums(out, "licence_bytes", name, clean["licence"], n_bytes)
    year = pc.utf8_slice_codeunits(clean["date"], 0, 4)
    _count_values(out, "years", name, pc.if_else(pc.match_substring_regex(year, "^[0-9]{4}$"), year, ""))
    hosts = pa.array([host_of(url) for url in clean["url"].to_pylist()], pa.string())
    _count_values(out, "domains", name, hosts.filter(pc.not_equal(hosts, "")))
    for kind, n in sorted(replaced.items()):
        out.counts.add("pii", name, kind, n=int(n.sum()))


# -- 6. Tokenizer: word counts of the clean text -> pieces -------------------------------------------------------------


def tokenizer(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Write `tokenizer.model` or `tokenizer.json`, from counts of words or as the recipe brings it along."""
    report: dict[str, Any] = {}
    if recipe.tokenizer.type == "file":
        found = read_model(part.work["path"], part.work["sha256"])
        model = vocab.load(found, origin=part.work["path"], **part.work["load"])
        report = {"load": part.work["load"]} if part.work["load"] else {}
    else:
        with tempfile.TemporaryDirectory(prefix="gristmill-") as scratch:
            words = _word_counts(recipe.tokenizer.weights, part.work["select"], store, Path(scratch))
            trained = train(words, recipe.tokenizer, recipe.seed)
        found, model, report = trained.model, vocab.load(trained.model), trained.report
    out.write(model.file_name, lambda path: _write_bytes(path, found), rows=0)
    out.facts["tokenizer"] = {
        **report,
        "type": recipe.tokenizer.type,
        "path": f"tokenizer/{model.file_name}",
        "fingerprint": model.fingerprint,
        "lossless": model.is_lossless,
        **{name: getattr(model, name) for name in ("vocab_size", "unk_id", "bos_id", "eos_id", "pad_id")},
    }


def _word_counts(
    weights: Mapping[str, float], selected: Sequence[str], store: PartStore, scratch: Path
) -> Iterator[pa.Table]:
    """Word counts of all clean text, sorted; with weights also as each source's share of the text asks for.

    The source whose weight is least for its size keeps its counts, and those of the others become as many times larger.
    """
    runs: dict[str, list[Run]] = defaultdict(list)
    n_bytes: dict[str, int] = defaultdict(int)
    for key in selected:
        marker = store.marker("select", key) if weights else None
        name = marker.label.split(":")[0] if marker else ""
        runs[name].append(partial(store.row_groups, "select", key, "words.parquet"))
        n_bytes[name] += marker.counts["utf8_bytes"][name] if marker else 0
    if not weights:
        return merge_counts(runs[""], scratch)
    empty = [name for name, weight in weights.items() if weight and not n_bytes[name]]
    if empty:
        raise TokenizerError(f"tokenizer.weights asks for text of {empty[0]}, of which no document is left")
    rates = {name: weight / n_bytes[name] for name, weight in weights.items() if weight}
    least = min(rates.values())
    return merge_counts(
        [partial(_weighted, runs[name], rate / least, scratch / name) for name, rate in rates.items()], scratch
    )


def _weighted(runs: Sequence[Run], times: float, scratch: Path) -> Iterator[pa.Table]:
    scratch.mkdir()
    for table in merge_counts(runs, scratch):
        weighted = np.rint(table["count"].to_numpy() * times).astype(np.int64)
        yield table.append_column("weighted", pa.array(weighted))


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


# -- 7. Pack: encode, split by cluster, pack by Cell -------------------------------------------------------------------


def pack(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Encode the clean documents of some Select Parts and write `train-CELL-*.arrow` and `validation-CELL-*.arrow`."""
    words = stored_vocab(store, part.work["tokenizer"])
    uses = np.zeros(words.vocab_size, np.int64)
    columns = ["id", "cluster", "cluster_size", "language", "text"]
    tables = [store.table("select", key, "documents.parquet", columns) for key in part.work["select"]]
    documents = pa.concat_tables(tables).sort_by("id")
    held_out = is_held_out(documents["cluster"], recipe.seed, recipe.packing.validation_share)
    out.facts["cells"] = [
        _pack_split(recipe, cell, split, documents.filter(pa.array(own & mask)), words, uses, out)
        for cell, own in _cells(recipe, part, store, documents)
        for split, mask in (("train", ~held_out), ("validation", held_out))
    ]
    out.write(PIECE_COUNTS, lambda path: _write_bytes(path, uses.astype("<i8").tobytes()), rows=0)


def _cells(
    recipe: Recipe, part: Part, store: PartStore, documents: pa.Table
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """The Cells of the documents, and which documents are in each."""
    source, values = part.work["source"], None
    cut = recipe.packing.cells.get(source)
    if cut is not None and cut.measure is not None:
        measured = [
            store.table("measure", key, "measures.parquet", ["id", cut.measure]) for key in part.work["measure"]
        ]
        known = pa.concat_tables(measured)
        values = known[cut.measure].take(pc.index_in(documents["id"], known["id"])).to_numpy().astype(np.float64)
    return cells.assign(source, cut, documents["language"], values)


def _pack_split(
    recipe: Recipe,
    cell: str,
    split: str,
    documents: pa.Table,
    words: vocab.Vocab,
    uses: npt.NDArray[np.int64],
    out: PartWriter,
) -> dict[str, Any]:
    """Write the shards of one split and return its totals (CellTotals as a dictionary). What training tokens are each
    id is added to `uses`."""
    if split == "train":
        documents = _repeated(documents, recipe.dedup.repeat_by_cluster_size)
    texts = one_array(documents["text"], pa.large_string())
    tokens, offsets = encode_documents(texts, words)
    _count_tokens(out, cell, split, documents["language"], tokens, offsets, words)
    if split == "train":
        uses += np.bincount(tokens, minlength=words.vocab_size)
    ids = fixed_bytes(one_array(documents["id"], ID_TYPE))
    is_first = np.append(True, (ids[1:] != ids[:-1]).any(axis=1))[: len(ids)]
    source = manifest.source_of(cell)
    if not words.is_lossless:
        decoded = (words.decode(tokens[a:b]) for a, b in pairwise(offsets.tolist()))
        changed = [a != b for a, b in zip(decoded, texts.to_pylist(), strict=True)]
        out.counts.add("changed_documents", source, n=int((np.array(changed, np.bool_) & is_first).sum()))
    _count_lengths(out, source, np.diff(offsets)[is_first])
    if n_repeats := int((~is_first).sum()):
        out.counts.add("repeats", source, n=n_repeats)
    seq_len, dtype = recipe.packing.seq_len, shards.token_dtype(words.vocab_size)
    if split == "validation" or recipe.packing.method == "concat":  # ids are hashes: these rows are in no order of note
        packed = concat.pack(np.diff(offsets), seq_len)
    else:
        packed = packing.order_rows(packing.pack(np.diff(offsets), seq_len), ids, recipe.seed)
    n_rows = len(packed.row_offsets) - 1
    meta = shards.ShardMeta(cell, split, seq_len, words.pad_id, words.fingerprint)
    for number, begin in enumerate(range(0, n_rows, recipe.packing.shard_rows)):
        end = min(begin + recipe.packing.shard_rows, n_rows)
        blocks = packing.blocks(
            packed, tokens, offsets, ids,
            seq_len=seq_len, pad_id=words.pad_id, dtype=dtype, begin=begin, end=end, block_rows=shards.BATCH_ROWS,
        )  # fmt: skip
        out.write(f"{split}-{cell}-{number:05d}.arrow", partial(_write_shard, blocks, meta), end - begin)
    return {
        "cell": cell,
        "split": split,
        "rows": n_rows,
        "tokens": len(tokens),
        "documents": int(is_first.sum()),
        "utf8_bytes": pc.sum(pc.binary_length(texts)).as_py() or 0,
    }


def _repeated(documents: pa.Table, repeats: Sequence[Repeat]) -> pa.Table:
    """Documents as often as their clusters' sizes ask for; copies follow each other."""
    if not repeats:
        return documents
    sizes = [repeat.min_size for repeat in repeats]
    entries = np.searchsorted(sizes, documents["cluster_size"].to_numpy(), side="right")
    times = np.array([1, *(repeat.times for repeat in repeats)])[entries]
    return documents.take(pa.array(np.repeat(np.arange(len(documents)), times)))


def _count_tokens(
    out: PartWriter,
    name: str,
    split: str,
    languages: pa.ChunkedArray,
    tokens: vocab.Ids,
    offsets: vocab.Offsets,
    words: vocab.Vocab,
) -> None:
    """Tokens by language, and of them bytes and unknown ones."""
    lengths = np.diff(offsets)
    is_byte = _byte_tokens(words)[tokens].view(np.uint8)
    n_bytes = np.add.reduceat(is_byte, offsets[:-1], dtype=np.int64)  # no document is empty
    _count_sums(out, f"{split}_tokens", name, languages, pa.array(lengths))
    _count_sums(out, "byte_tokens", name, languages, pa.array(n_bytes))
    out.counts.add("unknown_tokens", name, n=int((tokens == words.unk_id).sum()))


@lru_cache(maxsize=1)
def _byte_tokens(words: vocab.Vocab) -> npt.NDArray[np.bool_]:
    """Asked for each Cell and split of a Part, and each time the library is asked about every id."""
    return words.byte_tokens()


def _count_lengths(out: PartWriter, name: str, lengths: npt.NDArray[np.int64]) -> None:
    """Documents by length: entry k of `document_tokens` counts those of 2^k to 2^(k+1) - 1 tokens."""
    exponents = np.frexp(lengths.astype(np.float64))[1] - 1
    counted = [int(n) for n in np.bincount(exponents, minlength=LENGTH_BINS)]
    out.counts = out.counts + {"document_tokens": {name: counted}}


def _write_shard(blocks: Iterator[packing.Sequences], meta: shards.ShardMeta, path: Path) -> None:
    shards.write_shard(path, blocks, meta)


# -- 8. Describe: manifests -> a version -------------------------------------------------------------------------------


def describe(recipe: Recipe, part: Part, store: PartStore, out: PartWriter) -> None:
    """Join the markers of all Parts into a Manifest, check the sums, and publish the version with its card; then write
    the index of its records beside it."""
    counts, histograms, inputs = assembly.joined_counts(part, store)
    totals = assembly.cell_totals(part, store)
    assembly.check_sums(counts, totals)
    files, origins = assembly.data_files(part, store, recipe.keep.fates, recipe.keep.signatures)
    tokenizer_facts = store.marker("tokenizer", part.work["tokenizer"]).facts["tokenizer"]
    described = manifest.Manifest(
        name=recipe.name,
        sources=list(recipe.sources),
        recipe=recipe.model_dump(mode="json")
        | {"steps": [step.model_dump(mode="json") for step in resolved(recipe.steps)]},
        libraries=all_libraries(recipe.steps, recipe.url.lists),
        assets=part.work["assets"],
        inputs=inputs,
        files=files,
        counts=assembly.shortened(counts),
        histograms=histograms,
        tokenizer={**tokenizer_facts, **_used_pieces(part, store, tokenizer_facts)},
        packing={"seq_len": recipe.packing.seq_len, "dtype": shards.token_dtype(tokenizer_facts["vocab_size"]).name},
        cells=totals,
        mixture=plan_mixture(totals, recipe.mixture),
        examples=_drawn(part, store) if recipe.keep.examples else [],
    )
    made_from = sorted((name for name in lineage(store, part) if name[0] != "describe"), key=_place)
    spent = add_up((stage, store.seconds(stage, key)) for stage, key in made_from)
    versions.publish(store.dataset, described, origins, renderings(described, described.version, spent))
    published = dict(zip(origins, (file.path for file in files), strict=True))
    parts = parts_of(part.work["rows"], published, (_source(store, row) for row in part.work["rows"]))
    write_ledger(store.dataset.child(described.version), described, parts, part.work["cluster"], store)
    out.facts["version"] = described.version


def _source(store: PartStore, row: Mapping[str, str]) -> str:
    return store.marker("extract", row["extract"]).label.split(":")[0]


def _place(name: tuple[str, str]) -> int:
    """Of a Part's stage in the corridor."""
    return list(STAGES).index(name[0])


def _drawn(part: Part, store: PartStore) -> list[manifest.Example]:
    return sampling.drawn(store.table("select", row["select"], "examples.parquet") for row in part.work["rows"])


def _used_pieces(part: Part, store: PartStore, facts: Mapping[str, Any]) -> dict[str, int]:
    """How many ids no training token has, the marks of documents left out; and how many of these are single bytes."""
    uses = np.zeros(facts["vocab_size"], np.int64)
    for key in part.work["pack"]:
        uses += np.frombuffer(store.folder.read(f"pack/{key}/{PIECE_COUNTS}"), "<i8")
    words = stored_vocab(store, part.work["tokenizer"])
    is_unused = uses == 0
    is_unused[[i for i in (words.unk_id, words.bos_id, words.eos_id, words.pad_id) if i >= 0]] = False
    return {"unused_pieces": int(is_unused.sum()), "unused_byte_pieces": int((is_unused & words.byte_tokens()).sum())}


# -- Helpers of several stages -----------------------------------------------------------------------------------------


def _has_classes(recipe: Recipe) -> bool:
    return any(isinstance(step, DatatroveStep) for step in recipe.steps)


def _limits(recipe: Recipe) -> tuple[Limit, ...]:
    """The Limits of a recipe; a formatter of datatrove is none."""
    if not _has_classes(recipe):
        return expand(recipe.steps)[1]
    from pipeline.interop.classes import limits

    return limits(recipe.steps)


def _check_same_ids(a: pa.Table, b: pa.Table) -> None:
    if not a["id"].equals(b["id"]):
        raise assembly.CountsError(
            "two stages of one Part hold different documents; remove the Part's folders and run again"
        )


def _value_counts(values: pa.ChunkedArray | pa.Array) -> Iterator[tuple[Any, int]]:
    counted = pc.value_counts(values).to_pylist()
    yield from sorted((entry["values"], entry["counts"]) for entry in counted)


def _count_values(out: PartWriter, count: str, name: str, values: pa.ChunkedArray | pa.Array) -> None:
    for value, n in _value_counts(values):
        out.counts.add(count, name, value, n=n)


def _count_sums(out: PartWriter, count: str, name: str, values: pa.ChunkedArray, numbers: pa.ChunkedArray) -> None:
    """The sum of `numbers` (integers) for each of `values`."""
    sums = pa.table({"value": values, "n": numbers}).group_by("value").aggregate([("n", "sum")])
    for entry in sums.sort_by("value").to_pylist():
        out.counts.add(count, name, entry["value"], n=entry["n_sum"])


StageFunction = Callable[[Recipe, Part, PartStore, PartWriter], None]

STAGE_FUNCTIONS: Mapping[str, StageFunction] = {
    "extract": extract,
    "lines": lines,
    "repeats": repeats,
    "measure": measure,
    "judge": judge,
    "match": match,
    "cluster": cluster,
    "select": select,
    "tokenizer": tokenizer,
    "pack": pack,
    "describe": describe,
}
