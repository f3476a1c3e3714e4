"""Which Sequence stands at a position."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.manifest import MixtureRow
from training.order import RowOrder, permute

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
    positions = np.arange(order.n_rows * (number + 1))
    found = np.stack(order.at(positions))
    for index, row in enumerate(order.plan):
        assert (found[0, -order.n_rows :] == index).sum() == row.rows
        uses = np.bincount(found[1, found[0] == index], minlength=row.rows_available)
        assert max(uses) - min(uses) <= 1  # no row a second time before all were read


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


phased = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 30)), min_size=1, max_size=5),
    min_size=1,
    max_size=3,
).filter(lambda phases: any(rows for phase in phases for _, _, rows in phase))


def phased_plan(phases: list[list[tuple[int, int, int]]]) -> list[MixtureRow]:
    """Phases of (Cell, stretch, rows); the Cells have 7, 20 and 33 rows."""
    available = (7, 20, 33)
    unique = [{(cell, stretch): rows for cell, stretch, rows in phase} for phase in phases]
    return [
        MixtureRow(f"cell{c}", 0.0, 0.0, rows, available[c], 0, rows / available[c], phase=number, stretch=stretch)
        for number, phase in enumerate(unique)
        for (c, stretch), rows in phase.items()
    ]


@given(phased, st.integers(0, 2**63 - 1), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_phases_follow_each_other_and_read_on(phases: list[list[tuple[int, int, int]]], seed: int, passes: int) -> None:
    mixture = phased_plan(phases)
    order = RowOrder(mixture[::-1], seed)
    cells, rows = order.at(np.arange(order.n_rows * passes))
    read = [order.plan[cell] for cell in cells.tolist()]
    for number in range(passes):
        at = [(row.phase, row.stretch) for row in read[number * order.n_rows : (number + 1) * order.n_rows]]
        assert at == sorted(at)
        assert Counter(at) == sum((Counter({(m.phase, m.stretch): m.rows}) for m in mixture), Counter())
    assert Counter(id(row) for row in read) == {id(row): row.rows * passes for row in order.plan}
    for cell in {row.cell for row in mixture}:
        own = [r for r, row in zip(rows.tolist(), read, strict=True) if row.cell == cell]
        uses = Counter(own)
        n = next(row.rows_available for row in mixture if row.cell == cell)
        assert not own or max(uses.values()) - (min(uses.values()) if len(uses) == n else 0) <= 1


def test_a_later_phase_reads_what_the_earlier_ones_left() -> None:
    mixture = [MixtureRow("books", 0.0, 0.0, 40, 100, 0, 0.4, phase=phase) for phase in (0, 1)]
    order = RowOrder(mixture, 5)
    _, rows = order.at(np.arange(80))
    assert len(set(rows.tolist())) == 80
    assert order.phase_ends == [40, 80]


def test_the_order_is_fixed_for_all_time() -> None:
    mixture = [
        MixtureRow("a", 0.0, 0.0, 4, 3, 0, 4 / 3),
        MixtureRow("b", 0.0, 0.0, 2, 5, 0, 0.4),
        MixtureRow("b", 0.0, 0.0, 4, 5, 0, 0.8, phase=1),
    ]
    assert np.stack(RowOrder(mixture, 11).at(np.arange(12))).tolist() == [
        [1, 1, 0, 0, 0, 0, 2, 2, 2, 2, 0, 1],
        [2, 1, 2, 1, 0, 2, 0, 4, 3, 4, 0, 0],
    ]
