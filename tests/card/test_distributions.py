"""Histograms have the manifest's numbers, and a Limit is drawn where it cuts."""

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.card.distributions import _Axis, distributions
from pipeline.card.svg import FIELD_HEIGHT
from pipeline.manifest import Manifest
from pipeline.measures import MEASURES
from tests.card.test_card import manifest

SVG = "{http://www.w3.org/2000/svg}"


def measured(steps: list[dict[str, Any]], histograms: dict[str, Any], **counts: Any) -> Manifest:
    made = manifest()
    recipe = made.recipe | {"steps": steps}
    return replace(made, recipe=recipe, histograms=histograms, counts=made.counts | counts)


def limit(name: str, measure: str, **fields: Any) -> dict[str, Any]:
    return {"type": "limit", "name": name, "measure": measure, "where": {"source": [], "language": []}, **fields}


def only(made: Manifest) -> ElementTree.Element:
    (data,) = distributions(made)[1].values()
    return ElementTree.fromstring(data)


def bars(root: ElementTree.Element) -> list[tuple[str, int]]:
    found = [(node.findtext(f"{SVG}title"), int(node.attrib["height"])) for node in root.iter(f"{SVG}rect")]
    return [(told, height) for told, height in found if told is not None]


def lines(root: ElementTree.Element) -> list[str]:
    return [node.attrib["x1"] for node in root.iter(f"{SVG}line") if node.attrib["class"] == "line-lost"]


def shaded(root: ElementTree.Element) -> list[tuple[str, str]]:
    return [(n.attrib["x"], n.attrib["width"]) for n in root.iter(f"{SVG}rect") if "fill-opacity" in n.attrib]


WORDS = {"n_words": {"edges": [0, 10, 50, 100], "counts": {"cc": [0, 4, 0, 16, 2], "books": [0, 0, 0, 4, 0]}}}


def test_bars_are_sums_over_sources_and_the_limit_is_between_them() -> None:
    made = measured([limit("short", "n_words", min=50)], WORDS, failed={"cc": {"short": 4}})
    root = only(made)
    assert bars(root) == [
        ("0 up to 10: 4 (15.4 %)", FIELD_HEIGHT * 4 // 20),
        ("10 up to 50: 0 (0.0 %)", 0),
        ("50 up to 100: 20 (76.9 %)", FIELD_HEIGHT),
        ("100 or more: 2 (7.7 %)", FIELD_HEIGHT * 2 // 20),
    ]
    assert lines(root) == ["50.00%"] and shaded(root) == [("0.00%", "50.00%")]
    texts = [node.text for node in root.iter(f"{SVG}text")]
    assert "short ≥ 50: 4 outside" in texts
    assert "documents; the highest bar has 20 of 26" in texts and "words" in texts


def test_a_limit_for_some_sources_is_drawn_over_theirs() -> None:
    made = measured([limit("short", "n_words", min=50, where={"source": ["books"], "language": []})], WORDS)
    root = only(made)
    assert bars(root) == [("50 up to 100: 4 (100.0 %)", FIELD_HEIGHT)]
    assert next(root.iter(f"{SVG}text")).text == "n_words, source books"


def test_a_bound_that_is_a_whole_number_lets_its_bar_pass_or_not() -> None:
    few = {"n_curly_brackets": {"edges": [0, 1, 2], "counts": {"cc": [0, 90, 5, 5]}}}
    step = limit("brackets", "n_curly_brackets", max=0)
    assert shaded(only(measured([step], few))) == [("33.33%", "66.67%")]
    assert shaded(only(measured([step | {"exclusive": True}], few))) == [("0.00%", "100.00%")]


def test_a_bound_between_edges_lies_between_them() -> None:
    made = measured([limit("short", "n_words", min=30), limit("long", "n_words", max=90)], WORDS)
    assert lines(only(made)) == ["37.50%", "70.00%"]  # halfway through the second of four bars, 4/5 through the third


def test_of_many_bounds_the_least_and_the_greatest_are_drawn() -> None:
    steps = [limit("short", "n_words", min=n, where={"source": [], "language": [f"l{n}"]}) for n in range(10, 50, 5)]
    root = only(measured(steps, WORDS))
    assert lines(root) == ["25.00%", "46.88%"] and shaded(root) == [("0.00%", "25.00%")]


def test_measures_without_a_limit_are_folded_and_words_are_left_out() -> None:
    steps = [limit("short", "n_words", min=50), limit("english", "language", one_of=["en"])]
    text, drawn = distributions(measured(steps, WORDS | {"n_lines": WORDS["n_words"]}))
    assert len(drawn) == 2
    assert text.index("measure-0.svg") < text.index("<summary>1 measures") < text.index("measure-1.svg")


def test_nothing_measured_is_no_section() -> None:
    assert distributions(manifest()) == ("", {})
    assert distributions(measured([], {"n_words": {"edges": [0], "counts": {"cc": [0, 0]}}})) == ("", {})


@pytest.mark.parametrize("name", [name for name, measure in MEASURES.items() if measure.kind == "number"])
def test_bins_are_those_of_the_registry(name: str) -> None:
    """A value falls into the bar whose range says so, as the stage Measure counts it."""
    edges = MEASURES[name].edges
    values = sorted({*edges, *(edge + 0.3 for edge in edges), -1.0})
    axis = _Axis(edges, [1] * (len(edges) + 1), [])
    for value in values:
        bar = int(np.searchsorted(np.asarray(edges), value, side="right"))
        assert bar - 1e-9 <= axis.place(value, holds_equal=False) * (len(edges) + 1) <= bar + 1
