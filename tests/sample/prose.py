"""The pages that people wrote for the sample crawl: tests/sample/kept/*.md and tests/sample/dropped/*.md.

A page is a header in YAML between two lines `---`, and its text: paragraphs with an empty line between them. Of the
header, `url site layout title author date` are needed. The rest is optional:

- `lang`; `charset` of the bytes and `declared_charset` of the headers; `nul_bytes: true`; `paragraphs` and `habits`
  (see `markup`); `http` (see `answers`); `html: true`, where the text is markup;
- `exact_copy_of` or `near_copy_of` another page, whose text it takes with `replace` applied; `cluster`, shared by all
  copies of a text;
- `expect`, what becomes of it under recipes/commoncrawl.yaml: `kept`, which is meant where nothing is said,
  `kept_or_exact_duplicate` where ids choose between equal copies, or the reason why it is dropped;
- `lost`, paragraphs that line rules take out; `pii`, how many pieces of personal data of each kind it holds.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Page:
    """One page as written. `text` is what an extractor should find, except that `meta["html"]` pages are markup."""

    name: str
    meta: dict[str, Any]
    text: str

    @property
    def expect(self) -> str:
        return str(self.meta.get("expect", "kept"))

    @property
    def paragraphs(self) -> list[str]:
        return self.text.split("\n\n")


def page_names() -> list[str]:
    """The names of all pages, sorted; a name stands once in the two folders."""
    names = sorted(path.stem for folder in ("kept", "dropped") for path in (FOLDER / folder).glob("*.md"))
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"pages in both folders: {sorted(twice)}")
    return names


@cache
def read_page(name: str) -> Page:
    """The page called `name`, with the text of the page that it copies where it names one."""
    path = next(p for p in (FOLDER / folder / f"{name}.md" for folder in ("kept", "dropped")) if p.exists())
    _, header, text = path.read_text("utf-8").split("---\n", 2)
    meta = yaml.safe_load(header)
    original = meta.get("exact_copy_of") or meta.get("near_copy_of")
    if original:
        text = read_page(original).text
    for before, after in meta.get("replace", []):
        if before not in text:
            raise ValueError(f"{path}: {before!r} is not in {original}")
        text = text.replace(before, after)
    return Page(name, meta, text.strip())
