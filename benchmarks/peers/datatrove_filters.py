"""datatrove's four quality filters of examples/fineweb.py, streamed: each document through all of them, warm.

Runs in the peer's environment. Argument: a file with a JSON string on each line. For each line on standard input, a
list of line numbers, it prints {"cpu_s": ..., "reasons": [...]}: "" for a kept document, else the first reason to drop.
"""

import json
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

FILTERS = (
    GopherRepetitionFilter(),
    GopherQualityFilter(),
    C4QualityFilter(filter_no_terminal_punct=False),
    FineWebQualityFilter(),
)


def reason(text: str) -> str:
    """Why datatrove drops a document; "" if it does not."""
    document = Document(text=text, id="")
    for step in FILTERS:
        result = step.filter(document)
        if result is not True:
            return result[1] if isinstance(result, tuple) else type(step).__name__
    return ""


def main() -> None:
    """Answer until standard input ends."""
    with Path(sys.argv[1]).open(encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    for text in texts[:10]:
        reason(text)
    for line in sys.stdin:
        chosen = [texts[k] for k in json.loads(line)]
        begun = time.process_time()
        reasons = [reason(text) for text in chosen]
        print(json.dumps({"cpu_s": time.process_time() - begun, "reasons": reasons}), flush=True)


main()
