"""Which column of a table holds the text, and which its URL, title, date and licence."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from pipeline.sources.options import TableSource
from pipeline.sources.record import Slice, SourceError
from pipeline.sources.remote import is_remote, open_remote
from pipeline.sources.rows import MAX_ROW_BYTES

PEEKED_ROWS = 50
PEEKED_BYTES = 8_000_000
"""Inflated bytes of a file of lines that are looked at; a longer first row is not understood."""
MAX_COLUMNS = 64
"""Columns of a table whose values are looked at, from the first."""
MIN_NATURAL_CHARS = 20
"""Mean length from which a column without a telling name may be the text: longer than labels and most names."""
MIN_LETTER_SHARE = 0.6
"""Letters and spaces in natural text: prose of all scripts and source code have more, hashes, URLs, base64 or lists of
numbers fail on this or on having no spaces."""

TEXT_NAMES = (
    "text", "content", "body", "article", "document", "raw_content", "page_content", "maintext", "main_text",
    "markdown", "code", "passage", "story", "transcript", "abstract",
)  # fmt: skip
URL_NAMES = ("url", "uri", "link", "page_url", "source_url", "warc_target_uri", "permalink")
TITLE_NAMES = ("title", "headline", "page_title")
DATE_NAMES = ("date", "published", "date_published", "publish_date", "published_at", "created", "timestamp", "year")
LICENCE_NAMES = ("licence", "license", "rights")


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of a table's columns, as the fields of a `tables` source have them; None for what it lacks."""

    text: str
    url: str | None = None
    title: str | None = None
    date: str | None = None
    licence: str | None = None

    def within(self, names: Iterable[str]) -> "Columns":
        """These columns, less those beside the text that are not in `names`: a source wants them in all its files."""
        there = set(names)
        rest = (self.url, self.title, self.date, self.licence)
        return Columns(self.text, *(name if name in there else None for name in rest))


Values = Mapping[str, Sequence[str]]
"""Column name -> the texts among its first values. A column of other values has none."""


def peek(file: Slice, kind: str) -> Values:
    """The columns of a table of `kind` lines, delimited, parquet or arrow, with texts of its first rows.

    {} if it is damaged.

    Raises:
        SourceError: if the file cannot be opened.
    """
    if kind == "delimited":
        return _peek_delimited(file)
    return _peek_lines(file) if kind == "lines" else _peek_columnar(file, kind)


def choose(values: Values) -> Columns | None:
    """The columns to read; None if none holds text. By name first; else the longest natural text."""
    by_name = {name.lower(): name for name in reversed(list(values))}
    named = [
        by_name[name] for name in TEXT_NAMES if any(value.strip() for value in values.get(by_name.get(name, ""), ()))
    ]
    natural = {name: _natural_chars(found) for name, found in values.items()}
    longest = max(natural, key=lambda name: natural[name], default="")
    text = named[0] if named else longest
    if not text or (not named and natural[text] < MIN_NATURAL_CHARS):
        return None

    def first(names: Iterable[str]) -> str | None:
        return next((by_name[name] for name in names if by_name.get(name, text) != text), None)

    return Columns(text, first(URL_NAMES), first(TITLE_NAMES), first(DATE_NAMES), first(LICENCE_NAMES))


def _natural_chars(values: Sequence[str]) -> float:
    """Mean length in characters of the values that look like natural text; others, and repeated ones, count as 0."""
    n_chars = 0
    for value in values:
        head = value[:1000]
        letters = sum(char.isalpha() or char.isspace() for char in head)
        words = head.split()
        # Chinese, Japanese and Thai have no spaces between words; what else has none is an id, a hash or a URL.
        spaced = len(words) > 2 or any(ord(char) >= 0x0E00 for char in head)
        if spaced and letters >= MIN_LETTER_SHARE * len(head):
            n_chars += len(value)
    if len(set(values)) < len(values) / 2:  # a label, whatever its length
        return 0.0
    return n_chars / max(1, len(values))


def _peek_lines(file: Slice) -> Values:
    values: dict[str, list[str]] = {}
    with closing(open_file(file)) as raw, suppress(EOFError, OSError, zlib.error):
        lines = _unpacked(raw, file.path.lower())
        room = PEEKED_BYTES
        for _ in range(PEEKED_ROWS):
            line = lines.readline(room)
            room -= len(line)
            if not line or not room:
                break
            with suppress(ValueError, RecursionError):
                row = json.loads(line)
                for name, value in islice(row.items(), MAX_COLUMNS) if isinstance(row, dict) else ():
                    values.setdefault(name, []).extend([value] if isinstance(value, str) else [])
    return values


def _peek_delimited(file: Slice) -> Values:
    """Values go through the `csv` module, as in the source."""
    path = file.path.lower()
    csv.field_size_limit(MAX_ROW_BYTES)
    with closing(open_file(file)) as raw, suppress(EOFError, OSError, zlib.error, csv.Error):
        head = _unpacked(raw, path).read(PEEKED_BYTES).decode("utf-8-sig", "replace")
        rows = csv.reader(io.StringIO(head, newline=""), delimiter="\t" if ".tsv" in path[-8:] else ",")
        names = next(rows, [])[:MAX_COLUMNS]
        found = list(islice(rows, PEEKED_ROWS))
        return {name: [row[i] for row in found if i < len(row)] for i, name in enumerate(names) if name}
    return {}


def open_file(file: Slice) -> BinaryIO:
    """The stored bytes of a file.

    Raises:
        SourceError: if it cannot be opened.
    """
    if is_remote(file.url):
        return open_remote(file)
    try:
        return Path(file.url).open("rb")
    except OSError as error:
        raise SourceError(f"{file.url} cannot be read: {error}") from None


def _unpacked(raw: BinaryIO, path: str) -> BinaryIO:
    import pyarrow as pa

    if path.endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if path.endswith(".zst"):
        return cast(BinaryIO, io.BufferedReader(cast(Any, pa.CompressedInputStream(raw, "zstd"))))
    return raw


def _peek_columnar(file: Slice, kind: str) -> Values:
    """Values go through the source's own reader, which validates what comes out of a damaged file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.sources.columnar import DAMAGE
    from pipeline.sources.tables import read_table

    with closing(open_file(file)) as raw:
        try:
            if kind == "parquet":
                names = pq.ParquetFile(raw).schema_arrow.names
            else:
                is_file = raw.read(6) == b"ARROW1"
                raw.seek(0)
                names = (pa.ipc.open_file(raw) if is_file else pa.ipc.open_stream(raw)).schema.names
        except DAMAGE:
            return {}
    values: dict[str, Sequence[str]] = {}
    for name in names[:MAX_COLUMNS]:
        if name and names.count(name) == 1:
            column = TableSource(type="tables", path=file.path, text_column=name)
            records = islice(read_table(file, column), PEEKED_ROWS)
            values[name] = [record.text for record in records if record.text]
    return values
