"""Whether the body of a response is an HTML page, by what it holds where the declared type is wrong or says nothing.

After WHATWG MIME Sniffing (https://mimesniff.spec.whatwg.org), and beyond it where the standard protects a browser's
user rather than looks for pages: there `text/plain` and `application/octet-stream` never become HTML, and `text/html`
becomes nothing but a feed.
"""

import json
import re

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
UNKNOWN_TYPES = frozenset({"unknown/unknown", "application/unknown", "*/*"})
"""Section 7: declared types that say nothing. So does what is no type: nothing at all, or a word without a slash."""
DOUBTED_TYPES = frozenset({
    "text/plain", "application/octet-stream", "binary/octet-stream", "application/x-unknown-content-type",
    "application/xml", "text/xml",
})  # fmt: skip
"""What servers send for files that they do not know, and XML, which XHTML is: a page if the body begins with the
document type or the root element of HTML. Not with any of HTML's elements: a README may begin with an image."""
HEADER_BYTES = 1445
"""Section 5.2: bytes of a resource header. Nothing behind them is looked at, but for JSON."""

_SPACE = rb"[\t\n\f\r ]"
_BOM = rb"(?:\xef\xbb\xbf)?"
_HTML = re.compile(
    _BOM + _SPACE + rb"*+<"
    rb"(?:(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[ >]|!--)",
    re.IGNORECASE,
)
"""Section 7.1, the table of a scriptable resource."""
_PROLOG = _BOM + rb"(?>" + _SPACE + rb"++|<!--(?:(?!-->).)*+-->|<\?(?:(?!\?>).)*+\?>)*+"
_DOCUMENT = re.compile(
    _PROLOG + rb"<(?:!doctype" + _SPACE + rb"++html|html)" + rb"[\t\n\f\r >]", re.IGNORECASE | re.DOTALL
)
_FEED = re.compile(_PROLOG + rb"(?><![^>]*+>" + _SPACE + rb"*+)*+<(?:(rss)|(feed)|(rdf:RDF))", re.DOTALL)
"""Section 7.3."""
_RSS_1 = (b"http://purl.org/rss/1.0/", b"http://www.w3.org/1999/02/22-rdf-syntax-ns#")
_JSON = re.compile(_BOM + _SPACE + rb"*+[{\[]")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
"""Section 3: binary data bytes."""

_TEXT_SIGNATURES = ((b"%PDF-", "application/pdf"), (b"%!PS-Adobe-", "application/postscript"))
"""Section 7.1. What follows counts only in a header with binary data: a page may begin with `BM` or `ID3`."""
_SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x00\x00[\x01\x02]\x00", "image/x-icon"),  # section 6.1, images
        (rb"BM", "image/bmp"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF.{4}WEBPVP", "image/webp"),
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"FORM.{4}AIFF", "audio/aiff"),  # section 6.2, sound and film
        (rb"ID3", "audio/mpeg"),
        (rb"OggS\x00", "application/ogg"),
        (rb"MThd\x00\x00\x00\x06", "audio/midi"),
        (rb"RIFF.{4}AVI ", "video/avi"),
        (rb"RIFF.{4}WAVE", "audio/wave"),
        (rb".{4}ftyp", "video/mp4"),
        (rb"\x1a\x45\xdf\xa3", "video/webm"),
        (rb"\x00\x01\x00\x00|OTTO|ttcf", "font/sfnt"),  # section 6.3, fonts
        (rb"wOF[F2]", "font/woff"),
        (rb"\x1f\x8b\x08", "application/x-gzip"),  # section 6.4, archives
        (rb"PK\x03\x04", "application/zip"),
        (rb"Rar \x1a\x07\x00|Rar!\x1a\x07", "application/x-rar-compressed"),
    )
)


def may_be_page(declared: str) -> bool:
    """Whether the body has to be looked at: `declared` is an HTML type, says nothing, or is one that is doubted."""
    return "/" not in declared or declared in HTML_TYPES | UNKNOWN_TYPES | DOUBTED_TYPES


def other_kind(body: bytes, declared: str, no_sniff: bool = False) -> str:
    """ "" if `body`, declared as `declared`, is an HTML page, else what it is: a media type, or `no type`.

    `no_sniff`: the server asks not to doubt the type (`X-Content-Type-Options: nosniff`, section 7); then a doubted
    type stands. An HTML type is doubted all the same, since what cannot be a page has no text.
    """
    header = body[:HEADER_BYTES]
    if declared in HTML_TYPES:
        return _signature(header) or _feed(header) or _json(body)
    if declared in DOUBTED_TYPES:
        if not no_sniff and _DOCUMENT.match(header):
            return ""
    elif _HTML.match(header) or _DOCUMENT.match(header):
        return ""
    return _signature(header) or declared or "no type"


def _signature(header: bytes) -> str:
    for start, kind in _TEXT_SIGNATURES:
        if header.startswith(start):
            return kind
    if not _BINARY.search(header):
        return ""
    return next((kind for pattern, kind in _SIGNATURES if pattern.match(header)), "")


def _feed(header: bytes) -> str:
    found = _FEED.match(header)
    if not found:
        return ""
    if found[3]:
        return "application/rss+xml" if all(name in header for name in _RSS_1) else ""
    return "application/rss+xml" if found[1] else "application/atom+xml"


def _json(body: bytes) -> str:
    """JSON is what parses as such, an object or a list; the standard has no rule for it."""
    if not _JSON.match(body):
        return ""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return "application/json"
