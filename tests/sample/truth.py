"""What must become of each record: what the pages say, and of copies which one stays.

The rule is docs/recipes.md's `dedup.survivor`, as the shipped recipe has it: within a source the longest text stays, of
equally long ones the document with the smallest id. It is computed here from what was written, not taken from a run.
"""

import hashlib
import struct
from collections import defaultdict
from typing import Any

from tests.sample.prose import Page
from tests.sample.records import FILE_NAME, Entry

SOURCE = "web"
"""The name of the sample's source in recipes/commoncrawl.yaml: ids depend on it."""
IN_CLUSTERS = ("kept", "kept_or_exact_duplicate", "near_duplicate")


def truth_rows(entries: list[Entry], offsets: list[int]) -> list[dict[str, Any]]:
    """A row for each record: `index offset url name fate`, and where they apply `cluster survivor lost pii`."""
    fates = copies(entries, offsets)
    rows = []
    for index, (entry, offset) in enumerate(zip(entries, offsets, strict=True)):
        fate, survivor = fates.get(entry.name, (entry.fate, ""))
        row: dict[str, Any] = {"index": index, "offset": offset, "url": entry.url, "name": entry.name, "fate": fate}
        meta = entry.page.meta if entry.page else {}
        row |= {"cluster": meta["cluster"]} if "cluster" in meta else {}
        row |= {"survivor": survivor} if survivor else {}
        row |= {"pii": meta["pii"]} if "pii" in meta else {}
        rows.append(row)
    return rows


def copies(entries: list[Entry], offsets: list[int]) -> dict[str, tuple[str, str]]:
    """Name -> (fate, survivor's name) of the pages that pass all limits and have copies.

    Raises:
        ValueError: a page says of itself what the rule does not make of it, or the lengths of two versions lie so close
            together that a headline, which some layouts hide from the extractor, could turn their order.
    """
    clusters: dict[str, list[tuple[int, bytes, Page]]] = defaultdict(list)
    for entry, offset in zip(entries, offsets, strict=True):
        if entry.page and "cluster" in entry.page.meta and entry.page.expect in IN_CLUSTERS:
            clusters[entry.page.meta["cluster"]].append((-len(entry.page.text), document_id(offset), entry.page))
    found = {}
    for name, members in clusters.items():
        members.sort(key=lambda member: member[:2])
        first = members[0][2]
        for length, _, page in members:
            same = page.text == first.text
            fate = "kept" if page is first else "exact_duplicate" if same else "near_duplicate"
            if page.expect not in (fate, "kept_or_exact_duplicate" if same else fate):
                raise ValueError(f"cluster {name}: {page.name} expects {page.expect}, the rule makes it {fate}")
            if not same and length - members[0][0] <= _heading(page):
                raise ValueError(f"cluster {name}: {page.name} is nearly as long as {first.name}")
            if same and any(page.meta[key] != first.meta[key] for key in ("layout", "title", "author", "date")):
                raise ValueError(f"cluster {name}: {page.name} must look like {first.name} to be equal")
            found[page.name] = (fate, "" if page is first else first.name)
    return found


def document_id(offset: int) -> bytes:
    """The id that docs/architecture.md gives a document: of source, path and offset, each length known."""
    packed = b"".join(struct.pack("<I", len(part)) + part for part in (SOURCE.encode(), FILE_NAME.encode()))
    return hashlib.blake2b(packed + struct.pack("<q", offset), digest_size=16).digest()


def _heading(page: Page) -> int:
    return sum(len(str(page.meta[key])) + 2 for key in ("title", "author", "date"))
