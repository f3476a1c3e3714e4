"""From archive to text: quality against human gold, time to Judge beside datatrove, what the looks and the guard cost.

The peer is datatrove 0.10.1's FineWeb recipe, asked for English, with our trafilatura, so that survivors can be
compared; once also with the trafilatura that datatrove pins. Both sides get the same archives and one core, in warm
processes, in turn; processor time is that of a process and its children. The archives are copied before, and a page
without `WARC-Identified-Payload-Type` gets it, as Common Crawl writes it: without it datatrove asks libmagic, which
takes a fifth of the shared pages for something else. docs/extraction.md says how texts are compared with gold.
"""

import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from archives import copied, drawn, pages
from common import ROOT, Peer, arguments, finish, peer_python, show
from gold import HUMAN, Page, compare, gold_pages
from peers.datatrove_reasons import REASONS

from pipeline.assets import fetch
from pipeline.extract.html import main_text
from pipeline.extract.options import ExtractOptions
from pipeline.extract.textform import text_form
from pipeline.extract.worker import Extractor
from pipeline.recipe import load_recipe
from pipeline.run.task import SINGLE_THREAD

PEERS = Path(__file__).parent / "peers"
ALSO = ("spacy<3.9", "nltk<4", "lxml_html_clean")  # jusText imports the last without asking for it
PROCESSING = ("fasttext-numpy2-wheel", "tldextract", "fasteners", "pyahocorasick", "regex", "xxhash<4", "ftfy")
SAME = tuple(f"{name}=={version(name)}" for name in ("trafilatura", "justext", "lxml", "htmldate", "courlan"))
AS_PINNED = ("datatrove-fineweb", ("datatrove[io,processing]==0.10.1", *ALSO))
AS_OURS = (
    f"datatrove-fineweb-trafilatura-{version('trafilatura')}",
    ("datatrove[io]==0.10.1", *ALSO, *PROCESSING, *SAME),
)
ROUNDS, GUARD_ROUNDS, GUARD_PAGES = 3, 5, 300
QUICK_BYTES, QUICK_PAGES = 600_000, 40
MODES: Mapping[str, Mapping[str, Any]] = {
    "trafilatura, precision": {"favor": "precision"},
    "trafilatura, balanced": {"favor": "balanced"},
    "trafilatura, recall": {"favor": "recall"},
    "trafilatura, fast": {"fast": True},
    "resiliparse": {"extractor": "resiliparse"},
}
PRIME = next(iter(MODES))
SHIPPED = load_recipe(ROOT / "recipes" / "commoncrawl.yaml")
LOOKS = [look.model_dump(mode="json", exclude_unset=True) for look in SHIPPED.extract.bounds]
SIDES: Mapping[str, Mapping[str, Any]] = {
    "trafilatura": {"looks": LOOKS},
    "resiliparse": {"extractor": "resiliparse"},
}
"""What is measured from archive to Judge: name -> fields of `extract`. resiliparse is as fast as a look."""

Claims = dict[str, dict[str, object]]
Rows = dict[str, tuple[str, str]]
"""What became of records, by WARC-Record-ID: the reason for dropping it, "" if it is kept; its extracted text."""


# -- From archive to Judge ---------------------------------------------------------------------------------------------


def recipe(archives: Path, extract: Mapping[str, Any]) -> dict[str, Any]:
    """FineWeb's rules over `archives`."""
    return {
        "name": "extraction",
        "sources": {"web": {"type": "warc", "path": str(archives)}},
        "url": {"lists": SHIPPED.url.lists},
        "extract": extract,
        "steps": [{"type": "preset", "name": "datatrove-0.10"}],
        "mixture": {"weights": {"web": 1}},
    }


def race(folder: Path, ids: Mapping[str, str], rounds: int) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Rows]]:
    """The answers of each side, in turn, one for a round, or one where no median is needed; what became of records."""
    files = sorted(file.name for file in folder.iterdir())
    arguments = (PEERS / "datatrove_fineweb.py", str(folder), str(fetch("lid.176")))
    answers: dict[str, list[dict[str, Any]]] = {"datatrove": [], **{name: [] for name in SIDES}}
    found: dict[str, Rows] = {}
    with (
        Peer(peer_python(*AS_OURS), *arguments) as peer,
        Peer(Path(sys.executable), PEERS / "gristmill_corridor.py") as ours,
    ):
        peer.ask(files[:1])
        for side in SIDES.values():
            ours.ask(recipe(folder / files[0], side))
        for _ in range(rounds):
            answers["datatrove"].append(peer.ask(files))
            for name, side in SIDES.items():
                answers[name].append(ours.ask(recipe(folder, side)))
        answers["looks off"] = [ours.ask(recipe(folder, {"looks": "off"}))]
        found = {name: rows(given[-1]["rows"], ids) for name, given in answers.items()}
    if rounds > 1:
        with Peer(peer_python(*AS_PINNED), *arguments) as peer:
            peer.ask(files[:1])
            answers["datatrove as pinned"] = [peer.ask(files)]
    for answer in chain.from_iterable(answers.values()):
        del answer["rows"]  # the name of a file that is gone with its side
    return answers, found


def speed(answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> Claims:
    """The claims on time; all times are printed."""

    def median_s(name: str, what: str) -> float:
        return float(statistics.median(answer[what] for answer in answers[name]))

    head = ("side", "processor s", "wall s", "of it Extract", "Measure", "Judge", "of Extract: what shows", "main text")
    show("From archive to Judge, one core", head, [
        (name, median_s(name, "cpu_s"), median_s(name, "wall_s"), *given[-1].get("stages", {}).values())
        for name, given in answers.items()
    ])  # fmt: skip
    claims: Claims = {}
    for claim, name, goal in (("", "trafilatura", 4), ("_resiliparse", "resiliparse", 8)):
        ratios = [a["cpu_s"] / b["cpu_s"] for a, b in zip(answers["datatrove"], answers[name], strict=True)]
        value = round(statistics.median(ratios), 2)
        claims[f"speedup_vs_datatrove{claim}"] = {"value": value, "goal": goal, "unit": "times"}
    return claims


# -- Survivors ---------------------------------------------------------------------------------------------------------


def rows(path: str, ids: Mapping[str, str]) -> Rows:
    """The rows of an answer; `ids` translates the places by which we name records."""
    with Path(path).open(encoding="utf-8") as file:
        return {ids.get(key, key): (reason, text) for key, reason, text in map(json.loads, file)}


def kept(side: Rows) -> set[str]:
    """The records that a side keeps."""
    return {key for key, (reason, _) in side.items() if not reason}


def differences(ours: Rows, theirs: Rows) -> list[dict[str, Any]]:
    """Every record that one side keeps and the other does not: why not, and whether both extracted the same text."""
    found = []
    for key in sorted(kept(ours) ^ kept(theirs)):
        (mine, text), (reason, other) = ours.get(key, ("not_read", "")), theirs.get(key, ("not_read", ""))
        same = text_form(text).strip() == text_form(other).strip()
        found.append({"record": key, "ours": mine, "datatrove": REASONS.get(reason, reason), "same_text": same})
    return found


def survivors(found: Mapping[str, Rows]) -> tuple[Claims, list[dict[str, Any]]]:
    """The claims on survivors before deduplication, and the differences."""
    ours, theirs = kept(found["trafilatura"]), kept(found["datatrove"])
    common = len(ours & theirs) / max(1, len(ours | theirs))
    claims: Claims = {"survivors_in_common": {"value": round(common, 4), "goal": 0.98, "unit": "share"}}
    different = differences(found["trafilatura"], found["datatrove"])
    kinds = Counter((d["ours"] or "kept", d["datatrove"] or "kept", d["same_text"]) for d in different)
    title = f"Survivors: {len(ours):,} ours, {len(theirs):,} of datatrove, {len(ours & theirs):,} of both; the others"
    show(title, ("ours", "datatrove", "same text", "pages"), [(*which, n) for which, n in kinds.most_common()])
    return claims, different


def looks(found: Mapping[str, Rows]) -> Claims:
    """The claim on what the looks lose, with what each of them drops."""
    with_looks, without = found["trafilatura"], found["looks off"]
    lost = kept(without) - kept(with_looks)
    changed = [key for key, (reason, _) in with_looks.items() if reason != without[key][0]]
    dropped = Counter(with_looks[key][0] for key in changed)
    lost_by = Counter(with_looks[key][0] for key in lost)
    table = [(reason, n, lost_by[reason]) for reason, n in dropped.most_common()]
    show("What the looks drop", ("reason", "pages", "kept without looks"), table)
    value = round(len(lost) / max(1, len(kept(without))), 5)
    return {"lost_by_cheap_looks": {"value": value, "goal": 0.005, "unit": "share, at most"}}


# -- Quality against gold, and the guard -------------------------------------------------------------------------------


def extracted(gold: Sequence[Page], html: Mapping[tuple[str, str], str]) -> dict[str, list[str]]:
    """The texts of the pages with gold, by each mode of ours and by datatrove with either trafilatura."""
    found: dict[str, list[str]] = {}
    for name, mode in MODES.items():
        with Extractor(ExtractOptions.model_validate(mode)) as extractor:
            found[name] = [extractor.extract(html[page.key], page.url).text for page in gold]
    for environment in (AS_OURS, AS_PINNED):
        with Peer(peer_python(*environment), PEERS / "datatrove_trafilatura.py") as peer:
            name = f"datatrove, trafilatura {peer.ask({'version_of': 'trafilatura'})}"
            found[name] = [peer.ask(html[page.key]) for page in gold]
    return found


def quality(gold: Sequence[Page], html: Mapping[tuple[str, str], str]) -> tuple[Claims, dict[str, Any]]:
    """The claims on quality, and precision, recall and F1 of every extractor by collection."""
    figures = {name: compare(gold, texts) for name, texts in extracted(gold, html).items()}
    for measure, number, title in (
        ("words", 2, "F1, words"),
        ("shingles", 2, "F1, four words in a row"),
        ("part", 1, "Recall of a part of the text, words"),
        ("segments", 0, "Must-have segments found"),
        ("segments", 1, "Must-not-have segments absent"),
    ):
        table = [
            (
                name,
                of_prime["pages"],
                *("{:.3f} [{:.3f}, {:.3f}]".format(*f[name][measure][number]) for f in figures.values()),
            )
            for name, of_prime in figures[PRIME].items()
            if measure in of_prime
        ]
        show(title, ("collection", "pages", *figures), table)
    claims: Claims = {}
    for claim, name in (("f1_vs_gold", PRIME), ("f1_vs_gold_datatrove", list(figures)[-1])):
        value, low, high = figures[name][HUMAN]["words"][2]
        interval = [round(low, 4), round(high, 4)]
        claims[claim] = {"value": round(value, 4), "goal": None, "unit": "F1", "interval": interval}
    return claims, figures


def guard_overhead(found: Sequence[tuple[str, str]], rounds: int) -> Claims:
    """The claim on guarded workers: their wall time over that of plain calls, page by page in turn."""
    options, ratios = ExtractOptions(), []
    with Extractor(options) as extractor:
        extractor.extract(found[0][1])
        for number in range(rounds):
            wall_s = [0.0, 0.0]
            for place, (url, page) in enumerate(found):
                for guarded in (True, False) if (place + number) % 2 else (False, True):
                    begun_s = time.perf_counter()
                    if guarded:
                        extractor.extract(page, url)
                    else:
                        main_text(page, url, options)
                    wall_s[guarded] += time.perf_counter() - begun_s
            ratios.append(wall_s[1] / wall_s[0])
    value = round(statistics.median(ratios) - 1, 4)
    return {"guard_overhead": {"value": value, "goal": 0.05, "unit": "share, at most"}}


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", ["html"])
    os.environ.update(SINGLE_THREAD)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    folder, ids = copied(options.paths, QUICK_BYTES if options.quick else float("inf"))
    answers, found = race(folder, ids, 1 if options.quick else ROUNDS)
    claims = speed(answers)
    about, different = survivors(found)
    claims |= about | looks(found)
    full: dict[str, Any] = {"answers": answers, "differences": different, "records": len(ids)}
    claims |= guard_overhead(drawn(folder, QUICK_PAGES if options.quick else GUARD_PAGES), GUARD_ROUNDS)
    gold = gold_pages(options.paths[0].parent / "gold", QUICK_PAGES if options.quick else None)
    if gold:
        html: dict[tuple[str, str], str] = {}
        for name in dict.fromkeys(page.collection for page in gold):
            html |= {(name, url): page for url, page in pages(options.paths[0] / f"{name}.warc.gz")}
        about, full["gold"] = quality([page for page in gold if page.key in html], html)
        claims |= about
    finish("extraction", options.quick, claims, full)


if __name__ == "__main__":
    main()
