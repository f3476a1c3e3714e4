"""A run's folder for other eyes: `run.txt` for people, `status.json` for `pipeline status`. They decide nothing."""

import json
import os
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.files import Folder, PartStore
from pipeline.plan import Part
from pipeline.run.events import Event, PartFinished, RunFailed, RunFinished, RunStarted, StageProgress, Warned
from pipeline.run.notes import Note, read_notes
from pipeline.versions import LOCK

RUNS = "work/runs"
STATUS = "status.json"
EVERY_S = {True: 1.0, False: 15.0}
"""Between two writes, on a local disk and on a store, where each is a request that is paid for."""
STALE_S = 120.0
"""On a store, where no lock tells: a status so old is that of a run which died."""

_ABOUT = """\
{command}

begun {started} by process {pid} on {host}; work on {dataset}

status.json             how far the run is, for `pipeline status`; written each second
STAGE.json              the Parts that a stage was to run, and the recipe
on-STAGE-KEY.txt        the record that a worker is on; if the run is over, the worker was killed there
failure-STAGE-KEY.json  a Part that raised: its error, the record and the stack trace
log-STAGE/              on Slurm: the script and the logs of the tasks
"""


class StatusFile:
    """Keeps `status.json` of a run's folder up to date with the events of the run."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._written = -float("inf")
        self._value: dict[str, Any] = {"state": "running", "stages": {}, "warnings": []}

    def __call__(self, event: Event) -> None:
        """Note an event; a status that cannot be written is no reason to stop."""
        match event:
            case RunStarted():
                started = datetime.now(UTC).isoformat(timespec="seconds")
                about = {"pid": os.getpid(), "host": socket.gethostname(), "started": started, "dataset": event.dataset}
                self._value |= {"run": event.run, "command": event.command, **about}
                self._value["stages"] = {
                    stage: asdict(StageProgress(stage, n, cached, cached))
                    for stage, (n, cached) in event.stages.items()
                }
                self._write("run.txt", _ABOUT.format(command=event.command, **about).encode())
            case StageProgress():
                self._value["stages"][event.stage] = asdict(event)
                self._value["stage"] = event.stage
            case Warned():
                self._value["warnings"].append(asdict(event))
            case RunFinished():
                self._value |= {"state": "finished", "version": event.version}
            case RunFailed():
                state = "stopped" if event.exit_code == 130 else "failed"
                self._value |= {"state": state, "message": event.message}
            case PartFinished():
                return
        if self._value["state"] != "running" or time.monotonic() - self._written >= EVERY_S[self._folder.is_local]:
            self._written = time.monotonic()
            value = {**self._value, "updated": datetime.now(UTC).isoformat(timespec="seconds")}
            self._write(STATUS, json.dumps({**value, "stages": list(value["stages"].values())}, indent=1).encode())

    def _write(self, name: str, data: bytes) -> None:
        with suppress(OSError):
            if not self._folder.is_local:
                self._folder.fs.pipe_file(self._folder.path(name), data)
                return
            final = Path(self._folder.path(name))
            final.parent.mkdir(parents=True, exist_ok=True)
            aside = final.with_name(f".aside-{secrets.token_hex(6)}-{name}")
            aside.write_bytes(data)
            aside.replace(final)  # without fsync: what is lost with the machine is not missed


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What is known of the newest run of a dataset. `state`: running, finished, failed, stopped, or died, if it was
    running when it was last heard of, and is not now. `notes`: what workers are on, or were on when killed."""

    state: str
    folder: str
    values: Mapping[str, Any]
    notes: list[Note]


def read_status(dataset: Folder) -> RunStatus | None:
    """The newest run of a dataset; None if there was none."""
    for name in reversed(dataset.names(RUNS)):
        try:
            values = json.loads(dataset.read(f"{RUNS}/{name}/{STATUS}"))
        except (OSError, ValueError):  # stopped before it began
            continue
        folder = dataset.child(f"{RUNS}/{name}")
        is_over = values["state"] == "running" and not _is_held(dataset, values)
        if is_over or values["state"] in ("stopped", "failed"):
            _recount(dataset, folder, values)
        where = folder.root if folder.is_local else folder.url
        return RunStatus("died" if is_over else values["state"], where, values, read_notes(folder))
    return None


def _is_held(dataset: Folder, values: Mapping[str, Any]) -> bool:
    """Whether a run has the dataset's lock (local disks), or was heard of lately (stores)."""
    if not dataset.is_local:
        return (datetime.now(UTC) - datetime.fromisoformat(values["updated"])).total_seconds() < STALE_S
    try:
        with FileLock(dataset.path(LOCK), timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # as in a folder that we may not write to
        return values["host"] == socket.gethostname() and Path(f"/proc/{values['pid']}").exists()


def _recount(dataset: Folder, folder: Folder, values: dict[str, Any]) -> None:
    """Of a run that did not finish: count the markers of the stage it was in, the last of which it did not see."""
    for stage in values["stages"]:
        if stage["stage"] == values.get("stage"):
            store = PartStore(dataset.url)
            with suppress(OSError, ValueError, TypeError, KeyError):
                parts = [Part(**part) for part in json.loads(folder.read(f"{stage['stage']}.json"))["parts"]]
                stage["done"] = stage["cached"] + sum(store.is_done(part.stage, part.key) for part in parts)
                stage["left_s"] = stage["rate"] = None
