"""The answers that are no articles: tests/sample/others.yaml, in order of kind.

Name -> `url`, `fate`, and what the server said: `status` (200 OK), `type` (text/html), `headers`, `http` (see
`answers`), `body` as text, `base64`, or `made`, a key of `MADE`. `bare: true`: the record holds `body` and no HTTP
header. `record`: the type of the record, if not response; `record_content`: its Content-Type, if not HTTP. `of`: the
page that a revisit finds unchanged.
"""

import base64
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

from tests.sample.prose import FOLDER

LARGE_PAGE_BYTES = 4_200_000
"""More than the default `extract.max_page_bytes`."""


@cache
def described() -> dict[str, dict[str, Any]]:
    """All of them by name."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "others.yaml").read_text("utf-8"))
    return found


def body_of(told: dict[str, Any]) -> bytes:
    """The body of the answer, before any coding."""
    if "made" in told:
        return MADE[told["made"]]()
    if "base64" in told:
        return base64.b64decode(told["base64"])
    return str(told.get("body", "")).encode()


def _png() -> bytes:
    """A picture of 16 by 16 grey levels (PNG, ISO/IEC 15948)."""
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(16)) for y in range(16))
    header = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _pdf() -> bytes:
    text = b"BT /F1 18 Tf 72 720 Td (Fixtures 2026: home matches on Thursdays) Tj ET"
    stream = b"<</Length %d>>stream\n%s\nendstream" % (len(text), text)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        stream,
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    listed = b"".join(b"%d 0 obj%s endobj\n" % (i, body) for i, body in enumerate(objects, 1))
    return b"%PDF-1.4\n" + listed + b"trailer<</Size 6/Root 1 0 R>>\n%%EOF\n"


def _large() -> bytes:
    head = b"<!DOCTYPE html><html><head><title>Calendar, all years</title></head><body><table><tr>"
    cell = b"<td> </td>"
    return head + cell * (LARGE_PAGE_BYTES // len(cell)) + b"</tr></table></body></html>"


MADE: dict[str, Callable[[], bytes]] = {
    "png": _png,
    "pdf": _pdf,
    "large": _large,
    "woff2": lambda: b"wOF2" + bytes(range(256)) * 2,
    "mp3": lambda: b"ID3\x04" + bytes(6) + b"\xff\xfb\x90\x64" * 200,
    "zip": lambda: b"PK\x05\x06" + bytes(18),
}
