"""WARC and WET archives -> Records: every record of the archive yields exactly one, a page, a text or a fate."""

import io
import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

from fastwarc.warc import HeaderMap

from pipeline.sources.framing import MAX_HEADER_BYTES, FileView, Frame, View, frames
from pipeline.sources.http_body import BodyError, decode_body
from pipeline.sources.inflate import Codec, codec_of
from pipeline.sources.members import Chain
from pipeline.sources.opening import open_slice
from pipeline.sources.record import Record, Slice
from pipeline.sources.sniff import DOUBTED_TYPES, may_be_page, other_kind

MAX_PAGE_BYTES = 32 * 1024 * 1024
"""Decoded bytes of a page that a reader holds at the most; a recipe's `max_page_bytes` is usually far lower."""
MAX_CONTENT_BYTES = 48 * 1024 * 1024
"""Stored bytes of a record's content that are looked at; a longer response is `page_too_large`."""
MAX_LANGUAGES = 100
"""Characters of `WARC-Identified-Content-Language` that are kept: ISO 639-3 codes, comma-separated."""

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?)?)?")
_HTTP_HEADER = re.compile(rb"(?:.*\n)*?(?:\r*\n|.*\Z)")
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})\b")
_LINE_END = re.compile(rb"\r*\n")
_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])


def read_warc(slice_: Slice, max_page_bytes: int = MAX_PAGE_BYTES) -> Iterator[Record]:
    """The records whose first stored byte lies in the slice.

    However a file is cut into slices, their records together are those of the whole file, each once (see
    `pipeline.sources.members`). `offset` is the position of the record in a plain file; in a compressed one the stored
    position of its gzip member or Zstandard frame plus the number of records before it there (0 where each has its
    own; members that cut records apart count as one).

    A page is a response of status 200 that `pipeline.sources.sniff` takes for HTML; a text is a `conversion` of
    a web address to text/plain (WET).

    An archive that was crawled and lies inside a record is content and not read. Fates: `not_a_response`, `not_http`,
    `bad_http_header`, `http_status`, `not_html`, `bad_body`, `empty_body`, `page_too_large`, `bad_record`,
    `truncated_record`, `damaged_bytes` (a stretch that is no record), `empty_file`, `unsupported_archive` (ARC).

    Raises:
        SourceError: if the file cannot be opened or read, or has changed since it was listed.
    """
    if slice_.path.lower().endswith((".arc", ".arc.gz")):
        if slice_.start == 0:
            yield Record(slice_.path, 0, fate="unsupported_archive", detail="ARC")
        return
    with closing(open_slice(slice_)) as file:
        for offset, frame, view in _offsets(file, slice_):
            yield _to_record(slice_.path, offset, frame, view, max_page_bytes)


def _offsets(file: BinaryIO, slice_: Slice) -> Iterator[tuple[int, Frame, View]]:
    if not slice_.size:
        yield 0, Frame(0, b"", 0, 0, "empty_file", "0 bytes"), FileView(file)
        return
    codec = codec_of(file, slice_.path.lower())
    if codec:
        yield from _compressed(file, slice_, codec)
        return
    view = FileView(file)
    for frame in frames(view):
        if frame.position >= slice_.end:
            return
        if frame.position >= slice_.start:
            yield frame.position, frame, view


def _compressed(file: BinaryIO, slice_: Slice, codec: Codec) -> Iterator[tuple[int, Frame, View]]:
    chain = Chain(file, codec)
    position = chain.first(slice_.start) if slice_.start else 0
    while position < min(slice_.end, slice_.size):
        if not chain.is_member(position):
            following = chain.after(position)
            if following != chain.skippable_end(position):
                detail = f"{following - position} bytes"
                yield position, Frame(position, b"", position, 0, "damaged_bytes", detail), FileView(file)
            position = following
            continue
        view, members = chain.frames(position)
        number = 0
        for number, frame in enumerate(members, 1):
            yield position + number - 1, frame, view
        view.drain()
        if view.fault and number == 0:
            yield position, Frame(0, b"", 0, 0, "damaged_bytes", view.fault), view
        position = chain.find(position + max(1, number)) if view.fault else view.stored_end


def _to_record(path: str, offset: int, frame: Frame, view: View, max_page_bytes: int) -> Record:
    record = Record(path, offset, fate=frame.fate, detail=frame.detail)
    if not frame.header:
        return record
    headers = _headers(frame.header)
    if headers is None:
        record.fate, record.detail = record.fate or "bad_record", record.detail or "headers"
        return record
    record.url = _clean(headers.get("WARC-Target-URI") or "").removeprefix("<").removesuffix(">")
    date = headers.get("WARC-Date") or ""
    record.date = date if _DATE.fullmatch(date) else ""
    if record.fate:
        return record
    record_type = _clean(headers.get("WARC-Type") or "").strip().lower()
    content_type = _clean(headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    record.declared_language = _clean(headers.get("WARC-Identified-Content-Language") or "").strip()[:MAX_LANGUAGES]
    if record_type == "conversion" and content_type == "text/plain" and record.url.startswith(("http://", "https://")):
        record.fate, record.detail = _read_text(record, frame, view, max_page_bytes)
    elif record_type != "response":
        record.fate, record.detail = "not_a_response", record_type[:40]
    elif content_type not in ("application/http", ""):
        record.fate, record.detail = "not_http", content_type[:80]
    elif frame.length > MAX_CONTENT_BYTES:
        record.fate, record.detail = "page_too_large", f"{frame.length} bytes stored"
    else:
        content = view.at(frame.content, frame.length)
        record.fate, record.detail = _read_http(record, content, max_page_bytes)
    return record


def _read_text(record: Record, frame: Frame, view: View, max_bytes: int) -> tuple[str, str]:
    """Fill in the text of a WET record, which Common Crawl writes as UTF-8; gives fate and detail."""
    if frame.length > max_bytes:
        return "page_too_large", f"over {max_bytes} bytes"
    text = view.at(frame.content, frame.length).decode("utf-8", "replace")
    if not text.strip():
        return "empty_body", ""
    record.text, record.content_type = text, "text/plain"
    return "", ""


def _read_http(record: Record, content: bytes, max_page_bytes: int) -> tuple[str, str]:
    """Fill in the page of an HTTP response; gives fate and detail."""
    header = _HTTP_HEADER.match(content, 0, MAX_HEADER_BYTES)
    headers = _headers(header[0]) if header else None
    status = _STATUS.match(content)
    if header is None or headers is None or status is None:
        return "bad_http_header", ""
    if status[1] != b"200":
        return "http_status", status[1].decode()
    content_type = _clean(headers.get("Content-Type") or "")
    mime = re.split(r"[;,\s]", content_type.strip(), maxsplit=1)[0].lower()  # also of `text/html charset=utf-8`
    if not may_be_page(mime):
        return "not_html", mime[:80]
    try:
        body = decode_body(
            content[header.end() :],
            headers.get("Transfer-Encoding") or "",
            headers.get("Content-Encoding") or "",
            max_page_bytes,
        )
    except BodyError as error:
        return ("not_html", mime[:80]) if mime in DOUBTED_TYPES else ("bad_body", str(error)[:40])
    if not body.strip():
        return "empty_body", ""
    is_sure = mime in DOUBTED_TYPES and (headers.get("X-Content-Type-Options") or "").strip().lower() == "nosniff"
    kind = other_kind(body, mime, is_sure)
    if kind:
        return "not_html", kind[:80]
    if len(body) > max_page_bytes:
        return "page_too_large", f"over {max_page_bytes} bytes"
    record.html, record.content_type, record.charset = body, mime, _charset(content_type)
    return "", ""


def _headers(block: bytes) -> HeaderMap | None:
    """A first line and header fields as a case-insensitive map; None if they cannot be parsed.

    Not by `WarcRecord.from_bytes`, which reserves memory for whatever Content-Length claims and aborts the process.
    """
    headers = HeaderMap()
    try:
        headers.parse(io.BytesIO(_LINE_END.sub(b"\r\n", block)))
    except OSError:
        return None
    return headers


def _charset(content_type: str) -> str:
    found = re.search(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:+-]{1,40})", content_type, re.IGNORECASE)
    return found[1].lower() if found else ""


def _clean(value: str) -> str:
    return value.translate(_CONTROL)
