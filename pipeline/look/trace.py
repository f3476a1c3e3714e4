"""From a row of a version's shards to its documents, their addresses and the records they came from."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.document import ID_TYPE
from pipeline.manifest import DataFile, Manifest, load_manifest
from pipeline.shards import open_shard
from pipeline.tokenizer import vocab
from pipeline.versions import VersionError

FIRST_TOKENS = 48
"""Tokens of a piece that are decoded, to show how it begins."""
DOCUMENTS, DECISIONS = "documents", "decisions"
COLUMNS = {DOCUMENTS: ["id", "source", "url", "title"], DECISIONS: ["id", "path", "offset"]}


@dataclass(frozen=True, slots=True)
class Piece:
    """A document's piece in a row.

    It has the places `place` : `place + n_tokens` of the row, tokens `start` : `start + n_tokens` of document `id`
    (hexadecimal); `is_end`: the document ends with it. `document` has url, title and source, `record` path and offset
    of the archive record, each empty if the version does not say. `text`: how the piece begins.
    """

    id: str
    place: int
    start: int
    n_tokens: int
    is_end: bool
    text: str
    document: dict[str, Any]
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Traced:
    """A row: `file` is its shard, `row` its number there, `row_of_cell` its number over all shards of its Cell and
    split, as the trainer counts. `missing`: what the version cannot say and why, a sentence each."""

    file: DataFile
    row: int
    row_of_cell: int
    seq_len: int
    pieces: list[Piece]
    missing: list[str]


def trace(folder: Path, row: int, shard: str | None, cell: str | None, split: str) -> Traced:
    """What row `row` of a shard, or of all shards of a Cell and split, holds.

    Args:
        folder: a version on a local disk.
        row: counted from 0.
        shard: path of a shard as the manifest has it; then `cell` and `split` are not asked.
        cell: may be None if the split has one Cell only.
        split: `train` or `validation`.

    Reads, of documents and decisions, one row group for each piece in the files that the shard was made from.

    Raises:
        VersionError: if there is no such shard, Cell or row.
        ManifestError, ShardError, VocabError: for damaged files.
    """
    described = load_manifest(folder)
    file, number, before = _find(described, row, shard, cell, split)
    found = open_shard(folder / file.path)
    tokens, lengths, starts = found.read(number)
    ids = [key.tobytes() for key in found.ids(number)]
    words = vocab.load(folder / described.tokenizer["path"], **described.tokenizer.get("load", {}))
    missing: list[str] = []
    rows = {kind: _look_up(folder, described, file, kind, set(ids), missing) for kind in COLUMNS}
    pieces, place = [], 0
    for key, n, start in zip(ids, lengths.tolist(), starts.tolist(), strict=True):
        own = tokens[place : place + n]
        text = words.decode(own[:FIRST_TOKENS])
        about = [rows[kind].get(key, {}) for kind in COLUMNS]
        pieces.append(Piece(key.hex(), place, start, n, int(own[-1]) == words.eos_id, text, *about))
        place += n
    return Traced(file, number, before + number, found.meta.seq_len, pieces, missing)


def _find(described: Manifest, row: int, shard: str | None, cell: str | None, split: str) -> tuple[DataFile, int, int]:
    """The shard, the row in it, and rows of its Cell and split in the shards before it."""
    shards = sorted((file for file in described.files if file.kind == "shard"), key=lambda file: file.path)
    if shard is not None:
        named = [file for file in shards if file.path == shard]
        if not named:
            some = ", ".join(file.path for file in shards[:5])
            raise VersionError(f"--shard {shard}: the version has no such shard; it has {len(shards)}, such as {some}")
        cell, split = named[0].cell, named[0].split
    cells = sorted({file.cell for file in shards if file.split == split})
    if cell is None and len(cells) == 1:
        cell = cells[0]
    of_cell = [file for file in shards if (file.cell, file.split) == (cell, split)]
    if not of_cell:
        totals = ", ".join(
            f"{name} ({sum(f.rows for f in shards if (f.cell, f.split) == (name, split)):,} rows)" for name in cells
        )
        what = f"--cell {cell}: no such Cell with rows" if cell else "say which Cell, --cell NAME"
        raise VersionError(f"{what}; in the split {split} there are: {totals or 'none'}")
    before = 0
    for file in of_cell:
        here = row if shard else row - before
        if file.path == shard or (shard is None and 0 <= here < file.rows):
            if not 0 <= here < file.rows:
                raise VersionError(f"--row {row}: {file.path} has the rows 0 to {file.rows - 1}")
            return file, here, before
        before += file.rows
    raise VersionError(f"--row {row}: the split {split} of {cell} has the rows 0 to {before - 1}")


def _look_up(
    folder: Path, described: Manifest, shard: DataFile, kind: str, ids: Collection[bytes], missing: list[str]
) -> dict[bytes, dict[str, Any]]:
    """Rows of the documents or decisions with these ids."""
    files = [file.path for file in described.files if file.kind == kind and file.path in shard.made_from]
    there = [folder / path for path in files if (folder / path).is_file()]
    if not files:
        missing.append(
            "The version does not say which records its documents came from (keep.fates is false). To get them: "
            "pipeline run with its recipe and --set keep.fates=true; the shards stay the same"
        )
    elif len(there) < len(files):
        missing.append(
            f"{len(files) - len(there)} of {len(files)} files of {kind} are not there, such as "
            f"{next(path for path in files if folder / path not in there)}: copy the whole version folder, or run its "
            "recipe again"
        )
    found: dict[bytes, dict[str, Any]] = {}
    for path in there:
        wanted = sorted(set(ids) - set(found))
        if not wanted:
            break
        for row in _rows_with(path, wanted, COLUMNS[kind]):
            found[row.pop("id")] = row
    return found


def _rows_with(path: Path, ids: Sequence[bytes], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, sorted by id, with one of `ids` (sorted): row groups that cannot hold one are not
    read, of the others the ids first."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        place = file.schema_arrow.get_field_index("id")
        for group in range(file.metadata.num_row_groups):
            statistics = file.metadata.row_group(group).column(place).statistics
            if statistics is not None and statistics.has_min_max:
                low, high = statistics.min, statistics.max
                if not any(low <= key <= high for key in ids):
                    continue
            held = file.read_row_group(group, columns=["id"], use_threads=False)["id"]
            at = pc.drop_null(pc.index_in(pa.array(ids, ID_TYPE), held))
            if len(at):
                yield from file.read_row_group(group, columns=list(columns), use_threads=False).take(at).to_pylist()
