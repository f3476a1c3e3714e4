"""Files of a source that could not be had: whether the recipe lets a version do without them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.plan import Part, Plan
from pipeline.recipe import Recipe
from pipeline.run.events import Warned
from pipeline.sources.commoncrawl import NAMED, too_many_lost
from pipeline.sources.options import CommonCrawlSource

Lost = Mapping[tuple[str, str], str]
"""Source and path of a file -> kind of failure."""


class FilesLostError(Exception):
    """Extract could not have some files, and the recipe allows a version without them."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(f"{len(lost)} files could not be had")
        self.lost = lost


def lost_files(recipe: Recipe, missing: Iterable[Part], failures: Iterable[Mapping[str, Any]]) -> Lost:
    """The files that the `missing` Parts failed for; none if a Part failed for another reason.

    Only Common Crawl's files can be done without: of other sources a person has named each.
    """
    found = {failure["key"]: failure for failure in failures if "unavailable" in failure}
    mine = [found.get(part.key) for part in missing]
    if not all(failure and isinstance(recipe.sources[failure["source"]], CommonCrawlSource) for failure in mine):
        return {}
    return {(f["source"], f["path"]): f["unavailable"] for f in mine if f}


def too_many(recipe: Recipe, plan: Plan, lost: Lost) -> str:
    """A message if a source of `plan` would lack more files than the recipe allows, those marked already included."""
    for name, source in recipe.sources.items():
        files = {
            s["path"]: s["unavailable"] for p in plan.stages["extract"] for s in p.work["slices"] if s["source"] == name
        }
        without = {path: kind for path, was in files.items() if (kind := lost.get((name, path), was))}
        share = source.max_unavailable_share if isinstance(source, CommonCrawlSource) else 0.0
        if len(without) > share * len(files):
            return too_many_lost(name, len(files), without)
    return ""


def warnings(lost: Lost) -> Iterator[Warned]:
    """A warning for each source that does without some files."""
    paths: dict[str, list[str]] = {}
    for (source, path), kind in lost.items():
        paths.setdefault(source, []).append(f"{path} ({kind})")
    for source, found in paths.items():
        named = ", ".join(found[:NAMED]) + " and more" * (len(found) > NAMED)
        yield Warned("unavailable", source, f"{source}: {len(found):,} files could not be had: {named}; left out")
