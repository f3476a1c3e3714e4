"""Pages of a MediaWiki XML dump (https://www.mediawiki.org/wiki/Help:Export) as Records, streamed.

A page is what stands between `<page>` and `</page>`, which a dump never writes inside text, where `<` is escaped. Each
is parsed on its own, so memory is bounded by one page, nothing can refer to entities, and a broken page costs itself
alone. Fates: `not_an_article` (another namespace), `redirect`, `not_wikitext`, `no_page_text` (deleted, or a dump of
stubs), `bad_markup`, `row_too_large`, `empty_text`, `damaged_bytes`.
"""

import bz2
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

from lxml import etree

from pipeline.sources.markup import wikitext
from pipeline.sources.markup.converted import MarkupError
from pipeline.sources.opening import open_slice
from pipeline.sources.record import Record, Slice
from pipeline.sources.rows import MAX_ROW_BYTES, damaged, fate_of, without_surrogates

READ_BYTES = 1 << 18
HEAD_BYTES = 1 << 17
"""Where `<siteinfo>` is looked for; Wikipedia's have 5 to 10 kB."""
FILE_KEYS, CATEGORY_KEYS = frozenset({"6", "-2"}), frozenset({"14"})
"""Numbers of namespaces: https://www.mediawiki.org/wiki/Manual:Namespace_constants."""
_BEGIN, _END = b"<page>", b"</page>"
_STREAM = re.compile(rb"BZh[1-9]1AY&SY")
"""Head of a bzip2 stream and of its first block. `multistream` dumps have one for every hundred pages."""
STREAM_HEAD_BYTES = 10
MAX_PAGES_IN_STREAM = 1 << 26
"""English Wikipedia has 6 * 10^7 pages, discussions included. Files of up to 2^37 bytes fit into an offset."""
_SITE_END = b"</siteinfo>"


@dataclass(frozen=True, slots=True)
class _Site:
    """What the head of a dump states: `base` is what stands before titles in URLs, "" if unknown."""

    base: str
    language: str
    files: frozenset[str]
    categories: frozenset[str]


def read_dump(slice_: Slice) -> Iterator[Record]:
    """Every page that begins in `slice_`, in order.

    `offset` is the byte offset of `<page>` in a plain dump; in a packed one it is `MAX_PAGES_IN_STREAM` times the
    offset of the bzip2 stream (0 in gzip) in which the page begins, plus the number of the page in it. A plain dump can
    be entered anywhere, and a bzip2 file at each of its streams; gzip belongs whole to the range that begins at 0.

    Raises:
        SourceError: if the file cannot be opened, or changed since it was listed.
    """
    path = slice_.path.lower()
    if path.endswith(".gz") and slice_.start:
        return
    with closing(open_slice(slice_)) as file:
        site = _site(_head(file, path))
        read = _bzip2 if path.endswith(".bz2") else _gzip if path.endswith(".gz") else _plain
        offset = slice_.start * (1 if read is _plain else MAX_PAGES_IN_STREAM) - 1
        try:
            for offset, page in _pages(read(file, slice_), slice_, is_plain=read is _plain):
                yield _record(slice_, offset, page, site)
        except (EOFError, OSError, zlib.error) as error:
            yield damaged(slice_, offset + 1, error)


def _head(file: BinaryIO, path: str) -> bytes:
    """The first inflated bytes, up to the end of `<siteinfo>`, or to damage."""
    packed: Any = file
    if path.endswith((".bz2", ".gz")):
        packed = bz2.BZ2File(file) if path.endswith(".bz2") else gzip.GzipFile(fileobj=file)
    head = b""
    with suppress(EOFError, OSError, zlib.error):
        while len(head) < HEAD_BYTES and _SITE_END not in head and (block := packed.read1(HEAD_BYTES // 16)):
            head += block
    return head


def _site(head: bytes) -> _Site:
    begin, end = head.find(b"<siteinfo"), head.find(_SITE_END)
    language = re.search(rb"<mediawiki[^>]{0,2000}xml:lang=\"([A-Za-z-]{1,20})\"", head)
    base, files, categories = "", set(wikitext.FILE_NAMESPACES), set(wikitext.CATEGORY_NAMESPACES)
    if 0 <= begin < end:
        root = _parsed(head[begin : end + len(_SITE_END)])
        for node in () if root is None else root.iter("base", "namespace"):
            name = (node.text or "").strip()
            if node.tag == "base" and name.startswith(("http://", "https://")):
                base = name.rpartition("/")[0] + "/"
            elif node.get("key") in FILE_KEYS:
                files.add(name.lower())
            elif node.get("key") in CATEGORY_KEYS:
                categories.add(name.lower())
    return _Site(base, language[1].decode() if language else "", frozenset(files), frozenset(categories))


def _parsed(xml: bytes) -> etree._Element | None:
    """Not huge_tree: libxml2's limits hold, 256 elements deep and 10 MB a text. A page can hold no document type."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, encoding="utf-8")
    try:
        return etree.fromstring(xml, parser)
    except etree.XMLSyntaxError:
        return None


Chunk = tuple[int, bytes]
"""Where bytes come from: their own offset in a plain file, that of their stream in a packed one; and the bytes."""


def _plain(file: BinaryIO, slice_: Slice) -> Iterator[Chunk]:
    file.seek(slice_.start)
    position = slice_.start
    while block := file.read(READ_BYTES):
        yield position, block
        position += len(block)


def _gzip(file: BinaryIO, slice_: Slice) -> Iterator[Chunk]:
    file.seek(0)
    packed = gzip.GzipFile(fileobj=file)
    while block := packed.read(READ_BYTES):
        yield 0, block


def _bzip2(file: BinaryIO, slice_: Slice) -> Iterator[Chunk]:
    """From the first stream that begins in the Slice to the end of the file."""
    position = _find_stream(file, slice_)
    file.seek(position)
    block = file.read(READ_BYTES)
    while block:
        codec, fed = bz2.BZ2Decompressor(), 0
        while not codec.eof:
            if codec.needs_input:
                block = block or file.read(READ_BYTES)
                if not block:
                    raise EOFError
                fed += len(block)
            made, block = codec.decompress(block if codec.needs_input else b"", READ_BYTES), b""
            yield position, made
        block = codec.unused_data
        position += fed - len(block)
        block = block or file.read(READ_BYTES)


def _find_stream(file: BinaryIO, slice_: Slice) -> int:
    """The offset of the first stream that begins in the Slice; the file's size if none does."""
    position = slice_.start
    while position < slice_.end:
        file.seek(position)
        block = file.read(READ_BYTES)
        found = _STREAM.search(block)
        if found or len(block) < READ_BYTES:
            return position + found.start() if found else slice_.size
        position += len(block) - STREAM_HEAD_BYTES + 1
    return slice_.size


def _pages(chunks: Iterator[Chunk], slice_: Slice, is_plain: bool) -> Iterator[tuple[int, bytes | None]]:
    """Offset and bytes of each page that begins in the Slice; None for the bytes of one over `MAX_ROW_BYTES`."""
    held, places = bytearray(), list[tuple[int, int]]()  # `places`: where in `held` which chunk begins
    looked, is_skipping = 0, False
    unit, in_unit = -1, 0
    for position, block in chunks:
        places.append((len(held), position))
        held += block
        while True:
            if is_skipping:
                end = held.find(_END)
                is_skipping = end < 0
                _drop(held, places, end + len(_END) if end >= 0 else max(0, len(held) - len(_END)))
                if is_skipping:
                    break
            begin = held.find(_BEGIN)
            _drop(held, places, begin if begin >= 0 else max(0, len(held) - len(_BEGIN)))
            start = places[0][1] - (places[0][0] if is_plain else 0)
            if start >= slice_.end:
                return
            if begin < 0:
                break
            end = held.find(_END, max(looked, 0))
            if end < 0 and len(held) <= MAX_ROW_BYTES:
                looked = len(held) - len(_END)
                break
            looked = 0
            if not is_plain:
                unit, in_unit = start, in_unit + 1 if start == unit else 0
                if in_unit >= MAX_PAGES_IN_STREAM:
                    raise EOFError
            yield (
                start if is_plain else start * MAX_PAGES_IN_STREAM + in_unit,
                bytes(held[: end + len(_END)]) if end >= 0 else None,
            )
            is_skipping = end < 0
            if end >= 0:
                _drop(held, places, end + len(_END))
    if held.startswith(_BEGIN) and not is_skipping:
        raise EOFError  # a page without its end


def _drop(held: bytearray, places: list[tuple[int, int]], n_bytes: int) -> None:
    """Take the first bytes from `held`; `places[0]` stays the chunk that its first byte is of."""
    del held[:n_bytes]
    while len(places) > 1 and places[1][0] <= n_bytes:
        del places[0]
    places[:] = [(at - n_bytes, position) for at, position in places]


def _record(slice_: Slice, offset: int, page: bytes | None, site: _Site) -> Record:
    if page is None:
        return fate_of(slice_, offset, "row_too_large", f"over {MAX_ROW_BYTES} bytes")
    root = _parsed(page)
    if root is None:
        return fate_of(slice_, offset, "bad_markup", "no XML that can be read")
    title = without_surrogates(root.findtext("title") or "").strip()
    url = f"{site.base}{quote(title.replace(' ', '_'), safe='/:@!$*,;()~')}" if site.base and title else ""
    revision = next(reversed(root.findall("revision")), root)
    date = revision.findtext("timestamp") or ""
    record = Record(slice_.path, offset, url=url, title=title, date=date, declared_language=site.language)
    text, model = revision.findtext("text"), revision.findtext("model") or "wikitext"
    if (namespace := root.findtext("ns") or "0") != "0":
        record.fate, record.detail = "not_an_article", f"namespace {namespace[:10]}"
    elif root.find("redirect") is not None:
        record.fate = "redirect"
    elif model != "wikitext":
        record.fate, record.detail = "not_wikitext", model[:40]
    elif not text:
        record.fate = "no_page_text"
    else:
        try:
            record.text = wikitext.convert(text, site.files, site.categories).text or None
            record.fate = "" if record.text else "empty_text"
        except MarkupError as error:
            record.fate, record.detail = "bad_markup", str(error)
    return record
