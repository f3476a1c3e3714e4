"""Ways to share tokens among Cells, phases, and order by a measure."""

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.manifest import CellTotals, MixtureRow, by_cell, by_phase, planned_share, realised_share
from pipeline.mixture.options import MixtureOptions, Phase
from pipeline.mixture.plan import plan, remarks
from pipeline.mixture.shares import MixtureError, spread
from tests.test_mixture import cell

MIX = {"web": 60, "books": 10, "code": 15, "papers": 8, "encyclopedia": 5, "synthetic": 2}
"""As papers print it, per cent."""
SIX = [cell(name, rows) for name, rows in zip(MIX, (60_000, 3000, 20_000, 5000, 1500, 9000), strict=True)]


def shares(mixture: list[MixtureRow]) -> dict[str, float]:
    return {row.cell: row.share for row in by_cell(mixture)}


def options(**fields: object) -> MixtureOptions:
    return MixtureOptions.model_validate(fields)


def test_per_cents_and_shares_are_the_same_mixture() -> None:
    whole = plan(SIX, options(weights=MIX, tokens=20_000_000))
    assert whole == plan(SIX, options(weights={name: n / 100 for name, n in MIX.items()}, tokens=20_000_000))
    assert shares(whole) == pytest.approx({name: n / 100 for name, n in MIX.items()}, abs=0.001)


def test_alpha_gives_shares_in_proportion_to_a_power_of_the_size() -> None:
    sizes = {c.cell: c.tokens for c in SIX}
    for alpha in (0.3, 0.7):
        found = plan(SIX, options(alpha=alpha, tokens=10_000_000))
        total = sum(n**alpha for n in sizes.values())
        asked = {row.cell: row.share_asked for row in found}
        assert asked == pytest.approx({name: n**alpha / total for name, n in sizes.items()}, rel=1e-9)
        assert shares(found) == pytest.approx(asked, abs=0.001)
    assert shares(plan(SIX, options(alpha=1, tokens=10_000_000))) == pytest.approx(
        shares(plan(SIX, options(tokens=10_000_000))), abs=1e-9
    )


def unimax(sizes: dict[str, int], budget: float, max_epochs: float) -> dict[str, float]:
    """Algorithm 1 of Chung et al. 2023, arXiv 2304.09151, as printed there: from the smallest language on, an equal
    part of what is left of the budget, or `max_epochs` of the language."""
    left, given = budget, {}
    for place, name in enumerate(sorted(sizes, key=sizes.__getitem__)):
        given[name] = min(left / (len(sizes) - place), max_epochs * sizes[name])
        left -= given[name]
    return {name: n / sum(given.values()) for name, n in given.items()}


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=7), st.floats(0.05, 0.95), st.floats(0.5, 6))
@settings(deadline=None)
def test_unimax_is_that_of_the_paper(rows: list[int], part: float, max_epochs: float) -> None:
    cells = [cell(f"c{i}", n) for i, n in enumerate(rows)]
    tokens = max(1, int(part * max_epochs * sum(c.tokens for c in cells)))
    try:
        found = plan(cells, options(unimax=True, tokens=tokens, max_epochs=max_epochs, tolerance=0.9))
    except MixtureError as error:
        assert "not one whole row" in str(error)
        return
    expected = unimax({c.cell: c.tokens for c in cells}, tokens, max_epochs)
    assert {row.cell: row.share_asked for row in found} == pytest.approx(expected, rel=1e-9)


def test_token_targets_are_met() -> None:
    found = by_cell(plan(SIX, options(token_targets={"web": "6M", "books": 1_000_000, "code": "0.5M"})))
    assert {row.cell: row.tokens for row in found if row.rows} == {
        "web": 6_000_000,
        "books": 1_000_000,
        "code": 500_000,
    }


def test_targets_beyond_the_data_are_an_error_that_names_the_field() -> None:
    with pytest.raises(MixtureError, match=r"books: asked .* 40,000,000 tokens; .*\n.*Set mixture.token_targets"):
        plan(SIX, options(token_targets={"web": "6M", "books": "40M"}))


def test_what_is_short_is_spread_in_proportion() -> None:
    found = plan(SIX, options(weights=MIX, tokens="200M", when_short="spread"))
    books, web, code = ({row.cell: row for row in found}[name] for name in ("books", "web", "code"))
    assert books.share_asked == pytest.approx(0.1) and books.epochs == pytest.approx(4)
    assert books.tokens == 12_000_000 and books.share == pytest.approx(0.06, abs=0.001)
    assert web.share / code.share == pytest.approx(4, abs=0.01)  # as 60 to 15
    assert sum(row.spread for row in found) == pytest.approx(0, abs=1e-12)
    assert sum(row.tokens for row in found) == pytest.approx(200_000_000, rel=0.001)
    said = remarks(found)
    assert "books: asked 10.00%, there is enough for 6.00%; the rest is spread over others" in said
    assert any(line.startswith("warning: books: repeated, 4.00 epochs of 3000 rows") for line in said)
    with pytest.raises(MixtureError, match=r"(?s)books: asked 10.00% = 20,000,000.* spread what is missing"):
        plan(SIX, options(weights=MIX, tokens="200M"))


def test_a_weighted_source_without_documents_can_be_spread() -> None:
    cells = [cell("web", 1000), cell("books", 0), cell("code", 1000)]
    found = plan(cells, options(weights={"web": 1, "books": 2, "code": 1}, tokens=1_000_000, when_short="spread"))
    assert shares(found) == pytest.approx({"web": 0.5, "books": 0, "code": 0.5}, abs=0.001)
    assert {row.cell: row.spread for row in found} == pytest.approx({"web": 0.25, "books": -0.5, "code": 0.25})


def test_nothing_to_spread_over_is_an_error() -> None:
    with pytest.raises(MixtureError, match=r"Set mixture.tokens to 800,000 or less.*give other sources a weight, too"):
        plan([cell("web", 100), cell("books", 100)], options(tokens=900_000, when_short="spread"))


amounts = st.lists(st.integers(0, 100), min_size=4, max_size=4)


@given(st.lists(amounts, min_size=1, max_size=3), st.lists(st.integers(0, 100), min_size=4, max_size=4))
@settings(deadline=None)
def test_spreading_keeps_sums_and_capacities(phases: list[list[int]], rooms: list[int]) -> None:
    asked = [{f"c{i}": Fraction(n) for i, n in enumerate(phase)} for phase in phases]
    capacity = {f"c{i}": Fraction(n) for i, n in enumerate(rooms)}
    found = spread(asked, capacity)
    if len(asked) == 1:
        assert (found is None) == (sum(capacity[n] for n in asked[0] if asked[0][n]) < sum(asked[0].values()))
    if found is None:
        assert any(sum(phase[name] for phase in asked) > room for name, room in capacity.items())
        return
    for phase, got in zip(asked, found, strict=True):
        assert sum(got.values()) == sum(phase.values())
        assert all((got[name] > 0) <= (n > 0) for name, n in phase.items())
    for name, room in capacity.items():
        assert sum(got[name] for got in found) <= room
    if all(sum(phase[name] for phase in asked) <= room for name, room in capacity.items()):
        assert found == asked
    if len(asked) == 1:  # what is not full keeps its proportions, and gets no less than it asked for
        free = [n for n in asked[0] if asked[0][n] and found[0][n] < capacity[n]]
        assert len({found[0][n] / asked[0][n] for n in free}) <= 1
        assert all(found[0][n] >= asked[0][n] for n in free)


ANNEAL = {
    "weights": MIX,
    "tokens": "30M",
    "phases": [{"share": 90}, {"share": 10, "weights": {"web": 30, "books": 30, "papers": 30, "code": 10}}],
}


def test_phases_have_their_shares_and_count_epochs_together() -> None:
    found = plan(SIX, options(**ANNEAL))
    first, second = by_phase(found)
    assert sum(row.share for row in second) == pytest.approx(0.1, abs=0.0005)
    assert {r.cell: realised_share(r, first) for r in first} == pytest.approx(
        {n: w / 100 for n, w in MIX.items()}, abs=0.001
    )
    expected = {"web": 0.3, "books": 0.3, "papers": 0.3, "code": 0.1, "encyclopedia": 0, "synthetic": 0}
    assert {r.cell: realised_share(r, second) for r in second if r.rows} == pytest.approx(
        {name: n for name, n in expected.items() if n}, abs=0.001
    )
    books = next(row for row in by_cell(found) if row.cell == "books")
    assert books.tokens == pytest.approx(0.9 * 3_000_000 + 0.1 * 9_000_000, rel=0.001)
    with pytest.raises(MixtureError, match=r"books: .* 1.20 epochs, mixture.max_epochs is 1.1"):
        plan(SIX, options(**ANNEAL, max_epochs=1.1))


def test_without_a_budget_phases_go_as_far_as_all_of_them_together_can() -> None:
    found = by_cell(plan(SIX, options(**{**ANNEAL, "tokens": None}, max_epochs=2)))
    assert max(row.epochs for row in found) == pytest.approx(2, abs=0.001)
    assert next(row for row in found if row.cell == "books").epochs == pytest.approx(2, abs=0.001)


def test_a_short_cell_is_divided_among_phases() -> None:
    found = plan(SIX, options(**ANNEAL, when_short="spread", max_epochs=0.6))
    books = [row for row in found if row.cell == "books"]
    assert sum(row.epochs for row in books) == pytest.approx(0.6, abs=0.001)
    assert [row.tokens for row in books] == pytest.approx([0.6 * 3e6 * 0.75, 0.6 * 3e6 * 0.25], rel=0.01)


def test_a_sources_weight_is_shared_out_among_its_cells_by_size() -> None:
    cells = [cell("web.en", 6000), cell("web.de", 3000), cell("books", 1000)]
    found = shares(plan(cells, options(weights={"web": 3, "books": 1}, tokens=2_000_000)))
    assert found == pytest.approx({"web.en": 0.5, "web.de": 0.25, "books": 0.25}, abs=0.001)
    cells[:2] = [cell("web.en.len-0", 4000), cell("web.en.len-1", 2000), cell("web.de.len-0", 1000)]
    found = shares(plan(cells, options(weights={"web.en": 3, "books": 1}, tokens=2_000_000)))
    assert found == pytest.approx(
        {"web.en.len-0": 0.5, "web.en.len-1": 0.25, "web.de.len-0": 0, "books": 0.25}, abs=0.001
    )


def test_a_cells_weight_is_its_own() -> None:
    cells = [cell("web.en", 6000), cell("web.de", 3000), cell("books", 1000)]
    found = shares(plan(cells, options(weights={"web.de": 1, "books": 1}, tokens=2_000_000)))
    assert found == pytest.approx({"web.en": 0, "web.de": 0.5, "books": 0.5}, abs=0.001)


BUCKETS = [
    *(cell(f"web.quality-{k}", n) for k, n in enumerate((3000, 1000, 6000))),
    *(cell(f"books.en.quality-{k}", n) for k, n in enumerate((500, 500))),
    cell("code", 4000),
]


@pytest.mark.parametrize("first", ["low", "high"])
def test_order_reads_the_buckets_of_each_source_one_after_another(first: str) -> None:
    order = {"measure": "quality", "first": first}
    found = plan(BUCKETS, options(weights={"web": 5, "books": 1, "code": 4}, tokens=5_000_000, order=order))
    assert {row.phase for row in found} == {0}
    stretches: dict[int, list[MixtureRow]] = defaultdict(list)
    for row in found:
        stretches[row.stretch].append(row)
    assert len(stretches) == 4  # web changes at 30 and 40 %, books at 50 %
    for rows in stretches.values():
        n = sum(row.rows for row in rows)
        by_source: dict[str, int] = defaultdict(int)
        for row in rows:
            by_source[row.cell.split(".")[0]] += row.rows
        assert {name: k / n for name, k in by_source.items()} == pytest.approx(
            {"web": 0.5, "books": 0.1, "code": 0.4}, abs=2 / n
        )
    for source in ("web", "books.en"):
        read = [row.cell for row in found if row.cell.startswith(source) and row.rows]
        assert read == sorted(read, reverse=first == "high")
    plain = plan(BUCKETS, options(weights={"web": 5, "books": 1, "code": 4}, tokens=5_000_000))
    assert {row.cell: row.rows for row in by_cell(found)} == {row.cell: row.rows for row in plain}
    assert {row.cell: row.share_asked for row in by_cell(found)} == pytest.approx(
        {r.cell: r.share_asked for r in plain}
    )


weightings = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"alpha": st.floats(0, 1)}),
    st.fixed_dictionaries(
        {"weights": st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(0.1, 9), min_size=1)}
    ),
)
phases = st.lists(
    st.tuples(weightings, st.floats(0.1, 9), st.sampled_from([None, "low", "high"])), min_size=1, max_size=3
)


@given(
    st.lists(st.integers(0, 3000), min_size=7, max_size=7),
    phases,
    st.one_of(st.none(), st.integers(10**5, 10**7)),
    st.sampled_from(["error", "spread"]),
    st.floats(0.5, 5),
)
@settings(deadline=None)
def test_every_plan_with_phases_keeps_its_promises(
    sizes: list[int],
    asked: list[tuple[dict[str, object], float, str | None]],
    tokens: int | None,
    when_short: str,
    max_epochs: float,
) -> None:
    names = ["a.en", "a.de", "b.len-0", "b.len-1", "b.len-2", "c.en.len-0", "c.en.len-1"]
    cells = [cell(name, n) for name, n in zip(names, sizes, strict=True)]
    given_phases = [
        {"share": share, **way, "order": first and {"measure": "len", "first": first}} for way, share, first in asked
    ]
    chosen = options(phases=given_phases, tokens=tokens, when_short=when_short, max_epochs=max_epochs, tolerance=0.05)
    try:
        mixture = plan(cells, chosen)
    except MixtureError:
        return
    assert {row.cell for row in mixture} == set(names)
    assert [(r.phase, r.stretch, r.cell) for r in mixture] == sorted({(r.phase, r.stretch, r.cell) for r in mixture})
    assert sum(row.share for row in mixture) == pytest.approx(1)
    assert sum(row.share_asked for row in mixture) == pytest.approx(1)
    assert sum(row.spread for row in mixture) == pytest.approx(0, abs=1e-9)
    assert all(row.rows >= 0 for row in mixture)
    for row in by_cell(mixture):
        assert row.rows <= max_epochs * row.rows_available
    for phase in by_phase(mixture):
        assert all(abs(realised_share(row, phase) - planned_share(row, phase)) <= 0.05 for row in phase)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": {"web": 1}, "alpha": 0.3}, "weights and alpha both say how tokens are shared"),
        ({"unimax": True}, "unimax needs a budget"),
        ({"phases": [{"share": 1, "unimax": True}]}, "unimax needs a budget"),
        ({"weights": {"web": 1, "web.en": 1}}, "web.en is a part of web, which is named, too"),
        ({"token_targets": {"web": 1, "web.en": 1}}, "web.en is a part of web, which is named, too"),
        ({"token_targets": {"web": "6B"}, "tokens": 5}, "token_targets stand for shares and budget"),
        ({"tokens": "6 GB"}, "expected a number of tokens, such as 6000000000 or 6B .k, M, B, T., found '6 GB'"),
        ({"tokens": "1.2345k"}, "expected a number of tokens"),
    ],
)
def test_what_contradicts_itself_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(**fields)


def test_a_phase_takes_from_the_mixture_what_it_does_not_say() -> None:
    order = {"measure": "n_words"}
    chosen = options(weights={"web": 1}, order=order, phases=[{"share": 1}, {"share": 1, "alpha": 0.5}])
    first, second = chosen.all_phases()
    assert first == Phase.model_validate({"share": 1, "weights": {"web": 1}, "order": order})
    assert second == Phase.model_validate({"share": 1, "alpha": 0.5, "order": order})


def test_epochs_above_two_are_warned_of() -> None:
    cells = [CellTotals("web", "train", 1000, 10**6, 1000, 4 * 10**6), cell("books", 100)]
    said = remarks(plan(cells, options(weights={"web": 3, "books": 1}, tokens=1_000_000)))
    assert "warning: books: repeated, 2.50 epochs of 100 rows, which pays less each time (docs/mixture.md)" in said
    assert not any(
        "warning" in line for line in remarks(plan(cells, options(weights={"web": 5, "books": 1}, tokens=10**6)))
    )
