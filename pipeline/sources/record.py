"""What every reader takes and gives: a Slice of an input file, and Records."""

from dataclasses import dataclass


class SourceError(Exception):
    """A source that cannot be listed or opened: what was looked for, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes [start, end) of one input file, as stored; a record belongs to the slice that holds its first byte.

    `path` is relative to the source's root and, with an offset, names a record for good; `url` says how to open the
    file (a local path or an fsspec URL). `etag` is the store's ETag, or mtime in nanoseconds for a local file.
    """

    source: str
    path: str
    url: str
    size: int
    etag: str
    start: int
    end: int

    @property
    def is_whole(self) -> bool:
        """Whether the slice is the whole file."""
        return self.start == 0 and self.end >= self.size


@dataclass(slots=True)
class Record:
    """One record of an input, or its fate.

    `offset` is unique within the file: see `document.RAW_DOCUMENT`. `fate` is "" if the record can become a document;
    then either `html` (bytes of a page, with `charset` from the HTTP header or "") or `text` is set. `detail` explains
    a fate in a few words and holds nothing of the page's text.
    """

    path: str
    offset: int
    url: str = ""
    date: str = ""
    title: str = ""
    licence: str = ""
    fate: str = ""
    detail: str = ""
    html: bytes | None = None
    charset: str = ""
    content_type: str = ""
    text: str | None = None
