"""The archives that a benchmark reads: a part drawn by hash, as Common Crawl would have written it, and their pages."""

import gzip
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType

from pipeline.assets import cache_folder
from pipeline.extract.charset import decode
from pipeline.sources.listing import list_files
from pipeline.sources.options import WarcSource
from pipeline.sources.read import read

HTML_TYPES = ("text/html", "application/xhtml+xml")
PAYLOAD_TYPE = "WARC-Identified-Payload-Type"


def copied(paths: Sequence[Path], max_bytes: float) -> tuple[Path, dict[str, str]]:
    """Copies of the archives below `paths`, of up to `max_bytes` drawn by a hash of their names, in a folder.

    Responses that are HTML by their header have the type that they were identified as. Also given: "file:offset" of
    each record -> its WARC-Record-ID.
    """
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*.warc.gz"))]
    files.sort(key=lambda file: hashlib.sha256(file.name.encode("utf-8", "surrogateescape")).digest())
    sizes = accumulate(file.stat().st_size for file in files)
    files = [file for file, size in zip(files, sizes, strict=True) if size <= max_bytes] or files[:1]
    stats = repr([(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files])
    folder = cache_folder() / "bench" / f"archives-{hashlib.sha256(stats.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    ids: dict[str, str] = {}
    for number, file in enumerate(files):
        copy = folder / f"{number:04d}-{file.name}"
        if not copy.exists():
            aside = folder.with_suffix(f".{os.getpid()}")
            with aside.open("wb") as out:
                out.writelines(_identified(file))
            aside.replace(copy)
        with copy.open("rb") as stream:
            ids |= {f"{copy.name}:{r.stream_pos}": str(r.record_id) for r in ArchiveIterator(stream, parse_http=False)}
    return folder, ids


def _identified(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        responses = ArchiveIterator(stream, record_types=WarcRecordType.response)
        types = {record.record_id: (record.http_content_type or "").lower() for record in responses}
    with file.open("rb") as stream:
        for record in ArchiveIterator(stream, parse_http=False):
            kind = types.get(record.record_id, "")
            if kind in HTML_TYPES and PAYLOAD_TYPE not in record.headers:
                record.headers[PAYLOAD_TYPE] = kind
            written = io.BytesIO()
            record.write(written)
            yield gzip.compress(written.getvalue(), 6)


def pages(path: Path) -> Iterator[tuple[str, str]]:
    """URL and decoded text of each page below `path`, as Extract meets them."""
    source = WarcSource(type="warc", path=str(path))
    for file in list_files("web", source):
        for record in read(source, file):
            if not record.fate and record.html is not None:
                yield record.url, decode(record.html, record.charset)[0]


def drawn(path: Path, n: int) -> list[tuple[str, str]]:
    """`n` of the pages below `path`, drawn by a hash."""
    return sorted(pages(path), key=lambda page: hashlib.sha256(page[0].encode("utf-8", "replace")).digest())[:n]
