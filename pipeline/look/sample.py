"""Documents of a version, kept or dropped, chosen by an expression and then by a hash of their ids.

One Part's columns that the expression names are held at a time, and the best `n` found so far.
"""

import heapq
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config import ConfigError
from pipeline.config_words import did_you_mean
from pipeline.document import fixed_bytes, one_array
from pipeline.files import PartStore
from pipeline.ledger.layout import RecordsPart
from pipeline.ledger.read import Ledger
from pipeline.look.rows import rows_of
from pipeline.manifest import Manifest
from pipeline.measures import MEASURES, QUALITY_PREFIX
from pipeline.steps.options import PiiOptions
from pipeline.steps.pii.scrubber import Scrubber
from pipeline.steps.removals import COPY_OF_REMOVED, REMOVED
from pipeline.versions import VersionError

DECIDED: Final = ("id", "source", "path", "offset", "url", "reason", "survivor", "cluster", "similarity")
STATED: Final = ("canonical_url", "title", "date", "published", "licence", "declared_language", "extractor", "text")
DETAIL, IS_KEPT = "detail", "kept"
SHOWN: Final = ("title", "text")
_LITERAL = re.compile(r"'[^']*'")
_OF_MANY = re.compile(
    r"(?i)\b(max|min|sum|avg|count|median|std\w*|var\w*|first|last|quantile\w*|corr|covar\w*|over)\s*\("
)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A record: `id` hexadecimal; `reason` is "" for a kept document. `text` is the clean text of a kept document, of
    another the text as it was extracted, with personal data replaced as the recipe asks; "" if there is none, or it was
    removed on request."""

    id: str
    reason: str
    source: str
    path: str
    offset: int
    url: str
    title: str
    text: str


def columns_of(described: Manifest) -> list[str]:
    """All columns that an expression may name."""
    models = described.recipe.get("quality_models") or ()
    return [*DECIDED, IS_KEPT, DETAIL, *STATED, *MEASURES, *(QUALITY_PREFIX + name for name in models)]


def sample(
    folder: Path, described: Manifest, ledger: Ledger, where: str, n: int, seed: int
) -> tuple[list[Sampled], int]:
    """Records for which an expression holds.

    Args:
        folder: a version on a local disk.
        described: its manifest.
        ledger: its ledger, which names its Parts.
        where: an SQL expression over `columns_of`, which polars evaluates.
        n: how many records to choose: those whose hash of seed and id is least, so that the choice depends on nothing
            else, and a sample of more holds a smaller one.
        seed: another seed chooses others.

    Returns:
        The records in the order of their hashes, and for how many the expression holds.

    Raises:
        ConfigError: the expression cannot be evaluated.
        VersionError: a column is asked for that lies in Parts which are gone.
    """
    expression, names = _parsed(described, where)
    store = PartStore(str(folder.resolve().parent))
    chosen: list[tuple[int, bytes, int]] = []
    n_found = 0
    for place, part in enumerate(ledger.contents.parts):
        frame = pl.DataFrame(pl.from_arrow(_columns(folder, store, part, names)))
        hexed = [pl.col(name).bin.encode("hex") for name in ("id", "survivor", "cluster") if name in frame.columns]
        try:
            found = frame.with_row_index("row of the part").with_columns(hexed).filter(expression)
        except pl.exceptions.PolarsError as error:
            raise ConfigError([f"--where {where}: {str(error).splitlines()[0]}"]) from None
        keys = frame["id"].gather(found["row of the part"]).to_list()
        n_found += len(keys)
        ranks = _ranks(keys, seed).tolist()
        chosen = heapq.nsmallest(n, [*chosen, *zip(ranks, keys, [place] * len(keys), strict=True)])
    return [_shown(folder, described, store, ledger.contents.parts[place], key) for _, key, place in chosen], n_found


def _parsed(described: Manifest, where: str) -> tuple[pl.Expr, list[str]]:
    """The expression, and the columns that it names."""
    at = f"--where {where}"
    if found := _OF_MANY.search(_LITERAL.sub("", where)):
        raise ConfigError([f"{at}: {found[1]} is of many records, and each is judged by itself, such as n_words < 50"])
    try:
        expression = pl.sql_expr(where)
    except pl.exceptions.PolarsError as error:
        raise ConfigError([f"{at}: {str(error).splitlines()[0]}; write such as reason = 'too_short'"]) from None
    known = columns_of(described)
    names = list(dict.fromkeys(expression.meta.root_names()))
    for name in names:
        if name not in known:
            quotes = f"; a word is written '{name[:60]}'" if f'"{name}"' in where else ""
            near = quotes or did_you_mean(name, known) or f"; there are: {', '.join(known[:20])} and all measures"
            raise ConfigError([f"{at}: no column {name[:60]!r}{near} (docs/evidence.md)"])
    return expression, names


def _columns(folder: Path, store: PartStore, part: RecordsPart, names: Collection[str]) -> pa.Table:
    """The records of a Part with the columns asked for, `id` and `reason` first; of a record that is no document those
    of documents are null."""
    decided = ["id", "reason", *(name for name in DECIDED if name in names and name not in ("id", "reason"))]
    table = _decisions(folder, store, part, decided)
    if IS_KEPT in names:
        table = table.append_column(IS_KEPT, pc.equal(table["reason"], ""))
    for stage, file, own in (
        ("extract", "fates.parquet", [name for name in names if name == DETAIL]),
        ("extract", "documents.parquet", [name for name in names if name in STATED]),
        ("measure", "measures.parquet", [n for n in names if n not in (*DECIDED, *STATED, DETAIL, IS_KEPT)]),
    ):
        if own:
            found = _of_part(store, part, stage, file, own)
            at = pc.index_in(table["id"], found["id"])
            for name in own:
                table = table.append_column(name, found[name].take(at))
    return table


def _decisions(folder: Path, store: PartStore, part: RecordsPart, columns: Sequence[str]) -> pa.Table:
    path = folder / part.decisions
    if part.decisions and path.is_file():
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=list(columns), use_threads=False)
    return _of_part(store, part, "select", "decisions.parquet", columns)


def _of_part(store: PartStore, part: RecordsPart, stage: str, file: str, columns: Sequence[str]) -> pa.Table:
    key = part.keys.get(stage, "")
    if not key or not store.is_done(stage, key):
        raise VersionError(
            f"{', '.join(columns)}: read from the Parts of {stage}, of which some are gone (`pipeline clean --all` "
            f"removes them, and a copy of a version has none); without them there are: {', '.join(DECIDED)}, {IS_KEPT}"
        )
    there = pq.read_schema(store.folder.path(f"{stage}/{key}/{file}")).names
    for name in columns:
        if name not in there:
            raise ConfigError(
                [f"--where: {name} was not measured for this version: no Limit of its recipe asks for it or its like"]
            )
    return store.table(stage, key, file, list(dict.fromkeys(["id", *columns])))


def _ranks(keys: Sequence[bytes], seed: int) -> npt.NDArray[np.uint64]:
    """A hash of seed and id: uint64 [n]. Ids are hashes themselves; the mixer is splitmix64's (Steele et al. 2014,
    "Fast splittable pseudorandom number generators", figure 17: mix64variant13)."""
    raw = fixed_bytes(one_array(pa.array(keys, pa.binary(16)), pa.binary(16)))
    values = np.ascontiguousarray(raw).view("<u8").reshape(-1, 2)
    mixed: npt.NDArray[np.uint64] = values[:, 0] ^ (values[:, 1] + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _shown(folder: Path, described: Manifest, store: PartStore, part: RecordsPart, key: bytes) -> Sampled:
    decided = _row(folder, store, part, key)
    reason = decided["reason"]
    files = list(_texts(folder, described, store, part, reason))
    document = next((row for path in files if path.is_file() for row in rows_of(path, key, SHOWN)), None) or {}
    title, text = document.get("title", ""), document.get("text", "")
    if reason:
        scrubbed, _ = Scrubber(PiiOptions.model_validate(described.recipe["pii"])).scrub([title, text])
        title, text = scrubbed.to_pylist()
    where = {name: decided[name] for name in ("source", "path", "offset", "url")}
    return Sampled(id=key.hex(), reason=reason, title=title, text=text, **where)


def _row(folder: Path, store: PartStore, part: RecordsPart, key: bytes) -> dict[str, Any]:
    path = folder / part.decisions
    if not (part.decisions and path.is_file()):
        path = Path(store.folder.path(f"select/{part.keys['select']}/decisions.parquet"))
    return rows_of(path, key, DECIDED)[0]


def _texts(folder: Path, described: Manifest, store: PartStore, part: RecordsPart, reason: str) -> Iterator[Path]:
    """Where the text of a document may be. What was removed on request is not shown."""
    if not reason and part.documents:
        yield folder / part.documents
    if reason in ("", REMOVED, COPY_OF_REMOVED):
        return
    if part.keys:
        yield Path(store.folder.path(f"extract/{part.keys['extract']}/documents.parquet"))
    yield from (folder / file.path for file in described.files if file.kind == "dropped" and file.source == part.source)
