"""The fields of a protobuf message, which a sentencepiece model is. For a few of them the package is not needed."""

from collections.abc import Iterator


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of `message`: varints as int, fixed and length-delimited ones as bytes.

    The wire format is described at protobuf.dev/programming-guides/encoding. sentencepiece has parsed the message
    before, so it is well-formed; of one that is not, the rest is left out.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire_type = tag & 7
        if wire_type == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        length = {1: 8, 5: 4}.get(wire_type, len(message))
        if wire_type == 2:
            length, at = _varint(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


def bytes_field(message: bytes, number: int) -> bytes:
    """The last length-delimited field `number` of `message`, or b""."""
    found = b""
    for at, value in fields(message):
        if at == number and isinstance(value, bytes):
            found = value
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            break
    return value, at
