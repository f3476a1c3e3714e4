"""tokenizer.json of others: ids of their library, special tokens never from text, what loses text named and allowed."""

import json
import random

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from pipeline.tokenizer.vocab import VocabError, load
from tests.tokenizer.conftest import TEXT, byte_level


def bert_like() -> str:
    """BERT's own scheme: lower case, accents removed, words that it cannot spell are [UNK]."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    made.train_from_iterator([TEXT], trainer)
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_truncation(16)
    made.enable_padding(length=16)
    return made.to_str()


def t5_like() -> str:
    """T5's scheme: Unigram without bytes, compatibility characters normalised; it has no begin of a document."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(letter, -4.0 - i / 100) for i, letter in enumerate(sorted(set(TEXT) | set("</s>") - set(" \n")))]
    made = Tokenizer(models.Unigram(pieces, unk_id=2))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.add_special_tokens([AddedToken(name, special=True) for name in ("<pad>", "</s>", "<unk>")])
    return made.to_str()


def test_ids_are_those_of_the_library_without_truncation_padding_and_marks() -> None:
    for text, options in ((byte_level(TEXT), {"bos": "<|endoftext|>"}), (bert_like(), {"lossless": False})):
        peer = Tokenizer.from_str(text)
        peer.no_truncation()
        peer.no_padding()
        ours = load(text.encode(), **options)
        lines = [*TEXT.split("\n"), TEXT]
        assert [ids.tolist() for ids in ours.encode(lines)] == [
            peer.encode(line, add_special_tokens=False).ids for line in lines
        ]


def test_marks_are_found_named_or_asked_for() -> None:
    bert = load(bert_like().encode(), lossless=False)
    assert [bert.piece(i) for i in (bert.bos_id, bert.eos_id, bert.pad_id, bert.unk_id)] == [
        "[CLS]", "[SEP]", "[PAD]", "[UNK]",
    ]  # fmt: skip
    gpt = byte_level(TEXT, ("<|endoftext|>", "<|fim|>"))
    with pytest.raises(VocabError, match=r"set tokenizer.bos in the recipe. It has: '<\|endoftext\|>', '<\|fim\|>'"):
        load(gpt.encode())
    with pytest.raises(VocabError, match=r"tokenizer.bos is '<s>', no special piece"):
        load(gpt.encode(), bos="<s>")
    found = load(gpt.encode(), bos="<|fim|>")
    assert (found.piece(found.bos_id), found.piece(found.eos_id)) == ("<|fim|>", "<|endoftext|>")
    assert found.pad_id == found.eos_id and found.unk_id == -1


def test_a_mark_that_is_an_ordinary_added_token_becomes_special() -> None:
    made = Tokenizer.from_str(byte_level(TEXT))
    made.add_tokens([AddedToken("<begin>", special=False), AddedToken("<tool>", special=False)])
    found = load(made.to_str().encode(), bos="<begin>")
    ids = found.encode(["a <begin> <tool>"])[0].tolist()
    assert found.bos_id not in ids and made.token_to_id("<tool>") in ids
    assert found.decode(ids) == "a <begin> <tool>"


@pytest.mark.parametrize("make", [lambda: byte_level(TEXT), bert_like, t5_like])
def test_special_tokens_never_come_from_text(make) -> None:
    """T5's library takes "</s>" for the token even where it is told not to: its pieces hold it. A text may also spell
    it after normalisation only."""
    peer = Tokenizer.from_str(make())
    special = {token.content: i for i, token in peer.get_added_tokens_decoder().items()}
    found = load(make().encode(), bos=next(iter(special)), lossless=False)
    parts = [*special, *"<|/s>ab [] end", "\uff1c/s\uff1e", "\uff1c", "text", "\u2581"]
    draw = random.Random(3)
    texts = ["".join(draw.choices(parts, k=draw.randrange(12))) for _ in range(300)] + list(special)
    ids = {i for encoded in found.encode(texts) for i in encoded.tolist()}
    assert not ids & ({*special.values()} - {found.unk_id})


def test_a_model_that_loses_text_is_allowed_by_name_only() -> None:
    for text in (bert_like(), t5_like()):
        with pytest.raises(VocabError, match=r"loses text.*tokenizer.lossless: false"):
            load(text.encode(), bos="</s>" if "</s>" in text else "")
        assert not load(text.encode(), bos="</s>" if "</s>" in text else "", lossless=False).is_lossless


def test_an_added_token_that_takes_a_space_along_loses_text() -> None:
    made = Tokenizer.from_str(byte_level(TEXT))
    made.add_tokens([AddedToken("<tool>", lstrip=True)])
    with pytest.raises(VocabError, match=r"loses text: 'a <tool> b' comes back as 'a<tool> b'"):
        load(made.to_str().encode(), bos="<|endoftext|>")


def test_a_byte_level_model_without_a_byte_loses_text() -> None:
    described = json.loads(byte_level(TEXT))
    del described["model"]["vocab"]["\u00f4"]
    with pytest.raises(VocabError, match="loses text"):
        load(json.dumps(described).encode(), bos="<|endoftext|>")


def test_the_fingerprint_is_of_what_decides_ids() -> None:
    described = json.loads(byte_level(TEXT))
    plain = load(json.dumps(described).encode(), bos="<|endoftext|>").fingerprint
    described["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    assert load(json.dumps(described, indent=2).encode(), bos="<|endoftext|>").fingerprint == plain
    described["model"]["merges"] = described["model"]["merges"][:-1]
    assert load(json.dumps(described).encode(), bos="<|endoftext|>").fingerprint != plain


def test_bytes_of_tokens_add_to_the_text(any_vocabulary) -> None:
    text = TEXT + " \u2581\U0001f642\x00 ## caf\u00e9"
    ids = any_vocabulary.encode([text])[0]
    sizes = any_vocabulary.token_bytes()
    assert sizes[ids].sum() == len(text.encode())
    assert sizes[[any_vocabulary.bos_id, any_vocabulary.eos_id, any_vocabulary.pad_id]].tolist() == [0, 0, 0]
    spelled = any_vocabulary.encode(["\U0001f642"])[0]
    assert any_vocabulary.byte_tokens()[spelled].all() and len(spelled) == 4
    assert not any_vocabulary.byte_tokens()[any_vocabulary.encode(["the mill"])[0]].any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "damaged JSON"),
        (b"{" + b'"a":[' * 100_000, "damaged JSON"),
        (b'{"vocab": {}}', "expected the tokenizer.json of Hugging Face"),
        (b'{"model": {"type": "none"}}', "cannot read it"),
        (byte_level(TEXT).replace('"dropout":null', '"dropout":0.1').encode(), "ids would be random"),
    ],
)
def test_files_that_do_not_fit_are_named(data: bytes, message: str) -> None:
    with pytest.raises(VocabError, match=f"the given bytes: .*{message}"):
        load(data)
