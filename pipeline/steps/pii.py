"""Personal data in text: e-mail addresses and public IPv4 addresses, replaced by others that belong to nobody.

What counts as an address is what datatrove 0.10's `PIIFormatter` matches (datatrove/pipeline/formatters/pii.py), the
last step of FineWeb. Two things differ. Its e-mail expression needs time quadratic in the length of a run such as
`a.a.a.a`; here each `@` is looked at from the inside out, in linear time, with the same matches. And it takes
replacements in turn over all documents a process has seen; here the turn begins anew in each text, so a result depends
on the text alone. IPv6 addresses are left as they are: in program code most of what looks like one is something else
(`a::b`).
"""

import ipaddress
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.steps.options import PiiOptions

# Local part: RFC 5322's dot-atom (section 3.2.3) that begins at a word boundary. Domain: letters, digits and inner
# hyphens in two or more labels, or an address literal in brackets; the literal's odd last alternative is datatrove's.
_ATOM = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_LITERAL = rf"\[(?:{_OCTET}\.){{3}}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?|[A-Za-z0-9-]*[A-Za-z0-9]:)\]"
_LOCAL_BACKWARDS = re.compile(rf"[.{_ATOM}]*+")
_LOCAL_START = re.compile(rf"\b[{_ATOM}]")
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}|{_LITERAL}")
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")

# Scheme and host of a URL, without user and password (RFC 3986, section 3.2).
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?![^/?#]*@)[^/?#]*")
_URL_PIECE = re.compile(r"[/?&=#;]+|[^/?&=#;]+")

# Looser expressions for RE2, which looks through all texts: what they do not find, those above do not match either.
_MAYBE = {
    "email": rf"[{_ATOM}]@[A-Za-z0-9\[]",
    "ip": r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
}

Span = tuple[int, int]


class Scrubber:
    """The replacement rules of a recipe, compiled."""

    def __init__(self, options: PiiOptions):
        # Addresses of e-mail come first: the bracketed kind holds an IP address.
        self._kinds: list[str] = [kind for kind in ("email", "ip") if kind in options.kinds]
        self._replacements = {"email": options.email_replacements, "ip": options.ip_replacements}
        self._public_ip_only = options.public_ip_only

    def scrub(
        self, texts: pa.LargeStringArray | list[str]
    ) -> tuple[pa.LargeStringArray, dict[str, npt.NDArray[np.int64]]]:
        """Replace personal data: the k-th address of its kind in a text by the k-th replacement, in turn.

        Returns:
            The texts (n,), nulls kept, and for each kind asked for the number of replacements in each text, (n,) int64.
        """
        scrubbed = pa.array(texts, pa.large_string())
        counts = {}
        for kind in self._kinds:
            scrubbed, counts[kind] = self._scrub_kind(scrubbed, kind)
        return scrubbed, counts

    def scrub_urls(
        self, urls: pa.LargeStringArray | list[str]
    ) -> tuple[pa.LargeStringArray, dict[str, npt.NDArray[np.int64]]]:
        """As `scrub`, for URLs: scheme and host stay, and each piece of the rest (between / ? & = # ;) is a text.

        A host is where a document comes from, and `https://site.example/@name` is no address that reaches into it.
        """
        scrubbed = pa.array(urls, pa.large_string())
        counts = {kind: np.zeros(len(scrubbed), dtype=np.int64) for kind in self._kinds}
        maybe = pc.fill_null(pc.match_substring_regex(scrubbed, "|".join(_MAYBE.values())), False)
        changed = []
        at = np.flatnonzero(maybe.to_numpy(zero_copy_only=False))
        for i in at:
            url = scrubbed[int(i)].as_py()
            head = _ORIGIN.match(url)
            start = head.end() if head else 0
            pieces, found = self.scrub(_URL_PIECE.findall(url[start:]))
            changed.append(url[:start] + "".join(pieces.to_pylist()))
            for kind, n in found.items():
                counts[kind][i] = n.sum()
        if len(at) == 0:
            return scrubbed, counts
        return pc.replace_with_mask(scrubbed, maybe, pa.array(changed, pa.large_string())), counts

    def _scrub_kind(self, texts: pa.LargeStringArray, kind: str) -> tuple[pa.LargeStringArray, npt.NDArray[np.int64]]:
        counts = np.zeros(len(texts), dtype=np.int64)
        maybe = pc.fill_null(pc.match_substring_regex(texts, _MAYBE[kind]), False)
        changed: list[str] = []
        for i in np.flatnonzero(maybe.to_numpy(zero_copy_only=False)):
            text = texts[int(i)].as_py()
            spans = _email_spans(text) if kind == "email" else _ipv4_spans(text, self._public_ip_only)
            if spans:
                counts[i] = len(spans)
                changed.append(_replaced(text, spans, self._replacements[kind]))
        if not changed:
            return texts, counts
        return pc.replace_with_mask(texts, pa.array(counts > 0), pa.array(changed, pa.large_string())), counts


def _replaced(text: str, spans: Sequence[Span], replacements: Sequence[str]) -> str:
    pieces: list[str] = []
    end = 0
    for k, (start, stop) in enumerate(spans):
        pieces += (text[end:start], replacements[k % len(replacements)])
        end = stop
    return "".join((*pieces, text[end:]))


def _email_spans(text: str) -> list[Span]:
    """The e-mail addresses in `text`, from left to right, without overlap."""
    spans: list[Span] = []
    end = 0
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        start = _local_start(text, end, at) if domain else -1
        if domain and start >= 0:
            end = domain.end()
            spans.append((start, end))
        at = text.find("@", at + 1)
    return spans


def _local_start(text: str, floor: int, at: int) -> int:
    """Where the longest local part that ends before `at` begins, not before `floor`; -1 if there is none."""
    width = 64
    while True:
        window = text[max(floor, at - width) : at]
        run = _LOCAL_BACKWARDS.match(window[::-1])
        length = run.end() if run else 0
        if length < len(window) or at - width <= floor:
            break
        width *= 4
    if length == 0 or text[at - 1] == ".":
        return -1
    two_dots = text.rfind("..", at - length, at)
    start = at - length if two_dots < 0 else two_dots + 2
    # `\b` looks at the character before `start`, too, and never holds between two that are both part of words.
    first = _LOCAL_START.search(text, start, at)
    return first.start() if first else -1


def _ipv4_spans(text: str, public_only: bool) -> list[Span]:
    return [found.span() for found in _IPV4.finditer(text) if _is_address(found.group(), public_only)]


def _is_address(text: str, public_only: bool) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not public_only or address.is_global
