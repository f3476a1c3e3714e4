from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup import keys as keys_module
from pipeline.dedup import match as module
from pipeline.dedup import verify as verify_module
from pipeline.dedup.keys import keys_of
from pipeline.dedup.match import EDGES, KEY_SPACE, match
from pipeline.dedup.options import DedupOptions, VerifyOptions, band_names
from tests.dedup.signed import all_edges, pairs, part_of, signed_table

OPTIONS = DedupOptions(url="address", bands=2, rows=2)

# Few values, so that groups form; ids from both ends of the range, so that a signed comparison would show.
numbers = st.one_of(st.integers(0, 40), st.integers(2**128 - 40, 2**128 - 1), st.just(2**127), st.just(2**63))
values = st.lists(st.sampled_from([0, 1, 2**32 - 2]), min_size=4, max_size=4)
documents = st.lists(
    st.fixed_dictionaries(
        {
            "id": numbers,
            "exact": st.integers(0, 6),
            "url": st.none() | st.integers(0, 6),
            "signature": st.none() | values,
            "scope": st.sampled_from([None, "", "x", "y"]),
            "takes_part": st.booleans(),
        }
    ),
    max_size=40,
    unique_by=lambda row: row["id"],
)


def brute_force(rows: list[dict[str, Any]], scoped: bool) -> dict[str, set[tuple[int, int]]]:
    """Per band, the pairs of each group's smallest id with the others."""
    found = {}
    for name in band_names(OPTIONS):
        groups = defaultdict(set)
        for row in rows:
            band = {"band_00": 0, "band_01": 2}.get(name)
            value = row[name] if band is None else row["signature"] and tuple(row["signature"][band : band + 2])
            if value is not None and row["takes_part"]:
                groups[value, (row["scope"] or "") if scoped else None].add(row["id"])
        found[name] = {(min(group), member) for group in groups.values() for member in group - {min(group)}}
    return found


def cut(rows: list[dict[str, Any]], sizes: list[int], scoped: bool) -> list:
    parts, start = [], 0
    for size in [*sizes, len(rows)]:
        mine = sorted(rows[start : start + size], key=lambda row: row["id"])
        start += size
        mask = np.array([row["takes_part"] for row in mine], bool)
        scopes = pa.array([row["scope"] for row in mine], pa.string())
        fields = {"is_candidate": lambda mask=mask: mask}
        if scoped:
            fields["scopes"] = lambda scopes=scopes: scopes
        parts.append(part_of(signed_table(mine, OPTIONS), OPTIONS, **fields))
    return parts


@settings(max_examples=60, deadline=None)
@given(documents, st.randoms(use_true_random=False), st.lists(st.integers(0, 9), max_size=6), st.booleans())
def test_edges_are_those_of_a_dictionary_for_any_order_cutting_and_ranges(rows, random, sizes, scoped) -> None:
    expected = brute_force(rows, scoped)
    whole = cut(rows, [], scoped)
    random.shuffle(rows)
    pieces = cut(rows, sizes, scoped)
    for band, wanted in expected.items():
        table = match(whole, band, (0, KEY_SPACE), OPTIONS).edges
        assert table.schema.equals(EDGES)
        assert pairs([table]) == wanted
        assert len(table) == len(wanted)
        assert match(pieces, band, (0, KEY_SPACE), OPTIONS).edges.equals(table)
        ranges = [match(pieces, band, (KEY_SPACE * i // 3, KEY_SPACE * (i + 1) // 3), OPTIONS).edges for i in range(3)]
        assert sum(map(len, ranges)) == len(table)
        assert pairs(ranges) == wanted


def test_what_is_joined_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [{"id": i, "exact": int(rng.integers(300)), "signature": rng.integers(3, size=4)} for i in range(1000)]
    options = DedupOptions(bands=2, rows=2)
    parts = [part_of(signed_table(rows[i : i + 250], options), options, 100) for i in range(0, 1000, 250)]
    whole = all_edges(parts, options)
    monkeypatch.setattr(module, "RANGE_ROWS", 64)
    for one, other in zip(whole, all_edges(parts, options), strict=True):
        assert one.equals(other)


def test_equal_keys_of_different_values_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "_hash_rows", lambda raw, out: out.fill(7))
    rng = np.random.default_rng(0)
    options = DedupOptions(near=False)
    rows = [{"id": int(i), "exact": int(rng.integers(9))} for i in rng.permutation(300)]
    groups = defaultdict(list)
    for row in rows:
        groups[row["exact"]].append(row["id"])
    wanted = {(min(group), member) for group in groups.values() for member in group if member != min(group)}
    assert pairs(all_edges([part_of(signed_table(rows, options), options)], options)) == wanted


def test_a_heavy_group_is_a_star() -> None:
    n, options = 100_000, DedupOptions(near=False)
    rows = [{"id": int(i), "exact": 1} for i in np.random.default_rng(0).permutation(n)]
    parts = [part_of(signed_table(rows[i : i + 30_000], options), options, 16_384) for i in range(0, n, 30_000)]
    (table,) = all_edges(parts, options)
    assert len(table) == n - 1
    assert pairs([table]) == {(0, i) for i in range(1, n)}


def test_the_same_record_in_an_earlier_version_is_an_edge_to_itself() -> None:
    options = DedupOptions(near=False)
    new = part_of(signed_table([{"id": 5, "exact": 1}, {"id": 6, "exact": 2}], options), options)
    old = part_of(signed_table([{"id": 5, "exact": 1}], options), options, is_earlier=True)
    assert pairs(all_edges([new, old], options)) == {(5, 5)}


def test_nothing_to_match() -> None:
    assert match([], "exact", (0, KEY_SPACE), OPTIONS).edges.num_rows == 0
    empty = part_of(signed_table([], OPTIONS), OPTIONS)
    unsigned = part_of(signed_table([{"id": 1}, {"id": 2}], OPTIONS), OPTIONS)
    assert pairs(all_edges([empty, unsigned], OPTIONS)) == set()


def test_keys_are_sorted_runs() -> None:
    rng = np.random.default_rng(0)
    rows = [{"id": i, "signature": rng.integers(2**32 - 1, size=4)} for i in range(500)]
    run = keys_of(signed_table(rows, OPTIONS), OPTIONS)
    assert run.equals(run.sort_by([("band", "ascending"), ("key", "ascending"), ("row", "ascending")]))
    assert run["band"].value_counts().to_pylist() == [{"values": b, "counts": 500} for b in (-2, 0, 1)]


def signatures_like(first: np.ndarray, shares: list[float], rng: np.random.Generator) -> list[np.ndarray]:
    """The first signature, changed but for a share of its values; the first band stays."""
    found = []
    for share in shares:
        values = rng.integers(2**32 - 1, size=len(first), dtype=np.uint64)
        kept = np.arange(len(first)) < round(share * len(first))
        found.append(np.where(kept, first, values))
    return found


@pytest.mark.parametrize("block_rows", [1, 3, 65_536])
def test_only_pairs_that_are_alike_enough_count(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_module, "BLOCK_ROWS", block_rows)
    rng = np.random.default_rng(0)
    options = DedupOptions(exact=False, bands=10, rows=2, verify=VerifyOptions(jaccard=0.7))
    first = rng.integers(2**32 - 1, size=20, dtype=np.uint64)
    shares = [1, 0.75, 0.7, 0.65, 0.3]
    rows = [{"id": i, "signature": s} for i, s in enumerate(signatures_like(first, shares, rng))]
    parts = [part_of(signed_table(rows[:2], options), options), part_of(signed_table(rows[2:], options), options)]
    found = match(parts, "band_00", (0, KEY_SPACE), options)
    # 3 is like neither 0 nor anyone else but in the values that all have; 4 even less.
    assert pairs([found.edges]) == {(0, 1), (0, 2)}
    assert found.verified.compared == 2 + 1 + 2  # 1 and 2 with 0; 3 with 0; 4 with 0 and 3
    assert found.verified.rejected == 3


def test_a_document_joins_the_first_it_is_like() -> None:
    """Two kinds of text under one band: each finds its own."""
    rng = np.random.default_rng(1)
    options = DedupOptions(exact=False, bands=10, rows=2, verify=VerifyOptions(jaccard=0.8))
    kinds = signatures_like(rng.integers(2**32 - 1, size=20, dtype=np.uint64), [0.1, 0.1, 0.1], rng)
    rows = [{"id": i, "signature": kinds[i % 3]} for i in range(300)]
    found = match([part_of(signed_table(rows, options), options)], "band_00", (0, KEY_SPACE), options)
    assert pairs([found.edges]) == {(i % 3, i) for i in range(3, 300)}


def test_true_jaccard_counts_shingles() -> None:
    options = DedupOptions(exact=False, bands=1, rows=2, verify=VerifyOptions(jaccard=0.8, by="shingles"))
    sets = [range(100), range(11, 100), range(10, 110), range(100), range(2, 98)]
    rows = [{"id": i, "signature": [1, 2], "shingles": s} for i, s in enumerate(sets)]
    parts = [part_of(signed_table(rows[i::2], options), options) for i in range(2)]
    found = match(parts, "band_00", (0, KEY_SPACE), options)
    wanted = {(0, i) for i in range(1, 5) if len({*sets[0]} & {*sets[i]}) / len({*sets[0]} | {*sets[i]}) >= 0.8}
    assert wanted == {(0, 1), (0, 2), (0, 3), (0, 4)}
    assert pairs([found.edges]) == wanted
    assert pairs(
        [
            match(
                parts,
                "band_00",
                (0, KEY_SPACE),
                options.model_copy(update={"verify": VerifyOptions(jaccard=0.89, by="shingles")}),
            ).edges
        ]
    ) == {(0, 1), (0, 3), (0, 4)}


def test_comparisons_grow_with_the_group() -> None:
    """Documents that are like no other: each is compared with the same few."""
    options = DedupOptions(exact=False, bands=10, rows=2, verify=VerifyOptions(jaccard=0.8))
    rng = np.random.default_rng(2)
    n = 2000
    signatures = rng.integers(2**32 - 1, size=(n, 20), dtype=np.uint64)
    signatures[:, :2] = 7
    rows = [{"id": i, "signature": s} for i, s in enumerate(signatures)]
    found = match([part_of(signed_table(rows, options), options)], "band_00", (0, KEY_SPACE), options)
    assert found.edges.num_rows == 0
    assert found.verified.compared == found.verified.rejected < n * verify_module.REPRESENTATIVES
