"""What every reader takes and gives: a Slice of an input file, and Records."""

from dataclasses import dataclass, field
from typing import Any


class SourceError(Exception):
    """A source that cannot be listed or opened: what was looked for, where, and what to do."""


class UnavailableError(SourceError):
    """A remote file that cannot be had, however often it is asked for. `kind` names the failure without any detail."""

    def __init__(self, source: str, path: str, url: str, kind: str, words: str) -> None:
        super().__init__(f"sources.{source}: {url} cannot be read: {words}")
        self.source, self.path, self.kind = source, path, kind


def reason(error: BaseException) -> str:
    """Why a file or a store could not be read, in words.

    fsspec says of every failed HTTP request that the file was not found; what happened is in that error's cause.
    """
    cause = error.__cause__ if isinstance(error, FileNotFoundError) else None
    if isinstance(status := getattr(cause, "status", None), int):
        return f"the server answered {status} {getattr(cause, 'message', '')}".rstrip()
    if isinstance(cause, OSError):
        return f"no connection to the server ({cause})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"


FATES_OF_KINDS = ("not_a_response", "not_http", "http_status", "not_html", "bad_body", "bad_record")
"""Fates whose detail says of what kind the record is, by which they are counted."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes [start, end) of one input file, as stored; a record belongs to the slice that holds its first byte.

    `path` is relative to the source's root and, with an offset, names a record for good; `url` says how to open the
    file (a local path or an fsspec URL). `etag` is the store's ETag, or mtime in nanoseconds for a local file.
    `unavailable` is "", or says why the file could not be had: then it is not tried, and stands as one record.
    `licence_file` is the path, relative to the source's root, of the file that states the licence of source code.
    """

    source: str
    path: str
    url: str
    size: int
    etag: str
    start: int
    end: int
    unavailable: str = ""
    licence_file: str = ""


@dataclass(slots=True)
class Record:
    """One record of an input, or its fate.

    `offset` is unique within the file: see `document.RAW_DOCUMENT`. `fate` is "" if the record can become a document;
    then either `html` (bytes of a page, with `charset` from the HTTP header or "") or `text` is set. `detail` explains
    a fate in a few words and holds nothing of the page's text. `declared_language` is what the record itself states,
    in its own spelling; of source code the programming language. `canonical_url`, `published` and `extractor` are set
    where a page is extracted, `looks` (name -> number or word) where one is looked at.
    """

    path: str
    offset: int
    url: str = ""
    date: str = ""
    title: str = ""
    licence: str = ""
    declared_language: str = ""
    fate: str = ""
    detail: str = ""
    html: bytes | None = None
    charset: str = ""
    content_type: str = ""
    text: str | None = None
    canonical_url: str = ""
    published: str = ""
    extractor: str = ""
    looks: dict[str, Any] = field(default_factory=dict)
