"""Plain functions in the place of trafilatura's XPath expressions find what lxml finds by the expressions."""

import importlib.util
import re
from types import ModuleType

import lxml.html
import pytest
import trafilatura.xpaths
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml.etree import XPath

from pipeline.extract.quick_paths import MAX_KNOWN_CHARS, plain, quicken

REGEXP = {"re": "http://exslt.org/regular-expressions"}


def fresh() -> ModuleType:
    """trafilatura's module as it comes, whatever other tests did to the one that is imported."""
    spec = importlib.util.spec_from_file_location("fresh_xpaths", trafilatura.xpaths.__file__)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PATHS = sorted(
    {p.path for v in vars(fresh()).values() if isinstance(v, list) for p in v if "re:test(" in getattr(p, "path", "")}
)
KNOWN = [path for path in PATHS if plain(path)]
WORDS = sorted({word for path in PATHS for word in re.findall(r"[\w-]{2,}", path)} - {"self", "contains", "translate"})
NAMES = ("class", "id", "style", "role", "data-component", "data-lp-replacement-content", "itemprop", "aria-hidden")
TAGS = ("div", "section", "article", "main", "p", "span", "ul", "ol", "list", "item", "details", "aside", "h1", "a")

values = st.lists(st.sampled_from([*WORDS, " ", "-", "x", "Nav", "\n", "é"]), max_size=3).map("".join)
attributes = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=4, unique_by=lambda pair: pair[0])


@st.composite
def trees(draw: st.DrawFn) -> lxml.html.HtmlElement:
    """A tree of elements whose attributes are made of what the expressions ask for, in any order."""
    elements = [lxml.html.Element("body")]
    for tag, pairs in draw(st.lists(st.tuples(st.sampled_from(TAGS), attributes), max_size=12)):
        element = lxml.html.Element(tag)
        for name, value in pairs:
            element.set(name, value)
        draw(st.sampled_from(elements)).append(element)
        elements.append(element)
    elements[-1].append(lxml.html.HtmlComment("div"))
    return draw(st.sampled_from(elements))


def test_most_of_the_expressions_are_known() -> None:
    assert len(KNOWN) >= 8


@settings(max_examples=300, deadline=None)
@given(tree=trees())
def test_the_elements_are_those_of_lxml(tree: lxml.html.HtmlElement) -> None:
    for path in KNOWN:
        quick = plain(path)
        assert quick
        assert quick(tree) == XPath(path, namespaces=REGEXP)(tree), path


@pytest.mark.parametrize(
    "path",
    [
        ".//*[@class='a'][1]",
        "(.//*[self::div][@class='a' or @id='b'])[1]",
        ".//*[self::div or self::p][@class='a' and not(@id)]",
        ".//*[self::div or self::p][@class='aB' or not(@id)]",
        ".//*[self::div or self::p][re:test(@id|@class, 'A', 'i')][not(self::p) or .//h1]",
        ".//*[(@id='a' or @id='b') and starts-with(@class, 'a')]",
        ".//*[contains(translate(@class, 'AB', 'ab'), 'ab')]",
        ".//*[@class]",
    ],
)
def test_what_is_known_of_xpath(path: str) -> None:
    html = """<body class="a"><div id="b" class="a"><p class="a">1</p><p class="a" id="a">2</p><h1>3</h1></div>
    <div class="a" id="c"><!-- --><p>4</p><div class="AB"></div><p id="a" class="aB"></p></div></body>"""
    tree = lxml.html.fromstring(html)
    quick = plain(path)
    assert quick
    for element in tree.iter("body", "div", "p"):
        assert quick(element) == XPath(path, namespaces=REGEXP)(element)


@pytest.mark.parametrize(
    "path",
    [
        *("", "//div", ".//div[@class='a']", ".//*[1]", ".//*[self::div]", ".//*[self::p or @id]", ".//*[@id"),
        *(".//*[@a=@b]", ".//*[count(a)=1]", "(.//*[@id])[1]|.//p", ".//*[rel='me']", ".//*[re:test('a', @id)]"),
    ],
)
def test_other_expressions_are_left_alone(path: str) -> None:
    assert plain(path) is None


def test_answers_of_long_attributes_are_right() -> None:
    quick = plain(".//*[self::p][re:test(@class, 'z$')]")
    assert quick
    for end in "zaz":
        tree = lxml.html.fromstring(f"<div><p class='{'x' * MAX_KNOWN_CHARS}{end}'></div>")
        assert len(quick(tree)) == (end == "z")


def test_expressions_are_replaced_in_place() -> None:
    module = fresh()
    lists = {name: value for name, value in vars(module).items() if isinstance(value, list)}
    assert quicken(module) == len(KNOWN)
    assert all(getattr(module, name) is value for name, value in lists.items())
    assert quicken(module) == 0
