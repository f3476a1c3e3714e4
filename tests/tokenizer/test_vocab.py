"""Vocabulary: lossless for every string, special ids never from text, ids equal to sentencepiece's, damage named."""

import gzip
import io
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.tokenizer.encode import encode_documents
from pipeline.tokenizer.vocab import Vocab, VocabError, load
from tests.tokenizer.models import build

AWKWARD = [
    "",
    " ",
    "   a    b ",
    "\u2581",
    "a\u2581b \u2581\u2581 \u2581",
    "\u2581 \u2581",
    "<s>text</s><pad><unk>",
    "<0x41><0xE2>",
    "nul \x00 and tab\tand\r\n CR LF\n\n\n",
    "\ufeffbom \u2028 \u0085 \ufffd \U0010ffff",
    "\u2585 \u2047 \u200b\u00a0",
    "e\u0301 \u00e9 \ufb01 \uff21 \u1e9b\u0323",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\ue000 \U000f0000 private use, \u2581## ##a # ### [MASK] [CLS] <|endoftext|>",
    "\u4f60\u597d\u3053\u3093 \u0e2a\u0e27\u0e31",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_survive(any_vocabulary: Vocab, text: str) -> None:
    assert any_vocabulary.decode(any_vocabulary.encode([text])[0]) == text


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\u2581 \n\t<s>/ae")), max_size=60), max_size=5
    )
)
@example(AWKWARD)
def test_every_string_survives_and_gives_no_special_id(any_vocabulary: Vocab, texts: list[str]) -> None:
    encoded = any_vocabulary.encode(texts)
    assert [any_vocabulary.decode(ids) for ids in encoded] == texts
    special = {any_vocabulary.unk_id, any_vocabulary.bos_id, any_vocabulary.eos_id, any_vocabulary.pad_id}
    assert not any(special & set(ids.tolist()) for ids in encoded)
    flat, offsets = any_vocabulary.encode_batch(texts)
    assert flat.dtype == np.uint32 and offsets.dtype == np.int64 and offsets.size == len(texts) + 1
    assert [flat[a:b].tolist() for a, b in pairwise(offsets)] == [e.tolist() for e in encoded]


@pytest.mark.parametrize("text", ["a" * 100_000, "\u2581" * 20_000, " " * 100_000, "ab\u00e9\U0001f642" * 25_000])
def test_enormous_words_take_no_enormous_time(any_vocabulary: Vocab, text: str) -> None:
    begin = time.perf_counter()
    assert any_vocabulary.decode(any_vocabulary.encode([text])[0]) == text
    assert time.perf_counter() - begin < 20


def test_ids_are_those_of_sentencepiece(vocabulary: Vocab, model: bytes, shared_data: Path) -> None:
    """The peer meets each text whole; here texts go in chunks and U+2581 apart."""
    texts = []
    for name in ("code/debian-packages", "wiki/xquad-paragraphs"):
        with gzip.open(shared_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines][:300]
    assert sum(map(len, texts)) > 2 << 20, "more than one chunk"
    peer = sentencepiece.SentencePieceProcessor(model_proto=model)
    flat, offsets = vocabulary.encode_batch(texts)
    expected = [ids for text in texts if "\u2581" not in text for ids in peer.encode(text)]
    kept = [flat[a:b] for a, b, text in zip(offsets, offsets[1:], texts, strict=False) if "\u2581" not in text]
    assert np.concatenate(kept).tolist() == expected
    assert all(vocabulary.decode(flat[offsets[i] : offsets[i + 1]]) == texts[i] for i in range(len(texts)))


def test_a_literal_space_symbol_becomes_its_bytes(vocabulary: Vocab) -> None:
    a, b = (vocabulary.encode([t])[0].tolist() for t in ("the", " of"))
    space_symbol = vocabulary.encode(["\u2581"])[0].tolist()
    assert [vocabulary.piece(i) for i in space_symbol] == ["<0xE2>", "<0x96>", "<0x81>"]
    assert vocabulary.encode(["the\u2581 of"])[0].tolist() == a + space_symbol + b


def test_documents_get_bos_and_eos(any_vocabulary: Vocab) -> None:
    texts = ["the mill", "", "a\u2581b", "\n"]
    ids, offsets = encode_documents(pa.array(texts, pa.large_string()), any_vocabulary)
    assert ids.dtype == np.uint32 and offsets.dtype == np.int64
    for i, text in enumerate(texts):
        document = ids[offsets[i] : offsets[i + 1]]
        assert (document[0], document[-1]) == (any_vocabulary.bos_id, any_vocabulary.eos_id)
        assert np.array_equal(document[1:-1], any_vocabulary.encode([text])[0])
        assert any_vocabulary.decode(document) == text


def test_no_documents_and_null_documents(vocabulary: Vocab) -> None:
    ids, offsets = encode_documents(pa.array([], pa.large_string()), vocabulary)
    assert (ids.size, ids.dtype, offsets.tolist()) == (0, np.uint32, [0])
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        encode_documents(pa.array(["a", None], pa.large_string()), vocabulary)


def test_threads_and_company_change_no_id(any_vocabulary: Vocab) -> None:
    texts = [f"the {'mill ' * (i % 50)}of {i}\n" for i in range(3000)] + AWKWARD
    one, offsets = any_vocabulary.encode_batch(texts, n_threads=1)
    four, offsets_of_four = any_vocabulary.encode_batch(texts, n_threads=4)
    assert np.array_equal(one, four) and np.array_equal(offsets, offsets_of_four)
    assert np.array_equal(one, np.concatenate([any_vocabulary.encode([text])[0] for text in texts]))


def test_ids_outside_the_vocabulary_are_refused(any_vocabulary: Vocab) -> None:
    for wrong in (-1, any_vocabulary.vocab_size):
        with pytest.raises(VocabError, match=rf"id {wrong} is not in this vocabulary: ids go from 0 to \d+"):
            any_vocabulary.decode([5, wrong])


def test_any_ids_decode(vocabulary: Vocab) -> None:
    """A model in training writes ids in any order; bytes that are no UTF-8 become U+FFFD."""
    ids = np.random.default_rng(0).integers(0, vocabulary.vocab_size, 5000)
    assert "\ufffd" in vocabulary.decode(ids)
    assert vocabulary.decode([]) == vocabulary.decode([vocabulary.bos_id, vocabulary.pad_id, vocabulary.eos_id]) == ""


def test_a_path_and_bytes_load_alike(vocabulary: Vocab, model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model)
    assert load(path).fingerprint == load(str(path)).fingerprint == vocabulary.fingerprint


def test_files_that_are_no_model_are_named(model: bytes, tmp_path: Path) -> None:
    with pytest.raises(VocabError, match=r"nothing\.model: cannot read the tokenizer model: No such file"):
        load(tmp_path / "nothing.model")
    not_utf8 = model.replace("水".encode(), b"\xff\xff\xff")
    assert not_utf8 != model
    for data in (b"", b"\x00\x01not a model", model[: len(model) // 2 + 1], not_utf8):
        with pytest.raises(VocabError, match="the given bytes"):
            load(data)


def peer_model(**settings: object) -> bytes:
    model = io.BytesIO()
    words = ["the\t9", "\u2581mill\t5", "grist\t3"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_writer=model,
        input_format="tsv",
        model_type="bpe",
        vocab_size=290,
        hard_vocab_limit=False,
        minloglevel=3,
        **settings,
    )
    return model.getvalue()


def test_models_that_lose_text_or_lack_special_ids_are_refused() -> None:
    lossless = {
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "pad_id": 3,
    }
    load(peer_model(**lossless))
    without_pad = load(peer_model(**{**lossless, "pad_id": -1}))
    assert without_pad.pad_id == without_pad.eos_id
    without_bos = peer_model(**{**lossless, "bos_id": -1})
    with pytest.raises(VocabError, match=r"set tokenizer.bos in the recipe. It has: '</s>', '<pad>'"):
        load(without_bos)
    with pytest.raises(VocabError, match=r"tokenizer.bos is 'the', no special piece of it. It has: '</s>', '<pad>'"):
        load(without_bos, bos="the")
    named = load(without_bos, bos="</s>", pad="</s>")
    assert named.bos_id == named.eos_id == named.pad_id
    for name, value in {
        "byte_fallback": False,
        "normalization_rule_name": "nmt_nfkc",
        "remove_extra_whitespaces": True,
        "add_dummy_prefix": True,
    }.items():
        lossy = peer_model(**{**lossless, name: value})
        with pytest.raises(VocabError, match=r"loses text.*tokenizer.lossless: false"):
            load(lossy)
        allowed = load(lossy, lossless=False)
        peer = sentencepiece.SentencePieceProcessor(model_proto=lossy)
        texts = ["the \u2581mill  grist ", " \u2581", "</s>"]
        assert not allowed.is_lossless
        assert [ids.tolist() for ids in allowed.encode(texts)] == peer.encode(texts)


def test_the_fingerprint_tells_user_defined_pieces_from_learned_ones() -> None:
    """They encode differently: the first are cut out before anything is merged."""
    pieces = [(letter, -1.0, "NORMAL") for letter in "\u2581ab"]
    learned, defined = (load(build([*pieces, ("ab", -0.5, kind)])) for kind in ("NORMAL", "USER_DEFINED"))
    assert learned.fingerprint != defined.fingerprint
