"""Tags and depth of a page, from its bytes."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from pipeline.text.markup import count_markup


def count(page: str) -> tuple[int, int]:
    n_tags, depth = count_markup(pa.array([page], pa.large_string()))
    return int(n_tags[0]), int(depth[0])


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("", (0, 0)),
        ("a < b, <3, </ >, <", (0, 0)),
        ("<div><B>x</b></DIV>", (2, 2)),
        ("<p>a<p>b<li>c<li>d<br><img>", (6, 0)),
        ("<svg><path d='1'/><path/></svg>", (3, 1)),
        ("<div><!-- <div><div> --><!----><div>", (2, 2)),
        ("<script>'<div><b>'</script><div>", (2, 1)),
        ("<style><div></style ><div><div>", (3, 2)),
        ("</div></div><div>", (1, 1)),
        ("<div" * 3, (1, 1)),
        ("<div>" * 5000, (5000, 5000)),
    ],
)
def test_what_is_counted(page: str, expected: tuple[int, int]) -> None:
    assert count(page) == expected


@given(st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=4), max_leaves=30))
def test_well_formed_trees_are_counted_as_a_parser_counts(shape: list[object]) -> None:
    def build(parent: etree._Element, inner: list[object]) -> None:
        for entry in inner:
            assert isinstance(entry, list)
            build(etree.SubElement(parent, "div", {"class": "a b"}), entry)

    root = etree.Element("section")
    build(root, shape)
    elements = list(root.iter())
    depth = max(len(list(element.iterancestors())) + 1 for element in elements)
    page = etree.tostring(root, method="html", encoding=str)
    assert count(page) == (len(elements), depth)


@given(st.lists(st.text("<>/!-divbscript x\n", max_size=60), max_size=8))
def test_any_text_and_any_neighbours(pages: list[str]) -> None:
    n_tags, depth = count_markup(pa.array(pages, pa.large_string()))
    assert list(zip(n_tags.tolist(), depth.tolist(), strict=True)) == [count(page) for page in pages]
    assert all(0 <= d <= n for n, d in zip(n_tags, depth, strict=True))
