"""Documents to look at: ten kept of each source and ten dropped for each reason, drawn by ids, which are hashes.

What Select does of it is a part of that stage's bytes, so nothing of a card's wording is imported here.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.manifest import Example

N = 10
TEXT_CHARS, FIELD_CHARS = 600, 300
"""Characters of the text, and of URL and title, that an example has."""

Group = tuple[str, str]
"""Of a dropped document: its reason and ""; of a kept one: "" and its source."""


def first_of_each(reasons: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """The first N rows of each reason: bool [rows]. In a table sorted by id they have the smallest ids."""
    coded = pc.dictionary_encode(reasons.combine_chunks() if isinstance(reasons, pa.ChunkedArray) else reasons)
    codes = np.asarray(coded.indices)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(coded.dictionary)))
    chosen = np.zeros(len(codes), np.bool_)
    chosen[order] = np.arange(len(codes)) - starts[codes[order]] < N
    return chosen


def excerpts(documents: pa.Table) -> pa.Table:
    """The columns of `Example` for scrubbed documents with a column `reason`, `id` as bytes."""
    texts = documents["text"]
    cut = {name: pc.utf8_slice_codeunits(documents[name], 0, FIELD_CHARS) for name in ("url", "title")}
    columns = {name: documents[name] for name in ("source", "reason", "id", "language")} | cut
    columns |= {
        "n_chars": pc.utf8_length(texts).cast(pa.int64()),
        "text": pc.utf8_slice_codeunits(texts, 0, TEXT_CHARS),
    }
    return pa.table(columns)


def drawn(tables: Iterable[pa.Table]) -> list[Example]:
    """Of all Parts' excerpts the N with the smallest ids in each group, by group and id; two tables in memory."""
    found: pa.Table | None = None
    for table in tables:
        both = (table if found is None else pa.concat_tables([found, table])).sort_by("id")
        source = pc.if_else(pc.equal(both["reason"], ""), both["source"], "")
        found = both.filter(pa.array(first_of_each(pc.binary_join_element_wise(both["reason"], source, "\n"))))
    rows = [Example(**row | {"id": row["id"].hex()}) for row in (found.to_pylist() if found is not None else ())]
    return sorted(rows, key=lambda example: (group_of(example), example.id))


def group_of(example: Example) -> Group:
    """What the example is one of ten of."""
    return (example.reason, "" if example.reason else example.source)
