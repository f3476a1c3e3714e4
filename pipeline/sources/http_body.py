"""The body of an HTTP message as a browser would see it: chunks joined, content decoded, within bounds.

fastwarc's own decoding (`auto_decode`) inflates the whole body before it returns, so that 2 MB of gzip can take 2 GB;
its stream readers, which brotli and zstd are left to, stop where they are told to.
"""

import io
import re
import zlib

from fastwarc.stream_io import BrotliReader

from pipeline.sources.inflate import ZstdFrame

_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,8})[^\r\n]{0,1024}\r?\n")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_NAMES = {"x-gzip": "gzip", "identity": "", "none": "", "utf-8": "", "": ""}
MAX_CODINGS = 3
STEP_BYTES = 64 * 1024


class BodyError(Exception):
    """A body that does not decode; the message names the coding."""


def decode_body(body: bytes, transfer: str, content: str, max_bytes: int) -> bytes:
    """`body` without its transfer and content codings (the values of the HTTP headers), at most `max_bytes` + 1 bytes.

    A body that is not coded as its headers say is taken as it is if it starts with `<`: many crawlers store bodies
    decoded and keep the headers. Truncated bodies give what they hold.

    Raises:
        BodyError: if a coding is unknown or the body does not follow it.
    """
    codings = [*_codings(content), *_codings(transfer)]
    if len(codings) > MAX_CODINGS:
        raise BodyError("too many codings")
    for left, coding in reversed(list(enumerate(codings))):
        try:
            body = _decode(body, coding, max_bytes)
        except (zlib.error, OSError, ValueError):
            joined_already = coding == "chunked" and left > 0  # the next coding will tell
            if not joined_already and not _MARKUP.match(body):
                raise BodyError(coding) from None
    return body[: max_bytes + 1]


def _codings(header: str) -> list[str]:
    names = (part.strip().lower() for part in header.split(","))
    return [coding for coding in (_NAMES.get(name, name) for name in names) if coding]


def _decode(body: bytes, coding: str, max_bytes: int) -> bytes:
    if coding == "chunked":
        return _join_chunks(body)
    if coding in ("gzip", "deflate"):
        return _inflate(body, coding, max_bytes)
    if coding in ("br", "zstd"):
        return (_unbrotli if coding == "br" else _unzstd)(body, max_bytes)
    raise BodyError("unknown coding")


def _unbrotli(body: bytes, max_bytes: int) -> bytes:
    stored, out = io.BytesIO(body), bytearray()
    reader = BrotliReader(stored)
    try:
        while body and len(out) <= max_bytes and (step := reader.read(min(STEP_BYTES, max_bytes + 1 - len(out)))):
            out += step
    except OSError:
        if not out or stored.tell() < len(body):
            raise  # else the body was cut short, or something stands behind it
    return bytes(out)


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    stored, out, start = io.BytesIO(body), bytearray(), 0
    while start < len(body) and len(out) <= max_bytes:
        frame, before = ZstdFrame(stored, start), len(out)
        while len(out) <= max_bytes and (step := frame.more(min(STEP_BYTES, max_bytes + 1 - len(out)))):
            out += step
        if frame.fault and (not out or (len(out) > before and frame.stored_end < len(body))):
            raise ValueError(frame.fault)  # else the body was cut short, or something stands behind it
        start = len(body) if frame.fault else frame.stored_end
    return bytes(out)


def _inflate(body: bytes, coding: str, max_bytes: int) -> bytes:
    if not body:
        return b""
    if coding == "deflate":
        is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return zlib.decompressobj(wbits=15 if is_zlib else -15).decompress(body, max_bytes + 1)
    out = bytearray()
    while body.startswith(b"\x1f\x8b") or not out:
        inflater = zlib.decompressobj(wbits=31)
        out += inflater.decompress(body, max_bytes + 1 - len(out))
        if len(out) > max_bytes or not inflater.eof:
            break
        body = inflater.unused_data
        if not body:
            break
    return bytes(out)


def _join_chunks(body: bytes) -> bytes:
    """RFC 9112, section 7.1; chunk extensions and trailers are passed over, a body cut short ends where it ends."""
    out: list[bytes] = []
    position = 0
    while position < len(body):
        size = _CHUNK.match(body, position)
        if size is None:
            if out and not body[position:].strip():
                break
            raise ValueError("no chunk size")
        n = int(size[1], 16)
        if n == 0:
            break
        out.append(body[size.end() : size.end() + n])
        position = size.end() + n
    return b"".join(out)
