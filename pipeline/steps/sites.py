"""Sites: whose pages a page stands among."""

from collections.abc import Iterable
from functools import cache, lru_cache

import pyarrow as pa
from publicsuffixlist import PublicSuffixList

from pipeline.text.url_parts import host_of


def sites(urls: Iterable[str]) -> pa.StringArray:
    """The site of each URL; null where the URL names no host.

    A site is the registered domain of the host. Of the public suffix list both sections count, so that each blog below
    `github.io` is a site. A host that is a suffix, an IP address or of one label is a site of its own.
    """
    return pa.array([_site(host_of(url)) or None for url in urls], pa.string())


@lru_cache(1 << 16)
def _site(host: str) -> str:
    is_address = host.endswith("]") or host.rpartition(".")[2].isdecimal()
    return host if is_address else _suffixes().privatesuffix(host) or host


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
