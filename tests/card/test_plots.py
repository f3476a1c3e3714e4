"""The plots show the manifest's figures, stay inside their frame, and hold nothing but shapes and text."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.card.escape import visible
from pipeline.card.plots import PLOTS, plots
from pipeline.card.svg import BAR_WIDTH, WIDTH, Bar, Group, bar_chart
from pipeline.manifest import Manifest, MixtureRow

SVG = "{http://www.w3.org/2000/svg}"
WIDEST_DIGIT = 9  # pixels; digits of common sans-serif fonts are 7.8 to 8.9 wide at 14 pixels


def manifest() -> Manifest:
    counts = {
        "records": {"cc": 2000, "books": 10**12},
        "extracted": {"cc": 1000, "books": 10**12 - 1},
        "dropped": {"cc": {"short": 300, "near_duplicate": 200}, "books": {}},
        "documents": {"cc": 500, "books": 10**12 - 1},
        "document_tokens": {"cc": [0, 0, 300, 0, 200], "books": [0, 0, 100, 0, 0]},
        "cluster_sizes": {"2": 90, "3": 10},
    }
    mixture = [MixtureRow("books", 0.5, 0.75, 30, 10, 3000, 3.0), MixtureRow("cc", 0.5, 0.25, 10, 20, 1000, 0.5)]
    recipe = {"dedup": {"near": True, "ngram_words": 5, "bands": 14, "rows": 8}}
    return Manifest("t", ["cc", "books"], recipe, {}, {}, [], [], counts, {}, {}, {}, [], mixture)


def drawn(name: str, value: Manifest) -> tuple[list[str], list[float]]:
    """Texts below the title, and widths of the bars as parts of the full width."""
    root = ElementTree.fromstring(plots(value)[f"plots/{name}.svg"])
    texts = [node.text or "" for node in root.iter(f"{SVG}text")]
    return texts[1:], [round(int(node.attrib["width"]) / BAR_WIDTH, 2) for node in root.iter(f"{SVG}rect")]


def test_mixture_has_plan_and_result_of_each_source_largest_first() -> None:
    texts, widths = drawn("mixture", manifest())
    assert texts == [
        *("books", "planned", "50.0 %", "realised", "75.0 %, 3.00 epochs"),
        *("cc", "planned", "50.0 %", "realised", "25.0 %, 0.50 epochs"),
    ]
    assert widths == [0.67, 1.0, 0.67, 0.33]


def test_funnel_narrows_by_the_share_of_the_sources_records() -> None:
    texts, widths = drawn("funnel", manifest())
    assert texts[:9] == [
        *("cc", "records read", "2,000 (100.0 %)", "extracted", "1,000 (50.0 %)"),
        *("inside all Limits", "700 (35.0 %)", "kept", "500 (25.0 %)"),
    ]
    assert widths[:4] == [1.0, 0.5, 0.35, 0.25]


def test_lengths_add_up_over_sources_and_show_empty_ranges_between() -> None:
    texts, widths = drawn("lengths", manifest())
    assert texts == ["4 to 7", "400 (66.7 %)", "8 to 15", "0 (0.0 %)", "16 to 31", "200 (33.3 %)"]
    assert widths == [1.0, 0.0, 0.5]


def test_clusters() -> None:
    assert drawn("clusters", manifest()) == (["2", "90 (90.0 %)", "3 to 4", "10 (10.0 %)"], [1.0, 0.11])


def test_the_chance_of_a_comparison_is_the_band_formula() -> None:
    texts, widths = drawn("matching", manifest())
    assert texts[:2] == ["0.50", "5.3 %"]  # 1 - (1 - .5**8)**14 = .0533
    assert texts[texts.index("0.75") + 1] == "77.2 %"  # 1 - (1 - .1001)**14 = .7716
    assert texts[-2:] == ["1.00", "100.0 %"]
    assert widths == sorted(widths)


def test_only_so_many_sources_are_drawn_and_the_rest_is_counted() -> None:
    names = [f"s{i:02}" for i in range(15)]
    counts = {key: dict.fromkeys(names, 9) for key in ("records", "extracted", "documents")}
    root = ElementTree.fromstring(plots(replace(manifest(), sources=names, counts=counts))["plots/funnel.svg"])
    assert len(list(root.iter(f"{SVG}rect"))) == 12 * 4
    assert "3 more sources are in the table." in (root.findtext(f"{SVG}desc") or "")


@pytest.mark.parametrize("name", PLOTS)
def test_nothing_leaves_the_frame(name: str) -> None:
    root = ElementTree.fromstring(plots(manifest())[f"plots/{name}.svg"])
    height = int(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {WIDTH} {height}"
    for node in root.iter():
        assert 0 <= int(node.attrib.get("y", 0)) <= height - 4
    for node in root.iter(f"{SVG}text"):
        reach = WIDEST_DIGIT * len(node.text or "")
        x = int(node.attrib["x"])
        assert (x - reach >= 0) if node.attrib["text-anchor"] == "end" else (x + reach <= WIDTH), node.text


@pytest.mark.parametrize("name", PLOTS)
def test_a_screen_reader_finds_title_and_description(name: str) -> None:
    root = ElementTree.fromstring(plots(manifest())[f"plots/{name}.svg"])
    assert root.attrib["role"] == "img"
    named = {node.attrib.get("id"): node.text for node in root.iter() if "id" in node.attrib}
    assert set(root.attrib["aria-labelledby"].split()) == set(named) and all(named.values())


@given(st.text(max_size=30))
def test_any_text_is_text(value: str) -> None:
    data = bar_chart(value, value, [Group(value or "x", [Bar(value, 0.5, value)])])
    root = ElementTree.fromstring(data)
    assert {node.tag.removeprefix(SVG) for node in root.iter()} == {"svg", "title", "desc", "text", "rect"}
    assert [node.text or "" for node in root.iter(f"{SVG}text")][2:] == [visible(value), visible(value)]
    assert data == bar_chart(value, value, [Group(value or "x", [Bar(value, 0.5, value)])])


def test_a_bar_of_something_is_seen_and_of_nothing_is_not() -> None:
    bars = [Bar("a", 1e-9, ""), Bar("b", 0.0, ""), Bar("c", 1.5, "")]
    root = ElementTree.fromstring(bar_chart("t", "d", [Group("", bars)]))
    assert [int(node.attrib["width"]) for node in root.iter(f"{SVG}rect")] == [1, 0, BAR_WIDTH]
