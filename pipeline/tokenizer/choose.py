"""Which words a tokenizer is trained on, from the counts of all, in bounded memory."""

import hashlib
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.tokenizer.options import TokenizerOptions

USER_SYMBOLS = ("\n", "\t")
"""Pieces of their own. sentencepiece would take a newline for the end of a line and a tab for the end of a word."""

RESERVED = ("\u2581", "\u2585")
"""Characters that sentencepiece's trainer uses itself, for a space and for an unknown (`trainer_interface.cc`, kWSStr
and kUNKStr). They are always encoded as bytes."""

MAX_WORD_BYTES = 16_384
"""Longer words are not trained on. sentencepiece's own default is 4,192 bytes a line, which a paragraph of a script
without spaces exceeds; its BPE trainer keeps places within a word in 16 bits (`bpe_model_trainer.h`)."""

CHOSEN = pa.schema([("word", pa.large_string()), ("count", pa.int64()), ("weighted", pa.int64())])


def choose(
    tables: pa.Table | Iterable[pa.Table], options: TokenizerOptions, seed: int
) -> tuple[pa.Table, dict[str, Any]]:
    """The words to train on, and the report of what was left out (see `pipeline.tokenizer.train.train`).

    Args:
        tables: columns `word`, `count` and maybe `weighted`, which then decides instead of the count how much a word
            means; no word twice. The order of rows and tables changes nothing.
        options: the recipe's tokenizer part.
        seed: decides which of the equally frequent words stay where `options.max_words` cuts.

    Returns:
        CHOSEN, by `weighted`, most frequent first, then by bytes.

    Memory: `options.max_words` rows, twice, and one of `tables`.
    """
    kept = CHOSEN.empty_table()
    seen = {"distinct_words": 0, "word_occurrences": 0}
    left_out = dict.fromkeys(("reserved_character", "longer_than_limit", "below_min_count", "beyond_max_words"), 0)
    for table in [tables] if isinstance(tables, pa.Table) else tables:
        fit = _columns(table)
        fit = fit.filter(pc.invert(pc.is_in(fit["word"], value_set=pa.array(["", *USER_SYMBOLS], pa.large_string()))))
        seen["distinct_words"] += fit.num_rows
        seen["word_occurrences"] += _sum(fit)
        fit = _without(fit, "reserved_character", _is_reserved(fit["word"]), left_out)
        fit = _without(fit, "longer_than_limit", pc.greater(pc.binary_length(fit["word"]), MAX_WORD_BYTES), left_out)
        fit = _without(fit, "below_min_count", pc.less(fit["count"], options.min_count), left_out)
        kept = pa.concat_tables([kept, fit])
        if kept.num_rows > 2 * options.max_words:
            kept = _cut(kept, options.max_words, seed, left_out)
    kept = _cut(kept, options.max_words, seed, left_out)
    report: dict[str, Any] = {
        **seen,
        "trained_words": kept.num_rows,
        "left_out": dict(sorted(left_out.items())),
        "share_left_out": sum(left_out.values()) / max(1, seen["word_occurrences"]),
    }
    if kept.num_rows:
        report["least_count"] = pc.min(kept["count"]).as_py()
    return kept.sort_by([("weighted", "descending"), ("word", "ascending")]), report


def _columns(table: pa.Table) -> pa.Table:
    names = set(table.column_names)
    if not {"word", "count"} <= names <= set(CHOSEN.names):
        raise ValueError(f"word counts have the columns {table.column_names}, expected ['word', 'count']")
    weighted = table["weighted" if "weighted" in names else "count"]
    return pa.Table.from_arrays(
        [table["word"].cast(pa.large_string()), table["count"].cast(pa.int64()), weighted.cast(pa.int64())],
        schema=CHOSEN,
    )


def _is_reserved(words: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(words, pattern=f"[{''.join(RESERVED)}{''.join(USER_SYMBOLS)}]")


def _sum(table: pa.Table) -> int:
    return int(pc.sum(table["count"]).as_py() or 0)


def _cut(table: pa.Table, n: int, seed: int, left_out: dict[str, int]) -> pa.Table:
    return _without(table, "beyond_max_words", pc.invert(_most_frequent(table, n, seed)), left_out)


def _without(table: pa.Table, reason: str, mask: pa.ChunkedArray | pa.Array, left_out: dict[str, int]) -> pa.Table:
    """The other rows; the occurrences of those in `mask` are added to `left_out`."""
    left_out[reason] += _sum(table.filter(mask))
    return table.filter(pc.invert(mask))


def _most_frequent(table: pa.Table, n: int, seed: int) -> pa.Array:
    """A mask of the `n` most frequent words. Among the words as frequent as the last, a hash of (seed, word) decides;
    alphabetical order would favour the first alphabets."""
    counts = table["weighted"].to_numpy()
    if len(counts) <= n:
        return pa.array(np.ones(len(counts), dtype=bool))
    threshold = np.partition(counts, len(counts) - n)[len(counts) - n]
    keep = counts > threshold
    tied = np.flatnonzero(counts == threshold)
    salt = struct.pack("<Q", seed)
    hashes = [
        hashlib.blake2b(word.encode(), digest_size=16, salt=salt).digest()
        for word in table["word"].take(pa.array(tied)).to_pylist()
    ]
    order = sorted(range(len(tied)), key=hashes.__getitem__)
    keep[tied[order[: n - int(keep.sum())]]] = True
    return pa.array(keep)
