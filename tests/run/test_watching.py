"""Watching real runs: events, lines, status from another shell, the record of a killed worker, Ctrl-C at any time."""

import json
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.files import Folder
from pipeline.manifest import load_manifest, total
from pipeline.run.status import RunStatus, read_status
from tests.small_dataset import run_pipeline, write_small_recipe
from tests.sources.warc_writer import by_record, http, warc_record

PIPELINE = (sys.executable, "-m", "pipeline")
ESCAPE = "\x1b"


def wait_for(what: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@contextmanager
def running(*arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """A run in a session of its own, all of which is killed in the end."""
    command = [*PIPELINE, "run", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def at_work(out: Path, name: str = "small") -> RunStatus | None:
    """What `pipeline status` would say, without the time that it takes to start."""
    found = read_status(Folder(str(out / name)))
    return found if found and found.state == "running" and found.values.get("stage") else None


def status(out: Path, *arguments: str | Path) -> dict[str, Any]:
    done = run_pipeline("status", "--output", out, "--json", *arguments)
    return json.loads(done.stdout) if done.returncode == 0 else {"state": "none", "error": done.stderr}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The small recipe, and `out`, where it has been run with --json, whose output is in `events`."""
    made = tmp_path_factory.mktemp("watching")
    done = run_pipeline("run", write_small_recipe(made), "--output", made / "out", "--workers", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (made / "events").write_text(done.stdout)
    return made


@pytest.fixture
def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events").read_text().splitlines()]


def test_events_agree_with_the_manifest(folder: Path, events: list[dict[str, Any]]) -> None:
    started, *_, finished = events
    assert (started["event"], finished["event"]) == ("run_started", "run_finished")
    described = load_manifest(Path(finished["data"]))
    assert described.version == finished["version"]
    counts = described.counts
    done = {event["stage"]: event for event in events if event["event"] == "stage_finished"}
    assert list(done) == list(started["stages"])
    assert all(event["done"] == event["parts"] == event["counted"] for event in done.values())
    assert done["extract"]["documents_in"] == total(counts["records"])
    assert done["extract"]["documents_out"] == total(counts["extracted"]) == done["measure"]["documents_in"]
    assert total(done["extract"]["dropped"]) == total(counts["fates"])
    assert done["judge"]["documents_out"] == total(counts["passed"]) == done["select"]["documents_in"]
    assert done["select"]["documents_out"] == total(counts["documents"]) == done["pack"]["documents_in"]
    assert total(done["judge"]["dropped"]) + total(done["select"]["dropped"]) == total(counts["dropped"])
    assert done["match"]["documents_in"] is None
    assert total({name: row["documents"] for name, row in finished["funnel"].items()}) == total(counts["documents"])
    assert [row["cell"] for row in finished["mixture"]] == [row.cell for row in described.mixture]


def test_a_finished_run_has_a_status_and_a_folder_to_read(folder: Path) -> None:
    found = status(folder / "out")
    assert found["state"] == "finished" and found["workers"] == []
    run = Path(found["folder"])
    said = (run / "run.txt").read_text()
    assert said.startswith("pipeline run ") and "status.json" in said
    assert {path.name for path in run.iterdir()} >= {"run.txt", "status.json", "extract.json", "describe.json"}
    for wanted in ("small", folder / "recipe.yaml"):
        assert status(folder / "out", wanted)["run"] == found["run"]
    text = run_pipeline("status", "--output", folder / "out").stdout
    assert "small: finished" in text and re.search(r"extract +2/2 .* 200 +198", text) and "Next: read the card" in text


def test_status_without_a_run_says_what_to_do(tmp_path: Path) -> None:
    done = run_pipeline("status", "--output", tmp_path)
    assert done.returncode == 2 and "start one with `pipeline run RECIPE`" in done.stderr
    done = run_pipeline("status", "nothing", "--output", tmp_path)
    assert done.returncode == 2 and "no run of nothing" in done.stderr


def test_nothing_to_do_in_json_and_quietly(folder: Path, events: list[dict[str, Any]]) -> None:
    again = ("run", folder / "recipe.yaml", "--output", folder / "out")
    (only,) = run_pipeline(*again, "--json").stdout.splitlines()
    assert json.loads(only)["version"] == events[-1]["version"]
    assert run_pipeline(*again, "-q").stdout == f"version  {events[-1]['version']}\n"


def test_exit_codes_are_in_the_help() -> None:
    for command in ([], ["run"]):
        said = " ".join(run_pipeline(*command, "--help").stdout.split())
        assert "Exit codes: 0" in said and "130 stopped by Ctrl-C" in said


def renewed(folder: Path, tmp_path: Path, stage: str) -> list[str | Path]:
    """Arguments of a run that does `stage` and the later ones again, in a copy of `out`."""
    shutil.copytree(folder / "out", tmp_path / "out", symlinks=True)
    dataset = tmp_path / "out" / "small"
    shutil.rmtree(dataset / "work" / stage)
    shutil.rmtree(dataset / "work" / "describe")
    return [folder / "recipe.yaml", "--output", tmp_path / "out", "--workers", "2"]


def test_a_quiet_run_says_the_version_alone(folder: Path, tmp_path: Path, events: list[dict[str, Any]]) -> None:
    done = run_pipeline("run", *renewed(folder, tmp_path, "pack"), "-q")
    assert (done.stdout, done.stderr) == (f"version  {events[-1]['version']}\n", "")


def test_a_reader_that_leaves_does_not_stop_the_run(folder: Path, tmp_path: Path) -> None:
    arguments = " ".join(map(str, [*PIPELINE, "run", *renewed(folder, tmp_path, "pack")]))
    for end in ("--json | head -n 1", "2>&1 | head -n 1"):
        shutil.rmtree(tmp_path / "out" / "small" / "work" / "describe", ignore_errors=True)
        script = f"set -o pipefail; {arguments} {end}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
        assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
        assert status(tmp_path / "out")["state"] == "finished"


def on_a_terminal(arguments: list[str | Path], columns: int, **env: str) -> tuple[int, str]:
    """Exit code and output of a run on a terminal."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "50", **env})
        os.execv(PIPELINE[0], [*PIPELINE, "run", *map(str, arguments)])
    said = b""
    while select.select([master], [], [], 120)[0]:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        said += data
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


@pytest.mark.parametrize("columns", [80, 200])
def test_a_terminal_gets_a_table_and_then_the_summary(folder: Path, tmp_path: Path, columns: int) -> None:
    code, said = on_a_terminal(renewed(folder, tmp_path, "pack"), columns)
    assert code == 0 and f"{ESCAPE}[?25h" in said
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said).replace("\r", "")
    frame = plain[plain.rindex("stage  ") :]
    assert re.search(r"extract .*2/2 .*cached +200 +198", frame) and re.search(r"pack .*2/2 .*docs/s", frame)
    assert ("bad_json 1" in frame.splitlines()[1]) == (columns == 200)
    assert "dropped so far: " in frame or columns == 200
    assert frame.index("since the start") < frame.index("tokens read") < frame.index("card  ") < frame.index("Next: ")
    tables = [line for line in frame[: frame.index("version  ")].splitlines() if not line.startswith("warning: ")]
    assert all(len(line) <= columns for line in tables)


def test_no_color_and_a_dumb_terminal_are_honoured(folder: Path, tmp_path: Path) -> None:
    arguments = renewed(folder, tmp_path, "pack")
    _, said = on_a_terminal(arguments, 80, NO_COLOR="1")
    assert "since the start" in said
    assert not re.search(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7])m", said)
    shutil.rmtree(tmp_path / "out" / "small" / "work" / "describe")
    _, said = on_a_terminal(arguments, 80, TERM="dumb")
    assert ESCAPE not in said and re.search(r"^\d\d:\d\d:\d\d describe: 1 Part", said, re.M)


def test_status_follows_a_run_and_tells_of_its_death(tmp_path: Path) -> None:
    recipe, out = write_small_recipe(tmp_path), tmp_path / "out"
    with running(recipe, "--output", out, "--workers", "2") as process:
        wait_for(lambda: at_work(out))
        found = status(out)
        assert (
            found["state"] == "running" and found["pid"] == process.pid and found["command"].startswith("pipeline run ")
        )
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    found = status(out, "small")
    assert found["state"] == "died"
    text = run_pipeline("status", "--output", out).stdout
    assert "died without a word" in text and f"Next: pipeline run {recipe}" in text
    done = {stage["stage"]: stage["done"] for stage in found["stages"]}
    for stage, n in done.items():
        assert n <= len(list((out / "small" / "work").glob(f"{stage}/*/part.json")))


def test_a_killed_worker_leaves_word_of_its_record(tmp_path: Path) -> None:
    hostile = f"https://slow.example/{ESCAPE}[31m[bold red]page"
    pages = [warc_record(http(), f"https://quick.example/{n}") for n in range(5)]
    slow = b"<html><body>" + b"<p>Words and <b>more words</b> here, a number of them.</p>" * 40_000  # 7 s or more
    (tmp_path / "a.warc.gz").write_bytes(by_record([*pages, warc_record(http(slow), hostile)]))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: slow\nsources:\n  web: {{type: warc, path: '{tmp_path}/*.warc.gz'}}\ntokenizer: {{vocab_size: 600}}\n"
        "extract: {timeout_s: 20}\n"
    )
    out = tmp_path / "out"
    killed: list[int] = []

    def kill() -> bool:
        assert process.poll() is None, process.communicate()
        found = at_work(out, "slow")
        for note in found.notes if found else ():
            if "slow.example" in note.url and note.process not in killed:
                os.kill(note.process, signal.SIGKILL)
                killed.append(note.process)
        return len(killed) == 3

    with running(recipe, "--output", out, "--workers", "1") as process:
        wait_for(kill)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    place = r"\(killed by signal 9\) on record https://slow.example/\S*\[bold red\]page at offset \d+ of a.warc.gz"
    assert len(re.findall(f"ran {place}; it will run again", errors.replace("web:a.warc.gz ran", "ran"))) == 2
    assert re.search(f"error: a worker was killed 3 times while it ran extract web:a.warc.gz.*{place}", errors)
    assert ESCAPE not in errors and "Traceback" not in errors
    found = status(out)
    assert found["state"] == "failed" and "slow.example" in found["workers"][0]["place"]
    text = run_pipeline("status", "--output", out).stdout
    assert "was on extract web:a.warc.gz record https://slow.example/" in text and ESCAPE not in text


def test_a_part_that_raises_names_its_record(tmp_path: Path) -> None:
    """A damaged file of an earlier stage: the Part raises, and there is no record to name; with one, it is named."""
    recipe, out = write_small_recipe(tmp_path), tmp_path / "out"
    (out / "small" / "work").mkdir(parents=True)
    (out / "small" / "work" / "extract").write_text("a file where a folder belongs")
    done = run_pipeline("run", recipe, "--output", out, "--workers", "1")
    assert done.returncode == 1 and f"To go on: pipeline run {recipe}" in done.stderr
    assert "nothing was committed" in done.stderr.lower()
    found = status(out)
    assert found["state"] == "failed" and "Not a directory" in found["message"]
    (failure, *_) = Path(found["folder"]).glob("failure-extract-*.json")
    assert {"label", "record", "traceback"} <= json.loads(failure.read_text()).keys()


def test_planted_drift_is_said_everywhere(folder: Path, tmp_path: Path) -> None:
    """The second version's files hold short rows only, but for a few, so that its yield is far from the first one's."""
    subprocess.run(["cp", "-a", folder / "out", folder / "data", tmp_path], check=True)
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "out"
    recipe.write_text((folder / "recipe.yaml").read_text().replace(str(folder), str(tmp_path)))
    with (tmp_path / "data" / "rows-0.jsonl").open("a") as file:
        for n in range(500):
            file.write(json.dumps({"text": f"Short {n}.", "url": f"https://short.example/more/{n}"}) + "\n")
    done = run_pipeline("run", recipe, "--output", out, "--workers", "2")
    assert done.returncode == 0, done.stderr
    message = next(line for line in done.stderr.splitlines() if line.startswith("warning: "))
    assert re.search(r"main: 19\.\d% of 637 records were kept, in the last version 89\.\d% of 137", message)
    assert "(most changed: short, " in message
    assert message in done.stdout.splitlines()  # the summary
    (recorded,) = json.loads(max((out / "small" / "runs").iterdir()).read_text())["warnings"]
    assert (recorded["kind"], recorded["source"]) == ("yield", "main") and f"warning: {recorded['message']}" == message
    assert status(out)["warnings"] == [recorded]


def test_ctrl_c_at_any_time_is_a_line_and_not_a_trace(
    folder: Path, tmp_path: Path, events: list[dict[str, Any]]
) -> None:
    random_ = random.Random(7)
    begun, ended = (datetime.fromisoformat(event["time"]) for event in (events[0], events[-1]))
    length = 2.0 + (ended - begun).total_seconds()
    interrupted = 0
    for number in range(6):
        # Not in Python's own start, of which a tenth of a second leaves enough.
        with running(folder / "recipe.yaml", "--output", tmp_path / f"out-{number}", "--workers", "2") as process:
            time.sleep(0.15 + random_.random() * length * 0.8)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        if process.returncode == 0:  # it had come to its end
            continue
        interrupted += 1
        assert process.returncode == 130, errors
        assert "Traceback" not in errors and re.search("^stopped", errors, re.M)
        assert "To go on: pipeline run" in errors or "before anything was begun" in errors
    assert interrupted > 2


def test_a_second_ctrl_c_ends_at_once(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "recipe.yaml", "--output", tmp_path / "out", "--workers", "2")
    with running(*arguments) as process:
        wait_for(lambda: at_work(tmp_path / "out"))
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        process.communicate(timeout=10)
    assert process.returncode == 130
    assert run_pipeline("run", *arguments, "-q").returncode == 0
