"""UT1's block lists, as they come in datatrove's wheel, as a table of keys in the cache.

The lists: Fabrice Prigent, Université Toulouse Capitole, https://dsi.ut-capitole.fr/blacklists/, CC BY-SA 4.0.
"""

import hashlib
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout
from publicsuffixlist import PSLFILE, PublicSuffixList

from pipeline.assets import cache_folder
from pipeline.config import ConfigError
from pipeline.steps.model_files import find
from pipeline.steps.url_lists import SUFFIX_LIST, ListFile, archive
from pipeline.text.addresses import DENY, HOST, PAGE, Keys, keys_of, table
from pipeline.text.buffers import views
from pipeline.text.url_parts import page_of

_MAX_LIST_BYTES: Final = 1 << 30
"""Of an unpacked list. UT1's domains, version 0.3.0 of the archive, have 124 million."""
_TABLE_FORM: Final = 2
"""Raised when keys or their order in a kept table change."""
_LOCK_TIMEOUT_S: Final = 600


class Ut1(NamedTuple):
    """`hosts`: keys as `pipeline.text.addresses.Table` has them; `pages`: keys of pages and of their hosts, [2, n].
    Both uint64, mapped from the cache."""

    hosts: Keys
    pages: Keys


def ut1_keys(lists: Mapping[str, ListFile]) -> Ut1:
    """UT1's domains and pages, if they are among `lists`.

    Made once, by one process, in about six processor seconds. Entries that are public suffixes themselves (`xxx`,
    `sex.pl`) are left out: the walk from a host over the domains above it then ends at its registered domain, as in
    datatrove.

    Raises:
        pipeline.config.ConfigError: the archive is damaged, or the cache cannot be written.
    """
    if "ut1" not in lists:
        return Ut1(table([], []).keys, np.zeros((2, 0), np.uint64))
    made_of = f"{_TABLE_FORM} {lists['ut1']['sha256']} {metadata.version(SUFFIX_LIST)}"
    path = cache_folder() / "url-lists" / f"{hashlib.sha256(made_of.encode()).hexdigest()[:32]}.npy"
    pages_path = path.with_suffix(".pages.npy")
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock", timeout=_LOCK_TIMEOUT_S):
                if not path.is_file():
                    domains, urls = unpacked(lists["ut1"]["sha256"])
                    domains = domains.filter(_is_below_suffix(domains))
                    _write(pages_path, page_keys(urls.to_pylist()))
                    _write(path, table([keys_of(*views(domains), HOST)], [DENY]).keys)
        found = Ut1(*(np.asarray(np.load(file, mmap_mode="r")) for file in (path, pages_path)))
    except Timeout:
        raise ConfigError(
            [f"url.lists: {path}.lock has been held for {_LOCK_TIMEOUT_S} s; is a process stuck?"]
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            [f"url.lists: {path}: {error}; set GRISTMILL_CACHE to a folder that can be written"]
        ) from None
    for keys in found:
        keys.setflags(write=False)
    return found


def unpacked(sha256: str) -> tuple[pa.LargeStringArray, pa.LargeStringArray]:
    """UT1's domains and pages, read in memory: nothing of the archive reaches a disk."""
    file_path = find(str(archive()), "url.lists", sha256).path
    found = {}
    try:
        with tarfile.open(file_path, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in ("domains", "urls") and (file := tar.extractfile(member)):
                    found[name] = _lines(name, file.read(_MAX_LIST_BYTES + 1))
        return found["domains"], found["urls"]
    except (tarfile.TarError, EOFError, KeyError, ValueError, OSError) as error:
        raise ConfigError([f"url.lists: {file_path}: damaged ({error}); install datatrove again"]) from None


def _lines(name: str, raw: bytes) -> pa.LargeStringArray:
    if len(raw) > _MAX_LIST_BYTES:
        raise ValueError(f"{name} has more than {_MAX_LIST_BYTES:,} bytes")
    text = pa.array([raw], pa.large_binary()).cast(pa.large_string())
    lines = pc.ascii_trim_whitespace(pc.list_flatten(pc.split_pattern(text, "\n")))
    return lines.filter(pc.not_equal(lines, ""))


def _is_below_suffix(domains: pa.LargeStringArray) -> pa.BooleanArray:
    """Which of `domains` are no public suffix. Rules of the section ICANN only, as tldextract has it by default."""
    rules = pa.array(Path(PSLFILE).read_text("utf-8").splitlines(), pa.large_string())
    near = pc.or_(pc.is_in(domains, rules), pc.match_substring(domains, "xn--"))
    wild = pc.replace_substring_regex(domains, "^[^.]*", "*", max_replacements=1)
    near = pc.or_(near, pc.is_in(wild, rules))
    suffixes = PublicSuffixList(only_icann=True)
    exact = [entry for entry in domains.filter(near).to_pylist() if suffixes.publicsuffix(entry) == entry]
    return pc.invert(pc.is_in(domains, pa.array(exact, pa.large_string())))


def page_keys(urls: Iterable[str]) -> Keys:
    """The keys of pages, and of the hosts they are on: uint64 [2, n]."""
    pages = [page_of(url) for url in urls]
    hosts = [re.split("[:/?]", page, maxsplit=1)[0] for page in pages]
    columns = ((pages, PAGE), (hosts, HOST))
    return np.stack([keys_of(*views(pa.array(some, pa.large_string())), kind) for some, kind in columns])


def _write(path: Path, keys: Keys) -> None:
    """Aside, flushed, renamed: the file is whole or absent."""
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
