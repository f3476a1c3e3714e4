"""A throw-away vocabulary of 600 pieces."""

from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.train import train
from pipeline.tokenizer.vocab import Vocab, load

TEXT = """\
The miller takes his toll from every sack of grist that the farmers bring to the mill, and the stones turn day and
night while there is water in the race; when the race is dry the miller sleeps and the farmers wait at the door.
def grind(sack):
    for grain in sack:
        yield flour(grain)
Größere Mühlen mahlen schneller, und doch bleibt das Mehl dasselbe. 水车日夜转动。
"""


def count_words(text: str) -> pa.Table:
    """Word counts as the trainer takes them: leading spaces belong to the word."""
    counts: Counter[str] = Counter()
    for line in text.split("\n"):
        word = ""
        for character in line:
            if character == " " and word.strip(" "):
                counts[word] += 1
                word = ""
            word += character
        counts[word] += bool(word)
    return pa.table(
        {"word": pa.array(list(counts), pa.large_string()), "count": pa.array(list(counts.values()), pa.int64())}
    )


@pytest.fixture(scope="session")
def words() -> Callable[[str], pa.Table]:
    return count_words


@pytest.fixture(scope="session")
def model() -> bytes:
    return train(count_words(TEXT), TokenizerOptions(vocab_size=600), seed=0).model


@pytest.fixture(scope="session", params=["bpe", "indents", "unigram", "wordpiece", "byte_level"])
def any_vocabulary(request: pytest.FixtureRequest) -> Vocab:
    """Lossless vocabularies of every kind; of the last, `tokenizers` trains a model like GPT-2's."""
    if request.param == "byte_level":
        return load(byte_level(TEXT).encode(), bos="<|endoftext|>")
    vocab_size = 340 if request.param == "unigram" else 600  # the text gives no more
    has_indents = request.param == "indents"
    options = TokenizerOptions(type="bpe" if has_indents else request.param, vocab_size=600, indents=has_indents)
    options = options.model_copy(update={"vocab_size": vocab_size})
    return load(train(count_words(TEXT), options, seed=0).model)


def byte_level(text: str, special: tuple[str, ...] = ("<|endoftext|>",)) -> str:
    """The `tokenizer.json` of a model like GPT-2's."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, special_tokens=list(special), show_progress=False
    )
    made.train_from_iterator([text], trainer)
    return made.to_str()


@pytest.fixture(scope="session")
def vocabulary(model: bytes) -> Vocab:
    return load(model)
