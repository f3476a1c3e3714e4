"""Token lists -> Sequences by the plain method: documents one after another, cut where a row ends."""

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from pipeline.packing.pack import Int64s, Packed, checked_lengths


def pack(lengths: npt.ArrayLike, seq_len: int) -> Packed:
    """Lay documents of the given token counts (bos and eos counted) end to end into rows of seq_len + 1 tokens.

    A document that a row's end cuts goes on in the next row, which begins with the last token of the row before. The
    last place of a row stays empty where a document would begin in it, since a piece of one token predicts nothing; so
    at most one place a row is lost, but for the last row. Rows and pieces are in the order of documents.

    Raises:
        ValueError: for a document of less than two tokens.
    """
    sizes = checked_lengths(lengths)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    row_begin, row_end = _cut([*starts.tolist(), int(sizes.sum())], seq_len + 1)
    first = np.searchsorted(ends, row_begin, side="right")
    n_pieces = np.searchsorted(starts, row_end, side="left") - first
    offsets = np.concatenate([[0], np.cumsum(n_pieces)])
    document = np.repeat(first - offsets[:-1], n_pieces) + np.arange(offsets[-1])
    begin = np.maximum(starts[document], np.repeat(row_begin, n_pieces))
    end = np.minimum(ends[document], np.repeat(row_end, n_pieces))
    return Packed(offsets, document, begin - starts[document], end - begin)


def _cut(starts: list[int], capacity: int) -> tuple[Int64s, Int64s]:
    """Begin and end of each row in the tokens of all documents laid end to end.

    `starts`: where each document starts, and last where all end.
    """
    begins, ends = [], []
    begin, total = 0, starts[-1]
    while begin < total:
        end = behind = min(begin + capacity, total)
        if end < total:
            start = starts[bisect_left(starts, end - 1)]
            end, behind = (start, start) if start <= end else (end, end - 1)
        begins.append(begin)
        ends.append(end)
        begin = behind
    return np.array(begins, np.int64), np.array(ends, np.int64)
