"""The records of the sample crawl, in their order, and how one is written in WARC 1.0 (ISO 28500)."""

import base64
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from tests.sample.answers import answer
from tests.sample.chrome import number
from tests.sample.markup import declared_charset, to_html
from tests.sample.others import body_of, described
from tests.sample.prose import Page, page_names, read_page

FILE_NAME = "sample.warc.gz"
BEGIN = datetime(2026, 7, 20, 6, 14, 9, tzinfo=UTC)
JUNK = b"\x00\x17These bytes belong to no record, as after a failed copy of an archive.\x00" * 3
ASKED_TOO = 13
"""One answer in this many is stored with its request and metadata, as in a crawl that keeps all three."""
REVISIT_PROFILE = "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"
LIES_ABOUT_LENGTH = 40


@dataclass
class Entry:
    """One record, or stretch of junk, and what must become of it. `make` gives its content, from the time of it."""

    name: str
    record_type: str
    url: str
    make: Callable[[datetime], bytes]
    fate: str
    content_type: str = "application/http; msgtype=response"
    headers: dict[str, str] = field(default_factory=dict)
    page: Page | None = None


def entries() -> list[Entry]:
    """All records in the order of the archive: of a hash of their names, so that the sites are mixed."""
    answers = [_page_entry(read_page(name)) for name in page_names()] + [_other_entry(name) for name in described()]
    answers.sort(key=lambda entry: number("order", entry.name))
    found: list[Entry] = [_warcinfo()]
    for entry in answers:
        with_request = entry.fate != "not_http" and number("triple", entry.name) % ASKED_TOO == 0
        found += [_request(entry), entry, _metadata(entry)] if with_request else [entry]
    found.insert(len(found) * 2 // 3, Entry("junk", "", "", lambda _: JUNK, "damaged_bytes"))
    return [*found, _cut_off()]


def times(entries_: list[Entry]) -> list[datetime]:
    """When each record was fetched: a few seconds apart, request and metadata with their answer."""
    found, now, before = [], BEGIN, ""
    for entry in entries_:
        if entry.record_type not in ("metadata", "") and before != f"{entry.name}.request":
            now += timedelta(seconds=number("time", entry.name) % 7)
        found.append(now)
        before = entry.name
    return found


def to_warc(entry: Entry, when: datetime) -> bytes:
    """The record as it stands in the archive, before compression."""
    block = entry.make(when)
    if not entry.record_type:
        return block
    fields = {
        "WARC-Type": entry.record_type,
        "WARC-Date": f"{when:%Y-%m-%dT%H:%M:%SZ}",
        "WARC-Record-ID": record_id(entry.name),
        "Content-Length": str(len(block) - (LIES_ABOUT_LENGTH if entry.fate == "bad_record" else 0)),
        "Content-Type": entry.content_type,
    }
    if entry.record_type == "warcinfo":
        fields["WARC-Filename"] = FILE_NAME
    else:
        fields |= {"WARC-Warcinfo-ID": record_id("warcinfo"), "WARC-Target-URI": entry.url}
    if entry.record_type in ("response", "revisit", "request"):
        fields["WARC-IP-Address"] = _address(entry.url)
    if entry.record_type == "response":
        payload = block.partition(b"\r\n\r\n")[2]
        fields |= {"WARC-Payload-Digest": _digest(payload), "WARC-Block-Digest": _digest(block)}
    lines = ["WARC/1.0", *(f"{name}: {value}" for name, value in (fields | entry.headers).items())]
    return "\r\n".join([*lines, "", ""]).encode() + block + b"\r\n\r\n"


def record_id(name: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'gristmill-sample/{name}')}>"


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def _address(url: str) -> str:
    """An address of the host from the three blocks that are reserved for documentation (RFC 5737)."""
    seed = number(urlsplit(url).hostname or url, "address")
    return f"{('192.0.2', '198.51.100', '203.0.113')[seed % 3]}.{seed // 3 % 250 + 2}"


def _page_entry(page: Page) -> Entry:
    declared, written = declared_charset(page), page.meta.get("charset", "utf-8")
    silent = written == declared != "utf-8" or page.meta["layout"] == "plain"
    content_type = "text/html" if silent else f"text/html; charset={declared}"
    url = page.meta["url"]
    return Entry(
        page.name,
        "response",
        url,
        lambda when: answer(url, to_html(page), content_type, when, http=page.meta.get("http")),
        page.expect,
        headers={"WARC-Identified-Payload-Type": "text/html"} if number(page.name) % 2 else {},
        page=page,
    )


def _other_entry(name: str) -> Entry:
    told = described()[name]
    url, kind = told["url"], told.get("record", "response")
    entry = Entry(name, kind, url, lambda _: body_of(told), told["fate"], told.get("record_content", "text/dns"))
    if "record_content" in told:
        return entry
    entry.content_type = "application/http; msgtype=response"
    if not told.get("bare"):
        options = told.get("http", {}) | {"headers": told.get("headers", {})}
        entry.make = lambda when: answer(
            url, body_of(told), told.get("type", "text/html"), when, status=told.get("status", "200 OK"), http=options
        )
    if kind == "revisit":
        target = read_page(told["of"]).meta["url"]
        entry.headers = {"WARC-Profile": REVISIT_PROFILE, "WARC-Refers-To-Target-URI": target}
    return entry


def _warcinfo() -> Entry:
    lines = [
        "isPartOf: sample",
        "description: a crawl of sites that do not exist",
        "software: tests/make_sample.py",
        "robots: every robots.txt here says yes",
        "format: WARC File Format 1.0",
    ]
    text = "".join(f"{line}\r\n" for line in lines).encode()
    return Entry("warcinfo", "warcinfo", "", lambda _: text, "not_a_response", "application/warc-fields")


def _request(entry: Entry) -> Entry:
    parts = urlsplit(entry.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    text = (
        f"GET {target} HTTP/1.1\r\nUser-Agent: samplebot/1.0\r\nAccept: text/html,*/*;q=0.8\r\n"
        f"Accept-Encoding: gzip\r\nHost: {parts.hostname}\r\nConnection: Keep-Alive\r\n\r\n"
    ).encode()
    made = Entry(f"{entry.name}.request", "request", entry.url, lambda _: text, "not_a_response")
    made.content_type = "application/http; msgtype=request"
    entry.headers["WARC-Concurrent-To"] = record_id(made.name)
    return made


def _metadata(entry: Entry) -> Entry:
    text = f"fetchTimeMs: {90 + number('fetch', entry.name) % 900}\r\ncharset-detected: UTF-8\r\n".encode()
    made = Entry(f"{entry.name}.metadata", "metadata", entry.url, lambda _: text, "not_a_response")
    made.content_type = "application/warc-fields"
    made.headers["WARC-Concurrent-To"] = record_id(entry.name)
    return made


def _cut_off() -> Entry:
    """The last record, of which the second half is missing: the download ended there."""
    page = read_page("barley-soup")
    url = "https://tideandtable.example/soups/last"
    return Entry(
        "cut_off", "response", url, lambda when: answer(url, to_html(page), "text/html", when), "truncated_record"
    )
