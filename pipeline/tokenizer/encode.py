"""A column of texts -> token ids with document boundaries.

Models whose texts may be encoded word by word (`pieces.read_pieces`) are encoded by compiled code, which gives the ids
of `Vocab.encode` and of sentencepiece; the others by their library.
"""

import threading
from functools import lru_cache

import numpy as np
import pyarrow as pa

from pipeline.text.buffers import views
from pipeline.text.hashes import MULTIPLIER
from pipeline.tokenizer import words
from pipeline.tokenizer.merge import make_scratch
from pipeline.tokenizer.pieces import Pieces, read_pieces
from pipeline.tokenizer.sentencepiece_vocab import SentencePieceVocab
from pipeline.tokenizer.symbols import make_symbols
from pipeline.tokenizer.vocab import Ids, Offsets, Vocab

SHORT_WORDS, LONG_WORDS = 1 << 17, 1 << 14
"""Words that the table of encoded words has room for: 4.2 and 1.6 MB. Four times as many gained nothing on 24 MB of
English and lost a tenth on Chinese, since a larger table leaves the processor's cache."""

BATCH_BYTES = 4 << 20
"""Documents are encoded in batches of about this many bytes: until a batch is done, there is room for as many ids."""

SCRATCH_BYTES = 1024
"""Longer words have their room made when they come."""


class Encoder:
    """The compiled encoder of a model. Safe to share between threads, which take turns."""

    def __init__(
        self, pieces: Pieces, bos_eos: tuple[int, int], short_words: int = SHORT_WORDS, long_words: int = LONG_WORDS
    ) -> None:
        """`pieces`: of a model, without objection. `short_words`, `long_words`: words that the table has room for,
        powers of two from `words.WAYS` on; they change no id."""
        self._symbols = make_symbols(pieces.pieces)
        self._around = np.array(bos_eos, np.uint32)
        self._table = words.make_table(short_words, long_words, MULTIPLIER)
        self._turn = threading.Lock()

    def encode(self, texts: pa.LargeStringArray, bos_eos: bool) -> tuple[Ids, Offsets]:
        """As `encode_documents`, with bos and eos around each text or without.

        Raises:
            TypeError, ValueError: as `pipeline.text.buffers.views`.
            pyarrow.ArrowInvalid: a text is not UTF-8.
        """
        data, offsets = views(texts)
        texts.validate(full=True)
        around = self._around if bos_eos else self._around[:0]
        out, scratch = np.empty(0, np.uint32), make_scratch(SCRATCH_BYTES)
        parts, ends = [out], np.zeros(len(texts) + 1, np.int64)
        first = 0
        while first < len(texts):
            last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + BATCH_BYTES, side="right")) - 1)
            n_bytes = int(offsets[last] - offsets[first])
            if len(out) < (room := n_bytes + len(around) * (last - first) + words.SHORT_IDS):
                out = np.empty(room, np.uint32)
            with self._turn:
                n = words.encode_texts(
                    data, offsets, first, last, self._symbols, self._table, scratch, around, out, ends[first + 1 :]
                )
            if n == 0:
                scratch = make_scratch(n_bytes)
                continue
            parts.append(out[: ends[first + n]].copy())
            ends[first + 1 : first + n + 1] += ends[first]
            first += n
        return np.concatenate(parts), ends


def objection(vocab: Vocab) -> str:
    """Why the texts of a vocabulary are encoded by its library, as half a sentence; "" if by compiled code."""
    found = _encoder(vocab)
    return found if isinstance(found, str) else ""


def _encoder(vocab: Vocab) -> Encoder | str:
    """The compiled encoder of a vocabulary, or the objection to it."""
    if not isinstance(vocab, SentencePieceVocab):
        return "it is no model of sentencepiece"
    return _compiled(vocab.model, (vocab.bos_id, vocab.eos_id))


@lru_cache(maxsize=2)
def _compiled(model: bytes, bos_eos: tuple[int, int]) -> Encoder | str:
    """The encoder of a model, or the objection to it. Kept, as one process encodes many Parts by one model."""
    pieces = read_pieces(model)
    return pieces.objection or Encoder(pieces, bos_eos)


def encode_documents(
    texts: pa.LargeStringArray | pa.ChunkedArray, vocab: Vocab, n_threads: int = 1
) -> tuple[Ids, Offsets]:
    """Encode each document as [bos] + ids + [eos].

    Args:
        texts: a large_string (or string) column without nulls.
        vocab: the vocabulary.
        n_threads: sentencepiece threads, where it is sentencepiece that encodes; changes no id.

    Returns:
        ids: uint32 [total], all documents one after another.
        offsets: int64 [len(texts) + 1]; document i has ids[offsets[i] : offsets[i + 1]], at least bos and eos.

    Raises:
        ValueError: if the column holds nulls.
        pyarrow.ArrowInvalid: if a text is not UTF-8.
    """
    if texts.null_count:
        raise ValueError(f"{texts.null_count} of {len(texts)} texts are null; a document's text is never null")
    encoder = _encoder(vocab)
    if isinstance(encoder, str):
        return vocab.encode_batch(texts.to_pylist(), n_threads, bos_eos=True)
    texts = texts.cast(pa.large_string())
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return encoder.encode(texts, bos_eos=True)
