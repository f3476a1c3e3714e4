"""Writes `datatrove_urls.json`: what datatrove's URLFilter says of URLs made around its lists.

Run by hand from the repository's root with an environment as `benchmarks/urls.py` makes it for the peer:

    python benchmarks/urls.py --quick && python tests/parity/make_url_golden.py
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

N_URLS, SEED, SEEN = 3000, 2, ("https://example.org/a/page", "http://www.example.net/")


def main() -> None:
    from common import Peer, peer_python
    from quality import DATATROVE
    from url_set import made

    from pipeline.steps.options import UrlOptions
    from pipeline.steps.url_lists import url_files, words_of
    from pipeline.steps.ut1 import unpacked

    lists = url_files(UrlOptions(lists=("ut1", "words")))
    domains, pages = (column.to_pylist() for column in unpacked(lists["ut1"]["sha256"]))
    words = [word for some in words_of(lists).values() for word in some]
    urls = sorted(set(made(N_URLS, SEED, SEEN, domains, pages, words)))
    with Peer(peer_python("datatrove-0.10.1", DATATROVE), ROOT / "benchmarks" / "peers" / "datatrove_urls.py") as peer:
        found = list(zip(urls, peer.ask(urls)["reasons"], strict=True))
    lines = ",\n".join(json.dumps(pair, ensure_ascii=False) for pair in found)
    (Path(__file__).parent / "datatrove_urls.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
