"""Progress from markers: sums, what is looked at, time left by bytes; and how it looks on terminals and in logs."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.files import PartStore, PartWriter
from pipeline.plan import Part
from pipeline.run import watch
from pipeline.run.events import PartFinished, RunFailed, StageFinished, StageProgress, StageStarted, Warned, as_json
from pipeline.run.progress import Lines, clock, line_of, reasons, table
from pipeline.run.watch import Tally


def parts_of(n: int, stage: str = "extract") -> list[Part]:
    return [Part(stage, f"web:{i}", f"key{i:06d}", {}, {}) for i in range(n)]


def commit(store: PartStore, part: Part, **counts: Any) -> None:
    out = PartWriter(store, part.stage, part.key, part.label, {})
    out.counts |= counts
    out.commit()


def extracted(n: int, **fates: int) -> dict[str, Any]:
    total = n + sum(fates.values())
    return {"records": {"web": total}, "extracted": {"web": n}, "fates": {"web": fates}}


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    return PartStore(str(tmp_path / "dataset"))


def test_earlier_and_new_parts_are_summed(store: PartStore) -> None:
    every = parts_of(4)
    commit(store, every[0], **extracted(10, no_text=1))
    tally = Tally("extract", every, every[1:], store)
    commit(store, every[2], **extracted(5, no_text=2, bad_html=4))
    tally.look([0, 1])  # ranks among those that run; rank 0 failed
    assert tally.count(1.0) == [PartFinished("extract", "web:2", 11, 5)]
    state = tally.state(10.0, {part.key: 1000 for part in every}, 7, 500, None)
    assert (state.parts, state.done, state.cached, state.counted) == (4, 2, 1, 2)
    assert (state.documents_in, state.documents_out, state.reading) == (22, 15, 7)
    assert dict(state.dropped or {}) == {"bad_html": 4, "no_text": 3}
    assert state.rate == pytest.approx((11 + 7) / 10.0)  # of this run alone
    assert state.left_s == pytest.approx(10.0 * 1502 / 1501)  # of 3 x 1001 bytes, 1001 + 500 took ten seconds
    assert not tally.is_counted


def test_time_left_goes_by_bytes(store: PartStore) -> None:
    every = parts_of(2)
    tally = Tally("extract", every, every, store)
    commit(store, every[0])
    tally.look([0])
    sizes = {every[0].key: 999, every[1].key: 8_999}
    assert tally.state(3.0, sizes, 0, 0, None).left_s == pytest.approx(27.0)


def test_nothing_is_foretold_from_the_time_to_start(store: PartStore) -> None:
    every = parts_of(2)
    tally, sizes = Tally("extract", every, every, store), {part.key: 1_000_000 for part in every}
    assert tally.state(15.0, sizes, 1, 300, None).left_s is None
    assert tally.state(15.0, sizes, 1, 30_000, None).left_s is not None


def test_only_what_can_have_ended_is_looked_at(store: PartStore, monkeypatch: pytest.MonkeyPatch) -> None:
    every = parts_of(100_000)
    tally = Tally("extract", every, every, store)
    for part in every[:3]:
        commit(store, part)
    (store.folder.root and Path(store.folder.path("extract/key000007"))).mkdir()  # a Part that has begun
    looked = []
    monkeypatch.setattr(watch, "is_done", lambda store, part: looked.append(part) or store.is_done("extract", part.key))
    tally.look([0, 5])
    assert looked == [every[0], every[5]]
    tally.look(None)  # an engine that cannot tell: those that have begun
    assert looked[2:] == [every[1], every[2], every[7]]
    tally.look([])
    assert len(looked) == 5 and len(tally.waiting) == 99_997


def test_counting_takes_no_longer_than_it_may(store: PartStore) -> None:
    every = parts_of(40)
    for part in every:
        commit(store, part, **extracted(1))
    tally = Tally("extract", every, [], store)
    tally.count(0.0)
    assert tally.state(1.0, {}, 0, 0, None).counted == 0
    while not tally.is_counted:
        tally.count(0.001)
    assert tally.state(1.0, {}, 0, 0, None).documents_out == 40


def test_resident_memory_is_that_of_the_tree() -> None:
    found = watch.resident_bytes()
    assert found is None or 10e6 < found < 100e9


def stages() -> list[StageProgress]:
    names = ("extract", "measure", "judge", "match", "cluster", "select", "tokenizer", "pack", "describe")
    dropped = {"no_text": 123_456, "extract_timeout": 12, "bad_html": 7, "[red]x\x1b[0m": 1}
    first = StageProgress(names[0], 100_000, 54_321, 100, 54_321, 12_345_678, 9_876_543, dropped, 5, 12_345.6, 12_345.0)
    return [first, *(StageProgress(name, 100_000, 0, 0) for name in names[1:])]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_fits_its_terminal(width: int) -> None:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=True, color_system=None).print(table(stages(), width, "extract"))
    lines = file.getvalue().splitlines()
    assert len(lines) == 10 and max(len(line.rstrip()) for line in lines) <= width
    for shown in ("54,321/100,000", "12.3M", "9,876,543", "3:25:45"):
        assert shown in lines[1].replace(" left", ""), lines[1]
    assert ("docs/s" in lines[1]) == (width >= 80) and ("no_text 123,456" in lines[1]) == (width >= 110)
    assert "[red]" not in file.getvalue() or "\\x1b" in file.getvalue()


def test_reasons_beyond_the_first_are_other() -> None:
    assert reasons({"a": 5, "b": 1, "c": 9, "d": 2, "e": 1000}) == "e 1,000, c 9, a 5, other 3"
    assert reasons({"a": 5}) == "a 5"
    assert (clock(5), clock(65), clock(3605)) == ("0:05", "1:05", "1:00:05")


def test_log_lines_are_ascii_and_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    display = Lines(verbose=True)
    display(StageStarted("extract", 2, 0, 0))
    display(PartFinished("extract", "web:\x1b[2J é\u202e.warc.gz", 5, 4))
    display(StageFinished("extract", 2, 2, 0, 2, 5, 4, {"no\ntext": 1}, 0, 2.5, None, 2.0, 10**9))
    said = capsys.readouterr().err
    assert said.isascii() and all(line.isprintable() for line in said.splitlines()) and len(said.splitlines()) == 3
    assert "extract: 2/2 Parts, 0:02, 2.5 docs/s, 5 in, 4 out, no document: no\\ntext 1, memory 1.0 GB; done" in said


def test_quiet_says_warnings_and_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    display = Lines(quiet=True)
    display(StageStarted("extract", 2, 0, 0))
    display(StageFinished("extract", 2, 2, 0))
    display(Warned("yield", "web", "web: less"))
    display(RunFailed("no space left\x1b[2J", 1, "all of extract", "pipeline run r.yaml", "Traceback"))
    assert capsys.readouterr().err.splitlines() == [
        "warning: web: less",
        "error: no space left\\x1b[2J",
        "Committed Parts are safe: all of extract.",
        "To go on: pipeline run r.yaml",
    ]


def test_events_are_json() -> None:
    value = json.loads(json.dumps(as_json(stages()[0])))
    assert value["event"] == "stage_progress" and value["done"] == 54_321 and "time" in value
    assert as_json(StageFinished("pack", 1, 1, 0))["event"] == "stage_finished"
    assert line_of(stages()[1]) == "measure: 0/100000 Parts, 0:00"
