"""What a page states about itself: title, date, canonical URL, language, licence. Bounded searches, no parse.

Every search is linear in the page, whatever it holds, and every answer is short; what is not well formed is "".
"""

import html
import re
from dataclasses import dataclass
from datetime import date
from email.utils import parsedate
from itertools import islice
from urllib.parse import urljoin

MAX_HEAD_CHARS = 262_144
"""Of a head; a longer one is mostly scripts, and what it states comes first."""
MAX_BODY_CHARS = 1_048_576
"""From the start, within which a structured date and `<time>` are looked for."""
MAX_TITLE_CHARS = 1_000
MAX_URL_CHARS = 2_000
MAX_LICENCE_LINKS = 100
MAX_TIMES = 100
YEARS = range(1000, 2101)
"""Of a date that is believed. Templates that were not filled in say 0001-01-01 or 1970-01-01."""

_BODY = re.compile(r"<(?:body|svg)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^>]{0,1000}>([^<]{0,10000})", re.IGNORECASE)
_TAG = re.compile(r"<(html|meta|link)\b([^<>]{0,4000})>", re.IGNORECASE)
_VALUE = r"""\s{0,20}=\s{0,20}(?:"([^"]{0,4000})|'([^']{0,4000})|([^\s"'>]{1,4000}))"""
_NAME = re.compile(rf"(?<![\w-])(?:property|name|itemprop|http-equiv){_VALUE}", re.IGNORECASE)
_CONTENT = re.compile(rf"(?<![\w-])content{_VALUE}", re.IGNORECASE)
_HREF = re.compile(rf"(?<![\w-])href{_VALUE}", re.IGNORECASE)
_REL = re.compile(rf"(?<![\w-])rel{_VALUE}", re.IGNORECASE)
_LANG = re.compile(rf"(?<![\w-])lang{_VALUE}", re.IGNORECASE)
_DATE_NAMES = (
    "article:published_time",
    "datepublished",
    "og:article:published_time",
    "og:published_time",
    "parsely-pub-date",
    "sailthru.date",
    "citation_publication_date",
    "citation_date",
    "dc.date.issued",
    "dcterms.issued",
    "dc.date.created",
    "dcterms.created",
    "dc.date",
    "dcterms.date",
    "pubdate",
    "publishdate",
    "publish_date",
    "publish-date",
    "published_time",
    "date",
)
"""Names of `meta` elements (name, property or itemprop) that state when a page was published, the plainest first."""
_RIGHTS_NAMES = ("dcterms.license", "dc.rights", "dcterms.rights", "rights", "copyright")
_NAMES = frozenset({*_DATE_NAMES, *_RIGHTS_NAMES, "og:title", "content-language"})
_LD_DATE = re.compile(r'"datePublished"\s{0,20}:\s{0,20}"([^"]{4,40})"')
_TIME = re.compile(r"""<time\b[^<>]{0,500}?\bdatetime\s{0,5}=\s{0,5}["']?([^"'<>]{4,40})[^<>]{0,500}>""", re.IGNORECASE)
_MARK = re.compile("pubdate|datepublished", re.IGNORECASE)
_YEAR_FIRST = re.compile(r"(\d{4})([-/.]?)(\d\d?)\2(\d\d?)(?!\d)")
_LANGUAGE = re.compile(r"([a-z]{2,3})((?:-[a-z0-9]{2,8}){0,4})", re.IGNORECASE)
_LINK = re.compile(r"<(?:a|link)\s", re.IGNORECASE)
_CC = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-(?:nc|nd|sa))*)(?:/(\d\.\d))?(?:/(igo|[a-z]{2})\b)?"
    r"|publicdomain/(zero|mark)/(1\.0))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Each "" if the page does not say. `date`: ISO 8601, to the day. `canonical_url`: absolute, http or https.
    `declared_language`: a well-formed BCP 47 tag. `licence`: a Creative Commons licence as SPDX writes it."""

    title: str = ""
    date: str = ""
    canonical_url: str = ""
    declared_language: str = ""
    licence: str = ""


def page_facts(page: str, url: str = "") -> PageFacts:
    """What `page`, fetched from `url`, states about itself."""
    body = _BODY.search(page, 0, MAX_HEAD_CHARS)
    head_end = body.start() if body else min(len(page), MAX_HEAD_CHARS)
    metas: dict[str, str] = {}
    language = canonical = ""
    for tag in _TAG.finditer(page, 0, head_end):
        kind, inside = tag[1].lower(), tag[2]
        if kind == "meta":
            name = _value(_NAME, inside).lower()
            if name in _NAMES:
                metas.setdefault(name, _value(_CONTENT, inside))
        elif kind == "html":
            language = language or _language(_value(_LANG, inside))
        elif not canonical and "canonical" in inside and "canonical" in _value(_REL, inside).split():
            canonical = _absolute(_value(_HREF, inside), url)
    title = _TITLE.search(page, 0, head_end)
    licences = {_licence(metas.get(name, "")) for name in _RIGHTS_NAMES} - {""}
    return PageFacts(
        _line(title[1] if title else "") or _line(metas.get("og:title", "")),
        _published(page, metas),
        canonical,
        language or _language(metas.get("content-language", "")),
        _one(licences | set(_linked_licences(page))),
    )


def _value(attribute: re.Pattern[str], inside: str) -> str:
    found = attribute.search(inside)
    return html.unescape(found[1] or found[2] or found[3] or "").strip() if found else ""


def _line(text: str) -> str:
    return " ".join(html.unescape(text).split())[:MAX_TITLE_CHARS]


def _published(page: str, metas: dict[str, str]) -> str:
    """The first date that parses, of: the plainest `meta`, JSON-LD, other `meta`, the first `<time>` that is marked
    as the publication's, all `<time>` where they agree."""
    stated = _day(metas.get(_DATE_NAMES[0], ""))
    if not stated and (at := page.find('"datePublished"', 0, MAX_BODY_CHARS)) >= 0:
        found = _LD_DATE.match(page, at)
        stated = _day(found[1]) if found else ""
    stated = stated or next(filter(None, (_day(metas.get(name, "")) for name in _DATE_NAMES[1:])), "")
    at = page.find("<time", 0, MAX_BODY_CHARS)
    if stated or at < 0:
        return stated
    times = list(islice(_TIME.finditer(page, at, MAX_BODY_CHARS), MAX_TIMES))
    marked = [found for found in times if _MARK.search(found[0])]
    return _one({_day(found[1]) for found in marked[:1] or times})


def _day(stated: str) -> str:
    """A date of ISO 8601, of its parts in the same order with other separators, or of RFC 5322, as YYYY-MM-DD."""
    stated = stated.strip()[:40]
    found = _YEAR_FIRST.match(stated)
    if found and (found[2] or len(found[0]) == 8):
        year, month, day = int(found[1]), int(found[3]), int(found[4])
    elif stated[:3].isalpha() and (parsed := parsedate(stated)):
        year, month, day = parsed[:3]
    else:
        return ""
    try:
        day_of = date(year, month, day)
    except ValueError:
        return ""
    return day_of.isoformat() if year in YEARS and day_of != date(1970, 1, 1) else ""


def _absolute(href: str, url: str) -> str:
    try:
        joined = urljoin(url, href)
    except ValueError:
        return ""
    is_web = joined.startswith(("http://", "https://")) and not re.search(r"[\s\x00-\x1f]", joined)
    return joined if href and is_web and len(joined) <= MAX_URL_CHARS else ""


def _language(stated: str) -> str:
    """A tag of RFC 5646, section 2.1, in its customary case (section 2.1.1); servers also write `en_US`."""
    found = _LANGUAGE.fullmatch(stated[:40].replace("_", "-"))
    if not found:
        return ""
    rest = (part.upper() if len(part) == 2 else part.title() if len(part) == 4 else part.lower()
            for part in found[2].split("-")[1:])  # fmt: skip
    return "-".join([found[1].lower(), *rest])


def _linked_licences(page: str) -> list[str]:
    """Licences of the links that say `rel="license"`; without any, of those in the last `<footer>`.

    Other links to Creative Commons mostly belong to one picture.
    """
    named: list[str] = []
    others: list[tuple[int, str]] = []
    at = page.find("creativecommons.org/")
    while at >= 0 and len(named) + len(others) < MAX_LICENCE_LINKS:
        start, end = page.rfind("<", max(0, at - 2000), at), page.find(">", at, at + 2000)
        tag = page[start:end] if start >= 0 and end > 0 and _LINK.match(page, start) else ""
        licence = _licence(_value(_HREF, tag))
        if "license" in _value(_REL, tag).lower().split():
            named.append(licence)
        else:
            others.append((start, licence))
        at = page.find("creativecommons.org/", at + 1)
    footer = page.rfind("<footer") if others and not named else -1
    return named or [licence for start, licence in others if 0 <= footer < start and licence]


def _one(stated: set[str]) -> str:
    """What all statements agree on. One of several would say of the page what holds for a part."""
    return stated.pop() if len(stated) == 1 else ""


def _licence(stated: str) -> str:
    found = _CC.search(stated[:MAX_URL_CHARS])
    if not found:
        return ""
    if found[4]:
        return "CC0-1.0" if found[4].lower() == "zero" else "CC-PDM-1.0"
    elements = found[1].upper().split("-")
    ordered = [element for element in ("BY", "NC", "ND", "SA") if element in elements]
    return "-".join(["CC", *ordered, *filter(None, (found[2], (found[3] or "").upper()))])
