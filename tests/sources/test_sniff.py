import time

import pytest

from pipeline.sources.sniff import HEADER_BYTES, may_be_page, other_kind
from tests.sources.warc_writer import PAGE, by_record, http, read_bytes, warc_record

BINARY = b"\x00\x01\x02 rest"
XHTML = b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- x --><!DOCTYPE html PUBLIC "-//W3C">' + PAGE
RDF = b'<rdf:RDF xmlns="http://purl.org/rss/1.0/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'


@pytest.mark.parametrize(
    ("declared", "body", "kind"),
    [
        ("text/html", PAGE, ""),
        ("text/html", b"no markup at all", ""),
        ("text/html", b"BMW and ID3 tags", ""),
        ("text/html", b"{ not json }", ""),
        ("text/html", b"[" * 100_000, ""),
        ("text/html", b"%PDF-1.7 " + BINARY, "application/pdf"),
        ("text/html", b"\x89PNG\r\n\x1a\n" + BINARY, "image/png"),
        ("text/html", b"GIF89a" + BINARY, "image/gif"),
        ("text/html", b"\xff\xd8\xff" + BINARY, "image/jpeg"),
        ("text/html", b"PK\x03\x04" + BINARY, "application/zip"),
        ("text/html", b"\x1f\x8b\x08" + BINARY, "application/x-gzip"),
        ("text/html", b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
        ("text/html", b' {"a": ["<html>"]}\n', "application/json"),
        ("text/html", b'<?xml version="1.0"?>\n<!-- x -->\n<rss version="2.0">', "application/rss+xml"),
        ("text/html", b"<feed xmlns='http://www.w3.org/2005/Atom'>", "application/atom+xml"),
        ("application/xhtml+xml", RDF, "application/rss+xml"),
        ("text/html", RDF.replace(b"purl", b"curl"), ""),
        ("text/html", b"<!-- a --><!DOCTYPE html><p>rss", ""),
        ("", PAGE, ""),
        ("", b"<p >words", ""),
        ("", b"words", "no type"),
        ("html", PAGE, ""),
        ("*/*", PAGE, ""),
        ("text/plain", PAGE, ""),
        ("text/plain", b"<p>a README may begin so", "text/plain"),
        ("application/octet-stream", XHTML, ""),
        ("application/octet-stream", b"%PDF-1.4", "application/pdf"),
        ("text/xml", XHTML, ""),
        ("text/xml", b"<?xml version='1.0'?><htmlish>", "text/xml"),
    ],
)
def test_what_a_body_is(declared: str, body: bytes, kind: str) -> None:
    assert may_be_page(declared)
    assert other_kind(body, declared) == kind


def test_a_server_may_insist() -> None:
    assert other_kind(PAGE, "text/plain", no_sniff=True) == "text/plain"
    assert other_kind(b"%PDF-1.4", "text/html", no_sniff=True) == "application/pdf"


@pytest.mark.parametrize("declared", ["image/png", "application/pdf", "application/json", "text/css", "video/mp4"])
def test_other_types_stand(declared: str) -> None:
    assert not may_be_page(declared)


@pytest.mark.parametrize("unit", [b"<!-->", b"<!---->", b"<?x?>", b"<!x>", b"<!-- --", b"<! ", b" "])
def test_hostile_headers_take_no_time(unit: bytes) -> None:
    started = time.process_time()
    for declared in ("text/html", "text/xml", ""):
        other_kind(unit * HEADER_BYTES, declared)
    assert time.process_time() - started < 0.5


def test_archives_are_read_so(tmp_path) -> None:
    records = [
        warc_record(http(PAGE, Content_Type="text/plain; charset=utf-8")),
        warc_record(http(PAGE, Content_Type="text/plain", X_Content_Type_Options="NoSniff")),
        warc_record(http(b"%PDF-1.4 x", Content_Type="text/html")),
        warc_record(http(b"\x00\x01", Content_Type="application/octet-stream", Content_Encoding="gzip")),
    ]
    found = read_bytes(tmp_path, by_record(records))
    assert [(record.fate, record.detail) for record in found] == [
        ("", ""),
        ("not_html", "text/plain"),
        ("not_html", "application/pdf"),
        ("not_html", "application/octet-stream"),
    ]
    assert (found[0].content_type, found[0].charset) == ("text/plain", "utf-8")
