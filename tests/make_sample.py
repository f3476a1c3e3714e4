"""Builds the sample crawl, pipeline/sources/sample/sample.warc.gz, and its truth, truth.jsonl beside it.

    python tests/make_sample.py [FOLDER]

The pages are written by hand for this project: tests/sample/kept/*.md and tests/sample/dropped/*.md hold their text,
with what must become of each in the header; tests/sample/layouts/*.html is the site around it, tests/sample/crawl.txt
the order. Records that are no articles are made below. Nothing depends on time or machine, so building again gives the
same bytes (zlib-ng in place of zlib gives another compression of the same records).

truth.jsonl has a line a record: `index`, `offset` (stored bytes), `url`, `name` and `fate`, which is the fate of a
record that gives no text, the drop reason of a document under recipes/commoncrawl.yaml, or `kept`. Of two equal copies
the ids decide which one stays: both say `kept_or_exact_duplicate`. `cluster` joins copies, `pii` counts what is
replaced.
"""

import base64
import gzip
import hashlib
import html
import json
import string
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

SOURCES = Path(__file__).resolve().parent / "sample"
TARGET = Path(__file__).resolve().parent.parent / "pipeline" / "sources" / "sample"
CRAWL_DAY = "2026-07-20"
LARGE_PAGE_BYTES = 4_200_000  # more than the default `extract.max_page_bytes`
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"
ROBOTS = b"User-agent: *\nDisallow: /private/\nCrawl-delay: 10\n"
JUNK = b"\x00\x17These bytes belong to no record, as after a failed copy of an archive.\x00" * 3

CRAWL = (SOURCES / "crawl.txt").read_text("utf-8").split()
"""The records in the order of the archive: names of pages, or of what is made below."""


@dataclass
class Entry:
    """One record, or stretch of junk, and what must become of it."""

    name: str
    record_type: str
    url: str
    block: bytes
    fate: str
    content_type: str = "application/http; msgtype=response"
    headers: dict[str, str] = field(default_factory=dict)
    cluster: str = ""
    pii: dict[str, int] = field(default_factory=dict)


def http(body: bytes, content_type: str = "text/html", status: str = "200 OK", **headers: str) -> bytes:
    fields = {"Server": "nginx", "Content-Type": content_type, "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    if "Transfer-Encoding" in fields:
        del fields["Content-Length"]
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_page(name: str) -> tuple[dict[str, Any], str]:
    """The header of a page and its text, from the page it copies where it names one."""
    path = next(
        SOURCES / folder / f"{name}.md" for folder in ("kept", "dropped") if (SOURCES / folder / f"{name}.md").exists()
    )
    _, header, text = path.read_text("utf-8").split("---\n", 2)
    meta = yaml.safe_load(header)
    original = meta.get("exact_copy_of") or meta.get("near_copy_of")
    if original:
        text = read_page(original)[1]
    for before, after in meta.get("replace", []):
        if before not in text:
            raise ValueError(f"{path}: {before!r} is not in {original}")
        text = text.replace(before, after)
    return meta, text.strip()


def page(name: str) -> Entry:
    meta, text = read_page(name)
    charset = meta.get("charset", "utf-8")
    declared = meta.get("declared_charset", charset)
    paragraphs = "\n".join(f"<p>{html.escape(part, quote=False)}</p>" for part in text.split("\n\n"))
    layout = string.Template((SOURCES / "layouts" / f"{meta['layout']}.html").read_text("utf-8"))
    fields = {key: html.escape(str(meta[key])) for key in ("title", "site", "author", "url", "date")}
    source = layout.substitute(
        fields, body=paragraphs, charset=declared, lang=meta.get("lang", "en"), host=urlsplit(meta["url"]).hostname
    )
    body = source.encode(charset)
    if meta.get("nul_bytes"):
        body = body.replace(b"</p>\n<p>", b"</p>\x00\n<p>").replace(b"patience", b"pat\x00ience")
    content_type = f"text/html; charset={declared}" if "declared_charset" in meta or charset == "utf-8" else "text/html"
    block = http(body, content_type)
    if meta.get("chunked"):
        cut = len(body) // 2
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:cut], body[cut:], b""))
        block = http(chunks, content_type, Transfer_Encoding="chunked")
    expected = meta.get("expect", "kept")
    return Entry(
        name, "response", meta["url"], block, expected, cluster=meta.get("cluster", ""), pii=meta.get("pii", {})
    )


def shell(url: str, site: str, title: str, body: str) -> bytes:
    """A page of the blog layout around HTML that is no article."""
    layout = string.Template((SOURCES / "layouts" / "blog.html").read_text("utf-8"))
    source = layout.substitute(
        url=url, site=site, title=title, body=body, author=site, date=CRAWL_DAY, lang="en", charset="utf-8"
    )
    return http(source.encode(), "text/html; charset=utf-8")


def pages_that_give_no_text() -> list[Entry]:
    """Responses that end before, or in, the extraction of text."""
    made = [
        ("not_found", "https://tideandtable.example/soups/lentil", "http_status"),
        ("redirect", "http://ferrybridge-courier.example/", "http_status"),
        ("robots", "https://workbench-notes.example/robots.txt", "not_html"),
        ("image", "https://thelongway.example/img/spacer.gif", "not_html"),
        ("pdf", "https://kingsmere-chess.example/fixtures-2026.pdf", "not_html"),
        ("empty", "https://mapsmuseum.example/status", "empty_body"),
        ("bad_header", "http://old-server.example/cgi-bin/hello", "bad_http_header"),
        ("bad_gzip", "https://borderwords.example/columns/broken", "bad_body"),
        ("large", "https://mapsmuseum.example/calendar/all-years", "page_too_large"),
        ("app", "https://timetable-app.example/#/departures", "no_text"),
        ("denied", "https://ads.example/landing/best-offers", "url_denied_domain"),
    ]
    urls = {name: url for name, url, _ in made}
    days = "<td> </td>" * (LARGE_PAGE_BYTES // len("<td> </td>"))
    offer = "<p>" + html.escape(read_page("film-camera")[1].split("\n\n")[0]) + "</p>"
    blocks = {
        "not_found": http(b"<html><body><h1>Not found</h1></body></html>", status="404 Not Found"),
        "redirect": http(b"", status="301 Moved Permanently", Location="https://ferrybridge-courier.example/"),
        "robots": http(ROBOTS, "text/plain"),
        "image": http(GIF, "image/gif"),
        "pdf": http(PDF, "application/pdf"),
        "empty": http(b"", "text/html; charset=utf-8"),
        "bad_header": b"<html><body>An answer without any header at all.</body></html>",
        "bad_gzip": http(b"this is not gzip", Content_Encoding="gzip"),
        "large": shell(urls["large"], "The Museum of Maps", "Calendar", f"<table><tr>{days}</tr></table>"),
        "app": http(b'<!doctype html><html><body><div id="root"></div><script src="/app.js"></script></body></html>'),
        "denied": shell(urls["denied"], "Best Offers", "Best offers", offer),
    }
    return [Entry(name, "response", url, blocks[name], fate) for name, url, fate in made]


def records_that_are_no_pages() -> list[Entry]:
    """The other record types of a crawl, and damage of three kinds."""
    wall, gauge = (read_page(name)[0]["url"] for name in ("dry-stone-wall", "tide-gauge"))
    info = b"software: gristmill tests/make_sample.py\r\nformat: WARC File Format 1.0\r\nisPartOf: sample\r\n"
    host = urlsplit(wall)
    asked = f"GET {host.path} HTTP/1.1\r\nHost: {host.hostname}\r\nUser-Agent: sample\r\n\r\n".encode()
    again = http(b"", "text/html", "304 Not Modified")
    profile = {"WARC-Profile": "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"}
    text = "<html><body><p>" + read_page("too-short")[1] + "</p></body></html>"
    long_page = page("barley-soup").block
    return [
        Entry("warcinfo", "warcinfo", "", info, "not_a_response", "application/warc-fields"),
        Entry("request", "request", wall, asked, "not_a_response", "application/http; msgtype=request"),
        Entry("metadata", "metadata", wall, b"fetchTimeMs: 212\r\n", "not_a_response", "application/warc-fields"),
        Entry("revisit", "revisit", gauge, again, "not_a_response", headers=profile),
        Entry("dns", "response", "dns:tideandtable.example", b"20260720\r\n192.0.2.7\r\n", "not_http", "text/dns"),
        Entry("bad_length", "response", "https://quiet-network.example/short", http(text.encode()), "bad_record"),
        Entry("junk", "", "", JUNK, "damaged_bytes"),
        Entry("cut_off", "response", "https://tideandtable.example/soups/last", long_page, "truncated_record"),
    ]


def to_warc(entry: Entry, index: int) -> bytes:
    """The record as it stands in the archive, before compression (WARC 1.0, ISO 28500)."""
    if not entry.record_type:
        return entry.block
    digest = base64.b32encode(hashlib.sha1(entry.block).digest()).decode()
    n_bytes = len(entry.block) - (40 if entry.name == "bad_length" else 0)
    fields = {
        "WARC-Type": entry.record_type,
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'gristmill-sample/{index}')}>",
        "WARC-Date": f"{CRAWL_DAY}T06:{index:02}:00Z",
        **({"WARC-Target-URI": entry.url} if entry.url else {"WARC-Filename": "sample.warc.gz"}),
        **entry.headers,
        "WARC-Block-Digest": f"sha1:{digest}",
        "Content-Type": entry.content_type,
        "Content-Length": str(n_bytes),
    }
    lines = ["WARC/1.0", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + entry.block + b"\r\n\r\n"


def entries() -> list[Entry]:
    special = {entry.name: entry for entry in pages_that_give_no_text() + records_that_are_no_pages()}
    return [special.get(name) or page(name) for name in CRAWL]


def build() -> tuple[bytes, bytes]:
    """The bytes of the archive and of its truth."""
    archive, truth = bytearray(), []
    for index, entry in enumerate(entries()):
        offset = len(archive)
        raw = to_warc(entry, index)
        stored = gzip.compress(raw, 9, mtime=0) if entry.record_type else raw
        archive += stored[: len(stored) // 2] if entry.name == "cut_off" else stored
        row: dict[str, Any] = {
            "index": index,
            "offset": offset,
            "url": entry.url,
            "fate": entry.fate,
            "name": entry.name,
        }
        row |= {"cluster": entry.cluster} if entry.cluster else {}
        row |= {"pii": entry.pii} if entry.pii else {}
        truth.append(json.dumps(row, ensure_ascii=False) + "\n")
    return bytes(archive), "".join(truth).encode()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    folder.mkdir(parents=True, exist_ok=True)
    archive, truth = build()
    (folder / "sample.warc.gz").write_bytes(archive)
    (folder / "truth.jsonl").write_bytes(truth)
    print(f"{folder}: {len(CRAWL)} records, {len(archive)} bytes")


if __name__ == "__main__":
    main()
