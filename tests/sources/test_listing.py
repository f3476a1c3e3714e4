import gzip
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.listing import MEGABYTE, WARC_SUFFIXES, cut, find_files, list_files
from pipeline.sources.options import CommonCrawlSource, WarcSource
from pipeline.sources.read import read
from pipeline.sources.record import Slice, SourceError
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


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """A static file server that knows HEAD, ETag and Range, as stores of archives do."""

    requested: list[str] = []  # noqa: RUF012 - shared with the test on purpose

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        raw = path.read_bytes()
        wanted = self.headers.get("Range", "")
        start, _, end = wanted.removeprefix("bytes=").partition("-")
        first, last = int(start or 0), min(int(end or len(raw) - 1), len(raw) - 1)
        self.requested.append(f"{self.command} {self.path} {wanted}")
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(raw)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{len(raw)}-tag"')
        self.end_headers()
        if body:
            self.wfile.write(raw[first : last + 1])


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="fsspec reads http through aiohttp")
    crawl = tmp_path / "mirror" / "crawl-data" / "CC-MAIN-2026-43"
    names = [f"crawl-data/CC-MAIN-2026-43/segments/1/warc/{i}.warc.gz" for i in (2, 1, 3)]
    for name in names:
        path = tmp_path / "mirror" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(by_record([warc_record(message(), url=f"http://{path.name}/{i}") for i in range(50)]))
    (crawl / "warc.paths.gz").write_bytes(gzip.compress("".join(f"{name}\n" for name in names).encode()))
    handler = type("Handler", (RangeHandler,), {"requested": []})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: handler(*a, directory=tmp_path / "mirror")
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_snapshot_is_read_from_a_mirror(mirror: str) -> None:
    source = CommonCrawlSource(type="commoncrawl", snapshot="CC-MAIN-2026-43", files=2, mirror=f"{mirror}/", part_mb=1)
    files = list_files("crawl", source)
    assert [os.path.basename(file.path) for file in files] == ["1.warc.gz", "2.warc.gz"]  # noqa: PTH119 - no file path
    assert all(file.path.startswith("crawl-data/") and file.etag == f"{file.size}-tag" for file in files)
    half = files[0].size // 2
    records = [
        record
        for start, end in ((0, half), (half, files[0].size))
        for record in read(
            source, Slice(**{**{k: getattr(files[0], k) for k in Slice.__slots__}, "start": start, "end": end})
        )
    ]
    assert [record.url for record in records] == [f"http://1.warc.gz/{i}" for i in range(50)]


def test_a_mirror_without_the_snapshot_is_a_source_error(mirror: str) -> None:
    for url, snapshot in ((mirror, "CC-MAIN-1999-01"), ("http://127.0.0.1:9", "CC-MAIN-2026-43")):
        source = CommonCrawlSource(type="commoncrawl", snapshot=snapshot, mirror=url)
        with pytest.raises(
            SourceError, match=r"sources\.crawl: http://.*warc\.paths\.gz cannot be read .*check the name"
        ):
            list_files("crawl", source)
