"""Builds the sample crawl, pipeline/sources/sample/sample.warc.gz, and its truth, truth.jsonl beside it.

    python tests/make_sample.py [FOLDER]

Everything in it is written for this project, in tests/sample: articles and the pages that a pipeline should drop
(kept/*.md, dropped/*.md, with what must become of each in the header), the sites around them (layouts/*.html,
sites.yaml, chrome.yaml), and answers that are no articles (others.yaml). Nothing depends on time or machine, so
building again gives the same bytes (zlib-ng in place of zlib gives another compression of the same records).

truth.jsonl has a line a record: `index`, `offset` (stored bytes), `url`, `name` and `fate`, which is the fate of a
record that gives no document, the drop reason of a document under recipes/commoncrawl.yaml, or `kept`. `cluster` joins
copies, `survivor` names the copy that stays, `pii` counts the personal data in a page by kind.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "pipeline" / "sources" / "sample"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.sample.archive import build

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    folder.mkdir(parents=True, exist_ok=True)
    archive, truth = build()
    (folder / "sample.warc.gz").write_bytes(archive)
    (folder / "truth.jsonl").write_bytes(truth)
    print(f"{folder}: {truth.count(10)} records, {len(archive)} bytes")


if __name__ == "__main__":
    main()
