"""Common Crawl's bucket as moto's S3 server holds it."""

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.sources import fetching, remote
from pipeline.sources.listing import list_files
from pipeline.sources.options import CommonCrawlSource, WarcSource
from pipeline.sources.read import read
from pipeline.sources.record import SourceError
from pipeline.sources.remote import RemoteFile, open_remote
from tests.sources.faulty_server import FakeTime
from tests.sources.warc_writer import by_record, http, warc_record

SNAPSHOT = "CC-MAIN-2026-43"
NAMES = [f"crawl-data/{SNAPSHOT}/segments/{n // 2}/warc/{n}.warc.gz" for n in (1, 0, 3, 2)]
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"

Answer = Callable[..., Any]


class SlowBucket:
    """moto's server, which answers SlowDown to the next `n_slow` requests for a file, and counts what it is asked."""

    def __init__(self, application: Answer) -> None:
        self._application = application
        self.n_slow = 0
        self.asked: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Answer) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.asked.append(f"{environ['REQUEST_METHOD']} {path}?{environ.get('QUERY_STRING', '')}")
        if self.n_slow and environ["REQUEST_METHOD"] == "GET" and path.endswith(".warc.gz"):
            self.n_slow -= 1
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
            return [SLOW_DOWN]
        found: Iterable[bytes] = self._application(environ, start)
        return found


@pytest.fixture(scope="module")
def bucket() -> Iterator[SlowBucket]:
    """The bucket `commoncrawl` with a snapshot; s3fs finds it by the settings that a user would make."""
    pytest.importorskip("s3fs", reason="fsspec reads s3:// through s3fs: pip install '.[test]'")
    server = pytest.importorskip("moto.server", reason="pip install '.[test]'")
    from werkzeug.serving import make_server

    slow = SlowBucket(server.DomainDispatcherApplication(server.create_backend_app))
    running = make_server("127.0.0.1", 0, slow, threaded=True)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    settings = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{running.server_port}",
        "AWS_MAX_ATTEMPTS": "1",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("commoncrawl")
    for name in NAMES:
        store.pipe(f"commoncrawl/{name}", archive(name))
    listed = gzip.compress("".join(f"{name}\n" for name in NAMES).encode())
    store.pipe(f"commoncrawl/crawl-data/{SNAPSHOT}/warc.paths.gz", listed)
    try:
        yield slow
    finally:
        running.shutdown()
        thread.join()
        s3fs.S3FileSystem.clear_instance_cache()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def archive(name: str) -> bytes:
    return by_record([warc_record(http(), url=f"http://{Path(name).name}/{i}") for i in range(500)])


@pytest.fixture(autouse=True)
def waits(bucket: SlowBucket, monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # and with it the folders that it has listed
    time = FakeTime()
    monkeypatch.setattr(fetching, "CLOCK", time.clock)
    monkeypatch.setattr(fetching, "_paces", {})
    monkeypatch.setattr(remote, "_given_up", {})
    bucket.n_slow = 0
    bucket.asked.clear()
    return time


def source(**fields: Any) -> CommonCrawlSource:
    return CommonCrawlSource(type="commoncrawl", snapshot=SNAPSHOT, mirror="s3://commoncrawl", **fields)


def test_a_snapshot_is_listed_by_folders_and_read(bucket: SlowBucket) -> None:
    files = list_files("web", source(files=":"))
    assert [file.path for file in files] == sorted(NAMES)
    assert [file.size for file in files] == [len(archive(name)) for name in sorted(NAMES)]
    assert all(len(file.etag) == 32 for file in files)
    assert len([line for line in bucket.asked if "list-type" in line]) == 2  # one a folder
    assert not [line for line in bucket.asked if line.startswith("HEAD") and "warc.gz" in line]
    urls = [record.url for record in read(source(), files[0])]
    assert urls == [f"http://0.warc.gz/{i}" for i in range(500)]


def test_slow_down_is_waited_for(bucket: SlowBucket, waits: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    file = list_files("web", source())[0]
    bucket.n_slow = 3
    with open_remote(file) as opened:
        assert opened.read() == archive(file.path)
    assert bucket.n_slow == 0
    assert [round(wait) for wait in waits.slept if wait > 0.1] == [1, 2, 4]
    bucket.n_slow = 1000
    with (
        RemoteFile(file, max_wait_s=20) as opened,
        pytest.raises(SourceError, match=r"answered 503 SlowDown; given up after"),
    ):
        opened.read()
    assert sum(waits.slept) < 30
    bucket.n_slow = 0


def test_an_object_that_changes_or_goes(bucket: SlowBucket) -> None:
    import fsspec

    store = fsspec.filesystem("s3")
    store.pipe("commoncrawl/own/a.warc.gz", archive("a"))
    own = WarcSource(type="warc", path="s3://commoncrawl/own")
    (file,) = list_files("own", own)
    store.pipe("commoncrawl/own/a.warc.gz", archive("a")[::-1])
    with pytest.raises(SourceError, match="has changed: its ETag is another than when it was listed; run again"):
        list(read(own, file))
    store.rm("commoncrawl/own/a.warc.gz")
    with pytest.raises(SourceError, match=r"a\.warc\.gz cannot be read: the server answered 404"):
        list(read(own, file))


def test_a_bucket_without_the_snapshot(bucket: SlowBucket) -> None:
    lacking = CommonCrawlSource(type="commoncrawl", snapshot="CC-MAIN-1999-01", mirror="s3://commoncrawl")
    with pytest.raises(SourceError, match=r"s3://commoncrawl/.*warc\.paths\.gz cannot be read .*check the name"):
        list_files("web", lacking)


def test_what_s3_needs_is_said(tmp_path: Path) -> None:
    list_it = "from tests.sources.test_s3 import source, list_files, SourceError\ntry: list_files('web', source())\n"
    list_it += "except SourceError as error: print(error)"
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {"AWS_EC2_METADATA_DISABLED": "true"}
    env |= {"HOME": str(tmp_path)}
    for begin, words in (("", "no credentials for S3: set AWS_"), ("sys.modules['s3fs'] = None", "gristmill[s3]")):
        code = f"import sys; sys.path.insert(0, '.'); {begin}\n{list_it}"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert words in done.stdout, done.stderr
