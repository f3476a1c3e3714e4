"""How large and how deep a page's markup is, from its bytes alone: before any parser sees it."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.kernels import kernel, leaf
from pipeline.text.buffers import views

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

LESS: Final = ord("<")
GREATER: Final = ord(">")
SLASH: Final = ord("/")
BANG: Final = ord("!")
HYPHEN: Final = ord("-")
_UNCOUNTED = (
    "area base br col embed hr img input link meta param source track wbr "  # void: HTML standard, section 13.1.2
    "html head body p li dt dd rt rp optgroup option colgroup thead tbody tfoot tr td th"  # end tags may be left out
)
_RAW = ("script", "style")
"""Elements whose content is no markup."""


def _hash(name: str) -> int:
    value = 0
    for char in name.encode():
        value = (value * 31 + char) & 0x7FFFFFFF
    return value


_NOT_NESTED = np.array([_hash(name) for name in _UNCOUNTED.split()], np.int64)
_SCRIPT, _STYLE = map(_hash, _RAW)


def count_markup(pages: pa.LargeStringArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start tags of each page, and the largest number of elements that are open at once: two int64 arrays [n].

    Elements that end without an end tag are not counted as open. Tags that are never closed stay open, as for a parser.
    Takes one pass over the bytes.
    """
    data, offsets = views(pages)
    n_tags, depth = np.zeros(len(pages), np.int64), np.zeros(len(pages), np.int64)
    _count(data, offsets, n_tags, depth, _NOT_NESTED)
    return n_tags, depth


@kernel
def _count(data: Bytes, offsets: Ints, n_tags: Ints, depth: Ints, not_nested: Ints) -> None:
    for page in range(len(n_tags)):
        n_tags[page], depth[page] = _count_page(data, offsets[page], offsets[page + 1], not_nested)


@leaf
def _count_page(data: Bytes, start: int, end: int, not_nested: Ints) -> tuple[int, int]:
    i, raw = start, 0
    n_tags, n_open, depth = 0, 0, 0
    while i < end - 1:
        if data[i] != LESS:
            i += 1
            continue
        if not raw and _starts_comment(data, i, end):
            i = _end_of_comment(data, i + 4, end)
            continue
        is_end = data[i + 1] == SLASH
        at = i + 2 if is_end else i + 1
        name, after = _name_at(data, at, end)
        if after == at or (raw and not (is_end and name == raw)):
            i += 1
            continue
        raw = 0
        at = after
        while at < end and data[at] != GREATER:
            at += 1
        is_nested = not _is_among(not_nested, name)
        if is_end:
            n_open -= is_nested and n_open > 0
        else:
            n_tags += 1
            if name in (_SCRIPT, _STYLE):
                raw = name
            if is_nested and data[at - 1] != SLASH:
                n_open += 1
                depth = max(depth, n_open)
        i = at
    return n_tags, depth


@leaf
def _name_at(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The hash of the tag's name at a place, and the place behind it: the same one if there is none."""
    name, first = 0, at
    while at < end:
        char = int(data[at])
        if 65 <= char <= 90:
            char += 32
        if not (97 <= char <= 122 or (48 <= char <= 57 and at > first)):
            break
        name = (name * 31 + char) & 0x7FFFFFFF
        at += 1
    return name, at


@leaf
def _starts_comment(data: Bytes, i: int, end: int) -> bool:
    return end - i > 3 and data[i + 1] == BANG and data[i + 2] == HYPHEN and data[i + 3] == HYPHEN


@leaf
def _end_of_comment(data: Bytes, i: int, end: int) -> int:
    while i < end and not (data[i] == GREATER and data[i - 1] == HYPHEN and data[i - 2] == HYPHEN):
        i += 1
    return i


@leaf
def _is_among(values: Ints, wanted: int) -> bool:
    found = False
    for value in values:
        found |= value == wanted
    return found
