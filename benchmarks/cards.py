"""What people ask of a large version, and how long they wait: `asking.py` on records, `large_cards.py` on cards."""

import argparse

from asking import FULL_RECORDS, asking
from common import arguments, finish
from large_cards import large_cards


def options_of(parser: argparse.ArgumentParser) -> None:
    """How many records."""
    parser.add_argument("--records", type=int, help=f"of the version asked, default {FULL_RECORDS:,}")


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", [], options_of)
    parts = (large_cards(options.quick), asking(options.quick, options.records))
    claims = {name: claim for made, _ in parts for name, claim in made.items()}
    kept = {name: value for _, kept in parts for name, value in kept.items()}
    finish("cards", options.quick or options.records is not None, claims, kept)


if __name__ == "__main__":
    main()
