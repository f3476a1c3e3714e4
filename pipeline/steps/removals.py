"""Documents to remove on request: which ones a removal list names, and what becomes of their copies."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.document import ID_TYPE
from pipeline.steps.url_lists import ListFile, lines_of
from pipeline.text.url_parts import host_of, listed_host, page_of

REMOVED: Final = "removed_on_request"
COPY_OF_REMOVED: Final = "copy_of_removed"
"""Drop reasons: of a document that an entry names, and of the others in its cluster of duplicates."""

_HEX = re.compile(r"[0-9A-Fa-f]{32}")
_DOMAIN = re.compile(r"domain:\s*([^\s/:@?#\\]+)")
_URL = re.compile(r"(?:https?:)?//[^\s/:@?#\\].*|[^\s/:@?#\\]+\.[^\s/:@?#\\]+(?::\d+)?[/?]\S*", re.IGNORECASE)


class Entry(NamedTuple):
    """`kind` is page, domain or digest (16 bytes, in hexadecimal); `value` its normal form."""

    kind: str
    value: str


def entry_of(line: str) -> Entry:
    """What a line names.

    Raises:
        ValueError: it is none of the forms; the message does not repeat it whole.
    """
    if _HEX.fullmatch(line):
        return Entry("digest", line.lower())
    if domain := _DOMAIN.fullmatch(line):
        return Entry("domain", listed_host(domain[1]))
    if _URL.fullmatch(line):
        return Entry("page", page_of(line))
    raise ValueError(
        f"{line[:60]!r} is no entry; write https://example.org/page for a page, https://example.org/ for a site's "
        "first page, domain:example.org for a whole site, or the 32 hexadecimal digits of an id or a hash"
    )


class Removals:
    """The entries of all removal lists of a recipe.

    Raises:
        pipeline.config.ConfigError: a list cannot be read, or has a line that is no entry.
    """

    def __init__(self, files: Mapping[str, ListFile]) -> None:
        read = (lines_of(file, f"removals.{name}", entry_of) for name, file in files.items())
        self._entries = list(dict.fromkeys(entry for lines in read for _, entry in lines))
        self._by_kind: dict[str, dict[str, int]] = {"page": {}, "domain": {}, "digest": {}}
        for place, entry in enumerate(self._entries):
            self._by_kind[entry.kind][entry.value] = place

    @property
    def entries(self) -> int:
        """How many different ones there are."""
        return len(self._entries)

    def find(self, documents: pa.Table) -> tuple[pa.BooleanArray, list[int]]:
        """Which of `documents` (columns `id`, `url`, `exact`) an entry names, and the places of the entries that name
        one, ascending."""
        named = np.zeros(documents.num_rows, np.bool_)
        found: set[int] = set()
        digests = self._by_kind["digest"]
        values = pa.array([bytes.fromhex(value) for value in digests], ID_TYPE)
        for column in ("id", "exact"):
            at = pc.index_in(documents[column].cast(ID_TYPE), value_set=values)
            named |= pc.is_valid(at).to_numpy(zero_copy_only=False)
            found |= {list(digests.values())[i] for i in pc.unique(pc.drop_null(at)).to_pylist()}
        if self._by_kind["page"] or self._by_kind["domain"]:
            for row, url in enumerate(documents["url"].to_pylist()):
                if places := self._of_url(url):
                    named[row] = True
                    found |= places
        return pa.array(named), sorted(found)

    def _of_url(self, url: str) -> set[int]:
        page = self._by_kind["page"].get(page_of(url)) if self._by_kind["page"] else None
        places = set() if page is None or not url else {page}
        if domains := self._by_kind["domain"]:
            host = listed_host(host_of(url))
            while host:
                if host in domains:
                    places.add(domains[host])
                host = host.partition(".")[2]
        return places


def without_copies(clusters: pa.Table, removed: pa.ChunkedArray) -> pa.Table:
    """`clusters` (see `pipeline.dedup.cluster.CLUSTERED`) where nothing stands in for a removed document.

    The documents `removed` (ids) are no longer in it; every other one of a cluster that held one of them is its own
    survivor and has the reason COPY_OF_REMOVED.
    """
    is_removed = pc.is_in(clusters["id"], value_set=removed.combine_chunks())
    touched = pc.unique(clusters["cluster"].filter(is_removed))
    clusters = clusters.filter(pc.invert(is_removed))
    is_touched = pc.is_in(clusters["cluster"], value_set=touched)
    survivors = pc.if_else(is_touched, clusters["id"], clusters["survivor"])
    reasons = pc.if_else(is_touched, COPY_OF_REMOVED, clusters["reason"])
    for name, values in (("survivor", survivors), ("reason", reasons)):
        at = clusters.schema.get_field_index(name)
        clusters = clusters.set_column(at, clusters.schema.field(at), values)
    return clusters
