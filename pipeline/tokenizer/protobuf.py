"""The fields of a protobuf message, and the few of a sentencepiece model that its library does not tell.

The wire format is described at protobuf.dev/programming-guides/encoding, the messages in `sentencepiece_model.proto`.
The protobuf package is not needed for them. sentencepiece has parsed the messages before, so they are well-formed; of
one that is not, the rest is left out.
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


def fields(message: bytes) -> Iterator[tuple[int, int | bytes, int]]:
    """Number, value and place of the content of each field: varints as int, fixed and length-delimited ones as
    bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire_type = tag & 7
        if wire_type == 0:
            value, end = _varint(message, at)
            yield tag >> 3, value, at
            at = end
            continue
        length = {1: 8, 5: 4}.get(wire_type, len(message))
        if wire_type == 2:
            length, at = _varint(message, at)
        yield tag >> 3, message[at : at + length], at
        at += length


def last(message: bytes) -> dict[int, int | bytes]:
    """The value of the last field of each number."""
    return {number: value for number, value, _ in fields(message)}


def part(message: bytes, number: int) -> bytes:
    """The message in field `number` of `message`, b"" if there is none. Of several, one after the other: so they are
    one message, as protobuf has it."""
    return b"".join(value for at, value, _ in fields(message) if at == number and isinstance(value, bytes))


def is_unigram(model: bytes) -> bool:
    """Whether a ModelProto is of that type."""
    return last(part(model, TRAINER_SPEC)).get(MODEL_TYPE, UNIGRAM) == UNIGRAM


def on_grid(model: bytes) -> bytes:
    """The ModelProto with all scores rounded to `GRID`."""
    rounded = bytearray(model)
    for number, piece, begin in fields(model):
        if number == PIECES and isinstance(piece, bytes):
            for inner, _, at in fields(piece):
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
