"""Dumps of a wiki: articles with their fields, fates for the rest, and every cut reads each page once."""

import bz2
import gzip
import tracemalloc
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from pipeline.sources import mediawiki
from pipeline.sources.listing import cut, list_files, local_slice
from pipeline.sources.mediawiki import read_dump
from pipeline.sources.options import MediaWikiSource
from pipeline.sources.record import Record

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="is">
  <siteinfo><base>https://is.wikipedia.org/wiki/Fors%C3%AD%C3%B0a</base>
    <namespaces><namespace key="0" />
<namespace key="6">Mynd</namespace><namespace key="14">Flokkur</namespace></namespaces>
  </siteinfo>
"""
TAIL = "</mediawiki>\n"


def page(title: str, text: str | None = "Text.", more: str = "", ns: int = 0, model: str = "wikitext") -> str:
    body = (
        "<text deleted='deleted' />" if text is None else f'<text bytes="9" xml:space="preserve">{escape(text)}</text>'
    )
    revision = f"<revision><id>7</id><timestamp>2024-05-06T07:08:09Z</timestamp><model>{model}</model>{body}</revision>"
    return f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{ns}</ns>{more}\n    {revision}\n  </page>\n"


PAGES = [
    page("Á & B", "'''Á''' er [[C|c]] <b>&amp; d</b>.\n[[Mynd:X|thumb|Y]]\n[[Flokkur:Z]]"),
    page("Spjall:Á", ns=1),
    page("Gamalt", "#REDIRECT [[Á]]", more='<redirect title="Á" />'),
    page("Gögn", "{}", model="json"),
    page("Horfin", None),
    page("Snið eitt", "{{a|b}}"),
    page("Brotin").replace("</ns>", "</n>"),
    page("Síðust", "Lok á <page> texta."),
]
EXPECTED = [
    ("Á er c & d.", "", "Á & B"),
    (None, "not_an_article", "Spjall:Á"),
    (None, "redirect", "Gamalt"),
    (None, "not_wikitext", "Gögn"),
    (None, "no_page_text", "Horfin"),
    (None, "empty_text", "Snið eitt"),
    (None, "bad_markup", ""),
    ("Lok á  texta.".replace("  ", " "), "", "Síðust"),
]


def streams(*parts: str) -> bytes:
    return b"".join(bz2.compress(part.encode(), 1) for part in parts)


def packed(kind: str) -> bytes:
    whole = HEAD + "".join(PAGES) + TAIL
    if kind == "xml.gz":
        return gzip.compress(whole.encode())
    if kind == "multistream":
        return streams(HEAD, "".join(PAGES[:3]), "".join(PAGES[3:5]), "".join(PAGES[5:]), TAIL)
    if kind == "cut anywhere":  # as parallel compressors do
        return b"".join(bz2.compress(whole.encode()[at : at + 150], 1) for at in range(0, len(whole.encode()), 150))
    return bz2.compress(whole.encode()) if kind == "xml.bz2" else whole.encode()


def read(path: Path) -> list[Record]:
    options = MediaWikiSource(type="mediawiki", path=str(path))
    return [record for file in list_files("wiki", options) for record in read_dump(file)]


KINDS = ["xml", "xml.gz", "xml.bz2", "multistream", "cut anywhere"]


def written(folder: Path, kind: str) -> Path:
    path = folder / ("dump." + (kind if kind.startswith("xml") else "xml.bz2"))
    path.write_bytes(packed(kind))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_pages_become_articles_or_fates(tmp_path: Path, kind: str) -> None:
    found = read(written(tmp_path, kind))
    assert [(r.text, r.fate, r.title) for r in found] == EXPECTED
    assert len({r.offset for r in found}) == len(found)
    first = found[0]
    assert first.url == "https://is.wikipedia.org/wiki/%C3%81_%26_B"
    assert (first.date, first.declared_language) == ("2024-05-06T07:08:09Z", "is")
    assert first.offset == (len(HEAD.encode()) + 2 if kind == "xml" else first.offset)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 37, 400])
def test_every_cut_reads_each_page_once(tmp_path: Path, kind: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediawiki, "READ_BYTES", 64)
    path = written(tmp_path, kind)
    whole = local_slice("wiki", path, path.name)
    if step == 1 and whole.size > 1500:
        step = 11
    edges = [*range(0, whole.size, step), whole.size]
    pieces = [replace(whole, start=start, end=end) for start, end in pairwise(edges)]
    parts = [list(read_dump(piece)) for piece in pieces]
    assert [*chain.from_iterable(parts)] == list(read_dump(whole))
    assert sum(map(bool, parts)) > 1 or kind in ("xml.gz", "xml.bz2") or step > 300


def test_large_dumps_are_cut_into_parts(tmp_path: Path) -> None:
    for name in ("a.xml", "b.xml.bz2", "c.xml.gz"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(3_000_001)
    files = list_files("wiki", MediaWikiSource(type="mediawiki", path=str(tmp_path)))
    assert [len([part for part in cut(files, 1) if part[0].path == file.path]) for file in files] == [4, 4, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_or_damaged_dump_gives_its_pages_up_to_there(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind)
    whole = path.read_bytes()
    for at in range(0, len(whole), 23):
        path.write_bytes(whole[:at])
        truncated = read(path)
        path.write_bytes(whole[:at] + b"\x00\xff" + whole[at + 2 :])
        damaged = read(path)
        assert len({r.offset for r in truncated}) == len(truncated) and len({r.offset for r in damaged}) == len(damaged)
        assert [(r.text, r.fate, r.title) for r in truncated if r.fate != "damaged_bytes"] == EXPECTED[
            : len(truncated) - any(r.fate == "damaged_bytes" for r in truncated)
        ]
        assert all(r.fate for r in damaged if r.text is None)


def test_a_page_without_end_is_skipped_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediawiki, "MAX_ROW_BYTES", 100_000)
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(bz2.compress((HEAD + page("A") + page("B", "x" * 60_000_000) + page("C") + TAIL).encode()))
    tracemalloc.start()
    found = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(r.title, r.fate) for r in found] == [("A", ""), ("", "row_too_large"), ("C", "")]
    assert peak < 20_000_000


def test_no_entity_of_a_dump_is_expanded(tmp_path: Path) -> None:
    path = tmp_path / "dump.xml"
    laughs = "<!DOCTYPE mediawiki [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
    path.write_text(laughs + HEAD + page("A").replace("Text.", "x &b; y") + page("B") + TAIL)
    assert [(r.text, r.fate) for r in read(path)] == [(None, "bad_markup"), ("Text.", "")]


def test_a_dump_without_a_head_gives_pages_without_urls(tmp_path: Path) -> None:
    (tmp_path / "dump.xml").write_text("<mediawiki>" + page("A") + TAIL)
    assert [(r.text, r.url, r.declared_language) for r in read(tmp_path / "dump.xml")] == [("Text.", "", "")]
