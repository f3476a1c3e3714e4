"""Compiled encoding: the ids of sentencepiece for every text and model, whatever the table, the batches, the hash."""

import gzip
import json
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pipeline.tokenizer import encode, merge, words
from pipeline.tokenizer.encode import Encoder, encode_documents, objection
from pipeline.tokenizer.merge import MAX_SCANNED_SYMBOLS
from pipeline.tokenizer.pieces import read_pieces
from pipeline.tokenizer.vocab import Vocab, load
from tests.sample.prose import page_names, read_page
from tests.tokenizer import models
from tests.tokenizer.test_vocab import AWKWARD

LONG_WORDS = [
    "a" * 100_000,
    "the" * 40_000,
    " " * 100_000,
    "\u2581" * 20_000,
    "ab\u00e9\U0001f642" * 25_000,
    "".join(random.Random(1).choices("aeithn", k=100_000)),
    "\u6c34\u8f66" * 30_000,
    "mill" * 300 + " the mill",
]


@pytest.fixture(scope="session")
def sample() -> list[str]:
    """The texts of the sample crawl, and some code."""
    code = [Path(module.__file__ or "").read_text("utf-8") for module in (encode, merge, words, models)]
    return [read_page(name).text for name in page_names()] + code


MODELS = {
    "small": {"vocab_size": 700, "character_coverage": 0.98},
    "larger": {"vocab_size": 4000, "user_defined_symbols": ["\n", "\t"]},
    "covering little": {"vocab_size": 2500, "character_coverage": 0.985},
    "runs of spaces": {
        "vocab_size": 1500,
        "user_defined_symbols": ["\u2581\u2581", "\u2581" * 4, "\u2581" * 8, "\n", "\n\n", "\t"],
    },
    "symbols": {"vocab_size": 1500, "user_defined_symbols": ["th", "the m", "(", "):\n", "<|x|>", "\u6c34", " of"]},
    "digits apart": {"vocab_size": 1500, "split_digits": True},
    "across words": {"vocab_size": 1500, "split_by_whitespace": False, "split_by_unicode_script": False},
    "spaces behind": {"vocab_size": 1500, "treat_whitespace_as_suffix": True},
    "scripts together": {"vocab_size": 1500, "split_by_unicode_script": False, "split_by_number": False},
}


@pytest.fixture(scope="session", params=MODELS)
def model_of_settings(request: pytest.FixtureRequest, sample: list[str]) -> bytes:
    lines = (line for text in sample for line in text.split("\n"))
    return models.train(lines, **MODELS[request.param])


def check(model: bytes, texts: Sequence[str], encoder: Encoder | None = None) -> None:
    """The ids are those of sentencepiece, for each stretch of text between literal U+2581, which are three bytes."""
    pieces = read_pieces(model)
    assert pieces.objection == ""
    ids, offsets = (encoder or Encoder(pieces, (1, 2))).encode(pa.array(texts, pa.large_string()), bos_eos=False)
    assert ids.dtype == np.uint32 and offsets.dtype == np.int64
    assert len(offsets) == len(texts) + 1 and offsets[0] == 0 and offsets[-1] == len(ids)
    peer = sentencepiece.SentencePieceProcessor(model_proto=model)
    symbol = [peer.piece_to_id(f"<0x{byte:02X}>") for byte in "\u2581".encode()]
    for i, text in enumerate(texts):
        expected = peer.encode(text.split("\u2581"))
        joined = [*expected[0], *(j for stretch in expected[1:] for j in (*symbol, *stretch))]
        assert ids[offsets[i] : offsets[i + 1]].tolist() == joined, text[:200]


def test_every_document_of_the_sample(model_of_settings: bytes, sample: list[str]) -> None:
    check(model_of_settings, sample)
    check(model_of_settings, [" ".join(sample), "".join(sample)])


def test_awkward_texts_and_long_words(model_of_settings: bytes) -> None:
    check(model_of_settings, [*AWKWARD, *LONG_WORDS, *AWKWARD])


TEXTS = st.lists(
    st.text(
        st.one_of(
            st.characters(codec="utf-8"),
            st.sampled_from(" \n\t\r\x00\u2581\u2585aeithn01_.,(\u0301\ufe0f\u200d\U0001f469\ue000\u0e32\u6c34"),
        ),
        max_size=80,
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(texts=TEXTS)
@example(texts=AWKWARD)
def test_any_text(texts: list[str], model: bytes, vocabulary: Vocab) -> None:
    check(model, texts)
    ids, offsets = encode_documents(pa.array(texts, pa.large_string()), vocabulary)
    assert [vocabulary.decode(ids[a:b]) for a, b in pairwise(offsets.tolist())] == texts
    expected = vocabulary.encode_batch(texts, bos_eos=True)
    assert np.array_equal(ids, expected[0]) and np.array_equal(offsets, expected[1])


SMALL = "ab \u00e9\u6c34"


@st.composite
def odd_models(draw: st.DrawFn) -> bytes:
    """Pieces over five characters: equal scores, scores that contradict how pieces are made, pieces of characters that
    are none, user-defined and unused ones."""
    spelled = st.text(st.sampled_from("ab \u2581\u00e9\u6c34"), min_size=1, max_size=4)
    texts = draw(st.lists(spelled, max_size=20, unique=True))
    kinds = st.sampled_from(["NORMAL"] * 6 + ["USER_DEFINED", "UNUSED"])
    scores = st.sampled_from([0.0, -1.0, -2.0, -2.5, 3.0, float("inf")])
    return models.build(
        [
            ("\u2581", -9.0, draw(st.sampled_from(["NORMAL", "USER_DEFINED"]))),
            *((t, draw(scores), draw(kinds)) for t in texts if t != "\u2581"),
        ]
    )


@settings(max_examples=400)
@given(model=odd_models(), texts=st.lists(st.text(st.sampled_from(SMALL + "\u2581x"), max_size=60), max_size=8))
def test_models_that_nobody_trained(model: bytes, texts: list[str]) -> None:
    assume(not read_pieces(model).objection)
    check(model, texts)


def test_words_merged_by_the_heap_and_by_looking_have_equal_ids() -> None:
    draw = random.Random(3)
    for _ in range(20):
        spelled = {"".join(draw.choices("ab", k=draw.randint(2, 5))) for _ in range(25)}
        pieces = [(text, -float(draw.randint(1, 30)), "NORMAL") for text in sorted(spelled)]
        model = models.build([*((c, -99.0, "NORMAL") for c in "\u2581ab"), *pieces])
        check(model, ["".join(draw.choices("ab", k=n)) for n in range(1, 3 * MAX_SCANNED_SYMBOLS)])


def test_an_unused_piece_comes_apart_to_what_it_was_made_of() -> None:
    characters = [(c, -9.0, "NORMAL") for c in "\u2581abc"]
    model = models.build([*characters, ("ab", -1.0, "UNUSED"), ("abc", -2.0, "UNUSED")])
    check(model, ["abc ab abcabc"])
    assert "'abc' may come apart" in read_pieces(models.build([*characters, ("ab", -1.0, "UNUSED"),
        ("bc", -1.0, "NORMAL"), ("abc", -2.0, "UNUSED")])).objection  # fmt: skip


@pytest.mark.parametrize("short_words", [words.WAYS, 16, 1 << 12])
@pytest.mark.parametrize("multiplier", [0, 1, 0x9E3779B97F4A7C15])
def test_neither_the_table_nor_its_hash_changes_an_id(
    model: bytes, sample: list[str], short_words: int, multiplier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With multiplier 0 all words have one hash, so that only their bytes tell them apart."""
    monkeypatch.setattr(encode, "MULTIPLIER", np.uint64(multiplier))
    encoder = Encoder(read_pieces(model), (1, 2), short_words, words.WAYS)
    for _ in range(2):
        check(model, sample, encoder)


def test_words_that_differ_in_one_byte_or_in_length_are_told_apart(model: bytes) -> None:
    """Lengths around 8, 15, 16 and 48 bytes, where keys end; NULs, which look like the end of a key."""
    texts = []
    for n in [*range(1, 20), 39, 40, 41, 47, 48, 49, 50]:
        word = ("themill" * 9)[:n]
        texts += [word, *(word[:i] + "e" + word[i + 1 :] for i in range(n)), word + "\x00", word[:-1] + "\x00"]
    check(model, texts, Encoder(read_pieces(model), (1, 2), words.WAYS, words.WAYS))
    check(model, texts)


def test_words_of_every_number_of_bytes_and_ids() -> None:
    """Two characters that stand next to each other in pieces and never merge: a word has as many ids as characters."""
    pieces = [(c, -1.0, "NORMAL") for c in "\u2581\u00e9\u00fc"]
    model = models.build(
        [*pieces, ("\u00e9\u00e9\u00fc\u00fc", -2.0, "NORMAL"), ("\u00fc\u00fc\u00e9\u00e9", -2.0, "NORMAL")]
    )
    draw = random.Random(2)
    texts = ["".join(draw.choices("\u00e9\u00fc", k=n)) for n in range(1, 30) for _ in range(20)]
    for short_words, long_words in ((words.WAYS, words.WAYS), (64, 64), (1 << 12, 1 << 10)):
        check(model, texts * 2, Encoder(read_pieces(model), (1, 2), short_words, long_words))


def test_how_documents_are_cut_into_batches_changes_no_id(
    vocabulary: Vocab, sample: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["", *sample, "m" * 5000, "", "the mill", "e" * 3000]
    column = pa.array(texts, pa.large_string())
    ids, offsets = encode_documents(column, vocabulary)
    for size in (1, 100, 10_000):
        monkeypatch.setattr(encode, "BATCH_BYTES", size)
        again, ends = encode_documents(column, vocabulary)
        assert np.array_equal(again, ids) and np.array_equal(ends, offsets)
    for i in (0, 1, 7, len(texts) - 1):
        alone, _ = encode_documents(column[i : i + 1], vocabulary)
        assert np.array_equal(alone, ids[offsets[i] : offsets[i + 1]])
    for other in (column.cast(pa.string()), pa.chunked_array([column[:3], column[3:]]), column[2:]):
        start = len(texts) - len(other)
        assert np.array_equal(encode_documents(other, vocabulary)[0], ids[offsets[start] :])


def test_texts_that_are_not_utf_8_are_refused(vocabulary: Vocab) -> None:
    broken = pa.array([b"the mill", b"\xff\xfe", b"\xe6\xb0"], pa.large_binary()).view(pa.large_string())
    with pytest.raises(pa.ArrowInvalid, match="UTF8"):
        encode_documents(broken, vocabulary)


def test_special_tokens_never_come_from_text(vocabulary: Vocab) -> None:
    texts = ["<s>the</s><pad><unk>", "<0x41>", "\ue000", "\U0010ffff"]
    ids, offsets = encode_documents(pa.array(texts, pa.large_string()), vocabulary)
    special = {vocabulary.unk_id, vocabulary.bos_id, vocabulary.eos_id, vocabulary.pad_id}
    for i in range(len(texts)):
        assert not special & set(ids[offsets[i] + 1 : offsets[i + 1] - 1].tolist())


def read_jsonl(path: Path, n: int) -> Iterable[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line)["text"] for line in lines]
    return rows[:: max(1, len(rows) // n)]


@pytest.mark.parametrize(
    "name", ["lid/udhr-articles", "lid/lingua-sentences", "wiki/xquad-paragraphs", "code/debian-packages"]
)
def test_languages_of_the_world_and_code(shared_data: Path, name: str) -> None:
    texts = list(read_jsonl(shared_data / f"{name}.jsonl.gz", 1200))
    lines = (line for text in texts[::2] for line in text.split("\n"))
    check(models.train(lines, vocab_size=8000, user_defined_symbols=["\n", "\t"]), texts)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"model_type": "unigram"}, "it is no BPE model"),
        ({"byte_fallback": False}, "it has no byte fallback"),
        ({"normalization_rule_name": "nmt_nfkc"}, "its normaliser changes characters"),
        ({"add_dummy_prefix": True}, "it puts a space before each text"),
        ({"remove_extra_whitespaces": True}, "it removes spaces"),
        ({"control_symbols": ["\u00a7"]}, "'\u00a7' is both a character and a special piece"),
        ({"user_defined_symbols": ["y" * 1025]}, "a piece has 1,025 characters"),
        ({"user_defined_symbols": ["x" * n for n in range(1, 66)]}, "more than 64 user-defined symbols begin"),
    ],
)
def test_models_that_are_left_to_sentencepiece(sample: list[str], changes: dict[str, object], found: str) -> None:
    lines = (line for text in sample for line in text.split("\n"))
    model = models.train(lines, **{"vocab_size": 2000, **changes})
    assert read_pieces(model).objection.startswith(found)


def test_a_unigram_model_is_encoded_by_sentencepiece(sample: list[str], vocabulary: Vocab) -> None:
    lines = (line for text in sample for line in text.split("\n"))
    unigram = load(models.train(lines, vocab_size=2000, model_type="unigram"))
    assert objection(unigram) == "it is no BPE model" and objection(vocabulary) == ""
    ids, offsets = encode_documents(pa.array(sample, pa.large_string()), unigram)
    expected = unigram.encode_batch(sample, bos_eos=True)
    assert np.array_equal(ids, expected[0]) and np.array_equal(offsets, expected[1])
