"""The one form that every text of a dataset has: valid UTF-8, NFC, LF line ends, no control characters."""

import re
import sys
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

MAX_COMBINING_RUN = 30
"""Combining characters in a row that are kept: the bound of the Stream-Safe Text Format (Unicode Standard Annex 15,
section 13). Sorting a run takes time quadratic in its length, so a page could otherwise stop a worker."""

_LINE_ENDS = "\r\v\f\x85\u2028\u2029"
"""The Unicode newline functions other than LF (The Unicode Standard, section 5.8)."""
_REMOVED_RANGES = (
    (0x00, 0x08),
    (0x0E, 0x1F),
    (0x7F, 0x84),
    (0x86, 0x9F),
    (0xFDD0, 0xFDEF),
    (0xFEFF, 0xFEFF),
    *((plane << 16 | 0xFFFE, plane << 16 | 0xFFFF) for plane in range(17)),
)
"""Control characters (category Cc) that are neither tab nor line end, noncharacters, and the byte order mark."""
_LINE_END = re.compile(f"\r\n|[{_LINE_ENDS}]")
_REMOVED = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _REMOVED_RANGES) + "]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ASCII_TOUCHED = re.compile("[\x00-\x08\x0b-\x1f\x7f]")

_TOUCHED, _COMBINING = np.uint8(1), np.uint8(2)


def text_form(text: str) -> str:
    """`text` in the form above; idempotent.

    Lone surrogates become U+FFFD; every Unicode line end becomes LF; other control characters but tab, U+FEFF and
    noncharacters go; of a run of combining characters the first 30 stay.
    """
    if text.isascii():
        return _replace(text) if _ASCII_TOUCHED.search(text) else text
    kinds = np.bitwise_or.reduce(_kinds_of(text))
    if kinds & _TOUCHED:
        text = _replace(text)
    if kinds & _COMBINING:
        text = _shorten_runs(text)
    text = unicodedata.normalize("NFC", text)
    return _shorten_runs(text) if kinds & _COMBINING else text


def _replace(text: str) -> str:
    return _SURROGATE.sub("\ufffd", _REMOVED.sub("", _LINE_END.sub("\n", text)))


def _shorten_runs(text: str) -> str:
    if not text:
        return text
    others = np.flatnonzero(np.concatenate(([True], _kinds_of(text) & _COMBINING == 0, [True])))
    run_lengths = np.diff(others) - 1
    long = np.flatnonzero(run_lengths > MAX_COMBINING_RUN)
    pieces, start = [], 0
    for first, length in zip(others[long].tolist(), run_lengths[long].tolist(), strict=True):
        pieces.append(text[start : first + MAX_COMBINING_RUN])
        start = first + length
    return "".join([*pieces, text[start:]])


def _kinds_of(text: str) -> NDArray[np.uint8]:
    return _kinds()[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)]


@cache
def _kinds() -> NDArray[np.uint8]:
    """Code point -> `_TOUCHED` if `_replace` changes it, `_COMBINING` if its canonical combining class is not zero.

    Planes 2 to 16 hold no combining character."""
    kinds = np.zeros(sys.maxunicode + 1, np.uint8)
    kinds[[code for code in range(0x20000) if unicodedata.combining(chr(code))]] = _COMBINING
    for first, last in (*_REMOVED_RANGES, (0xD800, 0xDFFF)):
        kinds[first : last + 1] |= _TOUCHED
    kinds[[ord(char) for char in _LINE_ENDS]] |= _TOUCHED
    return kinds
