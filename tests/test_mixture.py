"""The mixture plan: shares, budgets, epochs, and what it says when they cannot be met."""

import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.manifest import CellTotals, MixtureRow
from pipeline.mixture.options import MixtureOptions
from pipeline.mixture.plan import plan, remarks
from pipeline.mixture.shares import MixtureError
from tests.small_dataset import run_pipeline


def cell(name: str, rows: int, tokens_per_row: int = 1000, split: str = "train") -> CellTotals:
    return CellTotals(name, split, rows, rows * tokens_per_row, rows, rows * 4000)


def by_name(mixture: list[MixtureRow]) -> dict[str, MixtureRow]:
    return {m.cell: m for m in mixture}


WEB_AND_WIKI = [cell("wiki", 100), cell("web", 900)]


def test_without_weights_every_row_is_read_once() -> None:
    mixture = plan([*WEB_AND_WIKI, cell("web", 7, split="validation")], MixtureOptions())
    assert mixture == [
        MixtureRow("web", 0.9, 0.9, 900, 900, 900_000, 1.0),
        MixtureRow("wiki", 0.1, 0.1, 100, 100, 100_000, 1.0),
    ]
    assert remarks(mixture) == []


def test_a_budget_without_weights_scales_natural_proportions() -> None:
    mixture = by_name(plan(WEB_AND_WIKI, MixtureOptions(tokens=2_000_000)))
    assert (mixture["web"].rows, mixture["wiki"].rows) == (1800, 200)
    assert mixture["wiki"].epochs == 2.0


def test_weights_without_a_budget_give_the_largest_that_max_epochs_allows() -> None:
    mixture = by_name(plan(WEB_AND_WIKI, MixtureOptions(weights={"web": 3, "wiki": 1}, max_epochs=2)))
    assert (mixture["wiki"].rows, mixture["web"].rows) == (200, 600)
    assert mixture["wiki"].share == mixture["wiki"].share_asked == 0.25
    assert remarks(list(mixture.values())) == [
        "web: 600 of 900 rows are read (0.67 epochs)",
        "wiki: repeated, 2.00 epochs of 100 rows",
    ]


def test_a_miss_within_the_tolerance_is_remarked() -> None:
    cells = [cell("web", 40), cell("wiki", 40)]
    mixture = plan(cells, MixtureOptions(weights={"web": 0.733, "wiki": 0.267}, tokens=40_000))
    assert [(row.cell, row.rows) for row in mixture] == [("web", 29), ("wiki", 11)]
    assert "wiki: planned 26.70%, realised 27.50% (whole rows: 11)" in remarks(mixture)
    exact = plan(cells, MixtureOptions(weights={"web": 0.75, "wiki": 0.25}, tokens=40_000))
    assert not [said for said in remarks(exact) if "planned" in said]


def test_a_miss_beyond_the_tolerance_names_every_source_its_figures_and_the_way_out() -> None:
    options = MixtureOptions(weights={"web": 0.5, "wiki": 0.3, "books": 0.2}, tokens=3000, tolerance=0.04)
    cells = [*WEB_AND_WIKI, cell("books", 10)]
    with pytest.raises(MixtureError) as error:
        plan(cells, options)
    message = str(error.value)
    assert "within mixture.tolerance 0.04" in message
    assert "\n  books: planned 20.00%, realised 25.00% (whole rows: 1)" in message
    assert "\n  wiki: planned 30.00%, realised 25.00% (whole rows: 1)" in message
    assert "\n  web:" not in message  # two rows of four are its half
    for way_out in ("mixture.weights", "mixture.tokens", "mixture.tolerance", "packing.seq_len"):
        assert way_out in message
    assert plan(cells, options.model_copy(update={"tolerance": 0.06}))


def test_a_missed_plan_fails_the_build_at_its_end_and_a_change_of_the_mixture_only_describes(
    small_recipe: Path, tmp_path: Path
) -> None:
    out = ("--output", tmp_path / "out")
    done = run_pipeline("run", small_recipe, *out, "--set", "mixture.tokens=100")
    assert done.returncode == 1
    assert "describe" in done.stderr and "within mixture.tolerance 0.05" in done.stderr
    assert "main: planned 70.00%" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "out" / "small").glob("*/manifest.json"))
    to_run = run_pipeline("plan", small_recipe, *out).stdout
    assert re.findall(r"^(\w+) +\d+ +\d+ +[1-9]\d*$", to_run, re.M) == ["describe"]
    assert run_pipeline("run", small_recipe, *out).returncode == 0


def test_shares_count_tokens_not_rows() -> None:
    cells = [cell("full", 100, 1000), cell("half_empty", 100, 500)]
    mixture = by_name(plan(cells, MixtureOptions(weights={"full": 1, "half_empty": 1}, tokens=80_000)))
    assert (mixture["full"].rows, mixture["half_empty"].rows) == (40, 80)
    assert mixture["full"].tokens == mixture["half_empty"].tokens == 40_000


def test_a_source_left_out_of_the_weights_is_listed_with_no_rows() -> None:
    mixture = plan(WEB_AND_WIKI, MixtureOptions(weights={"web": 1}, max_epochs=1))
    assert by_name(mixture)["wiki"] == MixtureRow("wiki", 0.0, 0.0, 0, 100, 0, 0.0)
    assert remarks(mixture) == ["wiki: not read at all, since the weights leave it out or give it 0"]


def test_the_smallest_cell_keeps_a_row() -> None:
    mixture = by_name(plan([cell("web", 100_000), cell("poems", 20)], MixtureOptions(tokens=1_000_000)))
    assert (mixture["web"].rows, mixture["poems"].rows) == (1000, 1)


def test_a_budget_beyond_the_data_names_all_figures_and_the_way_out() -> None:
    options = MixtureOptions(weights={"web": 0.5, "wiki": 0.5}, tokens=1_000_000, max_epochs=4)
    with pytest.raises(MixtureError) as error:
        plan(WEB_AND_WIKI, options)
    message = str(error.value)
    assert "wiki: asked 50.00% = 500,000 tokens; there are 100,000 in 100 rows: 5.00 epochs" in message
    assert "Set mixture.tokens to 800,000 or less, raise mixture.max_epochs to 5," in message
    assert "\n  web:" not in message
    assert sum(m.tokens for m in plan(WEB_AND_WIKI, options.model_copy(update={"tokens": 800_000}))) == 800_000
    assert plan(WEB_AND_WIKI, options.model_copy(update={"max_epochs": 5.0}))


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        (WEB_AND_WIKI, MixtureOptions(weights={"wikki": 1}), "Did you mean 'wiki'"),
        (
            [cell("web", 9), cell("books", 0)],
            MixtureOptions(weights={"web": 1, "books": 1}),
            "'books' a weight of 1, but",
        ),
        ([cell("web", 0)], MixtureOptions(), "no training rows to mix"),
        ([], MixtureOptions(), "no training rows to mix"),
        ([cell("web", 5, split="validation")], MixtureOptions(), "no training rows to mix"),
        (
            WEB_AND_WIKI,
            MixtureOptions(weights={"web": 0.52, "wiki": 0.48}, tokens=3000),
            "cannot be met within mixture.tolerance",
        ),
        ([cell("web", 1)], MixtureOptions(max_epochs=0.5), "not one whole row"),
    ],
)
def test_what_cannot_be_met_is_an_error(cells: list[CellTotals], options: MixtureOptions, message: str) -> None:
    with pytest.raises(MixtureError, match=message):
        plan(cells, options)


def test_a_cell_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        plan([cell("web", 1), cell("web", 2)], MixtureOptions())


def test_weights_that_mean_nothing_are_refused_with_the_recipe() -> None:
    for weights in ({"web": -0.1}, {"web": 0.0}, {"web": float("nan")}):
        with pytest.raises(ValidationError):
            MixtureOptions(weights=weights)


CELLS = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 2048)), min_size=1, max_size=6)


@settings(deadline=None)
@given(
    CELLS,
    st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 10)), min_size=6, max_size=6),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 10**8)),
    st.floats(0.1, 10),
)
def test_every_plan_keeps_its_promises(
    sizes: list[tuple[int, int]], weights: list[float], weighted: bool, tokens: int | None, max_epochs: float
) -> None:
    cells = [cell(f"c{i}", rows, per_row) for i, (rows, per_row) in enumerate(sizes)]
    asked = {c.cell: w for c, w in zip(cells, weights, strict=False)} if weighted else {}
    assume(not asked or sum(asked.values()) > 0)
    options = MixtureOptions(weights=asked, tokens=tokens, max_epochs=max_epochs)
    try:
        mixture = plan(cells, options)
    except MixtureError:
        return
    assert [m.cell for m in mixture] == sorted(c.cell for c in cells)
    assert plan(cells[::-1], options) == mixture
    assert abs(sum(m.share for m in mixture) - 1) < 1e-9
    for m in mixture:
        assert m.rows <= max_epochs * m.rows_available
        assert abs(m.share - m.share_asked) <= options.tolerance
        assert m.rows_available == 0 or m.epochs == m.rows / m.rows_available
        assert (m.rows > 0) <= (m.share_asked > 0)
    if tokens is not None:
        row_sizes = sum(per_row for _, per_row in sizes)
        assert abs(sum(m.tokens for m in mixture) - tokens) <= row_sizes
