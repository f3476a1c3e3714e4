"""datatrove's Trafilatura extractor as examples/fineweb.py sets it up, without `deduplicate`.

Runs in the peer's environment. Prints the version of trafilatura; then for each line on standard input, a page, its
text, both as JSON strings.
"""

import json
import sys
from importlib.metadata import version

from datatrove.pipeline.extractors import Trafilatura


def main() -> None:
    """Answer until standard input ends."""
    extractor = Trafilatura(favour_precision=True, deduplicate=False)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = version(question["version_of"]) if isinstance(question, dict) else extractor.extract(question)
        except Exception as error:  # which datatrove counts, and goes on
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            answer = ""
        print(json.dumps(answer or ""), flush=True)


main()
