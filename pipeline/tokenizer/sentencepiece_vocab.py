"""A sentencepiece model as a vocabulary.

sentencepiece writes a space as U+2581 and cannot tell the two apart afterwards, so in a lossless model a literal U+2581
is cut out before encoding and written as its three byte pieces, which decode to U+2581 again.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sentencepiece

from pipeline.tokenizer.protobuf import bytes_field, fields
from pipeline.tokenizer.unigram import is_unigram
from pipeline.tokenizer.vocab import SPACE_SYMBOL, Vocab, VocabError

PIECES_FIELD, NORMALIZER_SPEC_FIELD = 1, 3
"""Numbers of the fields `pieces` and `normalizer_spec` of ModelProto in sentencepiece's `sentencepiece_model.proto`."""
PIECE_DEFAULTS = (b"", bytes(4), 1)
"""Of piece, score and type (NORMAL), the fields 1, 2 and 3 of ModelProto.SentencePiece."""


class Piece(NamedTuple):
    """One id. `is_text`: whether a text may give it, other than as one byte of a character."""

    text: str
    score: float
    is_text: bool
    is_unused: bool


class SentencePieceVocab(Vocab):
    """See `Vocab`. The fingerprint is over pieces, scores, types and normaliser. A model that loses text encodes as its
    library does. `model`: the bytes of the file."""

    file_name = "tokenizer.model"

    def __init__(self, model: bytes, origin: str, given: Mapping[str, str], lossless: bool) -> None:
        self.model = model
        self._processor = _load_processor(model, origin)
        self.vocab_size = self._processor.get_piece_size()
        self.is_unigram = is_unigram(model)
        found = {mark: getattr(self._processor, f"{mark}_id")() for mark in ("unk", "bos", "eos", "pad")}
        self._space_symbol_ids = [self._processor.piece_to_id(f"<0x{b:02X}>") for b in SPACE_SYMBOL.encode()]
        try:
            pieces = ((self.piece(i), i) for i in range(self.vocab_size) if self._processor.is_control(i))
            self._set_marks(origin, found, given, dict(pieces))
            self.fingerprint = _fingerprint(model)
            self.is_lossless = self.unk_id not in self._space_symbol_ids
            self._check(origin, lossless)
        except UnicodeDecodeError as error:
            raise VocabError(f"{origin}: a damaged sentencepiece model: a piece is not UTF-8 ({error})") from None

    def piece(self, token_id: int) -> str:
        """The piece of one id as sentencepiece spells it (a space is U+2581)."""
        text: str = self._processor.id_to_piece(token_id)
        return text

    def pieces(self) -> list[Piece]:
        """All ids, in order."""
        model = self._processor
        kinds = (model.is_control, model.is_unknown, model.is_byte)
        return [
            Piece(self.piece(i), model.get_score(i), not any(kind(i) for kind in kinds), model.is_unused(i))
            for i in range(self.vocab_size)
        ]

    def token_bytes(self) -> npt.NDArray[np.int64]:
        """See `Vocab`."""
        n_bytes = np.zeros(self.vocab_size, dtype=np.int64)
        for token in range(self.vocab_size):
            if not self._processor.is_control(token) and not self._processor.is_unknown(token):
                text = self.piece(token).replace(SPACE_SYMBOL, " ")
                n_bytes[token] = 1 if self._processor.is_byte(token) else len(text.encode())
        return n_bytes

    def byte_tokens(self) -> npt.NDArray[np.bool_]:
        """See `Vocab`."""
        return np.array([self._processor.is_byte(i) for i in range(self.vocab_size)], dtype=np.bool_)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._processor.decode(ids)
        return text

    def _encode_chunk(self, texts: Sequence[str], n_threads: int) -> list[list[int]]:
        segments: list[str] = []
        for text in texts:
            segments += text.split(SPACE_SYMBOL) if self.is_lossless else [text]
        encoded: list[list[int]] = self._processor.encode(segments, out_type=int, num_threads=n_threads)
        if len(segments) == len(texts):
            return encoded
        remaining = iter(encoded)
        joined = []
        for text in texts:
            ids = next(remaining)
            for _ in range(text.count(SPACE_SYMBOL)):
                ids += self._space_symbol_ids
                ids += next(remaining)
            joined.append(ids)
        return joined


def _load_processor(model: bytes, origin: str) -> sentencepiece.SentencePieceProcessor:
    processor = sentencepiece.SentencePieceProcessor()
    try:
        if not model:
            raise RuntimeError("no bytes")
        processor.LoadFromSerializedProto(model)
    except (RuntimeError, UnicodeDecodeError) as error:  # the latter from an error message that quotes the model
        raise VocabError(
            f"{origin}: not a sentencepiece model nor a tokenizer.json, or a damaged one ({len(model)} bytes; {error})"
        ) from None
    return processor


def _fingerprint(model: bytes) -> str:
    """sha256 over (piece, score, type) of each id in order, then the normaliser. The file's own bytes also record the
    trainer's settings, paths and threads among them, which change no id."""
    digest = hashlib.sha256()
    for number, value in fields(model):
        if number == PIECES_FIELD and isinstance(value, bytes):
            piece, score, kind = (dict(fields(value)).get(i, default) for i, default in enumerate(PIECE_DEFAULTS, 1))
            assert isinstance(piece, bytes) and isinstance(score, bytes) and isinstance(kind, int)
            piece.decode()  # raises if it is not UTF-8
            digest.update(struct.pack("<I", len(piece)) + piece + score + struct.pack("<I", kind))
    digest.update(bytes_field(model, NORMALIZER_SPEC_FIELD))
    return digest.hexdigest()
