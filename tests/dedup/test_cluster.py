from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup.cluster import CLUSTERED, cluster
from pipeline.dedup.match import EDGES
from pipeline.dedup.options import BestBy, DedupOptions
from pipeline.dedup.parts import SignedPart
from tests.dedup.signed import all_edges, an_id, part_of, signed_table

Rows = list[dict[str, Any]]
RANK_TYPES = {"source_rank": pa.int32(), "n_chars": pa.int64(), "date": pa.string(), "score": pa.float32()}
NO_SCORE = BestBy(measure="score")


def edge_table(pairs: list[tuple[int, int]]) -> pa.Table:
    columns = [pa.array([an_id(pair[side]) for pair in pairs], pa.binary(16)) for side in (0, 1)]
    return pa.Table.from_arrays(columns, schema=EDGES)


def clusters(pieces: list[Rows], edges: list[pa.Table], options: DedupOptions, earlier: Rows = ()) -> pa.Table:
    """Clusters of documents cut into `pieces`, with those of an earlier version behind them."""
    parts: list[SignedPart] = [part_of(signed_table(piece, options), options) for piece in pieces]
    parts.append(part_of(signed_table(earlier, options), options, is_earlier=True))
    by_id = [sorted(piece, key=lambda row: row["id"]) for piece in pieces]

    def ranks(part: int, rows: np.ndarray) -> pa.Table:
        mine = [by_id[part][row] for row in rows]
        return pa.table({name: pa.array([row.get(name) for row in mine], kind) for name, kind in RANK_TYPES.items()})

    return cluster(lambda: edges, parts, ranks, options)


def components(members: list[int], edges: list[tuple[int, int]]) -> dict[int, frozenset[int]]:
    """Each member's component, by spreading labels until nothing changes."""
    label = {member: member for member in members}
    changed = True
    while changed:
        changed = False
        for a, b in edges:
            low = min(label[a], label[b])
            changed |= label[a] != low or label[b] != low
            label[a] = label[b] = low
    groups = defaultdict(set)
    for member, root in label.items():
        groups[root].add(member)
    return {member: frozenset(groups[label[member]]) for member in members}


KEYS = {
    "source": lambda d: d["source_rank"],
    "longest": lambda d: -d["n_chars"],
    "earliest": lambda d: (not d["date"], d["date"] or ""),
    "latest": lambda d: (not d["date"], [-ord(c) for c in d["date"] or ""] + [1]),
    NO_SCORE: lambda d: (d["score"] != d["score"], -d["score"] if d["score"] == d["score"] else 0),
}


def brute_force(rows: Rows, edges: list[tuple[int, int]], options: DedupOptions) -> Rows:
    documents = {row["id"]: row for row in rows}
    together = components(list(documents), edges)
    found = []
    for number in sorted(documents):
        members = together[number]
        if len(members) == 1:
            continue
        stays = min(members, key=lambda m: (*(KEYS[rule](documents[m]) for rule in options.survivor), m))
        same = documents[number]["exact"] == documents[stays]["exact"]
        found.append(
            {
                "id": an_id(number),
                "cluster": an_id(min(members)),
                "survivor": an_id(stays),
                "size": len(members),
                "reason": "" if number == stays else "exact_duplicate" if same else "near_duplicate",
            }
        )
    return found


documents = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 2**128 - 1) | st.integers(0, 30) | st.integers(2**64, 2**64 + 5),
            "exact": st.integers(0, 3),
            "source_rank": st.integers(0, 2),
            "n_chars": st.integers(0, 3),
            "date": st.sampled_from(["", None, "2019", "2020-01-31", "2020-01-31T00:00:00Z"]),
            "score": st.sampled_from([0.25, 0.5, float("nan")]),
        }
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda row: row["id"],
)
rules = st.lists(st.sampled_from(list(KEYS)), unique=True, max_size=3).map(tuple)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_clusters_are_the_components_for_any_order_and_cutting(data: st.DataObject) -> None:
    rows = data.draw(documents)
    member = st.sampled_from([row["id"] for row in rows])
    edges = data.draw(st.lists(st.tuples(member, member), max_size=25))
    options = DedupOptions(near=False, survivor=data.draw(rules))

    whole = clusters([rows], [edge_table(edges)], options)
    assert whole.schema.equals(CLUSTERED)
    assert whole.drop_columns(["similarity", "part"]).to_pylist() == brute_force(rows, edges, options)

    order = data.draw(st.permutations(rows))
    at = data.draw(st.integers(0, len(rows)))
    pieces = [edge_table([(b, a)]) for a, b in data.draw(st.permutations(edges))]
    parts = clusters([order[:at], order[at:]], pieces, options)
    assert parts["part"].to_pylist() == sorted(parts["part"].to_pylist())
    assert parts.sort_by("id").drop_columns("part").equals(whole.drop_columns("part"))


def plain(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "source_rank": 0, "n_chars": 5, "date": "", "score": 0.0, **fields}


def test_a_chain_is_one_cluster() -> None:
    n, options = 20_000, DedupOptions(near=False)
    rows = [plain(number, n_chars=number) for number in range(n)]
    chain = [(i, i + 1) for i in range(n - 1)]
    result = clusters([rows[::2], rows[1::2]], [edge_table(chain[::-1])], options)
    assert len(result) == n
    assert set(result["cluster"].to_pylist()) == {an_id(0)}
    assert set(result["survivor"].to_pylist()) == {an_id(n - 1)}
    assert set(result["size"].to_pylist()) == {n}


def test_no_edges_no_rows() -> None:
    options = DedupOptions(near=False)
    assert len(clusters([[plain(1)]], [], options)) == 0
    assert len(clusters([[]], [edge_table([])], options)) == 0
    assert len(clusters([[plain(1)]], [edge_table([(1, 1)])], options)) == 0


def test_reason_and_similarity_say_how_a_duplicate_is_one() -> None:
    options = DedupOptions(url="address", bands=2, rows=2)
    rows = [
        plain(1, exact=1, url=1, signature=[1, 2, 3, 4]),
        plain(2, exact=1, url=2, signature=[1, 2, 3, 4]),
        plain(3, exact=3, url=1, signature=[1, 9, 9, 9]),
        plain(4, exact=4, url=None, signature=[1, 2, 3, 9]),
        plain(5, exact=5, url=1, signature=None),
    ]
    parts = [part_of(signed_table(rows, options), options)]
    found = clusters([rows[:2], rows[2:]], all_edges(parts, options), options)
    reasons = ["", "exact_duplicate", "url_duplicate", "near_duplicate", "url_duplicate"]
    assert found["reason"].to_pylist() == reasons
    assert found["similarity"].to_pylist() == [None, 1, 0.25, 0.75, None]
    assert set(found["survivor"].to_pylist()) == {an_id(1)}


def test_what_an_earlier_version_holds_stays_there() -> None:
    options = DedupOptions(bands=2, rows=2)
    earlier = [plain(50, exact=1, signature=[1, 2, 3, 4]), plain(7, exact=9, signature=[5, 5, 5, 5])]
    rows = [
        plain(1, exact=1, n_chars=99, signature=[1, 2, 3, 4]),  # its text
        plain(2, exact=2, n_chars=98, signature=[1, 2, 9, 9]),  # like it
        plain(7, exact=9, signature=[5, 5, 5, 5]),  # the very record
        plain(8, exact=8, signature=[6, 6, 6, 6]),  # new
        plain(9, exact=8, signature=[6, 6, 6, 6]),  # new, twice
    ]
    parts = [part_of(signed_table(rows, options), options)]
    parts.append(part_of(signed_table(earlier, options), options, is_earlier=True))
    found = clusters([rows], all_edges(parts, options), options, earlier).to_pylist()
    assert [(row["id"], row["survivor"], row["reason"]) for row in found] == [
        (an_id(1), an_id(50), "earlier_duplicate"),
        (an_id(2), an_id(50), "earlier_duplicate"),
        (an_id(7), an_id(7), "earlier_duplicate"),
        (an_id(8), an_id(8), ""),
        (an_id(9), an_id(8), "exact_duplicate"),
    ]
    assert [row["similarity"] for row in found] == [1, 0.5, 1, None, 1]


def test_what_does_not_fit_is_named() -> None:
    options = DedupOptions(near=False)
    rows = [plain(1), plain(2)]
    with pytest.raises(ValueError, match=r"1 of 3 ids of the edges are in no Part, the first is 0{30}07;"):
        clusters([rows], [edge_table([(1, 2), (1, 7)])], options)
    nulls = [plain(1), plain(2, n_chars=None)]
    with pytest.raises(ValueError, match="'n_chars' holds int64 with 1 nulls; expected integers"):
        clusters([nulls], [edge_table([(1, 2)])], options)
