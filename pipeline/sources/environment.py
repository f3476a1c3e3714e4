"""Python source files, or their docstrings, of the standard library and of installed distributions.

Needs no network and no download: what is read came with the installation. Files are read as text and parsed with
`ast` (see `docstrings`); nothing is imported and nothing is run. Only the standard library and the distributions that
the recipe names count, so the source is the same whatever else is installed.
"""

import base64
import csv
import email
import hashlib
import importlib.metadata
import io
import re
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

from pipeline.sources.docstrings import module_docs
from pipeline.sources.options import EnvironmentSource
from pipeline.sources.record import Record, Slice, SourceError

STANDARD_LIBRARY = "stdlib"
STANDARD_LIBRARY_LICENCE = "PSF-2.0"
MAX_FILE_BYTES = 1_000_000
"""A larger file is not read; its fate is `file_too_large`. Files of this size in distributions are generated tables."""
LEFT_OUT_FOLDERS = frozenset(
    {"test", "tests", "__pycache__", "idlelib", "turtledemo", "tkinter", "lib2to3", "ensurepip", "venv", "distutils"}
)
"""Parts of the standard library that Linux distributions strip or package apart, and that later versions drop."""
TEST_FOLDERS = frozenset({"test", "tests"})
DISTRIBUTION_INFO = "dist-info"
LICENCE_NAMES = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "AUTHORS")
MAX_LICENCE_CHARS = 80
"""A longer `License` field is a licence's text, not its name."""
CLASSIFIER_LICENCES = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Last part of a trove classifier -> SPDX identifier, where it names one licence; "BSD License" names several."""
_INFO_FOLDER = re.compile(r"^[^/]+\.dist-info/")

Collect = Literal["code", "docs"]


def list_environment(name: str, source: EnvironmentSource) -> list[Slice]:
    """The files of the source called `name`, one Slice each, sorted by path.

    A path is `stdlib/...` or `<distribution>/...`, without version or platform, so that a document keeps its id when
    a distribution is updated. The etag is the sha256 of the content (for distributions as their RECORD states it); for
    docstrings with the version of Python added, whose `ast` prints the signatures.

    Raises:
        SourceError: if a distribution is not installed or states no files.
    """
    found = _standard_library(name, source.collect) if source.standard_library else []
    for distribution in source.distributions:
        found += _distribution_files(name, distribution, source.collect)
    if not found:
        raise SourceError(
            f"sources.{name}: an environment source needs `standard_library: true` or names under `distributions`"
        )
    return sorted({file.path: file for file in found}.values(), key=lambda file: file.path)


def read_environment(slice_: Slice, source: EnvironmentSource) -> Iterator[Record]:
    """The one record of a file, at offset 0: its source text, its docstrings, or its text if it is a README or licence.

    Fates: `file_too_large`, `file_changed` (other bytes than listed), `not_decodable`, `not_parsable`, `no_docstring`,
    `empty_text`.

    Raises:
        SourceError: if the file is gone.
    """
    record = Record(slice_.path, 0)
    if slice_.size > MAX_FILE_BYTES:
        record.fate, record.detail = "file_too_large", f"{slice_.size} bytes, at most {MAX_FILE_BYTES} are read"
    else:
        _fill(record, _read_bytes(slice_), slice_, source.collect)
    yield record


def _fill(record: Record, raw: bytes, slice_: Slice, collect: Collect) -> None:
    """Set the text of `record`, or its fate."""
    owner, _, inside = slice_.path.partition("/")
    record.title = f"{owner} {PurePosixPath(inside).name}"
    record.licence = _licence(owner)
    if _etag(hashlib.sha256(raw).hexdigest(), collect) != slice_.etag:
        record.fate, record.detail = "file_changed", "the content is not what the installation or the plan states"
        return
    try:
        if inside.startswith(f"{DISTRIBUTION_INFO}/"):
            record.text = _readme(raw) if inside.endswith("/METADATA") else raw.decode()
        else:
            record.title = _module_name(inside)
            record.text = _decode_source(raw)
            if collect == "docs":
                record.text = module_docs(record.title, record.text)
    except (UnicodeDecodeError, tokenize.TokenError, LookupError) as error:
        record.fate, record.detail = "not_decodable", type(error).__name__
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        record.fate, record.detail = "not_parsable", type(error).__name__
    if not record.fate and not (record.text or "").strip():
        record.fate = (
            "no_docstring" if record.text is not None and inside.endswith(".py") and raw.strip() else "empty_text"
        )
    if record.fate:
        record.text = None


def _module_name(inside: str) -> str:
    """`json/decoder.py` -> `json.decoder`; `json/__init__.py` -> `json`."""
    return inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _decode_source(raw: bytes) -> str:
    """Source bytes as text, by byte order mark or coding cookie (PEP 263), UTF-8 otherwise.

    Raises:
        UnicodeDecodeError, LookupError: if the bytes are not in that encoding, or it is unknown.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
    except SyntaxError as error:
        raise LookupError(str(error)) from None
    return raw.decode(encoding)


def _readme(raw: bytes) -> str:
    """The long description in a distribution's METADATA: its body, or the header of older files."""
    message = email.message_from_string(raw.decode())
    body = message.get_payload()
    return body if isinstance(body, str) and body.strip() else str(message.get("Description", ""))


def _read_bytes(slice_: Slice) -> bytes:
    try:
        with Path(slice_.url).open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"sources.{slice_.source}: {slice_.path} cannot be read: {error}") from None


def _etag(sha256_hex: str, collect: Collect) -> str:
    return sha256_hex if collect == "code" else f"{sha256_hex}-python{sys.version_info.major}.{sys.version_info.minor}"


def _standard_library(name: str, collect: Collect) -> list[Slice]:
    """The .py files of the modules that `sys.stdlib_module_names` names, so that nothing a distribution adds counts."""
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for module in sorted(sys.stdlib_module_names):
        if module.startswith("_sysconfigdata"):
            continue  # generated when Python is built, different on each platform
        files = [root / f"{module}.py", *sorted((root / module).rglob("*.py"))]
        for file in files:
            inside = file.relative_to(root)
            if file.is_file() and not LEFT_OUT_FOLDERS.intersection(inside.parts):
                sha256_hex = hashlib.sha256(file.read_bytes()).hexdigest()
                path = f"{STANDARD_LIBRARY}/{inside.as_posix()}"
                found.append(_slice(name, path, file, file.stat().st_size, sha256_hex, collect))
    if not found:
        raise SourceError(
            f"sources.{name}: {root} holds no source files of the standard library; is it a zip or stripped?"
        )
    return found


def _distribution_files(name: str, distribution: str, collect: Collect) -> list[Slice]:
    """The .py files of a distribution, and for `docs` its README and licences, from its RECORD."""
    owner = _canonical(distribution)
    installed = _installed(name, distribution)
    found = []
    # `installed.files` says the same, but makes a slow path object of each of the many files that are left out here.
    for path, hash_, size_field in csv.reader((installed.read_text("RECORD") or "").splitlines()):
        inside = _inside(path, collect)
        if inside is None:
            continue
        located = Path(str(installed.locate_file(path)))
        if hash_.startswith("sha256=") and size_field.isdigit():
            encoded = hash_.removeprefix("sha256=")
            digest = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).hex()
            size = int(size_field)
        else:
            content = _content(name, located)
            digest, size = hashlib.sha256(content).hexdigest(), len(content)
        found.append(_slice(name, f"{owner}/{inside}", located, size, digest, collect))
    if not found:
        raise SourceError(
            f"sources.{name}.distributions: {distribution} has no Python source files in its RECORD; an editable "
            "install or a system package may have none: install it with pip, or leave it out"
        )
    return found


def _inside(path: str, collect: Collect) -> str | None:
    """The path of a RECORD's file without version and platform; None if the file is not collected."""
    is_source = path.endswith(".py")
    if not is_source and (collect == "code" or ".dist-info/" not in path):
        return None
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "__pycache__" in parts:
        return None
    if collect == "docs" and TEST_FOLDERS.intersection(parts):
        return None  # tests explain little to a reader, and in numpy or numba they are half of the source
    inside = _INFO_FOLDER.sub(f"{DISTRIBUTION_INFO}/", path)
    return inside if is_source or _is_readme_or_licence(inside) else None


def _is_readme_or_licence(inside: str) -> bool:
    """Whether a file of the `dist-info` folder holds the long description or a licence."""
    folder, _, rest = inside.partition("/")
    is_licence = rest.startswith("licenses/") or rest.upper().startswith(LICENCE_NAMES)
    return folder == DISTRIBUTION_INFO and (rest == "METADATA" or is_licence)


def _installed(name: str, distribution: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise SourceError(
            f"sources.{name}.distributions: {distribution} is not installed in {sys.prefix}; install it "
            f"(pip install {distribution}) or take it off the list"
        ) from None


def _content(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            f"sources.{name}.distributions: {path} is in the RECORD but cannot be read: {error}"
        ) from None


def _slice(name: str, path: str, file: Path, size: int, sha256_hex: str, collect: Collect) -> Slice:
    return Slice(name, path, str(file), size, _etag(sha256_hex, collect), 0, size)


def _canonical(distribution: str) -> str:
    """The normalised name of a distribution (PyPA specification "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@lru_cache
def _licence(owner: str) -> str:
    """The licence a distribution states: its expression, else a short `License` field, else its classifiers; or ""."""
    if owner == STANDARD_LIBRARY:
        return STANDARD_LIBRARY_LICENCE
    try:
        metadata = importlib.metadata.distribution(owner).metadata
    except importlib.metadata.PackageNotFoundError:
        return ""
    expression, short = ((metadata.get_all(key) or [""])[0] for key in ("License-Expression", "License"))
    if expression or (short and len(short) <= MAX_LICENCE_CHARS and "\n" not in short):
        return str(expression or short)
    classifiers = [entry for entry in metadata.get_all("Classifier") or [] if entry.startswith("License ::")]
    names = [entry.rpartition(" :: ")[2] for entry in classifiers]
    return " AND ".join(CLASSIFIER_LICENCES.get(entry, entry) for entry in names)
