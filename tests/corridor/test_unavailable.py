"""A crawl over a network that fails: the same data as from a disk, or a failure that says what to do."""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.assets import cache_folder
from pipeline.manifest import load_manifest
from tests.small_dataset import article, run_pipeline
from tests.sources.faulty_server import Faulty, serving
from tests.sources.warc_writer import by_record, http, warc_record

SNAPSHOT = "CC-MAIN-2026-43"
NAMES = [f"crawl-data/{SNAPSHOT}/segments/1/warc/{n}.warc.gz" for n in range(4)]
RECIPE = """\
name: crawl
sources:
  web: {{type: commoncrawl, snapshot: CC-MAIN-2026-43, files: 4, mirror: "{mirror}", part_mb: 1}}
dedup: {{near: false}}
tokenizer: {{vocab_size: 512}}
packing: {{seq_len: 64, validation_share: 0.1}}
"""


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    pytest.importorskip("aiohttp", reason="fsspec reads http through aiohttp")
    folder = tmp_path_factory.mktemp("mirror")
    noise = random.Random(2)
    for n, name in enumerate(NAMES):
        # An image of 2 MB, so that a file is several Parts.
        records = [warc_record(http(body=noise.randbytes(2_000_000), Content_Type="image/png"))] * (n == 2)
        for seed in range(10 * n, 10 * n + 10):
            body = "".join(f"<p>{line}</p>" for line in article(seed).split("\n"))
            page = http(body=f"<html><body><article>{body}</article></body></html>".encode())
            records.append(warc_record(page, url=f"http://{n}.example/{seed}"))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(by_record(records))
    paths = folder / f"crawl-data/{SNAPSHOT}/warc.paths.gz"
    paths.write_bytes(gzip.compress("".join(f"{name}\n" for name in NAMES).encode()))
    with serving(folder) as served:
        yield served


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A cache with the models of the real one, and no listings."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for entry in cache_folder().iterdir() if cache_folder().is_dir() else ():
        if entry.name != "listings":
            (cache / entry.name).symlink_to(entry)
    return {"GRISTMILL_CACHE": str(cache)}


class Crawler:
    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env

    def run(self, mirror: str | Path, out: str = "out", share: float = 0):
        recipe = self.folder / "r.yaml"
        recipe.write_text(RECIPE.format(mirror=mirror))
        allow = ["--set", f"sources.web.max_unavailable_share={share}"] if share else []
        output = ["--output", self.folder / out, "--workers", "2"]
        return run_pipeline("run", recipe, *output, *allow, env=self.env)

    def version(self, out: str = "out") -> Path:
        dataset = self.folder / out / "crawl"
        return dataset / (dataset / "latest").read_text().strip()

    def data(self, out: str = "out") -> dict[str, str]:
        """Path -> sha256 of all files of the version."""
        return {file.path: file.sha256 for file in load_manifest(self.version(out)).files}

    def decisions(self, out: str = "out") -> list[dict[str, object]]:
        folder = self.version(out) / "decisions"
        return [row for file in sorted(folder.iterdir()) for row in pq.read_table(file).to_pylist()]


@pytest.fixture
def crawler(tmp_path: Path, env: dict[str, str], crawl: Faulty) -> Crawler:
    crawl.faults, crawl.always = [], {}
    crawl.requests.clear()
    return Crawler(tmp_path, env)


def test_a_bad_network_changes_no_byte(crawl: Faulty, crawler: Crawler) -> None:
    assert crawler.run(crawl.folder, "disk").returncode == 0
    crawl.faults = [("status", "503"), ("cut", "1000"), ("few", "300"), ("status", "429", "0"), ("none",), ("cut", "7")]
    done = crawler.run(crawl.url, "net")
    assert done.returncode == 0, done.stderr
    assert not crawl.faults
    assert crawler.data("net") == crawler.data("disk")
    assert len(crawler.decisions("net")) == 41
    assert len(crawl.requests) < 60


def test_a_lost_file_ends_the_run_or_is_a_counted_fate(crawl: Faulty, crawler: Crawler) -> None:
    lost = NAMES[2]
    crawl.always = {lost: ("status", "404", "GET")}  # the listing goes well
    done = crawler.run(crawl.url, share=0.2)
    assert done.returncode == 1
    assert f"sources.web: 1 of 4 files cannot be had from the mirror: {lost} (not_found); run again" in done.stderr
    assert "max_unavailable_share=0.25" in done.stderr
    markers = [json.loads(m.read_text()) for m in (crawler.folder / "out/crawl/work/extract").glob("*/part.json")]
    assert sum(marker["counts"]["records"]["web"] for marker in markers) == 30  # the others are done, and no half Part

    done = crawler.run(crawl.url, share=0.25)
    assert done.returncode == 0, done.stderr
    assert f"web: 1 files could not be had: {lost} (not_found); left out" in done.stderr
    decisions = crawler.decisions()
    assert [row["path"] for row in decisions if row["reason"] == "file_unavailable"] == [lost]
    assert len(decisions) == 31
    assert "file_unavailable" in (crawler.version() / "card.md").read_text()
    without = crawler.version()

    planned = run_pipeline("plan", crawler.folder / "r.yaml", "--output", crawler.folder / "out", env=crawler.env)
    assert f"could not be had the last time: {lost}" in planned.stdout
    crawl.requests.clear()
    assert crawler.run(crawl.url, share=0.25).returncode == 0  # tried again, in vain
    assert crawler.version() == without
    assert any(line.startswith(f"GET /{lost}") for line in crawl.requests)

    crawl.always = {}
    done = crawler.run(crawl.url, share=0.25)
    assert done.returncode == 0, done.stderr
    assert "could not be had" not in done.stderr
    assert len(crawler.decisions()) == 41
    assert not [row for row in crawler.decisions() if row["reason"] == "file_unavailable"]


def test_a_file_that_the_listing_lacks(crawl: Faulty, crawler: Crawler) -> None:
    crawl.always = {NAMES[0]: ("status", "404")}
    done = crawler.run(crawl.url)
    assert done.returncode == 2
    assert f"1 of 4 files cannot be had from the mirror: {NAMES[0]} (not_found)" in done.stderr
    done = crawler.run(crawl.url, share=0.25)
    assert done.returncode == 0, done.stderr
    assert [row["path"] for row in crawler.decisions() if row["reason"] == "file_unavailable"] == [NAMES[0]]
    assert "web: 1 of its files could not be had" in done.stderr + done.stdout
