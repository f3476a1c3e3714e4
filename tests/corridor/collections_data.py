"""Real collections in the shapes that the shipped recipes read: a tree of code, a wiki's dump, tables."""

import bz2
import gzip
import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

STREAM_PAGES = 20


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a gzip JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_code(shared: Path, folder: Path) -> None:
    """Files of Debian packages as a tree, with a licence file for one of them."""
    for row in rows(shared / "code" / "debian-packages.jsonl.gz"):
        path = folder / row["id"].replace(":", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["text"], "utf-8", newline="")
    (folder / "python3-requests" / "LICENSE").write_text("Apache License\nVersion 2.0, January 2004\n")


def write_dump(shared: Path, path: Path) -> None:
    """Articles as a bzip2 dump of many streams."""
    pages = [
        f"<page><title>{escape(row['id'].partition(':')[2])}</title><ns>0</ns><revision>"
        f"<text>{escape(row['wikitext'])}</text></revision></page>\n"
        for row in rows(shared / "wiki" / "wikitext-articles.jsonl.gz")
    ]
    head = '<mediawiki xml:lang="en"><siteinfo><base>https://en.wikipedia.org/wiki/Main_Page</base></siteinfo>\n'
    groups = ["".join(pages[at : at + STREAM_PAGES]) for at in range(0, len(pages), STREAM_PAGES)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(bz2.compress(part.encode()) for part in (head, *groups, "</mediawiki>\n")))


def write_passages(shared: Path, path: Path) -> None:
    """Passages in the style of a language model, as CSV."""
    import csv

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text"])
        writer.writerows([row["text"]] for row in rows(shared / "pii" / "enterprise-pii-classification.jsonl.gz"))
