"""Packing on real lengths: places used, documents cut, tokens dropped, by method and length of a Sequence.

- best-fit-decreasing and concat are those of recipes.
- First-fit takes documents as they come and puts each into the first of the open rows with room, the rest of a long one
  into rows of its own; next-fit has one row open. Neither drops a token.
- best-fit-crop is nanochat's way, written from its description: of 1,000 waiting documents take the longest that fits
  the row; if none does, crop the shortest to fill it, and drop what was cropped. Every row begins with bos and is full.

Tokens are those of a vocabulary trained on a part of the documents. A place is one of the seq_len + 1 of a row, and a
token that two pieces share takes one in both. A cut document lies in several rows, or lost tokens. Whole books are
among the documents, and best-fit-crop keeps one row of each.
"""

import time
from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from common import arguments, finish, show, texts

from pipeline.packing import concat
from pipeline.packing.pack import Packed, pack
from pipeline.text.words import count_words
from pipeline.tokenizer import vocab
from pipeline.tokenizer.encode import encode_documents
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.train import train

SEQ_LENS = (1024, 2048, 8192)
CLAIMED_SEQ_LEN = 2048
VOCAB_SIZE, TRAINED_BYTES, QUICK_BYTES = 32_000, 20_000_000, 8_000_000
WAITING, ROUNDS = 1000, 200  # documents that best-fit-crop chooses from, and how often as many come
OPEN_ROWS = 64  # of first-fit

Lengths = npt.NDArray[np.int64]


class Outcome(NamedTuple):
    """Documents taken, rows, places that hold a token, documents of at most a row's length that were cut, all that
    were, tokens gone."""

    documents: int
    rows: int
    used: int
    cut_short: int
    cut: int
    dropped: int


def of_packed(packed: Packed, lengths: Lengths, seq_len: int) -> Outcome:
    """What a packing of recipes comes to; that no token is dropped is counted from the pieces."""
    pieces = np.bincount(packed.piece_document, minlength=len(lengths))
    held = np.bincount(packed.piece_document, packed.piece_length - (packed.piece_start > 0), len(lengths))
    is_cut = pieces > 1
    fits = lengths <= seq_len + 1
    dropped = int((lengths - held.astype(np.int64)).sum())
    used = int(packed.piece_length.sum())
    n_rows = len(packed.row_offsets) - 1
    return Outcome(len(lengths), n_rows, used, int((is_cut & fits).sum()), int(is_cut.sum()), dropped)


def first_fit(lengths: Lengths, seq_len: int, open_rows: int) -> Outcome:
    """Documents as they come, into the first of `open_rows` rows with room, else into a new one."""
    capacity, rooms, n_rows = seq_len + 1, [0] * open_rows, 0
    for length in lengths.tolist():
        whole, rest = divmod(length - 1, seq_len)
        n_rows += whole
        if rest == 0:
            continue
        for k, room in enumerate(rooms):
            if room >= rest + 1:
                rooms[k] -= rest + 1
                break
        else:
            n_rows += 1
            rooms = [*rooms[1:], capacity - rest - 1]
    long = lengths > capacity
    used = int(lengths.sum() + ((lengths[long] - 2) // seq_len).sum())
    return Outcome(len(lengths), n_rows, used, 0, int(long.sum()), 0)


def best_fit_crop(lengths: Lengths, seq_len: int) -> Outcome:
    """nanochat's way. Documents come again and again, so that the long ones, which wait until no other is left to crop,
    come to their share; those that wait at the end do not count."""
    capacity = seq_len + 1
    coming = islice(cycle(lengths.tolist()), max(len(lengths), ROUNDS * WAITING))
    waiting = sorted(islice(coming, WAITING))
    n_documents = n_rows = cut_short = cut = dropped = 0
    while len(waiting) >= WAITING:
        room = capacity
        while room:
            k = bisect_right(waiting, room)
            length = waiting.pop(k - 1 if k else 0)
            n_documents += 1
            if not k:
                cut, cut_short = cut + 1, cut_short + (length <= capacity)
                dropped += length - room
            room -= min(length, room)
            following = next(coming, None)
            if following is not None:
                insort(waiting, following)
        n_rows += 1
    return Outcome(n_documents, n_rows, n_rows * capacity, cut_short, cut, dropped)


METHODS: dict[str, Callable[[Lengths, int], Outcome]] = {
    "best-fit-decreasing": lambda lengths, n: of_packed(pack(lengths, n), lengths, n),
    "concat": lambda lengths, n: of_packed(concat.pack(lengths, n), lengths, n),
    f"first-fit, {OPEN_ROWS} rows open": lambda lengths, n: first_fit(lengths, n, OPEN_ROWS),
    "next-fit": lambda lengths, n: first_fit(lengths, n, 1),
    "best-fit-crop (nanochat)": best_fit_crop,
}


def token_counts(found: Sequence[str]) -> Lengths:
    """Tokens of each document, bos and eos counted, in an order that a hash decides."""
    documents = pa.array([found[k] for k in np.random.default_rng(1).permutation(len(found))], pa.large_string())
    n_bytes = np.cumsum([len(text) for text in documents.to_pylist()])
    words = count_words(documents[: max(1, int(np.searchsorted(n_bytes, TRAINED_BYTES)))])
    model = train(words, TokenizerOptions(vocab_size=VOCAB_SIZE), 0).model
    return np.diff(encode_documents(documents, vocab.load(model))[1])


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", ["html", "books", "wiki", "code", "papers"])
    lengths = token_counts(texts(options.paths, QUICK_BYTES if options.quick else float("inf")))
    n_tokens = int(lengths.sum())
    measured: dict[str, dict[str, object]] = {}
    rows = []
    for seq_len in SEQ_LENS:
        for name, method in METHODS.items():
            begun = time.process_time()
            found = method(lengths, seq_len)
            seconds = time.process_time() - begun
            n_read = n_tokens if not name.startswith("best-fit-crop") else found.used + found.dropped
            share = found.used / (found.rows * (seq_len + 1)) if found.rows else float("nan")
            lost = found.dropped / n_read if n_read else float("nan")
            cut, cut_short = (n / found.documents for n in (found.cut, found.cut_short))
            rows.append((seq_len, name, share, cut, cut_short, lost, seconds))
            measured[f"{name}, {seq_len}"] = {**found._asdict(), "places_used": share, "share_dropped": lost}
    head = ("seq_len", "method", "places used", "documents cut", "that fit a row", "tokens dropped", "seconds")
    show(f"{len(lengths):,} documents, {n_tokens:,} tokens, median {int(np.median(lengths)):,}", head, rows)
    ours = measured[f"best-fit-decreasing, {CLAIMED_SEQ_LEN}"]
    claims = {
        "places_used": {"value": round(float(str(ours["places_used"])), 5), "goal": 0.995, "unit": "share of places"},
        "tokens_dropped": {"value": ours["dropped"], "goal": 0, "unit": "tokens"},
    }
    finish("packing", options.quick, claims, {"documents": len(lengths), "tokens": n_tokens, "methods": measured})


if __name__ == "__main__":
    main()
