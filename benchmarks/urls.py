"""URL rules with all lists beside datatrove's URLFilter: speed and decisions on 100,000 URLs.

Both get the same URLs, one core, warm. Two fifths are those of archives, the others are made from the lists
(`url_set.py`), most of them to be denied or to look like it.
"""

import statistics
from collections import Counter
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa
from common import Peer, arguments, finish, peer_python, show
from quality import DATATROVE, cpu_s
from url_set import made

from pipeline.sources.read import read
from pipeline.starter.lots import find
from pipeline.starter.sample import source_of
from pipeline.steps.options import UrlOptions
from pipeline.steps.url import UrlRules
from pipeline.steps.url_lists import url_files, words_of
from pipeline.steps.ut1 import unpacked
from pipeline.text.url_parts import decoded, host_of

ROUNDS, N_URLS, QUICK_URLS, SEED = 5, 100_000, 10_000, 1
OPTIONS = UrlOptions(lists=("ut1", "words"))


def seen(paths: list[Path]) -> list[str]:
    """The URLs of all records of archives."""
    found: dict[str, None] = {}
    for path in paths:
        for group in find(str(path)).groups:
            for file in group.files:
                found |= dict.fromkeys(r.url for r in read(source_of(group), file) if r.url.startswith("http"))
    return list(found)


def classes(urls: list[str], mine: list[str], peer: Peer) -> list[str]:
    """Why each URL, on which the two differ, does: what datatrove says of the URL spelled as the rules read it."""
    hosts = [host_of(url) for url in urls]
    parents = [[host.split(".", k)[-1] for k in range(host.count("."))] for host in hosts]
    flat = [f"http://{parent}/" for some in parents for parent in some]
    denied = dict(zip(flat, peer.ask(flat)["reasons"], strict=True))
    low = peer.ask([url.lower() for url in urls])["reasons"]
    plain = peer.ask([decoded(url).lower() for url in urls])["reasons"]
    found = []
    for k, url in enumerate(urls):
        if mine[k] == "url_denied_url":
            found.append("a listed page: datatrove compares it with its scheme, the list has none")
        elif hosts[k].replace(".", "").isdigit():
            found.append("a listed IP address: to datatrove a host without a public suffix is none")
        elif mine[k] == low[k]:
            found.append("upper case in the URL: datatrove compares words and hosts as they are written")
        elif mine[k] == plain[k]:
            found.append("percent-encoding: datatrove does not decode")
        elif mine[k] == "url_denied_domain" and any(denied[f"http://{parent}/"] for parent in parents[k]):
            found.append("a listed domain above the host: datatrove looks at the host and its registered domain only")
        elif not decoded(url).isascii():
            found.append("letters beyond ASCII: to datatrove they separate words")
        else:
            found.append("other")
    return found


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", ["warc", "html"])
    lists = url_files(OPTIONS)
    domains, pages = (column.to_pylist() for column in unpacked(lists["ut1"]["sha256"]))
    words = [word for some in words_of(lists).values() for word in some]
    of_archives = seen(options.paths)
    urls = made(QUICK_URLS if options.quick else N_URLS, SEED, of_archives, domains, pages, words)
    crawled = pa.array(islice(cycle(of_archives), len(urls)), pa.large_string())
    column = pa.array(urls, pa.large_string())
    start_s, rules = cpu_s(lambda: UrlRules(OPTIONS, lists))
    rules.check_all(column[:10])
    times: dict[str, list[float]] = {"peer": [], "ours": [], "ours, URLs of archives": []}
    with Peer(
        peer_python("datatrove-0.10.1", DATATROVE), Path(__file__).parent / "peers" / "datatrove_urls.py"
    ) as peer:
        for _ in range(1 if options.quick else ROUNDS):
            answer = peer.ask(urls)
            times["peer"].append(answer["cpu_s"])
            seconds, reasons = cpu_s(lambda: rules.check_all(column))
            times["ours"].append(seconds)
            times["ours, URLs of archives"].append(cpu_s(lambda: rules.check_all(crawled))[0])
        theirs, mine = answer["reasons"], reasons.to_pylist()
        other = [k for k in range(len(urls)) if theirs[k] != mine[k]]
        why = classes([urls[k] for k in other], [mine[k] for k in other], peer)
    differ = Counter(zip(why, (theirs[k] or "-" for k in other), (mine[k] or "-" for k in other), strict=True))
    rate = {name: len(urls) / statistics.median(seconds) for name, seconds in times.items()}
    show("Speed, one core", ("what", "URLs a second"), list(rate.items()))
    both = Counter(zip(theirs, mine, strict=True))
    show("Decisions", ("reason", "datatrove", "ours", "both"), [
        (reason or "-", sum(n for (a, _), n in both.items() if a == reason),
         sum(n for (_, b), n in both.items() if b == reason), both[reason, reason])
        for reason in sorted({*theirs, *mine})
    ])  # fmt: skip
    show("Differences", ("why", "datatrove", "ours", "URLs"), [(*key, n) for key, n in differ.most_common()])
    print(f"{len(urls):,} URLs; rules ready, table of UT1 in the cache: {start_s:.3f} s")
    for k in [k for k, reason in zip(other, why, strict=True) if reason == "other"][:20]:
        print("other:", urls[k], theirs[k], mine[k])
    same = sum(bool(a) == bool(b) for a, b in zip(theirs, mine, strict=True)) / len(urls)
    ratio = statistics.median(a / b for a, b in zip(times["peer"], times["ours"], strict=True))
    claims = {
        "speedup_vs_datatrove": {"value": round(ratio, 1), "goal": None, "unit": "times"},
        "urls_per_s": {"value": round(rate["ours, URLs of archives"]), "goal": 1_000_000, "unit": "URLs a second"},
        "made_urls_per_s": {"value": round(rate["ours"]), "goal": 1_000_000, "unit": "URLs a second"},
        "agreement": {"value": round(same, 4), "goal": None, "unit": "share"},
        "unexplained": {"value": why.count("other"), "goal": 0, "unit": "URLs"},
    }
    by_class = dict(Counter(why).most_common())
    finish(
        "urls",
        options.quick,
        claims,
        {"times_s": times, "urls": len(urls), "start_s": start_s, "differences": by_class},
    )


if __name__ == "__main__":
    main()
