"""Match and Cluster together: whatever the order of documents, their cutting into Parts, and the ranges of keys, the
same survivors come out, each with the same reason and similarity."""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup.cluster import cluster
from pipeline.dedup.options import BestBy, DedupOptions, VerifyOptions
from tests.dedup.signed import all_edges, part_of, signed_table

Rows = list[dict[str, Any]]

documents = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 2**128 - 1),
            "exact": st.integers(0, 4),
            "url": st.none() | st.integers(0, 4),
            "signature": st.none() | st.lists(st.integers(0, 2), min_size=6, max_size=6),
            "shingles": st.sets(st.integers(0, 5), min_size=1),
            "is_earlier": st.booleans(),
            "scope": st.sampled_from(["x", "y"]),
            "n_chars": st.integers(0, 3),
            "score": st.sampled_from([0.0, 0.5, float("nan")]),
        }
    ),
    max_size=30,
    unique_by=lambda row: row["id"],
)
options = st.builds(
    DedupOptions,
    url=st.sampled_from(["off", "address"]),
    bands=st.just(3),
    rows=st.just(2),
    scope=st.sampled_from(["all", "source"]),
    verify=st.none()
    | st.builds(VerifyOptions, jaccard=st.sampled_from([0.3, 0.8]), by=st.sampled_from(["signature", "shingles"])),
    survivor=st.sampled_from([("longest",), (BestBy(measure="score"), "longest"), ()]),
)


def survivors(pieces: list[Rows], asked: DedupOptions, n_ranges: int) -> list[dict[str, Any]]:
    """What became of the documents, those of earlier versions in Parts of their own."""
    by_id = [sorted(piece, key=lambda row: row["id"]) for piece in pieces if piece]
    split = [[row for row in rows if row["is_earlier"] == which] for rows in by_id for which in (False, True)]
    parts = [
        part_of(
            signed_table(rows, asked),
            asked,
            is_earlier=bool(place % 2),
            scopes=None
            if asked.scope == "all"
            else lambda rows=rows: pa.array([row["scope"] for row in rows], pa.string()),
        )
        for place, rows in enumerate(split)
    ]

    def ranks(part: int, rows: np.ndarray) -> pa.Table:
        mine = [split[part][row] for row in rows]
        return pa.table({name: [row[name] for row in mine] for name in ("n_chars", "score")})

    edges = all_edges(parts, asked, n_ranges)
    found = cluster(lambda: edges, parts, ranks, asked).drop_columns("part")
    return found.sort_by("id").to_pylist()


@settings(max_examples=150, deadline=None)
@given(
    documents, options, st.randoms(use_true_random=False), st.lists(st.integers(0, 30), max_size=4), st.integers(1, 3)
)
def test_the_same_survivors_for_any_order_cutting_and_ranges(rows, asked, random, cuts, n_ranges) -> None:
    expected = survivors([rows], asked, 1)
    random.shuffle(rows)
    places = [0, *sorted(cuts), len(rows)]
    pieces = [rows[a:b] for a, b in pairwise(places)]
    assert survivors(pieces, asked, n_ranges) == expected
    stays = {row["survivor"] for row in expected}
    dropped = {row["id"] for row in expected if row["reason"]}
    assert not stays & dropped
