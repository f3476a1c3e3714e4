"""What a sentencepiece model's file says of its pieces, and whether its texts may be encoded word by word.

Words are cut where no piece can reach: between two characters that stand next to each other in no piece. A merge makes
a piece (`bpe_model.cc`, SampleEncode), so none crosses such a cut, and merges on its two sides do not see each other.
User-defined symbols are pieces, too; they are looked for where a symbol begins, and one begins at each cut.
"""

import struct
from dataclasses import dataclass

from pipeline.tokenizer.protobuf import fields
from pipeline.tokenizer.vocab import SPACE_SYMBOL

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Types of pieces: the enum ModelProto.SentencePiece.Type in sentencepiece's `sentencepiece_model.proto`."""

IN_TEXT = (NORMAL, USER_DEFINED, UNUSED)
"""Types of the pieces that text can be (`model_interface.cc`, InitializePieces)."""

NEVER = 0
"""No type of sentencepiece's: a piece with a space, which text never holds when pieces are looked for."""

BPE = 2
"""TrainerSpec.ModelType of BPE in the same file; the default, 1, is unigram."""

NUMBER_BITS = 21
"""What a symbol, a code point and a node of a trie fit into: three of them are one number of 64 bits."""

MAX_PIECE_CHARS = 1024
"""A piece is looked at in all its two-part splits, in quadratic time. The longest pieces of trained models are runs of
spaces or of marks, some hundred characters at most."""

MAX_NESTED_SYMBOLS = 64
"""As many user-defined symbols, each the beginning of the next, are found by sentencepiece (kResultSize in
`normalizer.cc`, PrefixMatch)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece as it stands in text: U+2581 is written as the space that it stands for."""

    text: str
    score: float
    type: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of a model in the order of their ids. `objection`: why its texts may not be encoded word by word, or
    "" if they may."""

    pieces: tuple[Piece, ...]
    objection: str


def read_pieces(model: bytes) -> Pieces:
    """The pieces of a sentencepiece model, and whether it is a BPE model whose texts may be encoded word by word.

    Args:
        model: the bytes of a model file that sentencepiece has loaded.

    Raises:
        UnicodeDecodeError: a piece is not UTF-8.
    """
    pieces = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in fields(model):
        if number == 1 and isinstance(value, bytes):
            found = dict(fields(value))
            text = bytes(_bytes(found.get(1))).decode()
            (score,) = struct.unpack("<f", _bytes(found.get(2)) or bytes(4))
            kind = NEVER if " " in text else _int(found.get(3), NORMAL)
            pieces.append(Piece(text.replace(SPACE_SYMBOL, " "), score, kind))
        elif number == 2 and isinstance(value, bytes):
            trainer |= dict(fields(value))
        elif number == 3 and isinstance(value, bytes):
            normalizer |= dict(fields(value))
    return Pieces(tuple(pieces), _of_settings(trainer, normalizer) or _of_pieces(pieces))


def _of_settings(trainer: dict[int, int | bytes], normalizer: dict[int, int | bytes]) -> str:
    """What stands against it in TrainerSpec and NormalizerSpec. Absent fields have the defaults of the .proto file."""
    if _int(trainer.get(3), 1) != BPE:
        return "it is no BPE model"
    if not _int(trainer.get(35), 0):
        return "it has no byte fallback"
    if _bytes(normalizer.get(2)) or _bytes(normalizer.get(6)):
        return "its normaliser changes characters"
    if _int(normalizer.get(3), 1):
        return "it puts a space before each text"
    if _int(normalizer.get(4), 1):
        return "it removes spaces"
    if not _int(normalizer.get(5), 1):
        return "it does not write spaces as U+2581"
    return ""


def _of_pieces(pieces: list[Piece]) -> str:
    in_text = {piece.text: piece for piece in pieces if piece.type in IN_TEXT}
    if len(pieces) + len({c for text in in_text for c in text}) >= 1 << NUMBER_BITS:
        return f"pieces and characters are more than {1 << NUMBER_BITS:,}"
    if " " not in in_text or in_text[" "].type == UNUSED:
        return "the space is no piece of its own"
    symbols = {piece.text for piece in pieces if piece.type == USER_DEFINED}
    for piece in pieces:
        if len(piece.text) > MAX_PIECE_CHARS:
            return f"a piece has {len(piece.text):,} characters, more than {MAX_PIECE_CHARS:,}"
        if piece.score != piece.score:
            return f"the score of {piece.text!r} is not a number"
        if piece.type in (UNKNOWN, CONTROL, BYTE) and len(piece.text) == 1:
            return f"{piece.text!r} is both a character and a special piece"
        if piece.type == UNUSED and len(splits(piece.text, in_text)) > 1:
            return f"the unused piece {piece.text!r} may come apart in several ways"
    for symbol in symbols:
        if sum(symbol[:end] in symbols for end in range(1, len(symbol) + 1)) > MAX_NESTED_SYMBOLS:
            return f"more than {MAX_NESTED_SYMBOLS} user-defined symbols begin with one another"
    return ""


def splits(text: str, known: dict[str, Piece]) -> list[int]:
    """The places where a piece may be two symbols before they are merged: each is a piece that merges, or a character.
    User-defined symbols are never merged."""

    def merges(part: str) -> bool:
        return known[part].type != USER_DEFINED if part in known else len(part) == 1

    return [at for at in range(1, len(text)) if merges(text[:at]) and merges(text[at:])]


def _int(value: int | bytes | None, default: int) -> int:
    return value if isinstance(value, int) else default


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""
