"""What an address names: its host and its page, in forms that are equal for equal addresses."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

MAX_HOST_CHARS: Final = 253
"""RFC 1035, section 2.3.4 (255 octets on the wire, 253 characters written)."""

_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(r"%(2[DEde]|[46][1-9A-Fa-f]|3[0-9]|[57][0-9Aa]|5[Ff]|7[Ee]|[0-9A-Fa-f][a-f]|[a-f][0-9A-F])")
_PLAIN = re.compile(r"[!-~]*")
_NO_HOST = re.compile(r"[\s/:@?#\\%]")
_AFTER_HOST = re.compile(r"[/?#\\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:(?=//)")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PRINTABLE: Final = "".join(map(chr, range(33, 127)))


def host_of(url: str) -> str:
    """The host in a URL, lower-case, without user, port and final dot, international names in their ASCII form.

    Works without a scheme (`example.org/page`). Of a host that is too long only the end is kept, from a label on.
    """
    return _split(url)[0]


def page_of(url: str) -> str:
    """The page that a URL names, equal for spellings of one address, in printable ASCII: host, port and what follows.

    Without scheme, user, `www.`, the ports of http and https, fragment and final slashes; percent-encoding in the
    normal form of RFC 3986, section 6.2.2.
    """
    host, port, rest = spelled(url)
    is_usual = len(port) < 2 or port[1:] in ("80", "443")
    return f"{host.removeprefix('www.')}{'' if is_usual else port}{rest.rstrip('/')}"


def spelled(url: str) -> tuple[str, str, str]:
    """Host, port with its colon, and what follows up to the fragment, in printable ASCII and the form of `page_of`."""
    host, port, rest = _split(url)
    path = _ESCAPE.sub(_escape, _quoted(rest.partition("#")[0].replace("\\", "/")))
    return spelled_host(host), _quoted(port), path


def spelled_host(host: str) -> str:
    """A host as the scan reads it; what no host can hold is made harmless."""
    return _quoted(host if host.startswith("[") else _NO_HOST.sub("_", host))


def listed_host(entry: str) -> str:
    """An entry of a list of hosts as the scan reads it."""
    return spelled_host(_normal_host(entry))


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "replace"), safe=_PRINTABLE)


def _escape(found: re.Match[str]) -> str:
    byte = int(found[1], 16)
    return chr(byte) if byte in _UNRESERVED else found[0].upper()


def _split(url: str) -> tuple[str, str, str]:
    """Host, port with its colon, and all that follows."""
    rest = url.strip()
    if scheme := _SCHEME.match(rest):
        rest = rest[scheme.end() :]
    rest = rest.removeprefix("//")
    end = _AFTER_HOST.search(rest)
    authority, behind = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    host = authority.rpartition("@")[2]
    end_of_host = host.find("]") + 1 if host.startswith("[") else len(host.partition(":")[0])
    host, port = host[:end_of_host], host[end_of_host:]
    return _normal_host(decoded(host)), port, behind


def decoded(url: str) -> str:
    """`url` with percent-encoded bytes decoded as UTF-8 (RFC 3986, section 2.1)."""
    if "%" not in url:
        return url
    return _PERCENT.sub(lambda run: bytes.fromhex(run.group().replace("%", "")).decode("utf-8", "replace"), url)


def _normal_host(host: str) -> str:
    host = host.strip().translate(_DOTS).rstrip(".").lower()
    if len(host) > MAX_HOST_CHARS:
        host = host[-MAX_HOST_CHARS:].partition(".")[2]
    if host.isascii():
        return host
    try:
        return ".".join(label if label.isascii() else _ascii_label(label) for label in host.split("."))
    except UnicodeError:
        return host


_DOTS = dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), ".")
"""Characters that are dots in a host, too (RFC 3490, section 3.1)."""


@lru_cache(4096)
def _ascii_label(label: str) -> str:
    return label.encode("idna").decode("ascii").lower()
