"""Bytes of a page -> text, decided by what decodes rather than by what is claimed."""

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

META_BYTES = 4096
"""How far a charset declaration is looked for; the HTML standard asks for the first 1024 bytes, pages are laxer."""
MAX_BAD_SHARE = 0.02
"""Undecodable sequences per byte that is not ASCII, up to which an encoding is still believed."""
MAX_BAD_SHARE_UTF8 = 0.2
"""Undecodable sequences per other character that is not ASCII, up to which a page is UTF-8 with strange passages:
text of another encoding hardly ever has even one valid sequence of several bytes."""

_META = re.compile(
    rb"<!(?=--).*?(?:-->|\Z)|<meta(?=[\s/])((?:[^>\"']++|\"[^\"]*+\"?|'[^']*+'?)*+)|\A\s*<\?xml\b([^>]{0,1000})",
    re.IGNORECASE | re.DOTALL,
)
"""Comments, which are passed over, and what can declare a charset: HTML, section 13.2.3.2 (prescan a byte stream)."""
_CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:+-]{1,40})", re.IGNORECASE)
_OTHER_META = re.compile(rb"\b(?:name|property)\s*=", re.IGNORECASE)
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
    """What the first `meta` with a charset says; one with a name, which is about other words, only if no other does."""
    laxer = ""
    for found in _META.finditer(html, 0, META_BYTES):
        inside = found[1] or found[2] or b""
        charset = _CHARSET.search(inside)
        if charset and not _OTHER_META.search(inside):
            return charset[1].decode("ascii", "replace")
        laxer = laxer or (charset[1].decode("ascii", "replace") if charset else "")
    return laxer


def _wide_by_nuls(html: bytes) -> str:
    sample = html[:META_BYTES]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 4 < len(sample) or min(even, odd) * 16 > max(even, odd):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _decodes(html: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(html)  # a page may be cut inside a character
    except UnicodeDecodeError:
        text = html.decode(encoding, "replace")
        n_bad = text.count("\ufffd")
        if encoding == "utf-8":
            return n_bad <= (_NOT_ASCII.subn("", text)[1] - n_bad) * MAX_BAD_SHARE_UTF8
        return n_bad <= (len(html) - len(html.translate(None, _HIGH_BYTES))) * MAX_BAD_SHARE
    return True


_NOT_ASCII = re.compile("[^\x00-\x7f]")
_HIGH_BYTES = bytes(range(0x80, 0x100))
