import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.extract.page_facts import PageFacts, page_facts

URL = "https://a.example/news/today.html?x=1"
CC = "https://creativecommons.org/licenses"


def page(head: str = "", body: str = "", html: str = "<html>") -> str:
    return f"<!DOCTYPE html>{html}<head>{head}</head><body><h1>Today</h1>{body}<p>Words.</p></body></html>"


def test_all_that_a_page_states() -> None:
    head = (
        '<meta charset=utf-8><title>\n Bread &amp; salt </title><link rel="preload canonical" href="/news/today">'
        '<meta property="article:published_time" content="2026-10-05T23:30:00-07:00">'
    )
    footer = f'<footer><a rel="license" href="{CC}/by-sa/4.0/">CC</a></footer>'
    assert page_facts(page(head, footer, '<html class=x lang="pt-br">'), URL) == PageFacts(
        "Bread & salt", "2026-10-05", "https://a.example/news/today", "pt-BR", "CC-BY-SA-4.0"
    )
    assert page_facts(page(), URL) == page_facts("", "") == PageFacts()


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title>One</title><title>Two</title>", "One"),
        ("<TITLE lang=en>One\n two</TITLE>", "One two"),
        ('<meta property="og:title" content="Shared">', "Shared"),
        ("<title> </title><meta content=\"Shared &quot;so&quot;\" property='og:title'>", 'Shared "so"'),
        ("<title>" + "x" * 5000, "x" * 1000),
    ],
)
def test_titles(head: str, title: str) -> None:
    assert page_facts(page(head)).title == title


def test_a_picture_has_no_title_of_the_page() -> None:
    assert page_facts(page(body="<svg><title>Logo</title></svg>")).title == ""


@pytest.mark.parametrize(
    ("stated", "day"),
    [
        ("2026-10-05", "2026-10-05"),
        ("2026-10-05T12:00:00.000Z", "2026-10-05"),
        ("2026/1/5", "2026-01-05"),
        ("20261005", "2026-10-05"),
        ("Mon, 05 Oct 2026 08:00:00 GMT", "2026-10-05"),
        ("1888-02-29", "1888-02-29"),
        ("2026-02-29", ""),
        ("2026-13-01", ""),
        ("0001-01-01T00:00:00Z", ""),
        ("1970-01-01", ""),
        ("05.10.2026", ""),
        ("2026", ""),
        ("yesterday", ""),
    ],
)
def test_dates(stated: str, day: str) -> None:
    ways = (
        page(f'<meta property="article:published_time" content="{stated}">'),
        page(f"<meta content='{stated}' itemprop=datePublished>"),
        page(f'<meta name="DC.date.issued" content="{stated}" />'),
        page(body=f'<script type="application/ld+json">{{"datePublished": "{stated}", "x": 1}}</script>'),
        page(body=f'<time class="x" datetime="{stated}">then</time>'),
    )
    assert [page_facts(way).date for way in ways] == [day] * len(ways)


def test_dates_that_disagree() -> None:
    times = "".join(f'<time datetime="2026-0{month}-01">x</time>' for month in (3, 4))
    assert page_facts(page(body=times)).date == ""
    assert page_facts(page(body=times + '<time pubdate datetime="2026-09-09">')).date == "2026-09-09"
    assert page_facts(page('<meta name=date content="2020-02-02">', times)).date == "2020-02-02"


@pytest.mark.parametrize(
    ("href", "canonical"),
    [
        ("other", "https://a.example/news/other"),
        ("//b.example/x?a=1&amp;b=2", "https://b.example/x?a=1&b=2"),
        ("javascript:alert(1)", ""),
        ("http://[", ""),
        ("", ""),
        ("/a b", ""),
        ("/" + "x" * 3000, ""),
    ],
)
def test_canonical_urls(href: str, canonical: str) -> None:
    assert page_facts(page(f'<link href="{href}" rel="canonical">'), URL).canonical_url == canonical


@pytest.mark.parametrize(
    ("stated", "tag"),
    [("en", "en"), ("en_US", "en-US"), ("ZH-hans-cn", "zh-Hans-CN"), ("english", ""), ("x", ""), ("en-", ""), ("", "")],
)
def test_languages(stated: str, tag: str) -> None:
    assert page_facts(page(html=f'<html lang="{stated}">')).declared_language == tag
    assert page_facts(page(html=f'<html data-lang="fr" xml:lang="{stated}">')).declared_language == tag
    assert page_facts(page(f'<meta http-equiv="Content-Language" content="{stated}">')).declared_language == tag


@pytest.mark.parametrize(
    ("path", "licence"),
    [
        ("licenses/by/4.0/", "CC-BY-4.0"),
        ("licenses/by-nc-nd/3.0/de/deed.en", "CC-BY-NC-ND-3.0-DE"),
        ("licenses/by-nd-nc/1.0", "CC-BY-NC-ND-1.0"),
        ("licenses/by/3.0/igo/", "CC-BY-3.0-IGO"),
        ("publicdomain/zero/1.0/", "CC0-1.0"),
        ("publicdomain/mark/1.0/", "CC-PDM-1.0"),
        ("licenses/", ""),
        ("about/by/4.0", ""),
    ],
)
def test_licences(path: str, licence: str) -> None:
    url = f"http://www.creativecommons.org/{path}"
    for head, body in (
        (f'<link rel="license" href="{url}">', ""),
        (f'<meta name="dcterms.license" content="{url}">', ""),
        ("", f'<p>Text: <a href="{url}" rel="nofollow license">so</a>'),
        ("", f'<footer><p><a href="{url}">so</a></footer>'),
    ):
        assert page_facts(page(head, body)).licence == licence


def test_a_licence_of_a_part_is_not_the_pages() -> None:
    picture = f'<p>Photo <a href="{CC}/by/2.0/">CC</a></p>'
    assert page_facts(page(body=picture + "<footer>All rights reserved</footer>")).licence == ""
    two = f'<a rel="license" href="{CC}/by/2.0/">a</a><a rel="license" href="{CC}/by-nd/4.0/">b</a>'
    assert page_facts(page(body=two)).licence == ""
    assert page_facts(page(body=f'{picture}<a rel="license" href="{CC}/by/4.0/">b</a>')).licence == "CC-BY-4.0"


@given(st.text(max_size=300), st.text(max_size=50))
def test_any_text_has_facts(text: str, url: str) -> None:
    facts = page_facts(text, url)
    assert all(len(value) <= 2_000 for value in (facts.title, facts.date, facts.canonical_url, facts.licence))


@pytest.mark.parametrize(
    "unit",
    [
        "<", "<meta ", '<meta name="', "<meta name   ", "<title ", "<title>&", "<html lang=", '"datePublished" : ',
        "<time datetime=", "<time datetime=2020 ", '<time datetime="2020-01-01">', "creativecommons.org/",
        '<a href="https://creativecommons.org/licenses/by/4.0/" ', "<link rel=canonical href=x ", "<footer", "&amp;",
    ],
)  # fmt: skip
def test_hostile_pages_take_linear_time(unit: str) -> None:
    started = time.process_time()
    page_facts(unit * (4_000_000 // len(unit)), URL)
    assert time.process_time() - started < 2.0
