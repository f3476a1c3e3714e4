from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup.cluster import CLUSTERED, cluster
from pipeline.dedup.options import DedupOptions

Edge = tuple[str, int, int]
RANK_TYPES = {"source_rank": pa.int32(), "n_chars": pa.int64(), "date": pa.string()}


def an_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def edge_table(pairs: list[tuple[int, int]]) -> pa.Table:
    columns = [pa.array([an_id(pair[side]) for pair in pairs], pa.binary(16)) for side in (0, 1)]
    return pa.Table.from_arrays(columns, names=["a", "b"])


def document_table(documents: dict[int, dict[str, Any]]) -> pa.Table:
    ids = pa.array([an_id(number) for number in documents], pa.binary(16))
    columns = [pa.array([ranks[name] for ranks in documents.values()], kind) for name, kind in RANK_TYPES.items()]
    return pa.Table.from_arrays([ids, *columns], names=["id", *RANK_TYPES])


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


def brute_force(edges: list[Edge], documents: dict[int, dict[str, Any]], options: DedupOptions) -> list[dict[str, Any]]:
    keys = {
        "source": lambda d: d["source_rank"],
        "longest": lambda d: -d["n_chars"],
        "earliest": lambda d: (not d["date"], d["date"] or ""),
    }
    together = components(list(documents), [(a, b) for _, a, b in edges])
    equal = components(list(documents), [(a, b) for kind, a, b in edges if kind == "exact"])
    rows = []
    for number in sorted(documents):
        members = together[number]
        if len(members) == 1:
            continue
        stays = min(members, key=lambda m: (*(keys[rule](documents[m]) for rule in options.survivor), m))
        reason = "exact_duplicate" if equal[number] == equal[stays] else "near_duplicate"
        rows.append(
            {
                "id": an_id(number),
                "cluster": an_id(min(members)),
                "survivor": an_id(stays),
                "size": len(members),
                "reason": "" if number == stays else reason,
            }
        )
    return rows


ranks = st.fixed_dictionaries(
    {
        "source_rank": st.integers(0, 2),
        "n_chars": st.integers(0, 3),
        "date": st.sampled_from(["", None, "2019", "2020-01-31", "2020-01-31T00:00:00Z"]),
    }
)
numbers = st.integers(0, 2**128 - 1) | st.integers(0, 30)
rules = st.lists(st.sampled_from(["source", "longest", "earliest"]), unique=True, max_size=3).map(tuple)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_clusters_are_the_components_for_any_order_and_cutting(data: st.DataObject) -> None:
    documents = data.draw(st.dictionaries(numbers, ranks, min_size=1, max_size=25))
    member = st.sampled_from(sorted(documents))
    edges = data.draw(st.lists(st.tuples(st.sampled_from(["exact", "near"]), member, member), max_size=25))
    options = DedupOptions(survivor=data.draw(rules))
    expected = brute_force(edges, documents, options)

    whole = [(kind, edge_table([(a, b) for k, a, b in edges if k == kind])) for kind in ("near", "exact")]
    result = cluster(whole, document_table(documents), options)
    assert result.schema.equals(CLUSTERED)
    assert result.to_pylist() == expected

    order = data.draw(st.permutations(sorted(documents)))
    pieces = ((kind, edge_table([(b, a)])) for kind, a, b in data.draw(st.permutations(edges)))
    assert cluster(pieces, document_table({n: documents[n] for n in order}), options).equals(result)


def test_a_chain_is_one_cluster() -> None:
    n = 20_000
    documents = {number: {"source_rank": 0, "n_chars": number, "date": ""} for number in range(n)}
    chain = [(i, i + 1) for i in range(n - 1)]
    result = cluster([("near", edge_table(chain[::-1]))], document_table(documents), DedupOptions())
    assert len(result) == n
    assert set(result["cluster"].to_pylist()) == {an_id(0)}
    assert set(result["survivor"].to_pylist()) == {an_id(n - 1)}
    assert set(result["size"].to_pylist()) == {n}


def test_only_the_columns_of_the_rules_are_needed() -> None:
    documents = document_table(
        {1: {"source_rank": 0, "n_chars": 5, "date": ""}, 2: {"source_rank": 0, "n_chars": 9, "date": ""}}
    )
    edges = [("exact", edge_table([(1, 2)]))]
    longest = cluster(edges, documents.select(["id", "n_chars"]), DedupOptions(survivor=("longest",)))
    assert longest["reason"].to_pylist() == ["exact_duplicate", ""]
    smallest = cluster(edges, documents.select(["id"]), DedupOptions(survivor=()))
    assert smallest["reason"].to_pylist() == ["", "exact_duplicate"]
    with pytest.raises(ValueError, match="no column 'source_rank'; the table has id, n_chars"):
        cluster(edges, documents.select(["id", "n_chars"]), DedupOptions())


def test_no_edges_no_rows() -> None:
    documents = document_table({1: {"source_rank": 0, "n_chars": 5, "date": ""}})
    assert len(cluster([], documents, DedupOptions())) == 0
    assert len(cluster([("near", edge_table([]))], documents.slice(0, 0), DedupOptions())) == 0


def test_what_does_not_fit_is_named() -> None:
    documents = document_table({n: {"source_rank": 0, "n_chars": 5, "date": ""} for n in (1, 2)})
    options = DedupOptions()
    with pytest.raises(ValueError, match=r"1 of 2 ids in column 'b' of the near edges .* 2 documents.*0{30}07;"):
        cluster([("near", edge_table([(1, 2), (1, 7)]))], documents, options)
    with pytest.raises(ValueError, match="kind 'fuzzy'; expected 'exact' or 'near'"):
        cluster([("fuzzy", edge_table([(1, 2)]))], documents, options)
    with pytest.raises(ValueError, match=r"1 ids appear more than once .* 0{30}01;"):
        cluster([], pa.concat_tables([documents, documents.slice(0, 1)]), options)
    nulls = documents.set_column(2, "n_chars", pa.array([1, None], pa.int64()))
    with pytest.raises(ValueError, match="'n_chars' holds int64 with 1 nulls; expected integers"):
        cluster([("near", edge_table([(1, 2)]))], nulls, options)
