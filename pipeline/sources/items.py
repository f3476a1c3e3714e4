"""Items of benchmarks: the strings in the rows of JSONL and Parquet files.

Unlike a record of a source, an item that cannot be read ends the run: who leaves it out cannot say that it was looked
for.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ConfigError
from pipeline.config_words import did_you_mean, one_of
from pipeline.sources.opening import unpacked
from pipeline.sources.rows import ABSENT, MAX_ROW_BYTES, value_in, without_surrogates

BATCH_ROWS = 128


class ItemError(ConfigError):
    """Items that cannot be read: which file and row, what was found, what was expected."""


def read_items(path: Path, name: str, fields: Sequence[str], at: str) -> Iterator[list[str]]:
    """The strings of each item of a file, in order; blank lines are no items.

    Args:
        path: the local file.
        name: what the recipe calls it; its ending says how it is read (see `ITEM_SUFFIXES` in
            `pipeline.steps.overlap_options`).
        fields: columns to take strings from, `meta.text` being `text` inside `meta`; none for all columns.
        at: field of the recipe, for errors.

    Raises:
        ItemError: a row is no JSON object, the file is damaged or has no items, no item has one of `fields` or any
            string there.
    """
    unseen, known = dict.fromkeys(fields), dict[str, None]()
    n_items, has_strings = 0, False
    try:
        for row in _parquet(path) if name.lower().endswith(".parquet") else _lines(path, name, at):
            n_items += 1
            known |= dict.fromkeys(row)
            values = [value_in(row, field) for field in fields] if fields else list(row.values())
            unseen = {field: None for field in unseen if value_in(row, field) is ABSENT}
            strings = [without_surrogates(string) for value in values for string in _strings(value)]
            has_strings |= bool(strings)
            yield strings
    except (EOFError, OSError, zlib.error, pa.ArrowException) as error:
        why = f"item {n_items + 1} cannot be read ({type(error).__name__}: {error}); copy the file again"
        raise ItemError([f"{at}: {name}: {why}"]) from None
    if not n_items:
        raise ItemError([f"{at}: {name}: has no items"])
    for field in unseen:
        near = did_you_mean(field, known) or f"; there are: {one_of(known)}"
        raise ItemError([f"{at}: {name}: no item has a field {field[:60]!r}{near}"])
    if not has_strings:
        raise ItemError([f"{at}: {name}: no text in {one_of(fields or known)}; name fields that hold text"])


def _strings(value: Any) -> Iterator[str]:
    """Every string in a value of JSON or Parquet, in order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += reversed(one.values())
        elif isinstance(one, list | tuple):  # a map of Parquet is a list of pairs
            waiting += reversed(one)


def _lines(path: Path, name: str, at: str) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        lines: BinaryIO = unpacked(file, name) if name.lower().endswith((".gz", ".zst")) else file
        number = 0
        while line := lines.readline(MAX_ROW_BYTES + 1):
            number += 1
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not line.strip():
                continue
            try:
                if len(line) > MAX_ROW_BYTES:
                    raise ValueError(f"over {MAX_ROW_BYTES} bytes")
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"found {type(row).__name__}")
            except (ValueError, RecursionError) as error:
                raise ItemError(
                    [f"{at}: {name}:{number}: expected a JSON object on one line ({error}); correct or convert it"]
                ) from None
            yield row


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, use_threads=False):
        yield from batch.to_pylist()
