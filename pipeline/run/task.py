"""What a worker does: the Parts of its rank, one after another, errors recorded, never raised."""

import json
import os
import signal
import socket
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from multiprocessing import connection, parent_process
from typing import Any

from pipeline.files import Folder, PartStore, PartWriter
from pipeline.manifest import canonical_json
from pipeline.plan import Part
from pipeline.recipe import Recipe

# One thread a worker: the engine's processes share the cores, and thread counts must change nothing but speed.
SINGLE_THREAD = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
}


def write_job(folder: Folder, name: str, recipe: Recipe, parts: Sequence[Part]) -> None:
    """Put down, as the file `name` of `folder`, what the workers of one stage need."""
    value = {"recipe": recipe.model_dump(mode="json"), "parts": [asdict(p) for p in parts]}
    folder.commit_bytes(name, canonical_json(value))


@lru_cache(maxsize=2)
def _read_job(folder_url: str, name: str) -> tuple[Recipe, list[Part]]:
    value = json.loads(Folder(folder_url).read(name))
    return Recipe.model_validate(value["recipe"]), [Part(**p) for p in value["parts"]]


def run_part(recipe: Recipe, part: Part, store: PartStore) -> None:
    """Run one Part and commit it; a Part that is done already is left alone."""
    from pipeline.stages import STAGE_FUNCTIONS

    if store.is_done(part.stage, part.key):
        return
    out = PartWriter(store, part.stage, part.key, part.label, part.ingredients)
    out.folder.sweep()
    STAGE_FUNCTIONS[part.stage](recipe, part, store, out)
    out.commit()


class StageTask:
    """The one step of a datatrove pipeline: rank r runs the Parts r, r + world_size, ... of a job.

    It never raises, since a raised error ends all workers of datatrove's local executor and is only a warning in its Ray
    executor. A failed Part leaves no marker and a `failure-<key>.json` in the run's folder.
    """

    def __init__(self, dataset_url: str, run_url: str, job: str) -> None:
        self.dataset_url, self.run_url, self.job = dataset_url, run_url, job

    def __call__(self, data: Any, rank: int, world_size: int) -> None:
        """Run the Parts of `rank`. `data` is datatrove's; it is None here."""
        recipe, parts = _read_job(self.run_url, self.job)
        store = PartStore(self.dataset_url)
        for part in parts[rank::world_size]:
            try:
                run_part(recipe, part, store)
            except Exception as error:
                self._record(part, error)

    def _record(self, part: Part, error: Exception) -> None:
        value = {
            "stage": part.stage,
            "label": part.label,
            "error": type(error).__name__,
            "message": str(error),
            "traceback": traceback.format_exc(),
            "host": socket.gethostname(),
        }
        Folder(self.run_url).commit_bytes(f"failure-{part.stage}-{part.key}.json", canonical_json(value))


def start_worker() -> None:
    """Prepare a local worker process: Ctrl-C is its parent's business, and it ends when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
