"""Which Sequence stands at a position."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.manifest import MixtureRow
from training.data import RowOrder, permute

plans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=4).filter(
    lambda cells: any(rows for rows, _ in cells)
)


def plan(cells: list[tuple[int, int]]) -> list[MixtureRow]:
    return [
        MixtureRow(f"cell{i}", 0.0, 0.0, rows, available, 0, rows / available)
        for i, (rows, available) in enumerate(cells)
    ]


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
@settings(max_examples=60, deadline=None)
def test_permute_is_a_bijection(n: int, key: int) -> None:
    image = permute(np.arange(n), n, np.uint64(key))
    assert np.array_equal(np.sort(image), np.arange(n))


def test_permute_is_unlike_the_identity_and_other_keys() -> None:
    n = 1000
    a, b = (permute(np.arange(n), n, np.uint64(key)) for key in (1, 2))
    for one, other in ((a, np.arange(n)), (a, b)):
        assert (one == other).sum() < 10  # 1 is expected of independent permutations
    assert abs(np.corrcoef(a, np.arange(n))[0, 1]) < 0.15


def test_permute_is_fixed_for_all_time() -> None:
    assert permute(np.arange(10), 10, np.uint64(3)).tolist() == [8, 6, 4, 1, 0, 9, 2, 5, 3, 7]


def test_permute_of_a_huge_range() -> None:
    n = 10**14
    image = permute(np.arange(n - 5, n), n, np.uint64(9))
    assert len(set(image.tolist())) == 5
    assert image.min() >= 0 and image.max() < n


@given(plans, st.integers(0, 2**63 - 1), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_pass_holds_the_mixture_exactly(cells: list[tuple[int, int]], seed: int, number: int) -> None:
    order = RowOrder(plan(cells), seed)
    positions = np.arange(order.n_rows) + number * order.n_rows
    found = Counter(zip(*(x.tolist() for x in order.at(positions)), strict=True))
    for index, row in enumerate(order.plan):
        uses = [found[index, r] for r in range(row.rows_available)]
        assert sum(uses) == row.rows
        assert max(uses) - min(uses) <= 1  # no row a second time before all were read
    assert sum(found.values()) == order.n_rows


@given(plans, st.integers(0, 2**63 - 1), st.lists(st.integers(1, 17), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_order_does_not_depend_on_how_it_is_asked(cells: list[tuple[int, int]], seed: int, sizes: list[int]) -> None:
    order = RowOrder(plan(cells), seed)
    positions = np.arange(sum(sizes))
    whole = order.at(positions)
    for parts in (np.split(positions, np.cumsum(sizes)[:-1]), [positions[::2], positions[1::2]]):
        for part in parts:
            for asked, expected in zip(order.at(part), whole, strict=True):
                assert np.array_equal(asked, expected[part])


def test_passes_and_seeds_differ() -> None:
    cells = plan([(200, 100), (50, 500)])
    n = RowOrder(cells, 0).n_rows
    first, second = (np.stack(RowOrder(cells, 0).at(np.arange(n) + k * n)) for k in (0, 1))
    other = np.stack(RowOrder(cells, 1).at(np.arange(n)))
    assert (first != second).any(axis=0).mean() > 0.9
    assert (first != other).any(axis=0).mean() > 0.9
    assert (first[0] != other[0]).any()  # the Cells' turns, too


def test_a_cell_read_in_part_gives_other_rows_in_the_next_pass() -> None:
    order = RowOrder(plan([(50, 500)]), 0)
    first, second = (set(order.at(np.arange(50) + k * 50)[1].tolist()) for k in (0, 1))
    assert len(first & second) < 20
