"""What became of pages that hang, crash or need too much memory: remembered, so that it is decided once.

Whether a page runs into a limit on processor time may differ from run to run, by a little on one machine and by much on
two. The first verdict on a page counts for all later runs of the dataset, in whatever order and on however busy a
machine. The page is kept beside it for whoever wants to see why.
"""

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import Folder
from pipeline.manifest import canonical_json

FOLDER = "work/given-up"
"""In a dataset's folder: `<digest>.json`, and `<digest>.html.gz` of a page that was given up."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fate` is "" for a page that took long and ended well: it is waited for longer the next time."""

    fate: str
    detail: str


class Verdicts:
    """The verdicts on the pages of a dataset, as far as they bear `conditions`: all that decides an extraction."""

    def __init__(self, dataset: Folder, conditions: str) -> None:
        self._folder = dataset.child(FOLDER)
        self._conditions = conditions.encode()
        self._known = {name.removesuffix(".json") for name in self._folder.names() if name.endswith(".json")}

    def of(self, what: str, page: bytes) -> Verdict | None:
        """The verdict on a page (in UTF-8) and `what` was wanted of it, if there is one; quick where there is none."""
        if not self._known or (name := self._name(what, page)) not in self._known:
            return None
        value = json.loads(self._folder.read(f"{name}.json"))
        return Verdict(value["fate"], value["detail"])

    def keep(self, what: str, page: bytes, url: str, verdict: Verdict) -> None:
        """Remember a verdict, and the page if it was given up."""
        name = self._name(what, page)
        if name in self._known:
            return
        if verdict.fate:
            packed = gzip.compress(page, mtime=0)
            self._folder.commit_bytes(f"{name}.html.gz", packed)
        value = {"fate": verdict.fate, "detail": verdict.detail, "url": url, "wanted": what}
        self._folder.commit_bytes(f"{name}.json", canonical_json(value))
        self._known.add(name)

    def _name(self, what: str, page: bytes) -> str:
        hasher = hashlib.blake2b(self._conditions, digest_size=16)
        hasher.update(f"\0{what}\0".encode())
        hasher.update(page)
        return hasher.hexdigest()


def kept_pages(dataset: Path) -> int:
    """How many pages that were given up lie in a dataset's folder."""
    return sum(1 for _ in (dataset / FOLDER).glob("*.html.gz"))
