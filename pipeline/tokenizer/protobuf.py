"""The fields of a protobuf message, and the few of a sentencepiece model that its library does not tell.

The wire format is described at protobuf.dev/programming-guides/encoding, the messages in `sentencepiece_model.proto`.
The protobuf package is not needed for them. Messages have been parsed by sentencepiece before, so they are well-formed.
"""

import struct
from collections.abc import Iterator

PIECES, TRAINER_SPEC, NORMALIZER_SPEC = 1, 2, 3
"""Fields of ModelProto."""
MODEL_TYPE, UNIGRAM = 3, 1
"""Field of TrainerSpec, and its default value."""
SCORE = 2
"""Field of SentencePiece, float."""

GRID = 64
"""Unigram's scores are made multiples of 1/64. Sums of them are exact in 32-bit floats up to 2^18, some 30,000 tokens;
between paths of equal score sentencepiece's rule then decides, and not how sums were rounded on the way."""


def fields(message: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each field's number, its value if that is an integer (else 0), and begin and end of its content."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, end = 0, at + {1: 8, 5: 4}.get(tag & 7, len(message))
        if tag & 7 == 0:
            value, end = _varint(message, at)
        elif tag & 7 == 2:
            length, at = _varint(message, at)
            end = at + length
        yield tag >> 3, value, at, end
        at = end


def last(message: bytes, number: int) -> bytes:
    """The content of the last field `number`, or b""."""
    found = b""
    for other, _, begin, end in fields(message):
        if other == number:
            found = message[begin:end]
    return found


def is_unigram(model: bytes) -> bool:
    """Whether a ModelProto is of that type."""
    found = [value for number, value, _, _ in fields(last(model, TRAINER_SPEC)) if number == MODEL_TYPE]
    return not found or found[-1] == UNIGRAM


def on_grid(model: bytes) -> bytes:
    """The ModelProto with all scores rounded to `GRID`."""
    rounded = bytearray(model)
    for number, _, begin, end in fields(model):
        if number == PIECES:
            for inner, _, at, _ in fields(model[begin:end]):
                if inner == SCORE:
                    (score,) = struct.unpack_from("<f", model, begin + at)
                    struct.pack_into("<f", rounded, begin + at, round(score * GRID) / GRID)
    return bytes(rounded)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            break
    return value, at
