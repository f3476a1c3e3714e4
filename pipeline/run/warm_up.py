"""Compile and cache kernels once, before workers start: they would all compile at once, and race for the cache.

As a script: `python -m pipeline.run.warm_up [GROUP ...] [RULE ...]`, with the line rules that a recipe has, the groups
of measures (`pipeline.measures.ON_REQUEST`) that it asks for, and `lines` if it counts lines. Few recipes need all of
them, and they take long.
"""

import sys
from collections.abc import Collection, Sequence

import pyarrow as pa

from pipeline.dedup.cluster import cluster
from pipeline.dedup.match import match
from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import band_columns, signatures
from pipeline.document import ID_TYPE
from pipeline.steps.options import UrlOptions
from pipeline.steps.url import UrlRules
from pipeline.text.chunks import measure_chunks
from pipeline.text.line_hashes import hash_lines, spans_without
from pipeline.text.line_rules import RULES, mark_lines
from pipeline.text.markup import count_markup
from pipeline.text.scan import measure_texts
from pipeline.text.shingles import shingle_hashes
from pipeline.text.spans import apply_spans, compose_spans
from pipeline.text.stop_words import count_stop_words
from pipeline.text.words import count_words


def warm_up(rules: Sequence[str], groups: Collection[str]) -> None:
    """Send two short documents through the kernels that every run needs, those of line rules, and of some measures."""
    texts = pa.array(["One line of text.", "One line of text."], pa.large_string())
    UrlRules(UrlOptions()).check_all(texts)
    spans = pa.nulls(len(texts), pa.list_(pa.int64()))
    for rule in rules:
        spans = mark_lines(texts, rule)
    if "lines" in groups:
        found = hash_lines(texts, 1)
        spans = compose_spans(spans_without(texts, found.hashes == 0, found.ends), spans, texts)
    kept = apply_spans(texts, spans)
    count_markup(texts)
    measure_texts(texts, spans, False)
    if "chunks" in groups:
        measure_chunks(kept)
    if "stop_words" in groups:
        count_stop_words(texts, pa.array(["de", "de"]))
    count_words(texts)
    options = DedupOptions()
    bands = band_columns(signatures(*shingle_hashes(texts, options.ngram_words), options), options)
    ids = pa.array([bytes(16), bytes(15) + b"1"], ID_TYPE)
    edges = match([pa.table({"id": ids, "key": next(iter(bands.values()))})])
    ranks = {"source_rank": pa.array([0, 0], pa.int32()), "n_chars": pa.array([17, 17]), "date": pa.array(["", ""])}
    cluster([("near", edges)], pa.table({"id": ids, **ranks}), options)


if __name__ == "__main__":
    warm_up([word for word in sys.argv[1:] if word in RULES], sys.argv[1:])
