"""What Match and Cluster read of a Part, from the committed Parts of the stages before them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dedup.parts import SignedPart
from pipeline.files import PartStore

CRAWL = r"(?P<crawl>CC-MAIN-\d{4}-\d{2})"
"""How the paths of Common Crawl name its crawls."""


def stored_parts(
    store: PartStore, rows: Sequence[Mapping[str, str]], earlier: Sequence[str], scope: str, taken: Sequence[str]
) -> list[SignedPart]:
    """The documents of all Measure Parts, then those of the signature files of earlier versions.

    Args:
        store: holds the committed Parts.
        rows: of each Part its keys by stage: `extract`, `measure`, `judge`.
        earlier: keys of the Parts of Measure that signed earlier versions.
        scope: the field of that name of `pipeline.dedup.options.DedupOptions`.
        taken: the documents whose `drop_reason` is one of these take part; those of earlier versions always do.
    """

    def part(key: str, row: Mapping[str, str] | None) -> SignedPart:
        scopes = partial(_earlier_scopes, store, key) if row is None else partial(_scopes, store, row)
        return SignedPart(
            n_rows=store.marker("measure", key).file("signatures.arrow").rows,
            signed=partial(store.batch, "measure", key, "signatures.arrow"),
            keys=partial(store.table, "measure", key, "keys.parquet", None),
            is_candidate=None if row is None else _candidates(store, row["judge"], taken),
            scopes=None if scope == "all" else partial(scopes, scope),
            is_earlier=row is None,
        )

    return [part(row["measure"], row) for row in rows] + [part(key, None) for key in earlier]


def _candidates(store: PartStore, key: str, taken: Sequence[str]) -> Callable[[], npt.NDArray[np.bool_]]:
    """Whether each document of a Part takes part. Match asks for each range of keys: the answer is read once, and held
    as one bit a document. Select checks that Measure and Judge have the same rows."""

    @cache
    def packed() -> tuple[int, npt.NDArray[np.uint8]]:
        reasons = store.table("judge", key, "decisions.parquet", ["drop_reason"])["drop_reason"]
        return len(reasons), np.packbits(pc.is_in(reasons, pa.array(taken, pa.string())).to_numpy())

    def is_candidate() -> npt.NDArray[np.bool_]:
        n, bits = packed()
        return np.unpackbits(bits, count=n).view(np.bool_)

    return is_candidate


def _scopes(store: PartStore, row: Mapping[str, str], scope: str) -> pa.ChunkedArray:
    if scope != "snapshot":
        return store.table("measure", row["measure"], "measures.parquet", [scope])[scope]
    documents = store.table("extract", row["extract"], "documents.parquet", ["path", "source"])
    crawl = pc.struct_field(pc.extract_regex(documents["path"], CRAWL), "crawl")
    return pc.coalesce(crawl, documents["source"])


def _earlier_scopes(store: PartStore, key: str, scope: str) -> pa.ChunkedArray:
    with store.batch("measure", key, "signatures.arrow") as signed:
        return pa.chunked_array([pa.concat_arrays([signed[scope]])])  # a copy: the file is mapped until here only
