"""What a worker does: the Parts of its rank, one after another, errors recorded, never raised."""

import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from multiprocessing import connection, parent_process
from typing import Any

from pipeline.assets import cache_folder
from pipeline.code import ROOT, is_editable
from pipeline.files import Folder, PartStore, PartWriter
from pipeline.manifest import canonical_json
from pipeline.plan import STAGES, Part, differences, library_versions, stage_code, step_libraries
from pipeline.recipe import Recipe
from pipeline.run.notes import Note, noting, read_note
from pipeline.sources.record import UnavailableError
from pipeline.state import is_done

# One thread a worker: the engine's processes share the cores, and thread counts must change nothing but speed.
SINGLE_THREAD = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
}


def worker_environment() -> dict[str, str]:
    """Environment variables for workers that another machine or daemon starts: threads, cache, and the place of this
    package if it is not an installed one."""
    found = {**SINGLE_THREAD, "GRISTMILL_CACHE": str(cache_folder().absolute())}
    if is_editable():
        found["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return found


def write_job(folder: Folder, name: str, recipe: Recipe, parts: Sequence[Part]) -> None:
    """Put down, as the file `name` of `folder`, what the workers of one stage need."""
    value = {"recipe": recipe.model_dump(mode="json"), "parts": [asdict(p) for p in parts]}
    # Not canonical JSON, which sorts keys: the order of sources is the recipe's and decides who survives.
    folder.commit_bytes(name, json.dumps(value, ensure_ascii=False).encode())


@lru_cache(maxsize=2)
def _read_job(folder_url: str, name: str) -> tuple[Recipe, list[Part]]:
    value = json.loads(Folder(folder_url).read(name))
    return Recipe.model_validate(value["recipe"]), [Part(**p) for p in value["parts"]]


def run_part(recipe: Recipe, part: Part, store: PartStore) -> None:
    """Run one Part and commit it; a Part that is done already is left alone."""
    from pipeline.stages import STAGE_FUNCTIONS

    if is_done(store, part):
        return
    out = PartWriter(store, part.stage, part.key, part.label, part.ingredients)
    out.folder.remove_aside()
    STAGE_FUNCTIONS[part.stage](recipe, part, store, out)
    out.commit()


class StageTask:
    """What a worker is given: rank r runs the Parts r, r + world_size, ... of a job. On Slurm it is the one step of a
    datatrove pipeline.

    Whatever a Part raises, the next one runs. A failed Part leaves no marker and a `failure-<stage>-<key>.json` in the
    run's folder.
    """

    def __init__(self, dataset_url: str, run_url: str, job: str, is_elsewhere: bool = False) -> None:
        self.dataset_url, self.run_url, self.job, self.is_elsewhere = dataset_url, run_url, job, is_elsewhere

    def elsewhere(self) -> "StageTask":
        """This task for workers in an installation of their own, which run nothing if it is not the planner's."""
        return StageTask(self.dataset_url, self.run_url, self.job, is_elsewhere=True)

    def label(self, rank: int) -> str:
        """Stage and label of the Part of `rank`, where each Part has a rank of its own."""
        part = self._part(rank)
        return f"{part.stage} {part.label}"

    def note(self, rank: int) -> Note | None:
        """What the worker that ran the Part of `rank` was on when it was killed."""
        return read_note(Folder(self.run_url), self._part(rank))

    def _part(self, rank: int) -> Part:
        return _read_job(self.run_url, self.job)[1][rank]

    def __call__(self, data: Any, rank: int, world_size: int) -> None:
        """Run the Parts of `rank`. `data` is datatrove's; it is None here."""
        from pipeline.stages import ON_RECORD

        recipe, parts = _read_job(self.run_url, self.job)
        store, folder = PartStore(self.dataset_url), Folder(self.run_url)
        for part in parts[rank::world_size]:
            with noting(folder, part) as note:
                ON_RECORD.set(note)
                try:
                    if self.is_elsewhere:
                        _check_code(recipe, part)
                    run_part(recipe, part, store)
                except (SystemExit, KeyboardInterrupt):  # as when Slurm takes a node back
                    raise
                except BaseException as error:  # a panic in polars is no Exception
                    self._record(part, error)

    def _record(self, part: Part, error: BaseException) -> None:
        note = read_note(Folder(self.run_url), part)
        value = {
            "stage": part.stage,
            "label": part.label,
            "record": note.place() if note else "",
            "error": type(error).__name__,
            "message": str(error),
            "traceback": traceback.format_exc(),
            "host": socket.gethostname(),
        }
        if isinstance(error, UnavailableError):
            value |= {"key": part.key, "source": error.source, "path": error.path, "unavailable": error.kind}
        try:
            Folder(self.run_url).commit_bytes(f"failure-{part.stage}-{part.key}.json", canonical_json(value))
        except OSError as other:  # as on a full disk
            print(
                f"{part.stage} {part.label}: {value['error']}: {error}; not recorded: {other}",
                file=sys.stderr,
                flush=True,
            )


class OtherCodeError(Exception):
    """A worker whose installation would make other bytes than the plan's keys promise."""


def _check_code(recipe: Recipe, part: Part) -> None:
    """Raise OtherCodeError unless revision, libraries and (in an editable install) code are those of `part`'s key."""
    spec = STAGES[part.stage]
    classes = step_libraries(recipe.steps) if part.stage == "measure" else {}
    here: dict[str, Any] = {"revision": spec.revision, "libraries": {**library_versions(part.stage), **classes}}
    if "code" in part.ingredients:
        here["code"] = stage_code(part.stage)
    changed = differences({name: part.ingredients[name] for name in here}, here)
    if changed:
        raise OtherCodeError(
            f"the worker on {socket.gethostname()} has other code than the machine that started the run: "
            f"{'; '.join(changed)}; all of them need the same environment, unchanged until the run ends"
        )


def start_worker() -> None:
    """Prepare a local worker process: Ctrl-C is its parent's business, and it ends when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
