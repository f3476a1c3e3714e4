"""The lists that URL rules read: those in datatrove's wheel, and files of the user's own."""

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pipeline.assets import cache_folder
from pipeline.config import ConfigError
from pipeline.steps.model_files import find
from pipeline.steps.options import UrlOptions

if TYPE_CHECKING:
    import pyarrow as pa

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
_MAX_LIST_BYTES: Final = 1 << 30
"""Of an unpacked list. UT1's domains, version 0.3.0 of the archive, have 124 million."""
_TABLE_FORM: Final = 1
"""Raised when keys or their order in a kept table change."""
_LOCK_TIMEOUT_S: Final = 600


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
    found = {}
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


def words_of(lists: Mapping[str, ListFile]) -> dict[str, list[str]]:
    """datatrove's words by field of UrlOptions, where `words` is among the lists; lines with `#` are switched off."""
    if "words" not in lists:
        return {}
    return {
        field: [line for line in (_assets() / file).read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
        for field, file in _WORD_FILES.items()
    }


def ut1_keys(lists: Mapping[str, ListFile]) -> Any:
    """The keys of UT1's domains and pages as `pipeline.text.addresses.Table` has them, uint64, mapped from the cache.

    Made once, by one process, in about three seconds. Entries that are public suffixes themselves (`xxx`, `sex.pl`) are
    left out: the walk from a host over the domains above it then ends at its registered domain, as in datatrove.

    Raises:
        pipeline.config.ConfigError: the archive is damaged, or the cache cannot be written.
    """
    import numpy as np

    from pipeline.text.addresses import DENY, HOST, PAGE, keys_of, table
    from pipeline.text.buffers import views

    if "ut1" not in lists:
        return table([], []).keys
    from filelock import FileLock, Timeout

    made_of = f"{_TABLE_FORM} {lists['ut1']['sha256']} {metadata.version(SUFFIX_LIST)}"
    path = cache_folder() / "url-lists" / f"{hashlib.sha256(made_of.encode()).hexdigest()[:32]}.npy"
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock", timeout=_LOCK_TIMEOUT_S):
                if not path.is_file():
                    domains, urls = _unpacked(lists["ut1"]["sha256"])
                    domains = domains.filter(_is_below_suffix(domains))
                    keys = [keys_of(*views(domains), HOST), keys_of(*views(_pages(urls)), PAGE)]
                    _write(path, table(keys, [DENY, DENY]).keys)
        found = np.asarray(np.load(path, mmap_mode="r"))
    except Timeout:
        raise ConfigError(
            [f"url.lists: {path}.lock has been held for {_LOCK_TIMEOUT_S} s; is a process stuck?"]
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            [f"url.lists: {path}: {error}; set GRISTMILL_CACHE to a folder that can be written"]
        ) from None
    found.setflags(write=False)
    return found


def _assets() -> Path:
    """datatrove's lists. Found without importing datatrove, which takes long."""
    spec = find_spec("datatrove")
    assert spec is not None and spec.origin is not None  # a dependency
    return Path(spec.origin).parent / "assets"


def _archive() -> Path:
    found = sorted(_assets().glob(_ARCHIVE))
    if len(found) != 1:
        version = metadata.version("datatrove")
        raise ConfigError(
            [f"url.lists: datatrove {version} has {len(found)} files {_ARCHIVE} in {_assets()}, expected 1"]
        )
    return found[0]


def _shipped_sha256(name: str) -> str:
    if name == "ut1":
        return find(str(_archive()), "url.lists").sha256
    joined = b"\0".join((_assets() / file).read_bytes() for file in _WORD_FILES.values())
    return hashlib.sha256(joined).hexdigest()


def _unpacked(sha256: str) -> "tuple[pa.LargeStringArray, pa.LargeStringArray]":
    """UT1's domains and pages, read in memory: nothing of the archive reaches a disk."""
    import pyarrow as pa
    import pyarrow.compute as pc

    archive = find(str(_archive()), "url.lists", sha256).path
    found = []
    try:
        with tarfile.open(archive, "r:gz") as tar:
            held = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
            for name in ("domains", "urls"):
                file = tar.extractfile(held[name])
                assert file is not None
                raw = file.read(_MAX_LIST_BYTES + 1)
                if len(raw) > _MAX_LIST_BYTES:
                    raise ValueError(f"{name} has more than {_MAX_LIST_BYTES:,} bytes")
                text = pa.array([raw], pa.large_binary()).cast(pa.large_string())
                lines = pc.ascii_trim_whitespace(pc.list_flatten(pc.split_pattern(text, "\n")))
                found.append(lines.filter(pc.not_equal(lines, "")))
    except (tarfile.TarError, EOFError, KeyError, ValueError, OSError) as error:
        raise ConfigError([f"url.lists: {archive}: damaged ({error}); install datatrove again"]) from None
    return found[0], found[1]


def _is_below_suffix(domains: "pa.LargeStringArray") -> "pa.BooleanArray":
    """Which of `domains` are no public suffix. Rules of the section ICANN only, as tldextract has it by default."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from publicsuffixlist import PSLFILE, PublicSuffixList

    rules = pa.array(Path(PSLFILE).read_text("utf-8").splitlines(), pa.large_string())
    near = pc.or_(pc.is_in(domains, rules), pc.match_substring(domains, "xn--"))
    wild = pc.replace_substring_regex(domains, "^[^.]*", "*", max_replacements=1)
    near = pc.or_(near, pc.is_in(wild, rules))
    suffixes = PublicSuffixList(only_icann=True)
    exact = [entry for entry in domains.filter(near).to_pylist() if suffixes.publicsuffix(entry) == entry]
    return pc.invert(pc.is_in(domains, pa.array(exact, pa.large_string())))


def _pages(urls: "pa.LargeStringArray") -> "pa.LargeStringArray":
    import pyarrow as pa

    from pipeline.steps.url_parts import page_of

    return pa.array(map(page_of, urls.to_pylist()), pa.large_string())


def _write(path: Path, keys: Any) -> None:
    """Aside, flushed, renamed: the file is whole or absent."""
    import numpy as np

    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as aside:
        try:
            np.save(aside, keys)
            aside.flush()
            os.fsync(aside.fileno())
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(path)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise
