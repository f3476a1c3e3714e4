"""Word counts -> a WordPiece vocabulary of bytes, trained by Hugging Face `tokenizers`.

BERT's own tokenizer normalises text and gives [UNK] for words that it cannot spell. This one has every byte as a piece,
at the begin of a word and within, so that it needs neither and loses nothing. A text is cut by GPT-2's pattern
(`ByteLevel` of `tokenizers`); "#" stands alone, so that "##" is the mark of pieces within a word and never text.
"""

import os
from collections.abc import Iterator

import pyarrow as pa

from pipeline.tokenizer.options import TokenizerOptions

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""BERT's, in its order; [CLS] begins a document and [SEP] ends it."""

WITHIN = "##"
MAX_RUN_BYTES = 64
"""Longest run of bytes that is one word. Matching takes the longest piece first, in time that grows with its square."""

MAX_OCCURRENCES = 20_000_000
"""Words given to the trainer, which counts them itself: some 20 s. Counts of larger texts are divided."""


def train_wordpiece(words: pa.Table, options: TokenizerOptions) -> tuple[bytes, int]:
    """Train a vocabulary.

    Args:
        words: columns `word` and `count` (int64), in the order that they are read in; the order changes nothing.
        options: the recipe's tokenizer part.

    Returns:
        The bytes of `tokenizer.json`, and what counts were divided by, rounded, with 1 as the least.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # All single bytes have their ids beforehand: left to the trainer, their order would be that of a hash table.
    fixed = [*SPECIAL, *alphabet, *(WITHIN + letter for letter in alphabet)]
    learned = Tokenizer(_model({}))
    learned.pre_tokenizer = _pre_tokenizer(options.split_digits)
    trainer = trainers.WordPieceTrainer(
        vocab_size=options.vocab_size, special_tokens=fixed, continuing_subword_prefix=WITHIN, show_progress=False
    )
    divisor = max(1, -(-sum(words["count"].to_pylist()) // MAX_OCCURRENCES))
    learned.train_from_iterator(_repeated(words, divisor), trainer)
    made = Tokenizer(_model(learned.get_vocab()))
    made.pre_tokenizer = learned.pre_tokenizer
    made.decoder = decoders.Sequence([decoders.Replace(Regex(f"^{WITHIN}"), ""), decoders.ByteLevel()])
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return made.to_str().encode(), divisor


def _model(vocab: dict[str, int]) -> models.WordPiece:
    vocab = vocab or {"[UNK]": 0}
    return models.WordPiece(
        vocab, unk_token="[UNK]", continuing_subword_prefix=WITHIN, max_input_chars_per_word=MAX_RUN_BYTES
    )


def _pre_tokenizer(split_digits: bool) -> pre_tokenizers.PreTokenizer:
    digits = [pre_tokenizers.Digits(individual_digits=True)] if split_digits else []
    return pre_tokenizers.Sequence(
        [
            *digits,
            pre_tokenizers.Split("#", "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            pre_tokenizers.Split(Regex(rf"[\s\S]{{1,{MAX_RUN_BYTES}}}"), "isolated"),
        ]
    )


def _repeated(words: pa.Table, divisor: int) -> Iterator[list[str]]:
    """Each word as often as it counts."""
    for batch in words.to_batches():
        for word, count in zip(batch["word"].to_pylist(), batch["count"].to_pylist(), strict=True):
            yield [word] * max(1, round(count / divisor))
