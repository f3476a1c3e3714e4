"""What of a Plan is done already, and why the rest must run. Reads markers only, and no Arrow."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.files import MARKER, PartStore
from pipeline.plan import Part, Plan, differences
from pipeline.versions import MANIFEST


def is_done(store: PartStore, part: Part) -> bool:
    """Whether a Part is committed; for Describe, also whether its version is still there."""
    if not store.is_done(part.stage, part.key):
        return False
    if part.stage != "describe":
        return True
    return store.dataset.exists(f"{store.marker('describe', part.key).facts['version']}/{MANIFEST}")


def pending(store: PartStore, plan: Plan) -> dict[str, list[Part]]:
    """The Parts that are not done, by stage.

    If Describe is done, nothing is pending: what it was made from may have been removed since.
    """
    if all(is_done(store, part) for part in plan.stages["describe"]):
        return {stage: [] for stage in plan.stages}
    return {stage: [p for p in parts if not is_done(store, p)] for stage, parts in plan.stages.items()}


class Reasons:
    """Why Parts must run, by comparing their ingredients with those of the newest committed Part of the same label."""

    def __init__(self, store: PartStore) -> None:
        self._store = store
        self._known: dict[str, dict[str, Mapping[str, Any]]] = {}

    def _ingredients(self, stage: str) -> dict[str, Mapping[str, Any]]:
        """Label -> ingredients of the newest committed Part of a stage."""
        if stage not in self._known:
            folder = self._store.folder
            dated = []
            for key in folder.names(stage):
                if folder.exists(f"{stage}/{key}/{MARKER}"):
                    info = folder.fs.info(folder.path(f"{stage}/{key}/{MARKER}"))
                    value = json.loads(folder.read(f"{stage}/{key}/{MARKER}"))
                    dated.append((str(info.get("mtime", info.get("LastModified", ""))), value))
            dated.sort(key=lambda pair: pair[0])
            self._known[stage] = {value["label"]: value["ingredients"] for _, value in dated}
        return self._known[stage]

    def why(self, part: Part) -> str:
        """One line: `first run`, or what changed since the last time."""
        before = self._ingredients(part.stage).get(part.label)
        if before is None:
            return "no earlier run of this Part"
        now = json.loads(json.dumps(part.ingredients))
        changed = differences(before, now)
        own = [c for c in changed if not c.startswith("inputs")]
        if own:
            return "; ".join(own[:3]) + (f" (+{len(own) - 3} more)" if len(own) > 3 else "")
        if part.stage == "extract" and changed:
            if lost := [piece["path"] for piece in before["inputs"] if piece.get("unavailable")]:
                return f"could not be had the last time: {', '.join(lost[:3])}{' and more' * (len(lost) > 3)}"
            other = [piece["path"] for piece in now["inputs"] if piece not in before["inputs"]]
            return f"other size or time than before: {', '.join(other[:3])}{' and more' * (len(other) > 3)}"
        return "an earlier stage's result changed" if changed else "its files are gone"
