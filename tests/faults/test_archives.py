"""Broken, hostile and huge archives: reading ends, every record has one fate, the rest of the file is read, memory is
bounded."""

import contextlib
import gzip
import json
import random
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path

import pytest

from pipeline.extract.options import ExtractOptions
from pipeline.extract.worker import Extractor
from pipeline.sources.options import TableSource
from pipeline.sources.record import Record
from pipeline.sources.tables import read_table
from pipeline.sources.warc import MAX_PAGE_BYTES, read_warc
from tests.sources.warc_writer import (
    PAGE,
    by_record,
    http,
    read_bytes,
    warc_record,
    whole,
    zstd_by_record,
    zstd_frame,
)

MEGABYTE = 1_000_000
PACKINGS: dict[str, Callable[[list[bytes]], bytes]] = {
    "a.warc": b"".join,
    "a.warc.gz": by_record,
    "a.warc.zst": zstd_by_record,
}
READER = """
import sys
from pathlib import Path
from pipeline.sources.warc import read_warc
from tests.sources.warc_writer import whole
n = pages = 0
for record in read_warc(whole(Path(sys.argv[1]))):
    n, pages = n + 1, pages + (record.html is not None)
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(n, pages, int(peak) // 1000)
"""


def read_aside(path: Path) -> tuple[int, int, int]:
    """Records, pages and the peak of resident memory in megabytes, of a process that does nothing but read `path`."""
    done = subprocess.run([sys.executable, "-c", READER, str(path)], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    n, pages, peak = map(int, done.stdout.split())
    return n, pages, peak


def pages(n: int, seed: int = 0) -> list[bytes]:
    source = random.Random(seed)
    bodies = (b"<p>" + source.randbytes(source.randrange(5, 120)).hex().encode() for _ in range(n))
    return [warc_record(http(body), url=f"http://a.example/{i}") for i, body in enumerate(bodies)]


def whole_pages(found: Iterable[Record]) -> dict[str, bytes | None]:
    return {record.url: record.html for record in found if not record.fate}


# -- archives at hand --------------------------------------------------------------------------------------------------


def counted_elsewhere(shared_data: Path) -> Iterator[tuple[str, int]]:
    """Archives in which warcio and fastwarc count the same number of records, and that number, as SOURCES.md has it."""
    for line in (shared_data / "SOURCES.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 11 and cells[1].startswith("warc/") and not cells[8] and not cells[10] and cells[5] == cells[9]:
            yield cells[1], int(cells[5])


def test_records_of_real_archives_are_as_many_as_others_count(shared_data: Path) -> None:
    counted = dict(counted_elsewhere(shared_data))
    assert len(counted) > 60
    differ = {}
    for name, n_records in counted.items():
        found = list(read_warc(whole(shared_data / name)))
        if len(found) != n_records:
            differ[name.rpartition("/")[2]] = (len(found), n_records)
    assert differ == {}


def test_every_archive_at_hand_is_read_to_its_end(shared_data: Path) -> None:
    files = [file for file in sorted((shared_data / "warc").rglob("*")) if file.is_file()]
    assert len(files) > 130
    for file in files:
        found = list(read_warc(whole(file)))
        assert found or not file.read_bytes().strip(), file.name
        assert len({record.offset for record in found}) == len(found), file.name
        assert all(bool(record.fate) == (record.html is None and record.text is None) for record in found), file.name


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACKINGS)
def test_a_file_cut_at_every_byte(tmp_path: Path, name: str) -> None:
    records = pages(3)
    stored = [PACKINGS[name]([record]) for record in records]
    raw, ends = b"".join(stored), [sum(map(len, stored[: i + 1])) for i in range(3)]
    expected = whole_pages(read_bytes(tmp_path, raw, name))
    assert len(expected) == 3
    for end in range(len(raw)):
        found = read_bytes(tmp_path, raw[:end], name)
        assert len({record.offset for record in found}) == len(found) >= 1
        n_whole = sum(end >= stored_end for stored_end in ends)
        assert list(expected.items())[:n_whole] == list(whole_pages(found).items())[:n_whole]
        at_edge = end in ends or (name == "a.warc" and any(end in range(e - 4, e) for e in ends))
        assert at_edge or len(found) == n_whole + 1, end  # what is cut off has its fate


def flip_bits(folder: Path, name: str, seeds: range) -> None:
    records = pages(12, seed=3)
    stored = [PACKINGS[name]([record]) for record in records]
    raw, starts = b"".join(stored), [sum(map(len, stored[:i])) for i in range(12)]
    clean = whole_pages(read_bytes(folder, raw, name))
    for seed in seeds:
        source = random.Random(seed)
        at = source.randrange(len(raw))
        bad = bytearray(raw)
        bad[at] ^= 1 << source.randrange(8)
        found = read_bytes(folder, bytes(bad), name)
        assert len({record.offset for record in found}) == len(found), seed
        touched = {i for i, start in enumerate(starts) if start <= at + 4 and at < start + len(stored[i])}
        others = {url: html for i, (url, html) in enumerate(clean.items()) if i not in touched}
        assert others.items() <= whole_pages(found).items(), (seed, at)
        assert len(found) >= 11, seed


@pytest.mark.parametrize("name", PACKINGS)
def test_flipped_bits_cost_the_records_they_touch(tmp_path: Path, name: str) -> None:
    flip_bits(tmp_path, name, range(100))


@pytest.mark.long
@pytest.mark.parametrize("name", PACKINGS)
def test_bits_flipped_by_a_thousand_seeds(tmp_path: Path, name: str) -> None:
    flip_bits(tmp_path, name, range(100, 1100))


@pytest.mark.parametrize("name", PACKINGS)
def test_nuls(tmp_path: Path, name: str) -> None:
    records = [
        bytes(10_000),
        *pages(2),
        bytes(3),
        warc_record(http(PAGE.replace(b" ", b"\0 ")), url="http://a.example/n"),
    ]
    found = read_bytes(tmp_path, PACKINGS[name](records), name)
    assert list(whole_pages(found)) == ["http://a.example/0", "http://a.example/1", "http://a.example/n"]
    assert [record.fate for record in read_bytes(tmp_path, bytes(100_000), name)] == ["damaged_bytes"]


# -- bombs -------------------------------------------------------------------------------------------------------------


def gzip_bomb(n_bytes: int, head: bytes = b"") -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    zeros = (packer.compress(bytes(MEGABYTE)) for _ in range(n_bytes // MEGABYTE))
    return b"".join([packer.compress(head), *zeros, packer.flush()])


def zstd_bomb(n_bytes: int, head: bytes = b"") -> bytes:
    """A frame of a raw block with `head` and run blocks of zeros, 4 bytes for 128 KiB each: RFC 8878, section 3.1.1."""
    run = (131_072 << 3 | 2).to_bytes(3, "little") + b"\0"
    raw = (len(head) << 3).to_bytes(3, "little") + head
    return b"\x28\xb5\x2f\xfd\x00\x58" + raw + run * (n_bytes // 131_072) + b"\x01\0\0"


@pytest.mark.parametrize("kind", ["a.warc.gz", pytest.param("a.warc.zst", marks=pytest.mark.long)])
def test_records_that_burst(tmp_path: Path, kind: str) -> None:
    bomb = gzip_bomb if kind.endswith("gz") else zstd_bomb
    n_bytes = 500 * MEGABYTE
    head = warc_record(http()).replace(b"Content-Length: ", b"Content-Length: 9999")[:-4]
    path = tmp_path / kind
    good = PACKINGS[kind](pages(2))
    path.write_bytes(good + bomb(n_bytes, head) + PACKINGS[kind](pages(3)))
    n, n_pages, peak = read_aside(path)
    assert (n, n_pages) == (6, 5)
    assert peak < 450
    assert path.stat().st_size < 2 * MEGABYTE


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_bodies_that_burst(tmp_path: Path, coding: str) -> None:
    n_bytes = 400 * MEGABYTE
    bombs = {"gzip": gzip_bomb, "deflate": lambda n: zlib.compress(bytes(n)), "zstd": zstd_bomb}
    body = bombs[coding](n_bytes)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(by_record([warc_record(http(body, Content_Encoding=coding)), *pages(2)]))
    n, n_pages, peak = read_aside(path)
    assert (n, n_pages) == (3, 2)
    assert peak < 300 + 3 * MAX_PAGE_BYTES / MEGABYTE


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("a.warc.gz", b"\x1f\x8b\x08"),
        ("b.warc.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0\x03\0"),
        ("a.warc.zst", b"\x28\xb5\x2f\xfd"),
        ("b.warc.zst", b"\x28\xb5\x2f\xfd\0\x58\x01\0\0"),
        ("c.warc.zst", b"\x50\x2a\x4d\x18\0\0\0\0"),
    ],
)
def test_floods_of_headers_take_linear_time(tmp_path: Path, name: str, unit: bytes) -> None:
    seconds = []
    for n_bytes in (50_000, 400_000):
        started = time.process_time()
        found = read_bytes(tmp_path, unit * (n_bytes // len(unit)) + PACKINGS[f"a{name[1:]}"](pages(2)), name)
        seconds.append(time.process_time() - started)
        assert len(whole_pages(found)) == 2
    assert seconds[1] < 24 * seconds[0] + 0.5


# -- size --------------------------------------------------------------------------------------------------------------


def test_a_header_line_of_200_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    with path.open("wb") as file:
        file.write(b"".join(pages(1)) + b"WARC/1.0\r\nX: ")
        for _ in range(200):
            file.write(b"a" * MEGABYTE)
        file.write(b"\r\nContent-Length: 0\r\n\r\n\r\n\r\n" + b"".join(pages(2)))
    n, n_pages, peak = read_aside(path)
    assert (n, n_pages) == (4, 3)
    assert peak < 200


def test_a_line_of_200_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = json.dumps({"text": "words"}).encode() + b"\n"
    path.write_bytes(row + b'{"text": "' + b"a" * 200 * MEGABYTE + b'"}\n' + row)
    found = list(read_table(whole(path), TableSource(type="tables", path=str(path))))
    assert [record.fate for record in found] == ["", "row_too_large", ""]


def real_records() -> bytes:
    """The stored gzip members of the sample crawl up to the first that is damaged."""
    (file,) = (Path(str(resources.files("pipeline.sources"))) / "sample").glob("*.warc.gz")
    raw, end = file.read_bytes(), 0
    with contextlib.suppress(zlib.error):
        while end < len(raw):
            inflater = zlib.decompressobj(wbits=31)
            inflater.decompress(raw[end:])
            if not inflater.eof:
                break
            end = len(raw) - len(inflater.unused_data)
    return raw[:end]


def grow(path: Path, n_bytes: int) -> None:
    """Write `n_bytes` of WARC content or more to `path`: real records, again and again, packed as its name says."""
    packed = real_records()
    content = gzip.decompress(packed)
    records = re.split(rb"(?=^WARC/1\.\d\r\n)", content, flags=re.MULTILINE)[1:]
    if path.name.startswith("whole"):
        packed = b""
    elif path.name.endswith(".zst"):
        packed = b"".join(map(zstd_frame, records))
    elif path.name.endswith(".warc"):
        packed = content
    packer = zlib.compressobj(1, wbits=31)
    with path.open("wb") as file:
        for _ in range(n_bytes // len(content) + 1):
            file.write(packed or packer.compress(content))
        file.write(b"" if packed else packer.flush())


@pytest.mark.parametrize("name", ["a.warc.gz", pytest.param("a.warc.zst", marks=pytest.mark.long)])
def test_memory_is_flat_over_200_megabytes(tmp_path: Path, name: str) -> None:
    is_flat(tmp_path, name, 200 * MEGABYTE)


@pytest.mark.long
@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz", "a.warc.zst", "whole.warc.gz"])
def test_memory_is_flat_over_2_gigabytes(tmp_path: Path, name: str) -> None:
    is_flat(tmp_path, name, 2000 * MEGABYTE)


def is_flat(folder: Path, name: str, n_bytes: int) -> None:
    path = folder / name
    grow(path, n_bytes // 10)
    n_small, _, small = read_aside(path)
    grow(path, n_bytes)
    n_large, pages_large, large = read_aside(path)
    assert n_large > 9 * n_small and pages_large > n_large // 10
    assert large < small + 30 + 150 * name.startswith("whole")  # a group's window may still be filling


def test_a_page_nested_100_000_deep() -> None:
    page = "<html><body><article>" + "<div>" * 100_000 + "<p>Deep words.</p>" + "</div>" * 100_000
    with Extractor(ExtractOptions(timeout_s=20.0)) as extractor:
        found = extractor.extract(page)
        assert bool(found.fate) != bool(found.text)
        after = extractor.extract(f"<html><body><article><p>{'All is well again. ' * 30}</p></article>")
    assert after.fate == "" and "All is well" in after.text
