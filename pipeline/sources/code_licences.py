"""The licence of a source file: its SPDX line, else the nearest licence file on the way to the tree's root."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePosixPath

from pipeline.sources.record import Slice, SourceError, reason

LICENCE_BYTES = 100_000
"""Of a licence file; the longest of those below, GPL-3.0, has 35,000."""
_LICENCE_NAME = re.compile(r"(?:un)?licen[cs]e|copying|copyright", re.IGNORECASE)
_CODE_NAME = re.compile(r"\.(?:py|js|go|c|h|rs|java|rb|ts)$", re.IGNORECASE)
_SPDX_LINE = re.compile(r"SPDX-License-Identifier:[ \t]*+([A-Za-z0-9.+() -]{2,80})")
_SENTENCES = (
    ("AGPL-3.0", "gnu affero general public license version 3"),
    ("LGPL-3.0", "gnu lesser general public license version 3"),
    ("LGPL-2.1", "gnu lesser general public license version 2.1"),
    ("GPL-3.0", "gnu general public license version 3"),
    ("GPL-2.0", "gnu general public license version 2"),
    ("Apache-2.0", "apache license version 2.0"),
    ("MPL-2.0", "mozilla public license version 2.0"),
    ("EPL-2.0", "eclipse public license - v 2.0"),
    ("Artistic-2.0", "the artistic license 2.0"),
    ("BSL-1.0", "boost software license - version 1.0"),
    ("CC0-1.0", "cc0 1.0 universal"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("PSF-2.0", "python software foundation license version 2"),
    ("Zlib", "altered source versions must be plainly marked as such"),
    ("ISC", "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"),
    ("MIT", "permission is hereby granted, free of charge, to any person obtaining a copy of this software"),
    ("BSD-3-Clause", "may be used to endorse or promote products derived from"),
    ("BSD-2-Clause", "redistributions in binary form must reproduce the above copyright notice"),
)
"""SPDX identifier, and words of its text; https://spdx.org/licenses."""
_SEPARATORS = re.compile(r"[\s,#*;/]+")


def with_licences(files: Sequence[Slice]) -> list[Slice]:
    """`files`, each with the path of the nearest licence file, and with what tells its content apart in the ETag.

    So a changed licence is another input to all files that it stands for.
    """
    by_folder: dict[str, Slice] = {}
    for file in files:
        path = PurePosixPath(file.path)
        if _LICENCE_NAME.match(path.name) and not _CODE_NAME.search(path.name):
            by_folder.setdefault(str(path.parent), file)
    made = []
    for file in files:
        folders = (str(folder) for folder in PurePosixPath(file.path).parents)
        licence = next((by_folder[folder] for folder in folders if folder in by_folder), None)
        if licence is not None:
            file = replace(file, licence_file=licence.path, etag=f"{file.etag}+{licence.size}-{licence.etag}")
        made.append(file)
    return made


def licence_of(slice_: Slice, text: str) -> str:
    """The SPDX identifier or expression of a file with this text; "" if none is known.

    Raises:
        SourceError: if its licence file cannot be read.
    """
    if stated := _SPDX_LINE.search(text):
        return stated[1].strip()
    if not slice_.licence_file:
        return ""
    root = slice_.url.removesuffix(slice_.path)
    return _identified(slice_.source, f"{root}{slice_.licence_file}")


@lru_cache(maxsize=1024)
def _identified(source: str, url: str) -> str:
    """The licence that the file at `url` holds."""
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            text = file.read(LICENCE_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(f"sources.{source}: {url} cannot be read: {reason(error)}; let this user read it") from None
    return identify(text)


def identify(text: str) -> str:
    """The SPDX identifier of the licence that a text holds, the first if several; "" if it holds none."""
    words = _normal(text)
    places = {name: words.find(_normal(sentence)) for name, sentence in _SENTENCES}
    found = min((place, name) for name, place in places.items() if place >= 0)[1] if max(places.values()) >= 0 else ""
    return "BSD-3-Clause" if found == "BSD-2-Clause" and places["BSD-3-Clause"] >= 0 else found


def _normal(text: str) -> str:
    return _SEPARATORS.sub(" ", text.lower())
