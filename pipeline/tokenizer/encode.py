"""A column of texts -> token ids with document boundaries."""

import threading
from functools import lru_cache

import numpy as np
import pyarrow as pa

from pipeline.text.buffers import views
from pipeline.text.hashes import MULTIPLIER
from pipeline.tokenizer import words
from pipeline.tokenizer.merge import make_scratch
from pipeline.tokenizer.pieces import Pieces, read_pieces
from pipeline.tokenizer.symbols import make_symbols
from pipeline.tokenizer.vocab import Ids, Offsets, Vocab

SHORT_WORDS, LONG_WORDS = 1 << 19, 1 << 16
"""Words that the table of encoded words has room for: 16 and 6 MB, in memory once they are used."""

BATCH_BYTES = 4 << 20
"""Documents are encoded in batches of about this many bytes, since an id is allowed for each byte until it is done."""


class Encoder:
    """The compiled encoder of a vocabulary. Safe to share between threads, which take turns."""

    def __init__(self, vocab: Vocab, pieces: Pieces, short_words: int = SHORT_WORDS, long_words: int = LONG_WORDS) -> None:
        """`short_words`, `long_words`: powers of two, at least `words.WAYS`; they change no id."""
        self._symbols = make_symbols(pieces.pieces)
        self._around = np.array([vocab.bos_id, vocab.eos_id], np.uint32)
        self._table = words.Table(
            np.zeros(short_words * words.SHORT_ROW, np.uint64),
            np.zeros(long_words * words.LONG_ROW, np.uint64),
            np.array([MULTIPLIER]),
            np.zeros(1, np.uint64),
        )
        self._scratch = make_scratch(1024)
        self._lock = threading.Lock()

    def encode(self, texts: pa.LargeStringArray, bos_eos: bool = False) -> tuple[Ids, Offsets]:
        """As `encode_documents`, with bos and eos or without."""
        data, offsets = views(texts)
        around = self._around if bos_eos else self._around[:0]
        parts, total, first = [np.empty(0, np.uint32)], 0, 0
        ends = np.zeros(len(texts) + 1, np.int64)
        with self._lock:
            while first < len(texts):
                last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + BATCH_BYTES, side="right")) - 1)
                n_bytes = int(offsets[last] - offsets[first])
                out = np.empty(n_bytes + len(around) * (last - first) + words.SHORT_IDS, np.uint32)
                found = ends[first + 1 : last + 1]
                n = words.encode_documents(
                    data, offsets, first, last, self._symbols, self._table, self._scratch, around, out, found
                )
                if n == 0:
                    self._scratch = make_scratch(n_bytes)
                    continue
                parts.append(out[: found[n - 1]].copy())
                found[:n] += total
                first, total = first + n, int(found[n - 1])
        return np.concatenate(parts), ends


@lru_cache(maxsize=2)
def _encoder(vocab: Vocab) -> Encoder:
    return Encoder(vocab, read_pieces(vocab.model))


def encode_documents(texts: pa.LargeStringArray | pa.ChunkedArray, vocab: Vocab, n_threads: int = 1) -> tuple[Ids, Offsets]:
    return _encoder(vocab).encode(texts, True)
