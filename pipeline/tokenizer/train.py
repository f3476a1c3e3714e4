"""Word counts -> a tokenizer: a sentencepiece model by BPE or Unigram, or a WordPiece vocabulary.

sentencepiece counts words anyway; handing it exact counts of the whole corpus (`input_format="tsv"`) trains on all of
it in the time that its distinct words take.
"""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sentencepiece

from pipeline.tokenizer import vocab
from pipeline.tokenizer.choose import MAX_WORD_BYTES, USER_SYMBOLS, choose
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.unigram import on_grid

INDENTS = (
    *("\n\n", "\t\t", "\t\t\t", "\n\t", "\n\t\t", "\n\t\t\t"),
    *(f"\n{vocab.SPACE_SYMBOL * n}" for n in (2, 4, 6, 8, 12, 16)),
)
"""Pieces that `indents` adds. Of longer indents sentencepiece takes the longest of these, and pieces of spaces."""

N_THREADS = 1
"""Fixed, since sentencepiece records it in the model file. More threads gain nothing here (2.1 s and 2.2 s with one and
two threads for 288,000 distinct words and 8,000 pieces)."""

LOG_NOTHING = 3
"""sentencepiece's `minloglevel`: 0 information, 1 warnings, 2 errors, 3 fatal errors only."""


class TokenizerError(Exception):
    """A vocabulary that cannot be trained from the words given."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained tokenizer. `model`: the bytes of its file; equal words, options and seed give equal bytes.
    `fingerprint`: see `vocab.Vocab`. `report`: see `train`."""

    model: bytes
    fingerprint: str
    report: dict[str, Any]


def train(words: pa.Table | Iterable[pa.Table], options: TokenizerOptions, seed: int) -> Trained:
    """Train a vocabulary on exact word counts.

    Args:
        words: see `pipeline.tokenizer.choose.choose`. Any leading spaces belong to the word; newline and tab are words
            of their own and always get an id.
        options: the recipe's tokenizer part.
        seed: decides which of the equally frequent words stay where `options.max_words` cuts.

    Returns:
        The model and a report of integers and one share: `distinct_words`, `word_occurrences` (both without newline and
        tab); `trained_words` (distinct), `least_count` (the rarest of them); `left_out`: reason -> occurrences, reasons
        being `below_min_count`, `beyond_max_words`, `longer_than_limit`, `reserved_character`; `share_left_out`: their
        share of all occurrences. Of bpe and unigram also `character_pieces` and `merged_pieces`: pieces of one
        character and of several, beside 256 bytes, 4 special ones and whitespace; of wordpiece `count_divisor`
        (see `pipeline.tokenizer.wordpiece`).

    Raises:
        TokenizerError: if there are no words, or too few or too many different characters for `options.vocab_size`.
        ValueError: if `words` has other columns.
    """
    chosen, report = choose(words, options, seed)
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
    chosen = chosen.select(["word", "weighted"]).rename_columns(["word", "count"])
    if options.type == "wordpiece":
        from pipeline.tokenizer.wordpiece import train_wordpiece

        model, report["count_divisor"] = train_wordpiece(chosen, options)
        trained = vocab.load(model)
        if trained.vocab_size < options.vocab_size:
            raise TokenizerError(_too_many(options, f"{chosen.num_rows} distinct words", trained.vocab_size))
        return Trained(model, trained.fingerprint, report)
    model = _train_sentencepiece(chosen, options)
    trained = vocab.load(model)
    pieces = [trained.piece(i) for i in range(trained.vocab_size)]
    n_symbols = 4 + len(_symbols(options)) + 256
    report["character_pieces"] = sum(len(piece) == 1 and piece not in USER_SYMBOLS for piece in pieces)
    report["merged_pieces"] = trained.vocab_size - n_symbols - report["character_pieces"]
    return Trained(model, trained.fingerprint, report)


def _train_sentencepiece(words: pa.Table, options: TokenizerOptions) -> bytes:
    """Lines reach sentencepiece from memory, so that no path is recorded in the model."""
    lines = (
        f"{word}\t{count}"
        for batch in words.to_batches()
        for word, count in zip(batch["word"].to_pylist(), batch["count"].to_pylist(), strict=True)
    )
    model = io.BytesIO()
    digits: dict[str, Any] = {"split_digits": True} if options.split_digits else {}  # the file would record `False`
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            input_format="tsv",
            model_type=options.type,
            vocab_size=options.vocab_size,
            character_coverage=options.character_coverage,
            max_sentence_length=2 * MAX_WORD_BYTES,
            user_defined_symbols=_symbols(options),
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
            **digits,
        )
    except (RuntimeError, OSError, ValueError) as error:
        raise TokenizerError(_explain(str(error), words, options)) from None
    return on_grid(model.getvalue()) if options.type == "unigram" else model.getvalue()


def _symbols(options: TokenizerOptions) -> list[str]:
    return [*USER_SYMBOLS, *(INDENTS if options.indents else ())]


def _explain(error: str, words: pa.Table, options: TokenizerOptions) -> str:
    found = f"{words.num_rows} distinct words"
    too_high = re.search(r"Vocabulary size too high .* <= (\d+)", error)
    if too_high:
        return _too_many(options, found, int(too_high[1]))
    too_low = re.search(r"smaller than required_chars\. \d+ vs (\d+)", error)
    if too_low:
        return (
            f"tokenizer.vocab_size is {options.vocab_size}, but the characters of {found} alone take {too_low[1]} "
            f"pieces. Set tokenizer.vocab_size above {too_low[1]}, or tokenizer.character_coverage below "
            f"{options.character_coverage}: rarer characters are then encoded as bytes"
        )
    return f"sentencepiece could not train on {found}: {error}"


def _too_many(options: TokenizerOptions, found: str, most: int) -> str:
    return (
        f"tokenizer.vocab_size is {options.vocab_size}, but {found} give {most} pieces at the most. "
        f"Set tokenizer.vocab_size to {most} or less, or read more documents"
    )
