"""Word counts -> a WordPiece vocabulary of bytes, trained by Hugging Face `tokenizers`.

BERT's own tokenizer normalises text and gives [UNK] for words that it cannot spell. This one has every byte as a piece,
at the begin of a word and within, so that it needs neither and loses nothing. A text is cut by GPT-2's pattern
(`ByteLevel` of `tokenizers`); "#" stands alone, so that "##" is the mark of pieces within a word and never text.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping

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
"""Words given to the trainer, which counts them itself, a few seconds a million. Counts of larger texts are divided."""

TEXT_WORDS = 1000
"""Words in a text that is given to the trainer at a time."""


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
    cut = _pre_tokenizer(options.split_digits)
    counts: Counter[str] = Counter()
    for word, count in zip(words["word"].to_pylist(), words["count"].to_pylist(), strict=True):
        for run, _ in cut.pre_tokenize_str(word):
            counts[run] += count
    # Cut beforehand: the trainer would cut each occurrence anew, which takes twelve times as long.
    learned = Tokenizer(_model({}))
    learned.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=options.vocab_size, special_tokens=fixed, continuing_subword_prefix=WITHIN, show_progress=False
    )
    divisor = max(1, -(-sum(counts.values()) // MAX_OCCURRENCES))
    learned.train_from_iterator(_repeated(counts, divisor), trainer)
    made = Tokenizer(_model(learned.get_vocab()))
    made.pre_tokenizer = cut
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


def _repeated(counts: Mapping[str, int], divisor: int) -> Iterator[str]:
    """Texts with each word as often as it counts."""
    for word, count in counts.items():
        times = max(1, round(count / divisor))
        for begin in range(0, times, TEXT_WORDS):
            yield " ".join([word] * min(TEXT_WORDS, times - begin))
