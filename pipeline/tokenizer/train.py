"""Word counts -> a sentencepiece BPE model.

sentencepiece counts words anyway; handing it exact counts of the whole corpus (`input_format="tsv"`) trains on all of
it in the time that its distinct words take.
"""

import hashlib
import io
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sentencepiece

from pipeline.tokenizer import vocab
from pipeline.tokenizer.options import TokenizerOptions

USER_SYMBOLS = ("\n", "\t")
"""Pieces of their own. sentencepiece would take a newline for the end of a line and a tab for the end of a word."""

RESERVED = ("\u2581", "\u2585")
"""Characters that sentencepiece's trainer uses itself, for a space and for an unknown (`trainer_interface.cc`, kWSStr
and kUNKStr). They are always encoded as bytes."""

MAX_WORD_BYTES = 16_384
"""Longer words are not trained on. sentencepiece's own default is 4,192 bytes a line, which a paragraph of a script
without spaces exceeds; its BPE trainer keeps places within a word in 16 bits (`bpe_model_trainer.h`)."""

N_THREADS = 1
"""Fixed, since sentencepiece records it in the model file. More threads gain nothing here (2.1 s and 2.2 s with one and
two threads for 288,000 distinct words and 8,000 pieces)."""

LOG_NOTHING = 3
"""sentencepiece's `minloglevel`: 0 information, 1 warnings, 2 errors, 3 fatal errors only."""


class TokenizerError(Exception):
    """A vocabulary that cannot be trained from the words given."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model. `model`: the bytes of the model file; equal words, options and seed give equal bytes.
    `fingerprint`: see `vocab.Vocab`. `report`: see `train`."""

    model: bytes
    fingerprint: str
    report: dict[str, Any]


def train(words: pa.Table, options: TokenizerOptions, seed: int) -> Trained:
    """Train a BPE vocabulary on exact word counts.

    Args:
        words: columns `word` (string or large_string; any leading spaces belong to the word) and `count` (int64, >= 1),
            in any order; the order changes nothing. Newline and tab are words of their own and always get an id.
        options: the recipe's tokenizer part.
        seed: decides which of the equally frequent words stay where `options.max_words` cuts.

    Returns:
        The model and a report of integers and one share: `distinct_words`, `word_occurrences` (both without newline and
        tab); `trained_words` (distinct); `left_out`: reason -> word occurrences, reasons being `below_min_count`,
        `beyond_max_words`, `longer_than_limit`, `reserved_character`; `share_left_out`: their share of all occurrences;
        `character_pieces` and `merged_pieces`: pieces of one character and of several, beside 256 bytes and 6 symbols.

    Raises:
        TokenizerError: if there are no words, or too few or too many different characters for `options.vocab_size`.
        ValueError: if `words` has other columns.
    """
    chosen, report = _choose(words, options, seed)
    if chosen.num_rows == 0:
        if not report["distinct_words"]:
            raise TokenizerError(
                "no document is left to train a tokenizer on; the warnings say what became of them all"
            )
        raise TokenizerError(
            f"no words to train a tokenizer on: {report['distinct_words']} distinct words came in"
            + "".join(f", {n} of their occurrences {why}" for why, n in report["left_out"].items() if n)
            + ". Loosen the Limits, or give more input"
        )
    model = _train_sentencepiece(chosen, options)
    trained = vocab.load(model)
    pieces = [trained.piece(i) for i in range(trained.vocab_size)]
    n_symbols = 4 + len(USER_SYMBOLS) + 256
    report["character_pieces"] = sum(len(piece) == 1 and piece not in USER_SYMBOLS for piece in pieces)
    report["merged_pieces"] = trained.vocab_size - n_symbols - report["character_pieces"]
    return Trained(model, trained.fingerprint, report)


def _choose(words: pa.Table, options: TokenizerOptions, seed: int) -> tuple[pa.Table, dict[str, Any]]:
    """The words to train on, most frequent first, then by bytes; and the report of what was left out."""
    if set(words.column_names) != {"word", "count"}:
        raise ValueError(f"word counts have the columns {words.column_names}, expected ['word', 'count']")
    table = pa.table({"word": words["word"].cast(pa.large_string()), "count": words["count"].cast(pa.int64())})
    table = table.filter(pc.invert(pc.is_in(table["word"], value_set=pa.array(["", *USER_SYMBOLS], pa.large_string()))))
    report: dict[str, Any] = {"distinct_words": table.num_rows, "word_occurrences": _sum(table)}
    left_out = {}

    def keep(reason: str, mask: Any) -> pa.Table:
        kept = table.filter(mask)
        left_out[reason] = _sum(table) - _sum(kept)
        return kept

    reserved = pc.match_substring_regex(table["word"], pattern=f"[{''.join(RESERVED)}{''.join(USER_SYMBOLS)}]")
    table = keep("reserved_character", pc.invert(reserved))
    table = keep("longer_than_limit", pc.less_equal(pc.binary_length(table["word"]), MAX_WORD_BYTES))
    table = keep("below_min_count", pc.greater_equal(table["count"], options.min_count))
    table = keep("beyond_max_words", _most_frequent(table, options.max_words, seed))
    report["trained_words"] = table.num_rows
    report["left_out"] = dict(sorted(left_out.items()))
    report["share_left_out"] = sum(left_out.values()) / max(1, report["word_occurrences"])
    return table.sort_by([("count", "descending"), ("word", "ascending")]), report


def _sum(table: pa.Table) -> int:
    return int(pc.sum(table["count"]).as_py() or 0)


def _most_frequent(table: pa.Table, n: int, seed: int) -> pa.Array:
    """A mask of the `n` most frequent words. Among the words as frequent as the last, a hash of (seed, word) decides;
    alphabetical order would favour the first alphabets."""
    counts = table["count"].to_numpy()
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


def _train_sentencepiece(words: pa.Table, options: TokenizerOptions) -> bytes:
    """Lines reach sentencepiece from memory, so that no path is recorded in the model."""
    lines = (
        f"{word}\t{count}"
        for batch in words.to_batches()
        for word, count in zip(batch["word"].to_pylist(), batch["count"].to_pylist(), strict=True)
    )
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            input_format="tsv",
            model_type=options.type,
            vocab_size=options.vocab_size,
            character_coverage=options.character_coverage,
            max_sentence_length=2 * MAX_WORD_BYTES,
            user_defined_symbols=list(USER_SYMBOLS),
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=3,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            num_threads=N_THREADS,
            minloglevel=LOG_NOTHING,
        )
    except (RuntimeError, OSError, ValueError) as error:
        raise TokenizerError(_explain(str(error), words, options)) from None
    return model.getvalue()


def _explain(error: str, words: pa.Table, options: TokenizerOptions) -> str:
    found = f"{words.num_rows} distinct words"
    too_high = re.search(r"Vocabulary size too high .* <= (\d+)", error)
    if too_high:
        return (
            f"tokenizer.vocab_size is {options.vocab_size}, but {found} give {too_high[1]} pieces at the most. "
            f"Set tokenizer.vocab_size to {too_high[1]} or less, or read more documents"
        )
    too_low = re.search(r"smaller than required_chars\. \d+ vs (\d+)", error)
    if too_low:
        return (
            f"tokenizer.vocab_size is {options.vocab_size}, but the characters of {found} alone take {too_low[1]} "
            f"pieces. Set tokenizer.vocab_size above {too_low[1]}, or tokenizer.character_coverage below "
            f"{options.character_coverage}: rarer characters are then encoded as bytes"
        )
    return f"sentencepiece could not train on {found}: {error}"
