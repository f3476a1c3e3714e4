"""The plots show the manifest's figures, stay inside their frame, and hold nothing but shapes and text."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.card.escape import visible
from pipeline.card.plots import PLOTS, plots
from pipeline.card.svg import FIELD_HEIGHT, WIDTH, Bar, Group, bar_chart
from pipeline.manifest import Manifest, MixtureRow

SVG = "{http://www.w3.org/2000/svg}"
LETTER = 7.2  # pixels: the mean of common sans-serif fonts at 13 pixels is 6 to 7
PHONE = 358  # pixels that a page of 390 has inside its margins
DRAWN = [name for name in PLOTS if name not in ("languages", "personal-data")]  # which this manifest has


def manifest() -> Manifest:
    counts = {
        "records": {"cc": 2000, "books": 10**12},
        "fates": {"cc": {"not_a_page": 1000}, "books": {"empty_text": 1}},
        "extracted": {"cc": 1000, "books": 10**12 - 1},
        "dropped": {"cc": {"short": 300, "near_duplicate": 200}, "books": {}},
        "documents": {"cc": 500, "books": 10**12 - 1},
        "document_tokens": {"cc": [0, 0, 300, 0, 200], "books": [0, 0, 100, 0, 0]},
        "cluster_sizes": {"2": 90, "3": 10},
    }
    mixture = [MixtureRow("books", 0.5, 0.75, 30, 10, 3000, 3.0), MixtureRow("cc", 0.5, 0.25, 10, 20, 1000, 0.5)]
    recipe = {"dedup": {"near": True, "ngram_words": 5, "bands": 14, "rows": 8}}
    return Manifest("t", ["cc", "books"], recipe, {}, {}, [], [], counts, {}, {}, {}, [], mixture)


def per_cent(node: ElementTree.Element, name: str) -> float:
    return round(float(node.attrib[name].removesuffix("%")) / 100, 2)


def drawn(name: str, value: Manifest) -> tuple[list[str], list[float]]:
    """Texts below the title, and widths of the bars as parts of the whole width."""
    root = ElementTree.fromstring(plots(value)[f"plots/{name}.svg"])
    texts = [node.text or "" for node in root.iter(f"{SVG}text")]
    return texts[1:], [per_cent(node, "width") for node in root.iter(f"{SVG}rect")]


def test_mixture_has_plan_and_result_of_each_source_largest_first() -> None:
    texts, widths = drawn("mixture", manifest())
    assert texts == [
        *("books", "planned", "50.0 %", "realised", "75.0 %, 3.00 epochs"),
        *("cc", "planned", "50.0 %", "realised", "25.0 %, 0.50 epochs"),
    ]
    assert widths == [0.67, 1.0, 0.67, 0.33]


def test_funnel_is_a_waterfall_of_all_sources_and_of_each() -> None:
    root = ElementTree.fromstring(plots(manifest())["plots/funnel.svg"])
    texts = [node.text or "" for node in root.iter(f"{SVG}text")]
    first = texts.index("source cc")
    assert texts[1] == "all sources"
    assert texts[first : first + 15] == [
        *("source cc", "records read", "2,000 (100.0 %)", "not_a_page", "−1,000 (50.0 %)"),
        *("extracted", "1,000 (50.0 %)", "short", "−300 (15.0 %)", "inside all Limits", "700 (35.0 %)"),
        *("near_duplicate", "−200 (10.0 %)", "kept", "500 (25.0 %)"),
    ]
    bars = [(per_cent(node, "x"), per_cent(node, "width")) for node in root.iter(f"{SVG}rect")]
    assert [0.0, 0.5, 0.0, 0.35, 0.0, 0.25, 0.0] in [[x for x, _ in bars[k : k + 7]] for k in range(len(bars))]
    place = [x for x, _ in bars].index(0.35)
    assert bars[place - 3 : place + 4] == [
        (0, 1),
        (0.5, 0.5),
        (0, 0.5),
        (0.35, 0.15),
        (0, 0.35),
        (0.25, 0.1),
        (0, 0.25),
    ]


def test_a_funnel_of_many_reasons_adds_the_rest_up() -> None:
    fates = {f"fate_{k:02}": 100 - k for k in range(12)}
    counts = {"records": {"cc": 2000}, "fates": {"cc": fates}, "extracted": {"cc": 866}, "documents": {"cc": 866}}
    texts, _ = drawn("funnel", replace(manifest(), sources=["cc"], counts=counts))
    assert texts[texts.index("6 other reasons") + 1] == f"−{sum(list(fates.values())[6:])} (27.4 %)"
    assert "fate_05" in texts and "fate_06" not in texts


def test_lengths_add_up_over_sources_and_show_empty_ranges_between() -> None:
    texts, widths = drawn("lengths", manifest())
    assert texts == ["4 to 7", "400 (66.7 %)", "8 to 15", "0 (0.0 %)", "16 to 31", "200 (33.3 %)"]
    assert widths == [1.0, 0.0, 0.5]


def test_clusters() -> None:
    assert drawn("clusters", manifest()) == (["2", "90 (90.0 %)", "3 to 4", "10 (10.0 %)"], [1.0, 0.11])


def test_the_chance_of_a_comparison_is_the_band_formula() -> None:
    root = ElementTree.fromstring(plots(manifest())["plots/matching.svg"])
    lines = [node for node in root.iter(f"{SVG}line") if node.attrib["class"] == "line-bar"]
    (low, high) = (float(lines[0].attrib["y1"]), float(lines[-1].attrib["y2"]))
    field = FIELD_HEIGHT
    assert low - high == pytest.approx(field * (1 - 0.0533), abs=0.1)  # 1 - (1 - .5**8)**14 = .0533 at s = .5
    middle = lines[len(lines) // 2]
    assert middle.attrib["x1"] == "50.00%"
    assert float(middle.attrib["y1"]) == pytest.approx(high + field * (1 - 0.7716), abs=0.1)  # 1 - (1 - .75**8)**14
    assert "even chance at 0.68" in [node.text for node in root.iter(f"{SVG}text")]  # 1 - (1 - .6846**8)**14 = .5


def test_personal_data_and_languages_are_counted_over_all_sources() -> None:
    counts = manifest().counts | {
        "pii": {"cc": {"email": 30, "ip": 10}, "books": {"email": 10}},
        "languages": {"cc": {"en": 75, "": 25}},
    }
    made = replace(manifest(), counts=counts)
    assert drawn("personal-data", made) == (["email", "40 (80.0 %)", "ip", "10 (20.0 %)"], [1.0, 0.25])
    assert drawn("languages", made)[0] == ["en", "75 (75.0 %)", "not determined", "25 (25.0 %)"]


def test_only_so_many_sources_are_drawn_and_the_rest_is_counted() -> None:
    names = [f"s{i:02}" for i in range(15)]
    counts = {key: dict.fromkeys(names, 9) for key in ("records", "extracted", "documents")}
    root = ElementTree.fromstring(plots(replace(manifest(), sources=names, counts=counts))["plots/funnel.svg"])
    assert len(list(root.iter(f"{SVG}rect"))) == (1 + 5) * 4
    assert "10 more sources are in the table." in (root.findtext(f"{SVG}desc") or "")


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_leaves_the_frame(name: str) -> None:
    root = ElementTree.fromstring(plots(manifest())[f"plots/{name}.svg"])
    height = int(root.attrib["height"])
    assert root.attrib["width"] == str(WIDTH)
    for node in root.iter():
        assert 0 <= float(node.attrib.get("y", 0)) <= height - 4
        assert 0 <= float(node.attrib.get("y2", 0)) <= height - 4
        x, width = (
            (float(node.attrib.get(key, "0%").removesuffix("%")) for key in ("x", "width"))
            if node is not root
            else (0, 0)
        )
        assert x >= 0 and x + width <= 100.001
    rows: dict[str, list[ElementTree.Element]] = {}
    for node in root.iter(f"{SVG}text"):
        rows.setdefault(node.attrib["y"], []).append(node)
    for row in rows.values():
        assert sum(LETTER * len(node.text or "") for node in row) <= PHONE, [node.text for node in row]


@pytest.mark.parametrize("name", DRAWN)
def test_a_screen_reader_finds_title_and_description(name: str) -> None:
    root = ElementTree.fromstring(plots(manifest())[f"plots/{name}.svg"])
    assert root.attrib["role"] == "img"
    named = {node.attrib.get("id"): node.text for node in root.iter() if "id" in node.attrib}
    assert set(root.attrib["aria-labelledby"].split()) == set(named) and all(named.values())


@given(st.text(max_size=30))
def test_any_text_is_text(value: str) -> None:
    data = bar_chart("n", value, value, [Group(value or "x", [Bar(value, 0.5, value)])])
    root = ElementTree.fromstring(data)
    assert {node.tag.removeprefix(SVG) for node in root.iter()} == {"svg", "title", "desc", "text", "rect"}
    assert [node.text or "" for node in root.iter(f"{SVG}text")][-1] == visible(value)
    assert data == bar_chart("n", value, value, [Group(value or "x", [Bar(value, 0.5, value)])])


def test_a_bar_of_something_is_seen_and_of_nothing_is_not() -> None:
    bars = [Bar("a", 1e-9, ""), Bar("b", 0.0, ""), Bar("c", 1.5, ""), Bar("d", 1e-9, "", start=1.0)]
    root = ElementTree.fromstring(bar_chart("n", "t", "d", [Group("", bars)]))
    assert [node.attrib["width"] for node in root.iter(f"{SVG}rect")] == ["0.20%", "0.00%", "100.00%", "0.20%"]
