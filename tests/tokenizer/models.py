"""sentencepiece models of many settings, and models that nobody would train."""

import io
from collections.abc import Iterable, Sequence

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto

LOSSLESS = {
    "model_type": "bpe",
    "byte_fallback": True,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
    "allow_whitespace_only_pieces": True,
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": 3,
    "max_sentence_length": 100_000,
    "minloglevel": 3,
}
"""Settings of which `vocab.load` takes the model."""


def train(lines: Iterable[str], **settings: object) -> bytes:
    """A model that sentencepiece trains on whole lines, with `LOSSLESS` but for `settings`."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, hard_vocab_limit=False, **{**LOSSLESS, **settings}
    )
    return model.getvalue()


def build(pieces: Sequence[tuple[str, float, str]]) -> bytes:
    """A BPE model of pieces (spelled as in the file, score, name of the type), after the special ones and bytes."""
    model = proto.ModelProto()
    for name in ("<unk>", "<s>", "</s>", "<pad>"):
        model.pieces.add(piece=name, score=0, type="UNKNOWN" if name == "<unk>" else "CONTROL")
    for byte in range(256):
        model.pieces.add(piece=f"<0x{byte:02X}>", score=0, type="BYTE")
    for text, score, kind in pieces:
        model.pieces.add(piece=text, score=score, type=kind)
    model.trainer_spec.model_type = proto.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    return bytes(model.SerializeToString())
