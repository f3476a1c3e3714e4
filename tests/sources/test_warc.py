import gzip
import random
import resource
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fastwarc.stream_io import BrotliWriter, zstd_train_dictionary_from_samples
from fastwarc.warc import ArchiveIterator, WarcRecordType

from pipeline.sources.record import Record, SourceError
from pipeline.sources.warc import read_warc
from tests.sources.warc_writer import (
    PAGE,
    by_record,
    http,
    read_bytes,
    warc_record,
    whole,
    zstd_by_record,
    zstd_frame,
    zstd_with_dictionary,
)


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def brotli(body: bytes) -> bytes:
    import io

    out = io.BytesIO()
    with BrotliWriter(out) as writer:
        writer.write(body)
    return out.getvalue()


def chunked(body: bytes) -> bytes:
    half = len(body) // 2
    return b"%x;name=value\r\n%s\r\n%X\r\n%s\r\n0\r\nTrailer: x\r\n\r\n" % (
        half,
        body[:half],
        len(body) - half,
        body[half:],
    )


FATES = [
    (warc_record(http()), "", ""),
    (warc_record(b"software: x", kind="warcinfo"), "not_a_response", "warcinfo"),
    (warc_record(b"GET / HTTP/1.1\r\n\r\n", kind="request"), "not_a_response", "request"),
    (warc_record(http(), kind="revisit"), "not_a_response", "revisit"),
    (warc_record(b"20261001 1.2.3.4", mime="text/dns"), "not_http", "text/dns"),
    (warc_record(b"not HTTP at all"), "bad_http_header", ""),
    (warc_record(b""), "bad_http_header", ""),
    (warc_record(http(status="404 Not Found")), "http_status", "404"),
    (warc_record(http(status="301 Moved", Location="http://b.example/")), "http_status", "301"),
    (warc_record(http(Content_Type="image/png; a=b")), "not_html", "image/png"),
    (warc_record(http(b"plain words", Content_Type="")), "not_html", "no type"),
    (warc_record(http(PAGE, Content_Type="")), "", ""),
    (warc_record(http(PAGE, Content_Type="Application/XHTML+xml; charset=x")), "", ""),
    (warc_record(http(b" \r\n ")), "empty_body", ""),
    (warc_record(http(b"\x00\x01", Content_Encoding="gzip")), "bad_body", "gzip"),
    (warc_record(http(b"zzz", Transfer_Encoding="chunked")), "bad_body", "chunked"),
    (warc_record(http(b"zzz", Content_Encoding="rot13")), "bad_body", "unknown coding"),
    (warc_record(http(b"zzz", Content_Encoding="gzip,gzip,gzip,gzip")), "bad_body", "too many codings"),
    (warc_record(http(b"<p>" + b"x" * 2_000_000)), "page_too_large", "over 1000000 bytes"),
]


ARCHIVES = ["a.warc", "a.warc.gz", "whole.warc.gz", "cut.warc.gz", "a.warc.zst", "whole.warc.zst", "cut.warc.zst"]


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_record_has_one_fate(tmp_path: Path, name: str) -> None:
    records = [record for record, _, _ in FATES]
    joined = b"".join(records)
    cut = [joined[at : at + 777] for at in range(0, len(joined), 777)]
    pack = zstd_by_record if name.endswith("zst") else by_record
    pieces = {"a": records, "whole": [joined], "cut": cut}[name.split(".")[0]]
    (tmp_path / name).write_bytes(joined if name == "a.warc" else pack(pieces))
    found = list(read_warc(whole(tmp_path / name), max_page_bytes=1_000_000))
    assert [(record.fate, record.detail) for record in found] == [(fate, detail) for _, fate, detail in FATES]
    assert len({record.offset for record in found}) == len(found)
    assert all((record.html is None) == bool(record.fate) for record in found)
    assert found[0] == Record(
        name, 0, "http://a.example/", "2026-10-01T12:00:00Z", html=PAGE, content_type="text/html", charset=""
    )


def test_offsets_are_those_of_the_stored_records(tmp_path: Path) -> None:
    records = [warc_record(http(), url=f"http://{i}.example/") for i in range(5)]
    plain = read_bytes(tmp_path, b"".join(records), "a.warc")
    assert [record.offset for record in plain] == [i * len(records[0]) for i in range(5)]
    packed = [gzip.compress(record) for record in records]
    compressed = read_bytes(tmp_path, b"".join(packed))
    assert [record.offset for record in compressed] == [sum(map(len, packed[:i])) for i in range(5)]
    together = read_bytes(tmp_path, packed[0] + gzip.compress(b"".join(records[1:4])) + packed[4])
    first = len(packed[0])
    assert [record.offset for record in together[:4]] == [0, first, first + 1, first + 2]
    assert [record.url for record in together] == [record.url for record in plain]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(PAGE, mtime=0), {"Content_Encoding": "gzip"}),
        (gzip.compress(PAGE[:20], mtime=0) + gzip.compress(PAGE[20:], mtime=0), {"Content_Encoding": "x-gzip"}),
        (gzip.compress(PAGE, mtime=0) + b"junk", {"Content_Encoding": "GZIP"}),
        (zlib.compress(PAGE), {"Content_Encoding": "deflate"}),
        (raw_deflate(PAGE), {"Content_Encoding": "deflate"}),
        (brotli(PAGE), {"Content_Encoding": "br"}),
        (chunked(PAGE), {"Transfer_Encoding": "Chunked"}),
        (chunked(gzip.compress(PAGE, mtime=0)), {"Transfer_Encoding": "chunked", "Content_Encoding": "gzip"}),
        (gzip.compress(brotli(PAGE), mtime=0), {"Content_Encoding": "br, gzip"}),
        (PAGE, {"Content_Encoding": "gzip"}),
        (PAGE, {"Transfer_Encoding": "chunked"}),
        (PAGE, {"Transfer_Encoding": "chunked", "Content_Encoding": "br"}),
        (PAGE, {"Content_Encoding": "identity"}),
    ],
)
def test_bodies_are_decoded(tmp_path: Path, body: bytes, headers: dict[str, str]) -> None:
    (record,) = read_bytes(tmp_path, by_record([warc_record(http(body, **headers))]))
    assert (record.fate, record.html) == ("", PAGE)


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("br", brotli), ("zstd", zstd_frame)])
def test_a_truncated_body_gives_what_it_holds(tmp_path: Path, coding: str, pack: Callable[[bytes], bytes]) -> None:
    source = random.Random(1)
    words = b"<p>" + b" ".join(b"word%d" % source.randrange(10**9) for _ in range(60_000))
    body = pack(words)
    (record,) = read_bytes(tmp_path, by_record([warc_record(http(body[: len(body) // 2], Content_Encoding=coding))]))
    assert record.html is not None
    assert 1000 < len(record.html) < len(words)
    assert words.startswith(record.html)
    assert (
        read_bytes(tmp_path, by_record([warc_record(http(body + b"junk", Content_Encoding=coding))]))[0].html == words
    )


def test_a_body_that_bursts_stays_within_bounds(tmp_path: Path) -> None:
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (record,) = read_bytes(tmp_path, by_record([warc_record(http(bomb, Content_Encoding="gzip"))]))
    assert record.fate == "page_too_large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_a_member_that_bursts_into_records_keeps_offsets_apart(tmp_path: Path) -> None:
    member = gzip.compress(b"WARC/1.0\nContent-Length: 0\n\n" * 20_000)
    found = read_bytes(tmp_path, member + by_record([warc_record(http())]))
    offsets = [record.offset for record in found]
    assert len(set(offsets)) == len(offsets)
    assert found[-1].html == PAGE
    assert found[-2].fate == "damaged_bytes"


def test_headers_with_line_feeds_only(tmp_path: Path) -> None:
    raw = warc_record(http()).replace(b"\r\n", b"\n")
    raw = raw.replace(b"Content-Length: %d" % len(http()), b"Content-Length: %d" % len(http().replace(b"\r\n", b"\n")))
    (record,) = read_bytes(tmp_path, raw, "a.warc")
    assert (record.fate, record.html) == ("", PAGE)


def test_a_hostile_url_or_date_is_cleaned(tmp_path: Path) -> None:
    raw = warc_record(http(), url="<http://a.example/\x00\x1b[2J\x07>").replace(b"2026-10-01T", b"yesterday ")
    (record,) = read_bytes(tmp_path, raw, "a.warc")
    assert (record.url, record.date) == ("http://a.example/[2J", "")


def test_a_type_without_semicolon_is_html(tmp_path: Path) -> None:
    record = read_bytes(tmp_path, by_record([warc_record(http(Content_Type="text/html charset=utf-8"))]))[0]
    assert (record.fate, record.html, record.charset) == ("", PAGE, "utf-8")


def test_a_body_stored_joined_but_still_packed_is_read(tmp_path: Path) -> None:
    packed = http(gzip.compress(PAGE), Transfer_Encoding="chunked", Content_Encoding="gzip")
    assert read_bytes(tmp_path, by_record([warc_record(packed)]))[0].html == PAGE


def test_texts_of_wet_files(tmp_path: Path) -> None:
    def text(content: str, length: int = 0, **fields: str) -> bytes:
        raw = warc_record(content.encode() + b" " * length, kind="conversion", mime="text/plain; x=y", **fields)
        return raw.replace(b"WARC-Date", b"WARC-Identified-Content-Language: deu,eng\r\nWARC-Date")

    records = [text("Grüße"), text(" "), text("x", 1_000_001), text("x", url="urn:x"), warc_record(b"x", mime="a/b")]
    (tmp_path / "a.wet.gz").write_bytes(by_record(records))
    found = list(read_warc(whole(tmp_path / "a.wet.gz"), max_page_bytes=1_000_000))
    fates = ["", "empty_body", "page_too_large", "not_a_response", "not_http"]
    assert [record.fate for record in found] == fates
    assert (found[0].text, found[0].declared_language, found[0].url) == ("Grüße", "deu,eng", "http://a.example/")
    assert all(record.text is None for record in found[1:])


def test_a_wet_file_of_a_real_crawl(shared_data: Path) -> None:
    for name in ("wet", "wet.gz"):
        path = shared_data / "warc" / f"commoncrawl__whirlwind-python__whirlwind.warc.{name}"
        first, record = read_warc(whole(path))
        assert (first.fate, first.detail) == ("not_a_response", "warcinfo")
        assert record.url == "https://an.wikipedia.org/wiki/Escopete" and record.declared_language == "spa"
        assert record.text is not None and record.text.startswith("Escopete - Biquipedia, a enciclopedia libre")


def test_a_dictionary_that_is_damaged(tmp_path: Path) -> None:
    records = [warc_record(http(), url=f"http://{i}.example/") for i in range(200)]
    raw = bytearray(zstd_with_dictionary(records, zstd_train_dictionary_from_samples(records, 2048)))
    assert [record.fate for record in read_bytes(tmp_path, bytes(raw), "a.warc.zst")] == [""] * 200
    raw[20] ^= 0xFF
    found = read_bytes(tmp_path, bytes(raw), "b.warc.zst")
    assert {record.fate for record in found} == {"damaged_bytes"}


def test_frames_that_are_no_records(tmp_path: Path) -> None:
    records = [warc_record(http(), url=f"http://{i}.example/") for i in range(3)]
    extra = b"\x50\x2a\x4d\x18\x05\0\0\0extra"
    first, *others = (zstd_frame(record) for record in records)
    raw = zstd_frame(b"") + extra + first + extra + b"".join(others) + extra
    found = read_bytes(tmp_path, raw, "a.warc.zst")
    assert [record.url for record in found if not record.fate] == [f"http://{i}.example/" for i in range(3)]
    assert len(found) == 3
    longer = raw.replace(extra, extra.replace(b"\x05", b"\x15"))
    found = read_bytes(tmp_path, longer, "b.warc.zst")
    assert [record.url for record in found if not record.fate] == [f"http://{i}.example/" for i in range(3)]


def test_an_empty_file_has_a_fate(tmp_path: Path) -> None:
    assert [(r.fate, r.offset) for r in read_bytes(tmp_path, b"")] == [("empty_file", 0)]


def test_arc_files_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    (record,) = read_bytes(tmp_path, b"filedesc://x", "old.arc.gz")
    assert (record.fate, record.detail, record.offset) == ("unsupported_archive", "ARC", 0)


def test_missing_and_changed_files_are_source_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(warc_record(http()))
    listed = whole(path)
    path.write_bytes(b"")
    with pytest.raises(SourceError, match=r"it has 0 bytes and had .* when it was listed"):
        list(read_warc(listed))
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        list(read_warc(replace(listed, url=str(tmp_path / "none.warc"))))


def test_pages_equal_those_of_fastwarc(shared_data: Path) -> None:
    names = ["warc/commoncrawl__whirlwind-python__whirlwind.warc.gz", "warc/allenai__dolma__sample-0000.warc.gz"]
    names += ["warc/archivesunleashed__aut__example.warc.gz", "html/autopager.warc.gz", "html/defuddle.warc.gz"]
    n_pages = 0
    for name in names:
        path = shared_data / name
        with path.open("rb") as file:
            kinds = WarcRecordType.response
            expected = {}
            for record in ArchiveIterator(file, record_types=kinds, auto_decode="all"):
                expected[record.stream_pos] = (record.headers["WARC-Target-URI"].strip("<>"), record.reader.read())
        pages = {record.offset: (record.url, record.html) for record in read_warc(whole(path)) if record.html}
        n_pages += len(pages)
        assert pages.items() <= expected.items()
    assert n_pages > 400


MALFORMED = {
    # name -> (records, fates); counted by hand in the files
    "webrecorder__warcio.js__example-bad-length.warc": (6, {"not_a_response": 5, "bad_record": 1}),
    "webrecorder__warcio__example-bad.warc.gz.bad": (6, {"not_a_response": 4, "": 1, "http_status": 1}),
    "webrecorder__warcio__example-trunc.warc": (4, {"not_a_response": 3, "bad_record": 1}),
    "webrecorder__pywb__missing-status-text.warc": (1, {"http_status": 1}),
    "richardlehane__webarchive__invalid-warcrecord-1.warc": (6, {"bad_record": 2, "not_a_response": 4}),
    "netarchivesuite__jwat__invalid-warcfile-record-then-garbage.warc": (2, {"not_html": 1, "damaged_bytes": 1}),
    "netarchivesuite__jwat__valid-warcfile-upper-lower-case.warc": (5, {"not_a_response": 1, "not_http": 4}),
    "richardlehane__webarchive__invalid-warcheaderversion-4.warc": (1, {"damaged_bytes": 1}),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_archives_lose_nothing(shared_data: Path, name: str) -> None:
    found = list(read_warc(whole(shared_data / "warc" / "malformed" / name)))
    n_records, fates = MALFORMED[name]
    assert len(found) == n_records
    assert Counter(record.fate for record in found) == fates
