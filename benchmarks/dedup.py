"""Near-duplicates: how fast signatures are, which pairs are found, and how search grows to ten million documents.

`dedup_speed.py`, `dedup_found.py` and `dedup_growth.py` are its three parts; docs/dedup.md has what came out.
"""

from common import arguments, finish, texts
from dedup_found import found
from dedup_growth import growth
from dedup_speed import speed

QUICK_BYTES = 4_000_000
SPEED_DOCUMENTS, QUICK_SPEED_DOCUMENTS = 1_000, 50


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", ["html", "books", "wiki"])
    some = texts(options.paths, QUICK_BYTES if options.quick else float("inf"))
    step = max(1, len(some) // (QUICK_SPEED_DOCUMENTS if options.quick else SPEED_DOCUMENTS))
    parts = (speed(some[::step], options.quick), found(some, options.quick), growth(options.quick))
    claims = {name: claim for made, _ in parts for name, claim in made.items()}
    finish("dedup", options.quick, claims, {name: value for _, kept in parts for name, value in kept.items()})


if __name__ == "__main__":
    main()
