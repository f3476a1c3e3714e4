"""Compile and cache kernels once, before workers start: they would all compile at once, and race for the cache.

As a script: `python -m pipeline.run.warm_up [GROUP ...] [RULE ...]`, with the line rules that a recipe has, the groups
of measures (`pipeline.measures.ON_REQUEST`) that it asks for, `overlap` where it names benchmarks, and `lines` if it
counts lines. Few recipes need all of them, and they take long.
"""

import sys
from collections.abc import Collection, Sequence
from contextlib import nullcontext

import pyarrow as pa

from pipeline.dedup.cluster import cluster
from pipeline.dedup.keys import keys_of, signature_column, signed_schema
from pipeline.dedup.match import KEY_SPACE, match
from pipeline.dedup.options import DedupOptions, VerifyOptions
from pipeline.dedup.parts import SignedPart
from pipeline.dedup.signatures import exact_hash, signatures
from pipeline.document import ID_TYPE
from pipeline.steps.options import UrlOptions
from pipeline.steps.overlap import Benchmarks
from pipeline.steps.overlap_options import OverlapOptions
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
from pipeline.tokenizer.encode import Encoder
from pipeline.tokenizer.pieces import NORMAL, Piece, Pieces


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
    if "overlap" in groups:
        benchmarks = Benchmarks({"one": [["One line of text."]]}, OverlapOptions())
        benchmarks.measure(texts)
        benchmarks.spans_without(texts)
    count_words(texts)
    _encode(texts)
    _find_duplicates(texts)


def _encode(texts: pa.LargeStringArray) -> None:
    """Through a model of one piece, the space."""
    Encoder(Pieces((Piece(" ", 0.0, NORMAL),), ""), (0, 0)).encode(texts, bos_eos=True)


def _find_duplicates(texts: pa.LargeStringArray) -> None:
    """Two equal documents through all of deduplication."""
    options = DedupOptions(exact=False, bands=1, rows=8, verify=VerifyOptions())
    hashes, offsets = shingle_hashes(texts, options.ngram_words)
    columns = [
        pa.array([bytes(16), bytes(15) + b"1"], ID_TYPE),
        exact_hash(texts),
        signature_column(signatures(hashes, offsets, options), options),
    ]
    signed = pa.Table.from_arrays(columns, schema=signed_schema(options))
    part = SignedPart(2, lambda: nullcontext(signed.to_batches()[0]), keys_of(signed, options).filter)
    edges = match([part], "band_00", (0, KEY_SPACE), options).edges
    ranks = pa.table({"source_rank": pa.array([0, 0], pa.int32()), "n_chars": pa.array([17, 17])})
    cluster(lambda: [edges], [part], lambda place, rows: ranks, options)


if __name__ == "__main__":
    warm_up([word for word in sys.argv[1:] if word in RULES], sys.argv[1:])
