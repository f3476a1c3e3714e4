"""datatrove's examples/fineweb.py up to its deduplication (huggingface/datatrove 05194d3), in one warm process.

Runs in the peer's environment. Arguments: the folder of the archives; the file of lid.176. For each line on standard
input, a list of files in that folder, it prints {"cpu_s": ..., "wall_s": ..., "rows": ...}; `rows` is a JSONL file with
[WARC-Record-ID, reason, extracted text] of each page read, reason "" if it is kept.

Not as published, since that would compare something else: "en" is asked for (without it every language passes), the
extractor may take 30 seconds instead of one and does not deduplicate (which depends on the order of pages), dropped
pages are not written anywhere, and no list of public suffixes is fetched.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    URLFilter,
)
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from loguru import logger
from tldextract import TLDExtract

TIMEOUT_S = 30


class Notes:
    """What became of each page: stands where the recipe has writers of dropped pages, and between two steps."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.texts: dict[str, str] = {}

    def dropped_by(self, name: str) -> "Notes.Writer":
        """A writer for the pages that the filter `name` drops."""
        return Notes.Writer(self, name)

    class Writer:
        def __init__(self, notes: "Notes", name: str) -> None:
            self.notes, self.name = notes, name

        def write(self, document: Document, rank: int = 0) -> None:
            self.notes.reasons[document.id] = document.metadata.get("filter_reason", self.name)

        def __enter__(self) -> "Notes.Writer":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def read(self, data: Iterator[Document], *_: int) -> Iterator[Document]:
        """Each page counts as without text until the extractor has given it one."""
        for document in data:
            self.reasons[document.id] = "no_text"
            yield document

    def extracted(self, data: Iterator[Document], *_: int) -> Iterator[Document]:
        """Keeps the extracted text; the page counts as kept until a filter drops it."""
        for document in data:
            self.reasons[document.id], self.texts[document.id] = "", document.text
            yield document


def pipeline(folder: str, model: str, output: str, notes: Notes) -> tuple[Any, ...]:
    """The recipe's steps with `notes` between them."""
    urls = URLFilter(exclusion_writer=notes.dropped_by("url"))
    urls.tldextractor = TLDExtract(suffix_list_urls=())
    language = LanguageFilter(["en"], exclusion_writer=notes.dropped_by("language"))
    language.model.MODEL_URL = model
    return (
        WarcReader(folder, glob_pattern="*.warc.gz"),
        notes.read,
        urls,
        Trafilatura(favour_precision=True, timeout=TIMEOUT_S, deduplicate=False),
        notes.extracted,
        language,
        GopherRepetitionFilter(exclusion_writer=notes.dropped_by("repetition")),
        GopherQualityFilter(exclusion_writer=notes.dropped_by("quality")),
        C4QualityFilter(filter_no_terminal_punct=False, exclusion_writer=notes.dropped_by("c4")),
        FineWebQualityFilter(exclusion_writer=notes.dropped_by("fineweb")),
        JsonlWriter(output),
    )


def cpu_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def main() -> None:
    """Answer until standard input ends."""
    logger.remove()
    notes, (folder, model) = Notes(), sys.argv[1:]
    with tempfile.TemporaryDirectory() as output:
        reader, *steps = pipeline(folder, model, output, notes)
        for line in sys.stdin:
            files = json.loads(line)
            notes.reasons.clear()
            notes.texts.clear()
            begun = cpu_s(), time.monotonic()
            data = reader.read_files_shard(files)
            for step in steps:
                data = step(data, 0, 1)
            for _ in data:
                pass
            took = cpu_s() - begun[0], time.monotonic() - begun[1]
            rows = Path(output) / "rows.jsonl"
            with rows.open("w", encoding="utf-8") as file:
                file.writelines(
                    f"{json.dumps((key, why, notes.texts.get(key, '')))}\n" for key, why in notes.reasons.items()
                )
            print(json.dumps({"cpu_s": took[0], "wall_s": took[1], "rows": str(rows)}), flush=True)


main()
