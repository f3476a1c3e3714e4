"""However an archive is cut, its records are those of the whole file, each once; damage costs only what it hits."""

import gzip
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from fastwarc.stream_io import zstd_train_dictionary_from_samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources import inflate, members
from pipeline.sources.record import Record
from pipeline.sources.warc import read_warc
from tests.sources.warc_writer import (
    by_record,
    http,
    read_bytes,
    warc_record,
    whole,
    zstd_by_record,
    zstd_with_dictionary,
)


def read_in_cuts(path: Path, bounds: list[int]) -> Iterator[Record]:
    file = whole(path)
    edges = [0, *sorted({bound for bound in bounds if 0 < bound < file.size}), file.size]
    for start, end in pairwise(edges):
        yield from read_warc(replace(file, start=start, end=end))


def pages(n: int, seed: int) -> list[bytes]:
    source = random.Random(seed)
    return [
        warc_record(http(b"<p>" + source.randbytes(source.randrange(3000)).hex().encode()), url=f"http://a.example/{i}")
        for i in range(n)
    ]


DICTIONARY = zstd_train_dictionary_from_samples(pages(300, 0), 4096)
PACKINGS = {
    "gzip": by_record,
    "gzip, stored": lambda records: by_record(records, 0),
    "zstd": zstd_by_record,
    "zstd with dictionary": lambda records: zstd_with_dictionary(records, DICTIONARY, packed=len(records) % 2 == 0),
}


def nested(n: int, seed: int) -> bytes:
    """A record whose content is a gzip archive of `n` records."""
    return warc_record(http(by_record(pages(n, seed)), Content_Type="application/warc"), url="http://nested.example/")


@given(
    kinds=st.lists(st.sampled_from(["page", "pages", "nested", "empty"]), min_size=1, max_size=12),
    shape=st.sampled_from(["plain", "by record", "in pairs", "whole", "anywhere"]),
    packing=st.sampled_from(["gzip", "gzip, stored", "zstd", "zstd with dictionary"]),
    damage=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["flip", "cut", "insert", "zero"])), max_size=3),
    cuts=st.lists(st.floats(0, 1), max_size=8),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cuts_of_any_archive_add_up(
    tmp_path: Path,
    kinds: list[str],
    shape: str,
    packing: str,
    damage: list[tuple[float, str]],
    cuts: list[float],
    seed: int,
) -> None:
    records: list[bytes] = []
    for i, kind in enumerate(kinds):
        made = {
            "page": pages(1, seed + i),
            "pages": pages(5, i),
            "nested": [nested(12, i)],
            "empty": [warc_record(b"")],
        }
        records += made[kind]
    joined = b"".join(records)
    step = max(500, len(joined) // 7)
    pieces = {
        "plain": records,
        "by record": records,
        "in pairs": [b"".join(records[i : i + 2]) for i in range(0, len(records), 2)],
        "whole": [joined],
        "anywhere": [joined[at : at + step] for at in range(0, len(joined), step)],
    }[shape]
    raw = joined if shape == "plain" else PACKINGS[packing](pieces)
    for where, what in damage:
        at = int(where * len(raw))
        middle = {"flip": b"\xff", "cut": b"", "insert": b"\x1f\x8b\x08junk\nWARC/1.0\n\n", "zero": bytes(50)}[what]
        raw = raw[:at] + middle + raw[at + len(middle) + (what == "cut") * 40 :]
    path = tmp_path / ("a.warc" if shape == "plain" else "a.warc.zst" if "zstd" in packing else "a.warc.gz")
    path.write_bytes(raw)
    expected = list(read_warc(whole(path)))
    offsets = [record.offset for record in expected]
    assert offsets == sorted(set(offsets))
    assert list(read_in_cuts(path, [int(cut * len(raw)) for cut in cuts])) == expected


@pytest.mark.parametrize("at", [0, 5, 100, 200, -1])
def test_a_damaged_member_is_cut_anywhere(tmp_path: Path, at: int) -> None:
    stored = [bytearray(gzip.compress(warc_record(http(), url=f"http://a.example/{i}"))) for i in range(6)]
    stored[2][at] ^= 0x10
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(stored))
    expected = list(read_warc(whole(path)))
    assert sum(not record.fate for record in expected) >= 5
    for cut in range(1, path.stat().st_size, 3):
        assert list(read_in_cuts(path, [cut])) == expected


@pytest.fixture(scope="module")
def archive_in_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crawled archive of 3 MB, more than a reader looks back, lies inside one record, which its writer did not
    compress again. Its members are there byte by byte, but for the block headers of deflate."""
    path = tmp_path_factory.mktemp("nested") / "a.warc.gz"
    path.write_bytes(by_record(pages(20, 1)) + by_record([nested(1500, 2)], level=0) + by_record(pages(20, 3)))
    return path


def test_a_crawled_archive_is_content(archive_in_archive: Path) -> None:
    size = archive_in_archive.stat().st_size
    assert size > 2 * members.LOOK_BACK_BYTES
    expected = list(read_warc(whole(archive_in_archive)))
    assert len(expected) == 41
    assert list(read_in_cuts(archive_in_archive, list(range(0, size, 300_000)))) == expected


def test_without_the_proof_a_crawled_archive_would_be_read(
    archive_in_archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflate, "GZIP", replace(inflate.GZIP, copied_bytes=-1))
    size = archive_in_archive.stat().st_size
    assert len(list(read_in_cuts(archive_in_archive, list(range(0, size, 300_000))))) > 41


@pytest.mark.parametrize("packed", [False, True])
def test_a_flipped_byte_costs_one_record(tmp_path: Path, packed: bool) -> None:
    records = pages(30, 5)
    stored = [gzip.compress(record) for record in records] if packed else records
    clean = read_bytes(tmp_path, b"".join(stored), "a.warc.gz" if packed else "a.warc")
    start = sum(map(len, stored[:12]))
    for at in range(start, start + len(stored[12]), 97):
        raw = bytearray(b"".join(stored))
        raw[at] ^= 0x20
        found = read_bytes(tmp_path, bytes(raw), "b.warc.gz" if packed else "b.warc")
        kept = {record.url: record.html for record in found if not record.fate}
        others = {record.url: record.html for i, record in enumerate(clean) if i != 12}
        assert others.items() <= kept.items()


def test_a_wrong_length_hides_no_record(tmp_path: Path) -> None:
    records = pages(10, 6)
    length = records[4].partition(b"Content-Length: ")[2].partition(b"\r")[0]
    for wrong in (b"1", b"%d" % (int(length) + 3000), length + b"0", b"9" * 18, b"-5", b"", b"9" * 400):
        records[4] = records[4].replace(b"Content-Length: " + length, b"Content-Length: " + wrong)
        length = wrong
        for name, raw in (("a.warc", b"".join(records)), ("a.warc.gz", by_record([b"".join(records)]))):
            found = read_bytes(tmp_path, raw, name)
            good = [record.url for record in found if not record.fate]
            assert good == [f"http://a.example/{i}" for i in range(10) if i != 4], (wrong, name)


def test_real_archives_add_up(shared_data: Path) -> None:
    files = sorted((shared_data / "warc" / "malformed").glob("*.warc*")) + sorted((shared_data / "warc").glob("*.warc"))
    files = [file for file in files if file.stat().st_size < 300_000]
    assert len(files) > 80
    for file in files:
        expected = list(read_warc(whole(file)))
        size = file.stat().st_size
        bounds = list(range(0, size, max(5, size // 17)))
        assert list(read_in_cuts(file, bounds)) == expected, file.name


def test_a_real_crawl_adds_up(shared_data: Path) -> None:
    path = shared_data / "html" / "goose-go.warc.gz"
    expected = list(read_warc(whole(path)))
    assert len(expected) > 20
    assert list(read_in_cuts(path, list(range(0, path.stat().st_size, 100_000)))) == expected
