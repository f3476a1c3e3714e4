"""The scores of a Unigram model on a grid."""

import struct

from pipeline.tokenizer.protobuf import bytes_field, fields

PIECES, TRAINER_SPEC, MODEL_TYPE, UNIGRAM = 1, 2, 3, 1
"""Fields of ModelProto and of TrainerSpec in sentencepiece's `sentencepiece_model.proto`; a model type, the default."""

SCORE_TAG = 2 << 3 | 5
"""Field 2 of SentencePiece, a float, behind its text, which is field 1."""

GRID = 64
"""Scores are made multiples of 1/64. Sums of them are exact in 32-bit floats up to 2^18, some 30,000 tokens; between
paths of equal score sentencepiece's rule then decides, and not how sums were rounded on the way."""


def is_unigram(model: bytes) -> bool:
    """Whether a ModelProto is of that type."""
    return dict(fields(bytes_field(model, TRAINER_SPEC))).get(MODEL_TYPE, UNIGRAM) == UNIGRAM


def on_grid(model: bytes) -> bytes:
    """The ModelProto that sentencepiece has just written, with all scores rounded to `GRID`.

    Raises:
        ValueError: if pieces do not come first in it, or a score not behind its text.
    """
    rounded, at = bytearray(model), 0
    for number, piece in fields(model):
        if number != PIECES or not isinstance(piece, bytes):
            break
        text = bytes_field(piece, 1)
        begin = at + _head(piece)
        place = begin + _head(text) + len(text)
        if model[begin : begin + len(piece)] != piece or model[place] != SCORE_TAG:
            raise ValueError(f"the model file is not laid out as expected at byte {at}")
        (score,) = struct.unpack_from("<f", model, place + 1)
        struct.pack_into("<f", rounded, place + 1, round(score * GRID) / GRID)
        at = begin + len(piece)
    return bytes(rounded)


def _head(content: bytes) -> int:
    """Bytes before a length-delimited field's content: its tag, and its length in sevens of bits."""
    return 1 + max(1, -(-len(content).bit_length() // 7))
