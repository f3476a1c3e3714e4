"""What the markers of committed Parts say of a stage in progress: counts, rate, time left; and what to warn about."""

import json
import os
import shlex
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.files import Folder, Marker, PartStore
from pipeline.manifest import Counts, total
from pipeline.plan import Part, Plan
from pipeline.run import drift, stop
from pipeline.run.events import Emit, PartFinished, RunFinished, StageFinished, StageProgress, StageStarted, Warned
from pipeline.run.notes import read_notes
from pipeline.state import is_done
from pipeline.versions import LATEST, MANIFEST

EVERY_S = 1.0
COUNTING_S = 0.2
"""Of each second at the most is spent on markers: a run may find 100,000 of earlier runs."""
LAST_COUNTING_S = 3.0
MEMORY_EVERY_S = 5.0
FORETELLING = 0.01
"""Share of a stage's input from which the time that is left is foretold: before, it is mostly the time to start."""
DROPS = {"extract": "fates", "judge": "dropped", "select": "dropped"}
OUT = {"extract": "extracted", "judge": "passed", "select": "documents"}


def documents(stage: str, marker: Marker) -> tuple[int, int, dict[str, int]] | None:
    """Documents in, out, and dropped by reason, of one Part; None for stages that pass no documents."""
    if stage == "measure":
        n = sum(file.rows for file in marker.files if file.name == "measures.parquet")
        return n, n, {}
    if stage == "pack":
        n = sum(cell["documents"] for cell in marker.facts["cells"])
        return n, n, {}
    if stage not in OUT:
        return None
    dropped = Counts()
    for reasons in marker.counts.get(DROPS[stage], {}).values():
        dropped += reasons
    n = total(marker.counts.get(OUT[stage], {}))
    return n + total(dropped), n, dropped


def input_bytes(plan: Plan) -> dict[str, int]:
    """Bytes of archive that each Part comes from, by key, for the stages whose Parts come from some of them."""
    sizes = {p.key: sum(s["end"] - s["start"] for s in p.work["slices"]) for p in plan.stages["extract"]}
    for stage in ("lines", "measure", "judge", "select"):
        sizes |= {p.key: sizes.get(p.work.get("extract", ""), 0) for p in plan.stages.get(stage, ())}
    return sizes | {p.key: sum(sizes[key] for key in p.work["select"]) for p in plan.stages["pack"]}


class Tally:
    """Of one stage: which Parts of this run are not committed yet, and sums of the markers of those that are."""

    def __init__(self, stage: str, all_parts: Sequence[Part], parts: Sequence[Part], store: PartStore) -> None:
        self.stage, self._store = stage, store
        self.parts = parts
        self.waiting = {part.key: part for part in parts}
        self._own = dict(self.waiting)
        self._n_parts = len(all_parts)
        self._uncounted = deque(part.key for part in all_parts if part.key not in self.waiting)
        self.counts = Counts()
        self._in = self._own_in = self._out = self._counted = 0
        self._dropped = Counts()
        self._passes = False

    @property
    def is_counted(self) -> bool:
        """Whether the sums are those of the whole stage."""
        return not self.waiting and not self._uncounted

    def look(self, ended: Collection[int] | None) -> None:
        """See which Parts are committed now: those of the ranks `ended`, or of all that have begun if that is None."""
        if ended is None:
            self._store.folder.fs.invalidate_cache()
            keys: Iterable[str] = self.waiting.keys() & set(self._store.folder.names(self.stage))
        else:
            keys = [self.parts[rank].key for rank in ended]
        for key in sorted(keys):
            if key in self.waiting and is_done(self._store, self.waiting[key]):
                self._uncounted.appendleft(self.waiting.pop(key).key)  # before those of earlier runs

    def count(self, seconds: float) -> list[PartFinished]:
        """Read markers for about so long; returns the Parts of this run among them."""
        deadline = time.monotonic() + seconds
        finished = []
        while self._uncounted and time.monotonic() < deadline:
            key = self._uncounted.popleft()
            marker = self._store.marker(self.stage, key)
            kept = ("records", "extracted", "fates", "dropped", "documents")
            self.counts += {name: marker.counts[name] for name in kept if name in marker.counts}
            found = documents(self.stage, marker)
            self._counted += 1
            if found:
                self._passes = True
                self._in, self._out = self._in + found[0], self._out + found[1]
                self._own_in += found[0] * (key in self._own)
                self._dropped += found[2]
            if key in self._own:
                finished.append(PartFinished(self.stage, marker.label, *(found[:2] if found else (None, None))))
        return finished

    def state(
        self, wall_s: float, sizes: Mapping[str, int], reading: int, read_bytes: int, memory: int | None
    ) -> StageProgress:
        """Where the stage is. `reading` records, `read_bytes` of input, belong to Parts that are not committed yet."""
        n_done = len(self._own) - len(self.waiting)
        every = sum(sizes.get(key, 0) + 1 for key in self._own)
        left = sum(sizes.get(key, 0) + 1 for key in self.waiting) - read_bytes
        amount = self._own_in + reading if self._passes or reading else n_done
        return StageProgress(
            self.stage,
            parts=self._n_parts,
            done=self._n_parts - len(self.waiting),
            cached=self._n_parts - len(self._own),
            counted=self._counted,
            documents_in=self._in if self._passes else None,
            documents_out=self._out if self._passes else None,
            dropped=dict(sorted(self._dropped.items(), key=lambda item: (-item[1], item[0]))),
            reading=reading,
            rate=amount / wall_s if amount and wall_s else None,
            left_s=wall_s * left / (every - left) if wall_s and every - left > every * FORETELLING else None,
            wall_s=round(wall_s, 3),
            memory_bytes=memory,
        )


class Watch:
    """Follows the stages of a run and emits events about them."""

    def __init__(
        self,
        emit: Emit,
        store: PartStore,
        plan: Plan,
        todo: Mapping[str, Sequence[Part]],
        folder: Folder,
        *,
        verbose: bool = False,
        is_here: bool = True,
    ) -> None:
        """`folder`: the run's. `is_here`: whether the workers are processes of this machine. `verbose`: emit
        PartFinished."""
        self._emit, self._folder, self._verbose, self._is_here = emit, folder, verbose, is_here
        self._store = store
        self._tallies = {stage: Tally(stage, plan.stages[stage], parts, store) for stage, parts in todo.items()}
        self._sizes = input_bytes(plan)
        self._sources = list(dict.fromkeys(p.work["slices"][0]["source"] for p in plan.stages["extract"]))
        self._starts = {(s["path"], p.label): s for p in plan.stages["extract"] for s in p.work["slices"][:1]}
        self._last = last_version(store.dataset)
        self._tally = next(iter(self._tallies.values()))
        self._begun = self._said = self._memory_at = -float("inf")
        self._memory: int | None = None
        self.warnings: list[Warned] = []

    def start(self, stage: str) -> None:
        """A stage begins."""
        self._tally = self._tallies[stage]
        self._begun = time.monotonic()
        self._said = -float("inf")
        self._say(StageStarted)

    def tick(self, ended: Collection[int] | None = None) -> None:
        """Look which Parts are committed (see `Tally.look`); an event at most each EVERY_S.

        Raises:
            KeyboardInterrupt: if a stop was asked for and swallowed.
        """
        stop.check()
        self._tally.look(ended)
        if time.monotonic() - self._said >= EVERY_S:
            self._count(COUNTING_S)
            self._say(StageProgress)
            if self._tally.stage == "extract":
                self.warn(drift.failures(self._tally.counts, drift.MIN_RECORDS))
                if self._last:
                    last = self._last["counts"]
                    self.warn(drift.yields(self._tally.counts, last, "extracted", drift.MIN_RECORDS))

    def missing(self) -> list[Part]:
        """The Parts of the stage in progress that are not committed, looking at each."""
        self._tally.look(range(len(self._tally.parts)))
        return list(self._tally.waiting.values())

    def finish(self) -> None:
        """The stage in progress is done."""
        self._count(LAST_COUNTING_S)
        self._say(StageFinished)
        if not self._tally.is_counted:
            return
        counts = Counts()
        for name in ("extract", "judge", "select"):
            counts += self._tallies[name].counts
        of = {"extract": "extracted", "select": "documents"}.get(self._tally.stage)
        if of:
            self.warn(drift.failures(counts))
            self.warn(drift.empty(counts, self._sources, of))
            self.warn(drift.yields(counts, self._last["counts"], of) if self._last else ())

    def check(self, version: str) -> None:
        """Compare a version that was made with what a person would expect, and with the last one."""
        made = json.loads(self._store.dataset.read(f"{version}/{MANIFEST}"))
        self.warn(drift.failures(made["counts"]))
        self.warn(drift.unavailable(made["counts"]))
        self.warn(drift.empty(made["counts"], made["sources"]))
        if self._last:
            self.warn(drift.yields(made["counts"], self._last["counts"]))
            self.warn(drift.tokens(made, self._last))

    def safe(self) -> str:
        """What is committed, in words; "" if nothing is."""
        done = self._tally.state(0.0, {}, 0, 0, None)
        before = list(self._tallies)[: list(self._tallies).index(self._tally.stage)]
        words = [f"{done.done} of {done.parts} Parts of {done.stage}"] * (done.done > 0)
        return ", and ".join(words + [f"all of {', '.join(before)}"] * bool(before))

    def _count(self, seconds: float) -> None:
        finished = self._tally.count(seconds)
        if self._verbose:
            for event in finished:
                self._emit(event)

    def _say(self, kind: type[StageProgress]) -> None:
        self._said = time.monotonic()
        if self._is_here and self._said - self._memory_at >= MEMORY_EVERY_S:
            self._memory, self._memory_at = resident_bytes(), self._said
        reading = read_bytes = 0
        for note in read_notes(self._folder):
            reading += note.record * (note.stage == self._tally.stage)
            first = self._starts.get((note.path, note.part))  # of the first slice of its Part
            if first and note.stage == self._tally.stage:
                read_bytes += min(max(note.offset - first["start"], 0), first["end"] - first["start"])
        state = self._tally.state(self._said - self._begun, self._sizes, reading, read_bytes, self._memory)
        self._emit(kind(**{name: getattr(state, name) for name in StageProgress.__dataclass_fields__}))

    def warn(self, found: Iterable[Warned]) -> None:
        """Each once a kind and source: later numbers differ a little, what to do does not."""
        for warning in found:
            if (warning.kind, warning.source) not in {(w.kind, w.source) for w in self.warnings}:
                self.warnings.append(warning)
                self._emit(warning)


def last_version(dataset: Folder) -> dict[str, Any] | None:
    """The manifest of the version that `latest` names, if there is one that can be read."""
    with suppress(OSError, ValueError):
        value = json.loads(dataset.read(f"{dataset.read(LATEST).decode().strip()}/{MANIFEST}"))
        if isinstance(value, dict) and {"counts", "cells"} <= value.keys():
            return value
    return None


def finished(dataset: Folder, version: str) -> RunFinished:
    """What there is to say of a version that is there."""
    made = json.loads(dataset.read(f"{version}/{MANIFEST}"))
    columns = ("records", "extracted", "dropped", "documents")
    funnel = {
        source: {name: total(made["counts"].get(name, {}).get(source, 0)) for name in columns}
        for source in made["sources"]
    }
    data = dataset.path(version) if dataset.is_local else f"{dataset.url}/{version}"
    train = shlex.join(["pipeline", "train", "recipes/train/tiny.yaml", "--data", data])
    return RunFinished(version, data, funnel, made["mixture"], train)


def resident_bytes() -> int | None:
    """Resident memory of this process and all below it, shared pages split among their users; None without /proc.

    Read from /proc, since psutil would be a dependency for these lines alone.
    """
    children: dict[int, list[int]] = {}
    try:
        for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed
            if entry.isdigit():
                with suppress(OSError):
                    fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                    children.setdefault(int(fields[1]), []).append(int(entry))
        found, waiting = 0, [os.getpid()]
        while waiting:
            pid = waiting.pop()
            waiting += children.get(pid, [])
            with suppress(OSError):
                found += _proportional_bytes(pid)
        return found or None
    except (OSError, ValueError, IndexError):
        return None


def _proportional_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
