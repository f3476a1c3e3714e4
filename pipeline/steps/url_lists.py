"""The lists that URL rules read: those in datatrove's wheel, and files of the user's own."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeVar

from pipeline.config import ConfigError
from pipeline.steps.model_files import find
from pipeline.steps.options import UrlOptions

T = TypeVar("T")
ListFile = Mapping[str, str]
"""`path` of a list, its name if it ships, and `sha256`."""

SUFFIX_LIST: Final = "publicsuffixlist"
"""The distribution with the public suffix list, and so a library that makes bytes where `ut1` is among the lists."""

_ARCHIVE: Final = "url_filterblacklistsv*.tar.gz"
_WORD_FILES: Final = {
    "deny_words": "banned_words.txt",
    "deny_soft_words": "soft_banned_words.txt",
    "deny_subwords": "banned_subwords.txt",
}


def url_files(options: UrlOptions) -> dict[str, ListFile]:
    """What `options` names: `ut1`, `words`, and for own files the field and the place, such as `deny_domains.0`.

    Raises:
        pipeline.config.ConfigError: a file cannot be read.
    """
    found: dict[str, ListFile] = {name: {"path": name, "sha256": _shipped_sha256(name)} for name in options.lists}
    for field, paths in options.files.items():
        found |= own_files(paths, f"url.files.{field}", field)
    return found


def own_files(paths: Iterable[str], at: str, name: str) -> dict[str, ListFile]:
    """Files as `name.0` and so on. `at`: their field of the recipe, for errors.

    Raises:
        pipeline.config.ConfigError: a file cannot be read.
    """
    found: dict[str, ListFile] = {}
    for i, path in enumerate(paths):
        file = find(path, f"{at}.{i}")
        found[f"{name}.{i}"] = {"path": path if "://" in path else str(file.path), "sha256": file.sha256}
    return found


def list_libraries(lists: Iterable[str]) -> dict[str, str]:
    """The version of the public suffix list, where it decides."""
    return {SUFFIX_LIST: metadata.version(SUFFIX_LIST)} if "ut1" in lists else {}


def entries_of(name: str, lists: Mapping[str, ListFile]) -> Iterator[str]:
    """The entries of the own files for the field `name` of UrlOptions, checked as those written in a recipe.

    Raises:
        pipeline.config.ConfigError: with file and line of the first entry that is none.
    """
    for field, file in lists.items():
        if field.partition(".")[0] != name:
            continue
        for _, entry in lines_of(file, f"url.files.{field}", UrlOptions.ENTRY_CHECKS[name]):
            yield entry


def lines_of(file: ListFile, at: str, checked: Callable[[str], T]) -> Iterator[tuple[int, T]]:
    """Number and entry of each line that holds one, as `checked` gives it.

    Raises:
        pipeline.config.ConfigError: with the line of the first entry for which `checked` raises ValueError; the file
            cannot be read or has changed.
    """
    path = find(file["path"], at, file["sha256"]).path
    for number, line in enumerate(path.read_text("utf-8-sig", "replace").splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        try:
            yield number, checked(entry)
        except ValueError as error:
            raise ConfigError([f"{at}: {file['path']}:{number}: {error}"]) from None


def check_entries(options: UrlOptions) -> None:
    """Read the user's own files to their ends.

    Raises:
        pipeline.config.ConfigError: as `entries_of`.
    """
    lists = url_files(options)
    for name in options.files:
        for _ in entries_of(name, lists):
            pass


def words_of(lists: Mapping[str, ListFile]) -> dict[str, list[str]]:
    """datatrove's words by field of UrlOptions, where `words` is among the lists; lines with `#` are switched off."""
    if "words" not in lists:
        return {}
    return {
        field: [line for line in (_assets() / file).read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
        for field, file in _WORD_FILES.items()
    }


def _assets() -> Path:
    """datatrove's lists. Found without importing datatrove, which takes long."""
    spec = find_spec("datatrove")
    assert spec is not None and spec.origin is not None  # a dependency
    return Path(spec.origin).parent / "assets"


def archive() -> Path:
    """The archive of UT1's domains and pages."""
    found = sorted(_assets().glob(_ARCHIVE))
    if len(found) != 1:
        version = metadata.version("datatrove")
        raise ConfigError(
            [f"url.lists: datatrove {version} has {len(found)} files {_ARCHIVE} in {_assets()}, expected 1"]
        )
    return found[0]


def _shipped_sha256(name: str) -> str:
    if name == "ut1":
        return find(str(archive()), "url.lists").sha256
    joined = b"\0".join((_assets() / file).read_bytes() for file in _WORD_FILES.values())
    return hashlib.sha256(joined).hexdigest()
