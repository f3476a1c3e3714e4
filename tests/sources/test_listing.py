import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources import fetching
from pipeline.sources.commoncrawl import forget_listing
from pipeline.sources.listing import MEGABYTE, WARC_SUFFIXES, cut, find_files, list_files
from pipeline.sources.options import CommonCrawlSource, WarcSource
from pipeline.sources.read import read
from pipeline.sources.record import Slice, SourceError
from tests.sources.faulty_server import FakeTime, Faulty, serving
from tests.sources.warc_writer import PAGE, by_record, warc_record
from tests.sources.warc_writer import http as message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.warc.gz", "a/c.warc", "a/old.ARC.GZ", "a/notes.txt", ".hidden/d.warc", "a/.e.warc"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def paths(files: list[Slice]) -> list[str]:
    return [file.path for file in files]


def test_folders_files_and_globs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = WarcSource(type="warc", path=str(folder))
    files = list_files("web", source)
    assert paths(files) == ["a/c.warc", "a/old.ARC.GZ", "b.warc.gz"]
    assert [file.size for file in files] == [8, 12, 9]
    assert files[0] == Slice(
        "web", "a/c.warc", str(folder / "a/c.warc"), 8, str((folder / "a/c.warc").stat().st_mtime_ns), 0, 8
    )
    assert paths(find_files("web", str(folder / "a" / "notes.txt"), WARC_SUFFIXES)) == ["notes.txt"]
    assert paths(find_files("web", str(folder / "**" / "*.warc*"), WARC_SUFFIXES)) == ["a/c.warc", "b.warc.gz"]
    assert paths(find_files("web", f"file://{folder}", WARC_SUFFIXES)) == paths(files)
    monkeypatch.chdir(folder)
    assert [file.url for file in find_files("web", "a/*.warc", WARC_SUFFIXES)] == [str(folder / "a" / "c.warc")]


def test_a_store_lists_as_a_folder_does(folder: Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    for path in ("/crawl/b.warc.gz", "/crawl/a/c.warc", "/crawl/a/notes.txt"):
        store.pipe(path, by_record([warc_record(message())]))
    try:
        source = WarcSource(type="warc", path="memory://crawl")
        files = list_files("web", source)
        assert paths(files) == ["a/c.warc", "b.warc.gz"]
        assert [record.html for file in files for record in read(source, file)] == [PAGE, PAGE]
        assert paths(find_files("web", "memory://crawl/**/*.warc", WARC_SUFFIXES)) == ["a/c.warc"]
        assert paths(find_files("web", "memory://crawl/a/notes.txt", WARC_SUFFIXES)) == ["notes.txt"]
        with pytest.raises(SourceError, match="memory://none"):
            find_files("web", "memory://none", WARC_SUFFIXES)
    finally:
        store.rm("/crawl", recursive=True)


def test_what_is_missing_is_named(folder: Path) -> None:
    (folder / "empty").mkdir()
    for path, expected in (
        ("none.warc", r"sources\.web: .*none\.warc: no such file or folder \(looked from "),
        ("empty", r"sources\.web: .*empty: the folder holds no file that ends in \.warc, \.warc\.gz"),
        ("*.zip", r"sources\.web: .*\*\.zip: no file matches the pattern"),
    ):
        with pytest.raises(SourceError, match=expected):
            find_files("web", str(folder / path), WARC_SUFFIXES)


@given(
    sizes=st.lists(
        st.tuples(st.integers(0, 9 * MEGABYTE), st.sampled_from([".warc", ".warc.gz", ".jsonl.gz"])), max_size=30
    ),
    part_mb=st.integers(1, 5),
)
def test_cut_covers_every_byte_once(sizes: list[tuple[int, str]], part_mb: int) -> None:
    files = [Slice("s", f"{i:02}{end}", "", size, "", 0, size) for i, (size, end) in enumerate(sizes)]
    parts = cut(files, part_mb)
    pieces = [piece for part in parts for piece in part]
    assert paths(pieces) == sorted(paths(pieces))
    for file in files:
        mine = [piece for piece in pieces if piece.path == file.path]
        assert [piece.start for piece in mine] == [0, *[piece.end for piece in mine[:-1]]]
        assert mine[-1].end == file.size
        assert len(mine) == 1 or file.path.endswith((".warc", ".warc.gz"))
    for part in parts:
        n_bytes = sum(piece.end - piece.start for piece in part)
        assert part
        assert n_bytes <= part_mb * MEGABYTE or (len(part) == 1 and part[0].path.endswith(".jsonl.gz"))
    for part, following in pairwise(parts):
        both = sum(piece.end - piece.start for piece in (*part, following[0]))
        are_whole = all((s.start, s.end) == (0, s.size) for s in (part[0], following[0]))
        assert both > part_mb * MEGABYTE or not are_whole


def test_a_plan_pays_for_no_reader() -> None:
    heavy = ["fastwarc", "polars", "pyarrow", "numba", "numpy", "fsspec", "trafilatura", "resiliparse"]
    script = f"import sys, pipeline.sources.listing; sys.exit(' '.join(m for m in {heavy} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_the_sample_ships(tmp_path: Path) -> None:
    source = CommonCrawlSource(type="commoncrawl", snapshot="sample")
    files = list_files("crawl", source)
    assert files
    assert all(file.path.endswith(".warc.gz") for file in files)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    pytest.importorskip("aiohttp", reason="fsspec reads http through aiohttp")
    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "CLOCK", FakeTime().clock)
    monkeypatch.setattr(fetching, "_paces", {})
    for kind in ("warc", "wet"):
        for snapshot in ("CC-MAIN-2026-43", "CC-MAIN-2026-38"):
            names = [f"crawl-data/{snapshot}/segments/1/{kind}/{i}.warc.gz" for i in (2, 1, 3)]
            for name in names:
                path = tmp_path / "mirror" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(by_record([warc_record(message(), url=f"http://{path.name}/{i}") for i in range(50)]))
            listed = gzip.compress("".join(f"{name}\n" for name in names).encode())
            (tmp_path / "mirror" / "crawl-data" / snapshot / f"{kind}.paths.gz").write_bytes(listed)
    with serving(tmp_path / "mirror") as served:
        yield served


def snapshot_of(mirror: str | Path, **fields: Any) -> CommonCrawlSource:
    fields = {"snapshot": "CC-MAIN-2026-43", **fields}
    return CommonCrawlSource(type="commoncrawl", mirror=str(mirror), **fields)


def test_a_snapshot_is_read_from_a_mirror(mirror: Faulty) -> None:
    source = snapshot_of(f"{mirror.url}/", files=2, part_mb=1)
    files = list_files("crawl", source)
    assert [os.path.basename(file.path) for file in files] == ["1.warc.gz", "2.warc.gz"]  # noqa: PTH119 - no file path
    assert all(file.path.startswith("crawl-data/") and file.etag == f"{file.size}-tag" for file in files)
    half = files[0].size // 2
    halves = (replace(files[0], end=half), replace(files[0], start=half))
    records = [record for piece in halves for record in read(source, piece)]
    assert [record.url for record in records] == [f"http://1.warc.gz/{i}" for i in range(50)]


def test_files_of_snapshots_are_picked_in_the_order_of_their_lists(mirror: Faulty) -> None:
    folder = mirror.folder
    for files, expected in ((1, "2"), (2, "12"), ("1:2", "1"), ("1:", "13"), (":", "123"), (9, "123")):
        found = list_files("crawl", snapshot_of(folder, files=files))
        assert "".join(Path(file.path).name[0] for file in found) == expected
    both = list_files(
        "crawl", snapshot_of(f"file://{folder}", snapshot=("CC-MAIN-2026-43", "CC-MAIN-2026-38"), format="wet")
    )
    assert paths(both) == [f"crawl-data/CC-MAIN-2026-{week}/segments/1/wet/2.warc.gz" for week in (38, 43)]
    assert [file.url for file in both] == [str(folder / file.path) for file in both]
    with pytest.raises(SourceError, match=r"lists 3 files, and files: 7:9 picks none"):
        list_files("crawl", snapshot_of(folder, files="7:9"))
    with pytest.raises(SourceError, match=r"the sample has WARC files only"):
        list_files("crawl", CommonCrawlSource(type="commoncrawl", snapshot="sample", format="wet"))


def test_sizes_are_asked_for_once(mirror: Faulty) -> None:
    source = snapshot_of(mirror.url, files=2)
    files = list_files("crawl", source)
    mirror.requests.clear()
    assert list_files("crawl", source) == files
    assert not [line for line in mirror.requests if "/warc/" in line]
    list_files("crawl", snapshot_of(mirror.url, files=3))
    assert [line for line in mirror.requests if "/warc/" in line] == [f"HEAD /{files[0].path[:-9]}3.warc.gz"]
    changed = mirror.folder / files[0].path
    changed.write_bytes(changed.read_bytes() * 2)
    with pytest.raises(SourceError, match="has changed"):
        list(read(source, files[0]))
    assert list_files("crawl", source)[0].size == 2 * files[0].size


def test_a_listing_waits_and_names_what_it_lacks(mirror: Faulty) -> None:
    path = "crawl-data/CC-MAIN-2026-43/segments/1/warc/1.warc.gz"
    mirror.faults = [("status", "503"), ("cut", "20")]
    assert len(list_files("crawl", snapshot_of(mirror.url, files=3))) == 3
    (mirror.folder / path).unlink()
    forget_listing(snapshot_of(mirror.url))
    with pytest.raises(
        SourceError, match=rf"1 of 3 files .* mirror: {path} \(not_found\); .*max_unavailable_share=0.334"
    ):
        list_files("crawl", snapshot_of(mirror.url, files=3))
    source = snapshot_of(mirror.url, files=3, max_unavailable_share=0.34)
    lost = list_files("crawl", source)[0]
    assert (lost.path, lost.size, lost.unavailable) == (path, 0, "not_found")
    assert [(r.path, r.fate, r.detail) for r in read(source, lost)] == [(path, "file_unavailable", "not_found")]


def test_a_list_of_paths_may_not_lead_elsewhere(mirror: Faulty) -> None:
    listed = mirror.folder / "crawl-data/CC-MAIN-2026-43/warc.paths.gz"
    for line in ("/etc/passwd", "crawl-data/../../secret", "http://other.example/x"):
        listed.write_bytes(gzip.compress(f"{line}\n".encode()))
        with pytest.raises(SourceError, match="not below crawl-data/"):
            list_files("crawl", snapshot_of(mirror.folder))
    listed.write_bytes(listed.read_bytes()[:-9])
    with pytest.raises(SourceError, match=r"warc\.paths\.gz is cut off"):
        list_files("crawl", snapshot_of(mirror.folder))


def test_a_mirror_without_the_snapshot_is_a_source_error(mirror: Faulty) -> None:
    for url, snapshot in ((mirror.url, "CC-MAIN-1999-01"), ("http://127.0.0.1:9", "CC-MAIN-2026-43")):
        with pytest.raises(
            SourceError, match=r"sources\.crawl: http://.*warc\.paths\.gz cannot be read .*check the name"
        ):
            list_files("crawl", snapshot_of(url, snapshot=snapshot))
    with pytest.raises(SourceError, match=r"warc\.paths\.gz cannot be read \(No such file.*check the name"):
        list_files("crawl", snapshot_of(mirror.folder, snapshot="CC-MAIN-1999-01"))
