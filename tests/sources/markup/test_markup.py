"""Converters: what stays, what goes, and time that grows with the text alone, whatever it holds."""

import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.markup import gutenberg, jats, latex, wikitext
from pipeline.sources.markup.converted import Converted, MarkupError

Convert = Callable[[str], Converted]
CONVERTERS: dict[str, Convert] = {
    "wikitext": wikitext.convert,
    "latex": latex.convert,
    "gutenberg": gutenberg.convert,
    "jats": jats.convert,
}

ARTICLE = """{{Infobox|name=[[A]]|text={{nested|x}} }}
{{short}} '''Anarchy''' is a [[political thing|philosophy]].<ref name=a>Gone [[too]].</ref> See [[:Category:Kept]]
[[File:A.png|thumb|A caption with [[links]] and {{templates}}]] and<!-- a comment --> [//x.example a ''site'']<br/>end.
[[Datei:B.svg|mini]][[Category:Gone]]
[[de:Weg]]
== Lists ==
* one{{cite}}
*# two
: indented
{| class=x
! head
|-
| cell {{t}}
{| nested
|}
|}
=== Nothing here ===
{{only a template}}
== Math &amp; code ==
<math>a_{1}^{2} < b</math> costs {{convert|5|km|mi}}, {{lang|fr|l'été}} (; {{x}}) <nowiki>'''[[raw]]'''</nowiki>
== Empty ==
"""
ARTICLE_TEXT = """Anarchy is a philosophy. See Category:Kept
and a site
end.

Lists

- one
- two
indented

Math & code

$a_{1}^{2} < b$ costs 5 km, l'été '''[[raw]]'''"""


def test_wikitext_keeps_prose_headings_and_lists() -> None:
    assert wikitext.convert(ARTICLE).text == ARTICLE_TEXT


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a {{ b", "a {{ b"),
        ("a }} b", "a }} b"),
        ("a [[ b", "a [[ b"),
        ("a ]] b", "a ]] b"),
        ("a <ref> b", "a  b".replace("  ", " ")),
        ("{{a {| b }} c", "c"),
        ("{{{param|default}}} x {{{{deep}}}}", "x"),
        ("\n{| a\n{{b\n|}\nc", "c"),
        ("[[a|b [[c|d]] e]]", "b d e"),
        ("x<!-- open", "x"),
        ("[[Project: a talk]] [[Star Wars: A|B]]", "Project: a talk B"),
    ],
)
def test_wikitext_that_is_broken_takes_no_prose_with_it(markup: str, text: str) -> None:
    assert wikitext.convert(markup).text == text


PAPER = r"""\documentclass{article} % a comment
\newcommand{\ours}{\textsc{Gristmill}\xspace}
\newcommand{\vect}[1]{\mathbf{#1}}
\title{A \emph{short} title\thanks{Money}}
\begin{document}
\maketitle
\begin{abstract}
We show 50\% of \ours, see~\cite{a,b} (\citep[p.~3]{c}).
\end{abstract}
\section*{Intro}\label{sec:i}
As in Section~\ref{sec:i}, the na\"{\i}ve caf\'e --- ``quoted''
goes on. \footnote{Gone.}

New paragraph with $x_i \cite{no}$ and \(y\) and
\begin{equation}\label{eq:1}
a = b \quad \text{kept}
\end{equation}
\begin{figure}[t]\includegraphics{a.png}\caption{A \textbf{caption}.}\label{fig}\end{figure}
\begin{itemize}
\item One \textbf{bold}
\item[b)] Two {\em three}
\end{itemize}
\begin{tabular}{ll} a & b \\ \end{tabular}
\begin{theorem}[Name] True. \end{theorem}
\verb|x_{y}| and \url{http://gone} \href{http://gone}{stays} \unknown{kept} \input{file}
\begin{thebibliography}{9} \bibitem{a} Gone. \end{thebibliography}
\end{document}
Gone too.
"""
PAPER_TEXT = """A short title

Abstract.

We show 50% of Gristmill, see.

Intro

As in Section, the naïve café — “quoted” goes on.

New paragraph with $x_i \\cite{no}$ and \\(y\\) and
\\begin{equation}
a = b \\quad \\text{kept}
\\end{equation}

A caption.

- One bold
- b) Two three

Theorem (Name).

True.

x_{y} and stays kept"""


def test_latex_keeps_prose_formulas_lists_and_captions() -> None:
    found = latex.convert(PAPER)
    assert found.title == "A short title"
    assert found.text == PAPER_TEXT


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a } b { c", "a b c"),
        (r"a \begin{figure} b", "a\n\nb"),
        (r"a \end{figure} b", "a\n\nb"),
        ("costs 5 $ here\n\nand $x$ there", "costs 5 $ here\n\nand $x$ there"),
        (r"a \\[2mm] b", "a\nb"),
        ("a\\", "a"),
        (r"\def\x#1{gone} stays \cite", "stays"),
        ("no markup", "no markup"),
    ],
)
def test_latex_that_is_broken_takes_no_prose_with_it(markup: str, text: str) -> None:
    assert re.sub(" *\n *", "\n", latex.convert(markup).text) == text


JATS = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving DTD v1.2//EN" "JATS-archivearticle1.dtd">
<article xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML" xml:lang="en">
<front><journal-meta><journal-title>Journal</journal-title></journal-meta><article-meta>
<article-id pub-id-type="pmid">1</article-id><article-id pub-id-type="doi">10.1371/journal.x</article-id>
<title-group><article-title>On <italic>E. coli</italic><xref ref-type="fn">*</xref></article-title></title-group>
<contrib-group><contrib><name><surname>Gone</surname></name></contrib></contrib-group>
<pub-date pub-type="ppub"><month>5</month><year>2009</year></pub-date>
<pub-date pub-type="epub"><day>7</day><month>4</month><year>2009</year></pub-date>
<permissions><copyright-statement>Gone.</copyright-statement>
<license license-type="open-access" xlink:href="http://creativecommons.org/licenses/by-nc-sa/3.0/">
<license-p>Gone.</license-p></license></permissions>
<abstract><title>Abstract</title><sec><title>Aim</title><p>We count &lt;5 cells.</p></sec></abstract>
<kwd-group><kwd>gone</kwd></kwd-group></article-meta></front>
<body><sec><label>1</label><title>Methods</title>
<p>Cells <xref ref-type="fig" rid="f1">Fig 1</xref> grew [<xref ref-type="bibr">1</xref>,<xref
ref-type="bibr">2</xref>] well<sup><xref ref-type="bibr">3</xref></sup>, as &alpha;
rose<xref ref-type="bibr">4</xref>.</p>
<fig id="f1"><caption><p>Gone.</p></caption></fig><table-wrap><table><tr><td>Gone</td></tr></table></table-wrap>
<p>A formula <inline-formula><alternatives><tex-math>\\documentclass{a}\\begin{document}$x^2$\\end{document}</tex-math>
<mml:math><mml:mi>x</mml:mi></mml:math></alternatives></inline-formula> and a list:
<list><list-item><p>one</p></list-item><list-item><p>two</p></list-item></list> after.</p></sec></body>
<back><ack><p>Gone.</p></ack><ref-list><ref><mixed-citation>Gone.</mixed-citation></ref></ref-list></back></article>
"""
JATS_TEXT = """On E. coli

Abstract

Aim

We count <5 cells.

Methods

Cells Fig 1 grew well, as α rose.

A formula $x^2$ and a list:

- one

- two

after."""


def test_jats_keeps_title_abstract_and_body_and_reads_the_front_matter() -> None:
    found = jats.convert(JATS)
    assert found.text == JATS_TEXT
    stated = (found.title, found.date, found.licence, found.url, found.language)
    assert stated == ("On E. coli", "2009-04-07", "CC-BY-NC-SA-3.0", "https://doi.org/10.1371/journal.x", "en")


def test_jats_in_other_dialects() -> None:
    wrapped = f"<pmc-articleset>{JATS[JATS.index('<article ') :]}</pmc-articleset>"
    assert jats.convert(wrapped.replace("&alpha;", "a")).title == "On E. coli"
    named = JATS.replace("<article xmlns:", '<article xmlns="http://jats.nlm.nih.gov" xmlns:')
    assert jats.convert(named).text == JATS_TEXT
    said = '<license><license-p>Under the <ext-link xlink:href="https://creativecommons.org/licenses/by/4.0/">licence'
    other = re.sub(r"<license .*?</license>", f"{said}</ext-link>.</license-p></license>", JATS, flags=re.DOTALL)
    assert jats.convert(other).licence == "CC-BY-4.0"
    assert (
        jats.convert(re.sub(r"<license .*?</license>", "<license>All mine.</license>", JATS, flags=re.DOTALL)).licence
        == "All mine."
    )


LAUGHS = "<!DOCTYPE article [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<article>",
        "<html></html>",
        "no xml",
        "<article>" + "<p>" * 100_000,
        "<article>" + "x" * 9_999_000 + "<p>" * 300 + "</article>",
        JATS.replace("<body>", "<body>\x01"),
    ],
)
def test_jats_that_cannot_be_read_is_an_error_without_text(xml: str) -> None:
    with pytest.raises(MarkupError) as raised:
        jats.convert(xml)
    assert len(str(raised.value)) < 100


def test_no_entity_is_expanded_and_nothing_is_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    outside = f"<!DOCTYPE article [<!ENTITY a SYSTEM 'file://{secret}'>]"
    for head in (f"{LAUGHS}]", outside):
        try:
            found = jats.convert(
                f"{head}><article><body><p>x &j; &a; y</p></body></article>".replace(
                    "&j; ", "&j; " if head is LAUGHS else ""
                )
            )
        except MarkupError:
            continue
        assert len(found.text) < 50 and "secret" not in found.text


HEADER = (
    "The Project Gutenberg EBook of A Book\r\n\r\nTitle: A Book:\r\n       or, Two\r\n\r\nLanguage: English\r\n\r\n"
)
BOOK = "CHAPTER I\n\nThe text, with *** stars and the word Gutenberg.\n\nTHE END"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("*** START OF THIS PROJECT GUTENBERG EBOOK A BOOK ***", "*** END OF THIS PROJECT GUTENBERG EBOOK A BOOK ***"),
        (
            "***START OF THE PROJECT GUTENBERG EBOOK A\r\nBOOK***\r\n\r\n\r\nProduced by X\r\nand Y",
            "End of Project Gutenberg's A Book",
        ),
        (
            "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
            "End of the Project Gutenberg Etext of A Book",
        ),
        (
            "*** START OF THE PROJECT GUTENBERG EBOOK A BOOK ***\r\n\r\nE-text prepared by Z",
            "***START**THE SMALL PRINT!**",
        ),
    ],
)
def test_gutenberg_header_licence_and_footer_go(start: str, end: str) -> None:
    body = BOOK.replace("\n", "\r\n")
    found = gutenberg.convert(f"{HEADER}{start}\r\n\r\n\r\n{body}\r\n\r\n\r\n{end}\r\n\r\nLicence.\r\n")
    assert (found.text, found.title, found.language) == (BOOK, "A Book: or, Two", "English")


def test_a_book_without_markers_stays() -> None:
    assert gutenberg.convert(BOOK) == Converted(BOOK)


# -- Any text: linear time ---------------------------------------------------------------------------------------------

HOSTILE = {
    "wikitext": [
        "{{", "{{a|", "[[", "[[a|", "[[a|b]]", "<ref>", "<ref", "</ref ", "<nowiki>", "<!--", "''x", "\n{|\n|",
        "\n|}", "}}", "]]", "[http://a ", " " * 50 + "[http://a", "\n== a ==", "\n=", "{{{", "{{lang|",
        "{{convert|1|", "(", "<b x='", "&", "(,", "{{convert|", "\n*#:", "__A", "<pre>", "&#", " ", "\n",
        "<math>$", "-{", "[[File:a|",
    ],
    "latex": [
        "{", "}", "[", "]", "$", "$$", "\\[", "\\(", "\\begin{figure}", "\\begin{figure}\\caption{",
        "\\begin{equation}", "\\verb|", "\\verb", "\\item[", "\\cite{", "\\cite[", "\\section{", "%", "\\%",
        "\\\\", "\\'", "\\newcommand{\\a", "\\newcommand{\\a}{b", "\\def\\a", "~(", "\\cite{a}", "( \\cite{a}",
        "\n\n", " ", "\\newcommand{\\a}{" + "b" * 90 + "}\\a ", "\\begin{a}[", "\\begin{list}", "\\textbf", "--",
    ],
    "gutenberg": [
        "*", "\n*** START OF THE PROJECT GUTENBERG", "\n***", "\nTitle: a", "\n ", "Produced by",
        "\n\nProduced by a", "End of Project", "*END*", "\n*END", "\t",
    ],
    "jats": [
        " ", ", ", "<p>", "&a;", "<article>", "]]>", "<!--", "(", "<", "<xref ref-type='bibr'/>",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("markup", "piece"), [(name, piece) for name, pieces in HOSTILE.items() for piece in pieces])
def test_time_is_linear_in_what_a_person_can_think_of(markup: str, piece: str) -> None:
    """Quadratic time would take minutes; the bound is a hundred times what these take."""
    text = piece * (60_000 // len(piece))
    heads = ["", "x ", "*** START OF THIS PROJECT GUTENBERG EBOOK ***"] if markup != "jats" else ["<article><body><p>"]
    ends = [""] if markup != "jats" else ["", "</p></body></article>"]
    begun = time.process_time()
    for head in heads:
        for end in ends:
            try:
                found = CONVERTERS[markup](head + text + end)
            except MarkupError:
                continue
            assert len(found.text) <= 2 * len(text) + 1000
    assert time.process_time() - begun < 15


@pytest.mark.parametrize(("name", "module"), [("wikitext", wikitext), ("latex", latex), ("jats", jats)])
def test_a_text_beyond_all_bounds_is_refused(name: str, module: ModuleType) -> None:
    with pytest.raises(MarkupError, match="at most"):
        CONVERTERS[name]("x" * (module.MAX_CHARS + 1))


PIECES = st.sampled_from([piece for pieces in HOSTILE.values() for piece in pieces])


@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=30), st.sampled_from(sorted(CONVERTERS)))
def test_any_text_is_converted_or_refused(parts: list[str], markup: str) -> None:
    text = "".join(parts)
    try:
        found = CONVERTERS[markup](text)
    except MarkupError:
        return
    assert found == CONVERTERS[markup](text)
    assert len(found.text) <= 110 * len(text) + 100


@given(st.text(st.characters(categories=["L", "N"], include_characters=" .,\n"), max_size=300))
def test_plain_prose_stays_word_for_word(text: str) -> None:
    for markup in ("wikitext", "latex", "gutenberg"):
        assert CONVERTERS[markup](text).text.split() == text.split()


# -- Real collections --------------------------------------------------------------------------------------------------


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def test_real_wikitext_keeps_the_words_of_another_converter(shared_data: Path) -> None:
    """mwparserfromhell's text, which the collection holds, keeps references, tables and captions; ours drops these, so
    nearly all our words are in it, and of an article without them nearly all of its words are in ours."""
    n_ours = n_theirs = n_both = 0
    for row in rows(shared_data / "wiki" / "wikitext-articles.jsonl.gz"):
        source = row["wikitext"]
        ours, theirs = words(wikitext.convert(source).text), words(row["text"])
        assert (ours & theirs).total() >= 0.93 * ours.total(), row["id"]
        if not re.search(r"<ref|\{\||\[\[(?:File|Image|Category|Datei):|\[\[[a-z]{2,3}:|<gallery", source):
            n_ours, n_theirs, n_both = (
                n_ours + ours.total(),
                n_theirs + theirs.total(),
                n_both + (ours & theirs).total(),
            )
    assert n_theirs > 200 and 2 * n_both / (n_ours + n_theirs) > 0.97


FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]*\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL)


def test_real_latex_leaves_no_command_in_prose(shared_data: Path) -> None:
    for name in ("arxiv-latex", "latex-books"):
        for row in rows(shared_data / "papers" / f"{name}.jsonl.gz"):
            text = latex.convert(row["text"]).text
            prose = FORMULA.sub("", text)
            assert prose.count("\\") <= 0.001 * len(prose), row["id"]
            assert not re.search(r"\\(?:cite|ref|label|includegraphics)\b", prose), row["id"]


def test_real_books_lose_the_licence_and_keep_the_book(shared_data: Path) -> None:
    for row in rows(shared_data / "books" / "gutenberg.jsonl.gz"):
        found = gutenberg.convert(row["text"])
        assert len(found.text) > min(0.7 * len(row["text"]), len(row["text"]) - 40_000), row["id"]
        if "PROJECT GUTENBERG EBOOK" in row["text"]:
            assert found.title and found.language
            assert "Project Gutenberg" not in found.text[:300] + found.text[-2000:], row["id"]
