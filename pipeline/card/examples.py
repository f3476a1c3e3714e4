"""The page's section on examples: beginnings of documents that were kept and dropped."""

from collections.abc import Iterable, Iterator

from pipeline.card.escape import code, fenced, folded, number, visible
from pipeline.card.front_matter import merged
from pipeline.card.funnel import AFTER_LIMITS, count
from pipeline.card.sampling import FIELD_CHARS, TEXT_CHARS, Group, N, group_of
from pipeline.manifest import Example, Manifest

SHOWN_GROUPS = 400
"""Sources and reasons whose examples are shown."""


def examples(manifest: Manifest) -> str:
    """The section `Examples`; empty if the manifest has none."""
    groups: dict[Group, list[Example]] = {}
    for example in manifest.examples:
        groups.setdefault(group_of(example), []).append(example)
    if not groups:
        return ""
    note = (
        f"Up to {N} documents kept of each source, and up to {N} dropped for each reason: those with the smallest ids, "
        f"which are hashes, so nobody chose them. Each is cut after {TEXT_CHARS} characters. Personal data is replaced "
        "as in the dataset, by the kinds of the section Personal data. A kept text is as in the dataset, a dropped one "
        "as extracted. What was removed on request is not shown. What pages say here is theirs, and may offend."
    )
    kept = [folded(*_shown(manifest, ("", s), groups[("", s)])) for s in manifest.sources if ("", s) in groups]
    dropped = [folded(*_shown(manifest, group, groups[group])) for group in _ordered(manifest, groups)]
    parts = [f"## Examples\n\n{note}", "### Kept", *(kept[:SHOWN_GROUPS] or ["No document was kept."])]
    parts += ["### Dropped", *(dropped[:SHOWN_GROUPS] or ["No document was dropped."])]
    if (more := max(0, len(dropped) - SHOWN_GROUPS) + max(0, len(kept) - SHOWN_GROUPS)) > 0:
        parts.append(f"Those of {number(more)} more sources and reasons are in {code('manifest.json')}.")
    return "\n\n".join(parts)


def _ordered(manifest: Manifest, groups: Iterable[Group]) -> Iterator[Group]:
    """Reasons in the order in which they are decided."""
    names = [str(step.get("name", "")) for step in manifest.recipe.get("steps") or ()]
    known = {name: place for place, name in enumerate(dict.fromkeys([*names, *AFTER_LIMITS]))}
    yield from sorted((g for g in groups if g[0]), key=lambda group: (known.get(group[0], len(known)), group))


def _shown(manifest: Manifest, group: Group, found: list[Example]) -> tuple[str, str]:
    """A line about a group, and its examples."""
    reason, source = group
    whole = (
        merged(manifest.counts.get("dropped", {})).get(reason, 0) if reason else count(manifest, "documents", source)
    )
    return f"{reason or source}: {number(len(found))} of {number(whole)}", "\n\n".join(map(_example, found))


def _example(example: Example) -> str:
    about = [code(example.source), code(example.language), f"{number(example.n_chars)} characters"]
    about += [code(value, FIELD_CHARS) for value in (example.url, example.title)]
    lines = "\n".join(visible(line, TEXT_CHARS) for line in example.text.split("\n"))
    more = "…" if example.n_chars > TEXT_CHARS else ""
    return ", ".join(filter(None, about)) + "\n\n" + fenced(lines + more, "text")
