"""Files of a server that refuses, cuts, lies and changes read as they lie on its disk, or not at all."""

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources import fetching, ranges, remote
from pipeline.sources.digest import slice_digest
from pipeline.sources.record import Slice, SourceError, UnavailableError
from pipeline.sources.remote import FIRST_BLOCK_BYTES, open_remote
from tests.sources.faulty_server import FakeTime, Fault, Faulty, serving

RAW = random.Random(1).randbytes(3_000_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    pytest.importorskip("aiohttp", reason="fsspec reads http through aiohttp")
    folder = tmp_path_factory.mktemp("served")
    (folder / "file.bin").write_bytes(RAW)
    with serving(folder) as served:
        yield served


@pytest.fixture(autouse=True)
def at_rest(server: Faulty) -> None:
    server.faults, server.always = [], {}
    server.requests.clear()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """Waiting takes no time."""
    time = FakeTime()
    monkeypatch.setattr(fetching, "CLOCK", time.clock)
    monkeypatch.setattr(fetching, "_paces", {})
    monkeypatch.setattr(remote, "_given_up", {})
    return time


def piece(server: Faulty, start: int = 0, end: int = len(RAW), etag: str = f"{len(RAW)}-tag") -> Slice:
    return Slice("web", "file.bin", f"{server.url}/file.bin", len(RAW), etag, start, end)


FAULTS: list[Fault] = [
    ("status", "403"),
    ("status", "429", "7"),
    ("status", "503", "x"),
    ("status", "500"),
    ("cut", "100000"),
    ("cut", "0"),
    ("promise", "1000"),
    ("few", "5000"),
    ("shift", "3"),
    ("no_content_range",),
    ("slow", "0.01"),
]


@pytest.mark.parametrize("fault", [*FAULTS, ("no_range",)], ids="-".join)
def test_a_fault_costs_a_request_and_no_byte(server: Faulty, waits: FakeTime, fault: Fault) -> None:
    server.faults = [("none",), fault, fault, ("none",), fault]
    with open_remote(piece(server)) as file:
        assert file.read() == RAW
    assert len(server.requests) <= 4 + 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    faults=st.lists(st.lists(st.sampled_from(FAULTS), max_size=3), max_size=6),
    places=st.lists(st.tuples(st.integers(0, len(RAW)), st.integers(0, 600_000)), min_size=1, max_size=8),
    start=st.integers(0, len(RAW)),
    length=st.integers(0, len(RAW)),
)
def test_any_reads_through_any_faults(
    server: Faulty, waits: FakeTime, faults: list[list[Fault]], places: list[tuple[int, int]], start: int, length: int
) -> None:
    end = min(len(RAW), start + length)
    server.faults = [fault for some in faults for fault in [*some, ("none",)]]
    slice_ = piece(server, start, end)
    with open_remote(slice_) as file:
        for at, n_bytes in places:
            assert file.seek(at) == at
            assert file.read(n_bytes) == RAW[at : at + n_bytes]
    server.faults.clear()
    assert slice_digest(slice_) == hashlib.sha256(RAW[start:end]).hexdigest()


def test_reading_goes_on_at_the_byte_where_it_broke(server: Faulty, waits: FakeTime) -> None:
    server.faults = [("cut", "100000"), ("cut", "50000")]
    with open_remote(piece(server)) as file:
        assert file.read(FIRST_BLOCK_BYTES) == RAW[:FIRST_BLOCK_BYTES]
    starts = [int(line.split("bytes=")[1].split("-")[0]) for line in server.requests]
    assert starts[:3] == [0, 100_000, 150_000]


def test_a_slice_costs_few_requests_and_its_digest_none(server: Faulty, waits: FakeTime) -> None:
    slice_ = piece(server, 1_000_000, 2_900_000)
    with open_remote(slice_) as file:
        file.seek(slice_.start)
        for _ in range(1900):
            file.read(1000)
    n_requests = len(server.requests)
    assert n_requests == 4  # 256 KiB, 512 KiB, 1 MiB, and what the Slice has left
    asked = [line.split("bytes=")[1].split("-") for line in server.requests]
    assert sum(int(last) + 1 - int(first) for first, last in asked) == slice_.end - slice_.start
    assert slice_digest(slice_) == hashlib.sha256(RAW[slice_.start : slice_.end]).hexdigest()
    assert len(server.requests) == n_requests


def test_memory_is_a_few_blocks(server: Faulty, waits: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_BLOCK_BYTES", FIRST_BLOCK_BYTES)
    with remote.RemoteFile(piece(server)) as file:
        while file.read(10_000):
            assert sum(len(block) for _, block in file._blocks) <= remote.KEPT_BLOCKS * FIRST_BLOCK_BYTES


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (("status", "404"), "not_found", "404 No"),
        (("status", "401"), "http_401", "401 No"),
        (("packed",), "bad_answer", "packs its answer as gzip"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    server: Faulty, waits: FakeTime, fault: Fault, kind: str, words: str
) -> None:
    server.always = {"file": fault}
    with open_remote(piece(server)) as file, pytest.raises(UnavailableError, match=words) as caught:
        file.read(10)
    assert caught.value.kind == kind
    assert (caught.value.source, caught.value.path) == ("web", "file.bin")
    assert len(server.requests) == 1
    with open_remote(piece(server, 500)) as file, pytest.raises(UnavailableError, match=words):  # its next Part
        file.read(10)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (("status", "403"), "http_403"),
        (("status", "503"), "http_503"),
        (("cut", "9"), "connection"),
        (("few", "9"), "connection"),
        (("no_range",), "bad_answer"),
        (("shift", "1"), "bad_answer"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_patience_ends(server: Faulty, waits: FakeTime, fault: Fault, kind: str) -> None:
    server.always = {"file": fault}
    with remote.RemoteFile(piece(server), max_wait_s=60) as file, pytest.raises(UnavailableError) as caught:
        file.seek(1000)
        file.read(10_000)
    assert caught.value.kind == kind
    assert sum(waits.slept) <= 60 + len(server.requests) / fetching.REQUESTS_PER_S
    assert 2 <= len(server.requests) <= 130


def test_waits_grow_and_are_drawn_at_random(server: Faulty, waits: FakeTime) -> None:
    server.faults = [("status", "503")] * 9
    with open_remote(piece(server)) as file:
        file.read(1)
    assert [round(wait) for wait in waits.slept if wait > 0.1] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert fetching.Clock().draw() != fetching.Clock().draw()


def test_the_server_says_how_long_to_wait(server: Faulty, waits: FakeTime) -> None:
    server.faults = [("status", "429", "33")]
    with open_remote(piece(server)) as file:
        file.read(1)
    assert 33.0 in waits.slept
    in_time = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)
    server.faults = [("status", "503", in_time)]
    with open_remote(piece(server)) as file:
        file.read(1)
    assert 190 < max(waits.slept) <= 200
    server.always = {"file": ("status", "503", "9999")}
    waits.slept.clear()
    with open_remote(piece(server)) as file, pytest.raises(UnavailableError, match="asks to wait 9999 s"):
        file.read(1)
    assert sum(waits.slept) < 1


@pytest.mark.parametrize("fault", ["other_etag", "grown"])
def test_a_file_that_changes_under_way_is_no_file(server: Faulty, waits: FakeTime, fault: str) -> None:
    for etag in ("", f"{len(RAW)}-tag"):
        server.faults = [("none",), (fault,)]
        with open_remote(piece(server, etag=etag)) as file, pytest.raises(SourceError, match="has changed"):
            file.read()


def test_requests_are_paced(server: Faulty, waits: FakeTime) -> None:
    fetching.limit_requests(server.url, 4)
    for _ in range(3):
        with open_remote(piece(server)) as file:
            file.read()
    assert waits.now == pytest.approx((len(server.requests) - 1) / 4)


def test_a_stalled_answer_is_cut(server: Faulty, waits: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "STALL_S", 0.1)
    server.faults = [("slow", "0.5")]
    with open_remote(piece(server)) as file:
        assert file.read(10) == RAW[:10]
    assert len(server.requests) == 2


def test_a_store_that_is_not_there(waits: FakeTime) -> None:
    for url, words in (("http://127.0.0.1:9/x", "no connection"), ("nope://x/y", "nope")):
        slice_ = Slice("web", "x", url, 10, "", 0, 10)
        with pytest.raises(SourceError, match=words):
            open_remote(slice_).read(1)


def test_other_stores_are_read_in_blocks(waits: FakeTime) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe("/blocks/file.bin", RAW)
    slice_ = Slice("web", "file.bin", "memory://blocks/file.bin", len(RAW), "", 10, 2_000_000)
    try:
        with open_remote(slice_) as file:
            assert file.read() == RAW
        assert slice_digest(slice_) == hashlib.sha256(RAW[10:2_000_000]).hexdigest()
        store.pipe("/blocks/file.bin", RAW + b"x")
        with open_remote(slice_) as file, pytest.raises(SourceError, match="has changed"):
            file.read()
    finally:
        store.rm("/blocks", recursive=True)
