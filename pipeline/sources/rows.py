"""A row of a table -> a Record, or its fate."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.sources.markup.convert import convert
from pipeline.sources.markup.converted import MarkupError
from pipeline.sources.options import Markup, TableSource
from pipeline.sources.record import Record, Slice, SourceError

MAX_ROW_BYTES = 32_000_000
"""A longer JSONL line, text value or text file is not read. The longest books of Project Gutenberg have 10^7 bytes."""
MAX_FIELD_CHARS = 4_000
"""A longer URL, title, date or licence is left out: it is none."""
COLUMNS_SHOWN = 20

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NotText:
    """A value in a column of strings that is none, by the name of its type."""

    kind: str


def record_of(slice_: Slice, offset: int, text: object, source: TableSource, row: Values) -> Record:
    """The row at `offset` as a Record with its text, or with a fate if `text` is none that can be used."""
    if text is None:
        return fate_of(slice_, offset, "missing_text", "null", row, source)
    if not isinstance(text, str):
        kind = text.kind if isinstance(text, NotText) else type(text).__name__
        return fate_of(slice_, offset, "text_not_string", kind, row, source)
    if len(text) > MAX_ROW_BYTES:
        return fate_of(slice_, offset, "row_too_large", f"over {MAX_ROW_BYTES} characters", row, source)
    if not text.strip():
        return fate_of(slice_, offset, "empty_text", "", row, source)
    record = fate_of(slice_, offset, "", "", row, source)
    record.text = without_surrogates(text)
    if source.markup != "plain":
        convert_text(record, source.markup)
    return record


def convert_text(record: Record, markup: Markup) -> None:
    """Turn the text of `record` into plain text; what it states fills the fields that are empty, in place."""
    try:
        found = convert(record.text or "", markup)
    except MarkupError as error:
        record.text, record.fate, record.detail = None, "bad_markup", str(error)
        return
    stated = {"url": found.url, "title": found.title, "date": found.date, "licence": found.licence}
    for name, value in {**stated, "declared_language": found.language}.items():
        if not getattr(record, name) and len(value) <= MAX_FIELD_CHARS:
            setattr(record, name, value)
    record.text = found.text
    if not found.text.strip():
        record.text, record.fate, record.detail = None, "empty_text", f"nothing is left of the {markup}"


def fate_of(
    slice_: Slice, offset: int, fate: str, detail: str, row: Values | None = None, source: TableSource | None = None
) -> Record:
    """A Record without text, with the fields of `row` that the recipe names."""
    record = Record(slice_.path, offset, fate=fate, detail=detail)
    if row is not None and source is not None:
        record.url, record.title = _field(row, source.url_column), _field(row, source.title_column)
        record.date, record.licence = _field(row, source.date_column), _field(row, source.licence_column)
        record.declared_language = _field(row, source.language_column)
    return record


ABSENT = object()
"""What `value_in` gives for a column that a row has not."""


def value_in(row: Values, name: str) -> Any:
    """The value of a column; of `meta.url`, if no column is called so, that of `url` inside `meta`."""
    if name in row:
        return row[name]
    outer, dot, inner = name.partition(".")
    nested = row.get(outer) if dot else None
    return value_in(nested, inner) if isinstance(nested, dict) else ABSENT


def _field(row: Values, column: str | None) -> str:
    value = value_in(row, column) if column is not None else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # a year, mostly
    return without_surrogates(value) if isinstance(value, str) and len(value) <= MAX_FIELD_CHARS else ""


def without_surrogates(text: str) -> str:
    """JSON escapes can make half a surrogate pair, which is no character: U+FFFD takes its place."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def missing_column(slice_: Slice, offset: int, column: str, found: list[str]) -> Record:
    """The fate of a row without a text column. `found` (told once a file) lets a wrong `text_column` explain itself."""
    shown = ", ".join(name[:40] for name in found[:COLUMNS_SHOWN])
    more = f" and {len(found) - COLUMNS_SHOWN} more" if len(found) > COLUMNS_SHOWN else ""
    detail = f"no column {column!r}" + (f"; found: {without_surrogates(shown)}{more}" if found else "")
    return fate_of(slice_, offset, "missing_text", detail)


def other_columns(source: TableSource) -> list[str]:
    """The columns that the recipe names besides the text's."""
    named = (source.url_column, source.title_column, source.date_column, source.licence_column, source.language_column)
    return [name for name in dict.fromkeys(named) if name is not None]


def no_column(slice_: Slice, missing: Iterable[str], found: Iterable[str]) -> SourceError:
    """The error for columns that the recipe names and a whole file has not."""
    shown = ", ".join(without_surrogates(name[:40]) for name in islice(found, COLUMNS_SHOWN))
    return SourceError(
        f"sources.{slice_.source}: {slice_.path} has no column {', '.join(missing)}; its columns are {shown}; correct "
        "the name in the recipe, or leave it out"
    )


class Unseen:
    """The columns that the recipe names besides the text's, less those that a row of a JSONL file has had."""

    def __init__(self, source: TableSource) -> None:
        self._missing = dict.fromkeys(other_columns(source))
        self._found: dict[str, None] = {}

    def look(self, row: Values) -> None:
        """Take note of a row's columns."""
        if self._missing:
            self._missing = {name: None for name in self._missing if value_in(row, name) is ABSENT}
            self._found |= dict.fromkeys(islice(row, COLUMNS_SHOWN - len(self._found)))

    def check(self, slice_: Slice) -> None:
        """At the end of `slice_`: of a file that is cut, the first range speaks for all.

        Raises:
            SourceError: for a column that no row has.
        """
        if slice_.start == 0 and self._missing and self._found:
            raise no_column(slice_, self._missing, self._found)


def damaged(slice_: Slice, offset: int, error: BaseException) -> Record:
    """The fate that stands for all rows from `offset` on that damage makes unreadable."""
    return fate_of(slice_, offset, "damaged_bytes", f"nothing can be read from here on ({type(error).__name__})")
