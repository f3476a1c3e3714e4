"""Archives for tests, written byte by byte, so that no library's idea of a valid archive gets in."""

import gzip
import io
from pathlib import Path

from fastwarc.stream_io import ZstdWriter

from pipeline.sources.record import Record, Slice
from pipeline.sources.warc import read_warc

PAGE = b"<html><head><title>A page</title></head><body><p>Some words.</p></body></html>"


def http(body: bytes = PAGE, status: str = "200 OK", **headers: str) -> bytes:
    fields = {"Content-Type": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items() if value), "", ""]
    return "\r\n".join(lines).encode() + body


def warc_record(content: bytes, url: str = "http://a.example/", kind: str = "response", mime: str = "application/http"):
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: {url}",
        "WARC-Date: 2026-10-01T12:00:00Z",
        f"Content-Type: {mime}",
        f"Content-Length: {len(content)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + content + b"\r\n\r\n"


def by_record(records: list[bytes], level: int = 6) -> bytes:
    return b"".join(gzip.compress(record, level, mtime=0) for record in records)


def zstd_frame(content: bytes, level: int = 3) -> bytes:
    out = io.BytesIO()
    with ZstdWriter(out, compression_level=level) as writer:
        for at in range(0, len(content), 1 << 20):  # it loses what is written beyond 8 MB at once
            writer.write(content[at : at + (1 << 20)])
    return out.getvalue()


def zstd_by_record(records: list[bytes], level: int = 3) -> bytes:
    return b"".join(zstd_frame(record, level) for record in records)


def zstd_with_dictionary(records: list[bytes], dictionary: bytes, packed: bool = False) -> bytes:
    """A dictionary frame and a frame for each record, written by fastwarc."""
    out = b""
    for record in records:
        file = io.BytesIO()
        with ZstdWriter(file, dictionary=dictionary, compress_dictionary_frame=packed) as writer:
            writer.write(record)
        raw = file.getvalue()
        end = 8 + int.from_bytes(raw[4:8], "little")
        out += raw[end:] if out else raw
    return out


def whole(path: Path) -> Slice:
    size = path.stat().st_size
    return Slice("test", path.name, str(path), size, "", 0, size)


def read_bytes(folder: Path, raw: bytes, name: str = "a.warc.gz") -> list[Record]:
    path = folder / name
    path.write_bytes(raw)
    return list(read_warc(whole(path)))
