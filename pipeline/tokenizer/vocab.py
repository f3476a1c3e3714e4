"""A trained vocabulary: load, encode, decode. All that the trainer needs of it; numpy and sentencepiece only.

A text is encoded without loss: `decode(encode(x)) == x` for every string of valid Unicode. sentencepiece writes a space
as U+2581 and cannot tell the two apart afterwards, so a literal U+2581 is cut out before encoding and written as its
three byte pieces, which decode to U+2581 again.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece

from pipeline.tokenizer.protobuf import bytes_field

SPACE_SYMBOL = "\u2581"
"""The character that sentencepiece puts in place of a space (kSpaceSymbol in its `normalizer.h`)."""

NORMALIZER_SPEC_FIELD = 3
"""Number of the field `normalizer_spec` of ModelProto in sentencepiece's `sentencepiece_model.proto`."""

CHUNK_CHARACTERS = 1 << 20
"""Texts are encoded in chunks of about this many characters: ids pass through Python integers (36 bytes each)."""

PROBE = f" a  b\t\n\r\n\x00\x7f{SPACE_SYMBOL} é \U0001f642</s>  "

Ids = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]


class VocabError(Exception):
    """A tokenizer model that is missing, damaged or unfit, or ids that it does not have."""


class Vocab:
    """A sentencepiece model with lossless settings. Immutable; safe to share between threads.

    Attributes:
        model: the bytes of the model file.
        vocab_size: number of ids; every id is below it.
        unk_id, bos_id, eos_id, pad_id: ids that no text ever encodes to, whatever it spells ("<s>" in a text is five
            characters).
        fingerprint: sha256 (hexadecimal) of pieces, scores, types and normaliser. Equal fingerprints encode equally.
    """

    def __init__(self, model: bytes, origin: str = "the given bytes") -> None:
        self._processor = _load_processor(model, origin)
        self.model = model
        self.vocab_size: int = self._processor.get_piece_size()
        self.unk_id: int = self._processor.unk_id()
        self.bos_id: int = self._processor.bos_id()
        self.eos_id: int = self._processor.eos_id()
        self.pad_id: int = self._processor.pad_id()
        self._space_symbol_ids = [self._processor.piece_to_id(f"<0x{b:02X}>") for b in SPACE_SYMBOL.encode()]
        try:
            self.fingerprint = _fingerprint(self._processor, bytes_field(model, NORMALIZER_SPEC_FIELD))
            self._check(origin)
        except UnicodeDecodeError as error:
            raise VocabError(f"{origin}: a damaged sentencepiece model: a piece is not UTF-8 ({error})") from None

    def encode(self, texts: Sequence[str], n_threads: int = 1) -> list[Ids]:
        """The ids of each text, uint32 arrays, without bos and eos. Equal for any `n_threads`."""
        ids, offsets = self.encode_batch(texts, n_threads)
        return [ids[a:b] for a, b in pairwise(offsets.tolist())]

    def encode_batch(self, texts: Sequence[str], n_threads: int = 1, bos_eos: bool = False) -> tuple[Ids, Offsets]:
        """The ids of all texts in one array.

        Args:
            texts: strings of valid Unicode (no lone surrogates).
            n_threads: sentencepiece threads; changes no id.
            bos_eos: put `bos_id` before and `eos_id` behind the ids of each text.

        Returns:
            ids: uint32 [total].
            offsets: int64 [len(texts) + 1]; text i has ids[offsets[i] : offsets[i + 1]].
        """
        parts: list[Ids] = []
        lengths: list[int] = []
        for chunk in _chunks(texts):
            encoded = self._encode_chunk(chunk, n_threads)
            if bos_eos:
                encoded = [[self.bos_id, *ids, self.eos_id] for ids in encoded]
            lengths += map(len, encoded)
            parts += [np.array(ids, dtype=np.uint32) for ids in encoded]
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return (np.concatenate(parts) if parts else np.empty(0, np.uint32)), offsets

    def decode(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """The text of `ids`; bos, eos and pad give nothing, bytes that are no UTF-8 give U+FFFD.

        Raises:
            VocabError: for an id outside [0, vocab_size).
        """
        array = np.asarray(ids, dtype=np.int64)
        if array.size == 0:
            return ""
        if array.min() < 0 or array.max() >= self.vocab_size:
            wrong = int(array[(array < 0) | (array >= self.vocab_size)][0])
            raise VocabError(f"id {wrong} is not in this vocabulary: ids go from 0 to {self.vocab_size - 1}")
        text: str = self._processor.decode(array.tolist())
        return text

    def piece(self, token_id: int) -> str:
        """The piece of one id as sentencepiece spells it (a space is U+2581)."""
        text: str = self._processor.id_to_piece(token_id)
        return text

    def _encode_chunk(self, texts: Sequence[str], n_threads: int) -> list[list[int]]:
        segments: list[str] = []
        for text in texts:
            segments += text.split(SPACE_SYMBOL)
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

    def _check(self, origin: str) -> None:
        special = {"unk": self.unk_id, "bos": self.bos_id, "eos": self.eos_id, "pad": self.pad_id}
        missing = [name for name, i in special.items() if i < 0]
        if missing:
            raise VocabError(
                f"{origin}: the model has no {', '.join(missing)} piece; Gristmill needs unk, bos, eos and pad"
            )
        if self.unk_id in self._space_symbol_ids or self.decode(self.encode([PROBE])[0]) != PROBE:
            raise VocabError(
                f"{origin}: the model loses text (a test string came back changed). It must be trained with identity "
                "normalisation, byte_fallback, no dummy prefix and whitespace kept; `pipeline run` trains such a model"
            )


def load(source: Path | str | bytes) -> Vocab:
    """Load a sentencepiece model from a local path or from the bytes of the model file.

    Raises:
        VocabError: if there is no such file, it is no sentencepiece model, lacks a special piece or loses text.
    """
    if isinstance(source, bytes):
        return Vocab(source)
    try:
        model = Path(source).read_bytes()
    except OSError as error:
        raise VocabError(f"{source}: cannot read the tokenizer model: {error.strerror or error}") from None
    return Vocab(model, str(source))


def _load_processor(model: bytes, origin: str) -> sentencepiece.SentencePieceProcessor:
    processor = sentencepiece.SentencePieceProcessor()
    try:
        if not model:
            raise RuntimeError("no bytes")
        processor.LoadFromSerializedProto(model)
    except (RuntimeError, UnicodeDecodeError) as error:  # the latter from an error message that quotes the model
        raise VocabError(
            f"{origin}: not a sentencepiece model, or a damaged one ({len(model)} bytes; {error})"
        ) from None
    return processor


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    begin, n_characters = 0, 0
    for end, text in enumerate(texts, start=1):
        n_characters += len(text)
        if n_characters >= CHUNK_CHARACTERS:
            yield texts[begin:end]
            begin, n_characters = end, 0
    if begin < len(texts):
        yield texts[begin:]


def _fingerprint(processor: sentencepiece.SentencePieceProcessor, normalizer_spec: bytes) -> str:
    """sha256 over (piece, score, type) of each id in order, then the normaliser. The file's own bytes also record the
    trainer's settings, paths and threads among them, which change no id."""
    digest = hashlib.sha256()
    for i in range(processor.get_piece_size()):
        piece = processor.id_to_piece(i).encode()
        kinds = (processor.is_unknown(i), processor.is_control(i), processor.is_byte(i), processor.is_unused(i))
        digest.update(struct.pack("<I", len(piece)) + piece + struct.pack("<f4?", processor.get_score(i), *kinds))
    digest.update(normalizer_spec)
    return digest.hexdigest()
