"""The page of a card says what the Markdown says, and whatever stands in the data, nothing of it runs, is fetched or
links anywhere: seen by a parser of HTML and by a real browser."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.card.markdown import renderings
from pipeline.card.page import page
from pipeline.manifest import Example, Manifest, load_manifest
from tests.card.browser import NEEDS_CHROMIUM, Browser, contrast, served
from tests.card.test_card import HOSTILE, VERSION, cells, manifest
from tests.small_dataset import article, run_pipeline

ATTACKS = [
    *HOSTILE,
    "<script>window.ran = 1</script>",
    "<img src=/fetched.png onerror='window.ran = 1'>",
    "<svg onload=window.ran=1><script>window.ran=1</script></svg>",
    "[x](javascript:window.ran=1)",
    "<javascript:window.ran=1>",
    '" onmouseover="window.ran=1" autofocus onfocus="window.ran=1',
    "</title></style></script><script>window.ran=1</script>",
    "```\n</code></pre><script>window.ran=1</script>\n```",
    "</details></main><iframe src=/fetched.html>",
    "<details>\n<summary><script>window.ran=1</script></summary>",
    "]]><!--<style>@import '/fetched.css'</style>",
    "![x](/fetched.png) ![x](plots/mixture.svg)",
    "<meta http-equiv=refresh content='0;url=/fetched.html'>",
    "<base href=//evil.example/><link rel=stylesheet href=/fetched.css>",
    "a\u202eb\u2066c\u200fd",
    "half \ud800 pair, \udcff byte",
    "&lt;script&gt;window.ran=1&lt;/script&gt; &#60;script&#62;",
]
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "nav",
        "details",
        "summary",
        "ul",
        "ol",
        "li",
        "a",
        "main",
        "h1",
    ),
    *("h2", "h3", "p", "strong", "em", "code", "pre", "blockquote", "div", "table", "thead", "tbody", "tr", "th", "td"),
    *("figure", "svg", "desc", "text", "rect", "line", "br", "hr"),
}
HIDDEN = re.compile("[\u0000-\u0008\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Reader(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


def attacked(value: str) -> Manifest:
    """A manifest that says `value` wherever data may speak."""
    plain = manifest()
    encodable = value.encode("utf-8", "replace").decode()  # as all of `inputs`, of which there is a digest
    example = Example("cc", "too_short", "00" * 16, value, value, value, 5, f"{value}\n{value}")
    counts = plain.counts | {key: {"cc": {value: 3}} for key in ("domains", "licences", "languages", "years", "pii")}
    counts |= {"fates": {"cc": {value: 500}}, "fate_kinds": {"cc": {f"{value}: {value}": 5}}}
    return replace(
        plain,
        counts=counts,
        sources=[*plain.sources, value],
        inputs=[{"source": "cc", "path": encodable, "start": 0, "end": 1, "sha256": encodable}],
        examples=[example, replace(example, reason="")],
        recipe={**plain.recipe, "card": dict.fromkeys(("summary", "intended_use", "limits", "contact"), value)},
        histograms={"n_words": {"edges": [0, 10], "counts": {"cc": [0, 5, 1], value: [0, 2, 0]}}},
        tokenizer={**plain.tokenizer, "fingerprint": value},
    )


@pytest.mark.parametrize("value", ATTACKS)
def test_no_value_is_more_than_text(value: str) -> None:
    data = renderings(attacked(value), VERSION, [])["card.html"]
    found = Reader(data)
    assert found.tags <= TAGS
    links = [content for name, content in found.attributes if name in ("href", "src", "action", "data", "xlink:href")]
    assert all(link.startswith("#section-") for link in links)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]
    assert not HIDDEN.search(data.decode())
    assert len(found.ids) == len(set(found.ids))


def test_the_page_has_the_figures_of_the_markdown() -> None:
    """Cell by cell; what only one of them has is told below."""
    files = renderings(manifest(), VERSION, [])

    class Cells(HTMLParser):
        rows: list[list[str]] = []  # noqa: RUF012
        inside = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "tr":
                self.rows.append([])
            if tag in ("td", "th"):
                self.rows[-1].append("")
                self.inside = True

        def handle_endtag(self, tag: str) -> None:
            self.inside = self.inside and tag not in ("td", "th")

        def handle_data(self, data: str) -> None:
            if self.inside:
                self.rows[-1][-1] += data

    reader = Cells()
    reader.feed(files["card.html"].decode())
    assert reader.rows == cells(files["card.md"].decode().split("---\n", 2)[2])
    text = Reader(files["card.html"]).text
    for heading in re.findall(r"^## (.*)", files["card.md"].decode(), flags=re.M):
        assert heading in text
    assert "card.html" in files["card.md"].decode() and "card.html" not in text


def test_each_plot_of_the_card_is_in_the_page_once() -> None:
    files = renderings(manifest(), VERSION, [])
    drawn = [path for path in files if path.endswith(".svg")]
    assert files["card.html"].count(b"<svg ") == len(drawn) > 3
    for path in drawn:
        assert files[path] in files["card.html"]


def test_nothing_is_fetched_by_what_the_page_is_made_of() -> None:
    data = renderings(manifest(), VERSION, [])["card.html"].decode()
    policy = re.search('Content-Security-Policy" content="([^"]*)"', data)
    assert policy and policy[1].startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy[1]
    assert not re.search(r"url\(|@import|<script|<link|<img|http-equiv=.refresh", data)


def test_markdown_that_is_not_escaped_makes_no_link_image_or_html() -> None:
    body = (
        "<script>a</script>\n\n<b onclick=a>b</b> [x](javascript:a) <http://a.example> ![y](http://a.example/y.png)\n\n"
    )
    body += "[z]\n\n[z]: javascript:a\n\n<details>\n<summary><i>q</i></summary>\n\n</details onclick=a>\n"
    found = Reader(page("x", body, {}))
    assert found.tags <= TAGS and not [value for name, value in found.attributes if name in ("href", "src")]
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "<script>a</script>" in found.text and "<i>q</i>" in found.text


# -- in a browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


def quiet(browser: Browser, data: bytes) -> None:
    """Load a page, open all that is folded, press all that can be pressed, and see that nothing comes of it."""
    with served({"card.html": data}) as (address, asked):
        browser.open(f"{address}/card.html")
        browser.run("document.querySelectorAll('details').forEach(folded => folded.open = true)")
        touch = "element.focus(); element.dispatchEvent(new MouseEvent('mouseover'))"
        browser.run(f"document.querySelectorAll('body *').forEach(element => {{ {touch} }})")
        browser.run("document.querySelectorAll('a, summary').forEach(element => element.click())")
        assert browser.run("typeof window.ran") == "undefined"
        assert browser.complaints() == []
        assert [path for path in browser.requested() if "card.html" not in path] == []
        assert set(asked) <= {"/card.html", "/favicon.ico"}
        assert browser.run("[...document.links].every(link => link.getAttribute('href').startsWith('#section-'))")
        assert browser.run("document.scripts.length + document.images.length + frames.length") == 0


@NEEDS_CHROMIUM
def test_the_browser_would_tell(browser: Browser) -> None:
    """That what `quiet` looks for is seen when it is there."""
    attack = "<script>window.ran = 1; console.log(1)</script><img src=/fetched.png>"
    with served({"card.html": attack.encode()}) as (address, asked):
        browser.open(f"{address}/card.html")
        assert browser.run("window.ran") == 1
        assert len(browser.complaints()) >= 1
        assert "/fetched.png" in asked and f"{address}/fetched.png" in browser.requested()


@NEEDS_CHROMIUM
def test_nothing_runs_where_escaping_fails(browser: Browser) -> None:
    """The policy alone: a plot that holds an attack is not escaped."""
    attack = b"<svg onload='window.ran=1'></svg><script>window.ran=1</script><img src=/fetched.png><b style='x:1'>"
    with served({"card.html": page("x", "![a](plots/a.svg)", {"plots/a.svg": attack})}) as (address, asked):
        browser.open(f"{address}/card.html")
        assert browser.run("document.images.length + document.scripts.length") == 2
        assert browser.run("typeof window.ran") == "undefined"
        assert set(asked) <= {"/card.html", "/favicon.ico"}
        assert len(browser.complaints()) >= 3


@NEEDS_CHROMIUM
def test_attacks_on_the_page(browser: Browser) -> None:
    quiet(browser, renderings(attacked(" ".join(ATTACKS)[:100_000]), VERSION, [])["card.html"])
    for value in ATTACKS:
        quiet(browser, renderings(attacked(value), VERSION, [])["card.html"])


@NEEDS_CHROMIUM
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_a_desk(browser: Browser, scheme: str) -> None:
    data = renderings(attacked("a" * 300), VERSION, [])["card.html"]
    with served({"card.html": data}) as (address, _):
        for width in (390, 1200):
            browser.show(width, 900, scheme)
            browser.open(f"{address}/card.html")
            browser.run("document.querySelectorAll('details').forEach(folded => folded.open = true)")
            assert browser.run("document.documentElement.scrollWidth") == width
            ground = browser.run("getComputedStyle(document.documentElement).backgroundColor")
            letters = browser.run("getComputedStyle(document.body).color")
            assert contrast(ground, letters) > 7
            for kind, least in (("svg text", 7), ("svg .bar", 3), ("svg .lost", 3), ("svg .pale", 2.5)):
                colour = browser.run(f"getComputedStyle(document.querySelector('{kind}')).fill")
                assert contrast(ground, colour) > least, kind
            assert browser.run("getComputedStyle(document.querySelector('svg text')).fontSize") == "13px"


@NEEDS_CHROMIUM
def test_paper_is_white_and_cuts_no_table(browser: Browser, hostile_version: Path) -> None:
    """A4 with margins of 1.5 cm is 680 CSS pixels wide."""
    browser.show(680, 900, "dark", media="print")
    with served({"card.html": (hostile_version / "card.html").read_bytes()}) as (address, _):
        browser.open(f"{address}/card.html")
        assert browser.run("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.run("document.documentElement.scrollWidth") == 680
        for name in ("blockquote.warning", "th", "pre"):
            style = f"getComputedStyle(document.querySelector('{name}'))"
            assert contrast(browser.run(f"{style}.backgroundColor"), browser.run(f"{style}.color")) > 7, name
    browser.show(1200, 900)


@pytest.fixture(scope="module")
def hostile_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of documents whose text, title, address, host and licence are attacks, some in broken UTF-8."""
    folder = tmp_path_factory.mktemp("hostile")
    lines = [json.dumps({"text": article(seed), "url": f"https://plain.example/{seed}"}).encode() for seed in range(60)]
    for n, attack in enumerate(ATTACKS):
        host = re.sub(r"[\s/?#]", "", attack)
        for text in (f"{attack}\n{article(1000 + n)}", f"{attack} short"):
            row = {"text": text, "url": f"https://{host}/{attack}", "title": attack, "licence": attack}
            lines.append(json.dumps(row).encode())
    broken = json.dumps({"text": article(5000), "url": "https://b.example/BROKEN", "title": "BROKEN"}).encode()
    lines.append(broken.replace(b"BROKEN", b"\xff\xfe\xed\xa0\x80<script>window.ran=1</script>"))
    (folder / "rows.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    (folder / "recipe.yaml").write_text(
        f"""\
name: hostile
sources:
  rows:
    {{type: tables, path: "{folder}/rows.jsonl", url_column: url, title_column: title, licence_column: licence}}
steps:
  - {{type: limit, name: short, measure: n_chars, min: 300}}
mixture: {{tolerance: 0.5}}
tokenizer: {{vocab_size: 700}}
packing: {{seq_len: 64}}
"""
    )
    done = run_pipeline("run", folder / "recipe.yaml", "--output", folder / "out")
    assert done.returncode == 0, done.stderr
    dataset = folder / "out" / "hostile"
    return dataset / (dataset / "latest").read_text().strip()


def test_attacks_in_documents_reach_the_page_as_text(hostile_version: Path) -> None:
    described = load_manifest(hostile_version)
    shown = [example for example in described.examples if "window.ran" in example.text + example.url + example.title]
    assert {example.reason for example in shown} == {"", "short"}
    data = (hostile_version / "card.html").read_bytes()
    found = Reader(data)
    assert found.tags <= TAGS and not HIDDEN.search(data.decode())
    assert found.text.count("<script>window.ran") >= 3


@NEEDS_CHROMIUM
def test_attacks_in_documents_do_nothing_in_a_browser(browser: Browser, hostile_version: Path) -> None:
    quiet(browser, (hostile_version / "card.html").read_bytes())
