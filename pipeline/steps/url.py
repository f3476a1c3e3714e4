"""URL rules: whether a page's address alone rules it out, before anything is parsed."""

import re

from pipeline.steps.options import UrlOptions

MAX_HOST_CHARS = 253
"""RFC 1035, section 2.3.4 (255 octets on the wire, 253 characters written)."""

_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_WORD = re.compile(r"[^\W_]+")
_AFTER_HOST = re.compile(r"[/?#\\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:(?=//)")


class UrlRules:
    """The rules of a recipe, compiled."""

    def __init__(self, options: UrlOptions):
        self._domains = frozenset(_normal_host(domain) for domain in options.deny_domains)
        self._words = frozenset(word.casefold() for word in options.deny_words)

    def check(self, url: str) -> str:
        """The fate of a page with this address: "" (go on), `url_denied_domain` or `url_denied_word`.

        Never raises and takes time linear in the URL's length. An empty URL, and one from which no host can be read,
        match no domain rule.
        """
        if self._domains and self._is_denied(host_of(url)):
            return "url_denied_domain"
        if self._words and not self._words.isdisjoint(_WORD.findall(_decoded(url).casefold())):
            return "url_denied_word"
        return ""

    def _is_denied(self, host: str) -> bool:
        while host:
            if host in self._domains:
                return True
            host = host.partition(".")[2]
        return False


def host_of(url: str) -> str:
    """The host in a URL, lower-case, without user, port and final dot, international names in their ASCII form.

    Works without a scheme (`example.org/page`). Of a host that is too long only the end is kept, from a label on.
    """
    rest = url.strip()
    if scheme := _SCHEME.match(rest):
        rest = rest[scheme.end() :]
    rest = rest.removeprefix("//")
    end = _AFTER_HOST.search(rest)
    authority = rest[: end.start()] if end else rest
    host = authority.rpartition("@")[2]
    host = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return _normal_host(_decoded(host))


def _decoded(url: str) -> str:
    """`url` with percent-encoded bytes decoded as UTF-8 (RFC 3986, section 2.1)."""
    if "%" not in url:
        return url
    return _PERCENT.sub(lambda run: bytes.fromhex(run.group().replace("%", "")).decode("utf-8", "replace"), url)


def _normal_host(host: str) -> str:
    host = host.strip().rstrip(".").lower()
    if len(host) > MAX_HOST_CHARS:
        host = host[-MAX_HOST_CHARS:].partition(".")[2]
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return host
