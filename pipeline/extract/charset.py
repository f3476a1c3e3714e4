"""Bytes of a page -> text, decided by what decodes rather than by what is claimed."""

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

META_BYTES = 4096
"""How far a charset declaration is looked for; the HTML standard asks for the first 1024 bytes, pages are laxer."""
MAX_BAD_SHARE = 0.02
"""Undecodable sequences per byte that is not ASCII, up to which an encoding is still believed."""

_META = re.compile(
    rb"<(?:meta|\?xml)\b[^>]{0,1000}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:+-]{1,40})", re.IGNORECASE
)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SUPERSETS = {"gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs"}
"""What browsers decode under these labels (WHATWG Encoding, section 4.2), by the names of Python's codecs."""
_MULTIBYTE = frozenset({"gb18030", "cp932", "cp949", "big5hkscs", "euc_jp", "iso2022_jp"})
_WIDE = frozenset({"utf-16", "utf-16-le", "utf-16-be"})


def decode(html: bytes, http_charset: str = "") -> tuple[str, str]:
    """The text of a page and the encoding it was decoded with (a Python codec name); NULs are removed. Never fails.

    In this order: a byte order mark; UTF-16 that shows by its NULs; valid UTF-8, whatever is declared; a declared
    multi-byte encoding (HTTP header, then meta) that decodes, since hardly any text does by chance; a declared
    single-byte encoding; what uchardet detects. A few bad sequences, such as those where a page was cut, are forgiven.
    """
    encoding, start = _choose(html, http_charset)
    return html[start:].decode(encoding, "replace").replace("\0", ""), encoding


def _choose(html: bytes, http_charset: str) -> tuple[str, int]:
    for mark, encoding in _BOMS:
        if html.startswith(mark):
            return encoding, len(mark)
    wide = _wide_by_nuls(html)
    if wide:
        return wide, 0
    declared = [_codec(name) for name in (http_charset, _meta_charset(html))]
    if "iso2022_jp" in declared and b"\x1b$" in html and _decodes(html, "iso2022_jp"):
        return "iso2022_jp", 0
    if html.isascii() or _decodes(html, "utf-8"):
        return "utf-8", 0
    candidates = [encoding for encoding in declared if encoding and encoding != "utf-8"]
    candidates.sort(key=lambda encoding: encoding not in _MULTIBYTE)
    detected = _codec(detect_encoding(html) or "")
    for encoding in [*candidates, detected]:
        if encoding and encoding != "utf-8" and _decodes(html, encoding):
            return encoding, 0
    return detected or "utf-8", 0


def _codec(name: str) -> str:
    mapped = (map_encoding_to_html5(name, fallback_utf8=False) or "").lower() if name else ""
    return "" if mapped in _WIDE else _SUPERSETS.get(mapped, mapped)


def _meta_charset(html: bytes) -> str:
    found = _META.search(html, 0, META_BYTES)
    return found[1].decode("ascii", "replace") if found else ""


def _wide_by_nuls(html: bytes) -> str:
    sample = html[:META_BYTES]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 4 < len(sample) or min(even, odd) * 16 > max(even, odd):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _decodes(html: bytes, encoding: str) -> bool:
    try:
        html.decode(encoding)
    except UnicodeDecodeError:
        n_bad = html.decode(encoding, "replace").count("\ufffd")
        n_high = len(html) - len(html.translate(None, _HIGH_BYTES))
        return n_bad <= max(1, n_high * MAX_BAD_SHARE)
    return True


_HIGH_BYTES = bytes(range(0x80, 0x100))
