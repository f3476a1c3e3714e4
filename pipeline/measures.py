"""The registry of measures: what Limits, cards and documentation speak of. Standard library only.

A measure of the extracted text has a plain name; the same measure of the lines that the line rules keep has `kept_` in
front. Values are computed in `pipeline.text.scan` and `pipeline.text.chunks` (`language*` and `quality_*`: in
`pipeline.steps.predictor`, `overlap_*`: in `pipeline.steps.overlap`); all are finite, and 0 where a text has nothing to
count.

A recipe declares measures of its own, `quality_NAME` for each of its quality models; `measure_of` knows those as well.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, Literal

KEPT_PREFIX: Final = "kept_"
QUALITY_PREFIX: Final = "quality_"
QUALITY_NAME: Final = r"^[a-z0-9][a-z0-9_]{0,39}$"
"""What a quality model may be called in a recipe."""

LOOK_PREFIX: Final = "look_"
"""In front of a measure's name: the fate of a page that a look at this measure dropped, before it was extracted."""

VERDICT_PREFIX: Final = "verdict_"
"""With the place of a datatrove step among such steps, from 0, behind it: the column of a recipe's measures that says
"" of a document that passes the step, else the reason that its class gives."""

PAGE_COUNTS: Final = ("page_bytes", "page_tags", "page_depth")
"""What the first look at a page counts: its bytes, start tags, and elements inside each other."""

LANGUAGE_STOPS: Final = "n_stop_words_of_language"

_GOPHER: Final = "Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A.1.1), as counted by datatrove 0.10.1"
_C4: Final = "C4 (Raffel et al. 2020, JMLR 21(140), section 2.2), as counted by datatrove 0.10.1"
_FINEWEB: Final = "FineWeb (Penedo et al. 2024, arXiv 2406.17557, section 3.6), as counted by datatrove 0.10.1"
_DCLM: Final = "DCLM-Baseline (Li et al. 2024, arXiv 2406.11794), as counted by mlfoundations/dclm c7ed275"
_FINEWEB_V1: Final = "FineWeb v1 (Penedo et al. 2024, arXiv 2406.17557), as counted by datatrove 05194d3"
_FINEWEB_2: Final = "FineWeb-2 (Penedo et al. 2025, arXiv 2506.20920), as counted by datatrove 0.10.1"
_GPT_3: Final = "after GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix C)"
_OWN: Final = "Gristmill"

_COUNT_EDGES: Final = (0, *(m * 10**e for e in range(7) for m in (1, 2, 5)), 10**7)
_FEW_EDGES: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100, 1000)
_FRACTION_EDGES: Final = tuple(k / 50 for k in range(51))
_SKEWED_EDGES: Final = (
    0.0, 1e-5, 1e-4, 5e-4, 0.001, 0.002, 0.005, *(k / 100 for k in range(1, 100)), 0.995, 0.998, 0.999, 0.9999,
)  # fmt: skip
_RATIO_EDGES: Final = (*(k / 50 for k in range(51)), 2.0, 5.0, 10.0)
_LENGTH_EDGES: Final = (*(k / 4 for k in range(61)), 20.0, 50.0, 100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number or word that is known of every document.

    `edges` are those of the card's histogram: bin k holds values v with edges[k] <= v < edges[k + 1], values beyond the
    last edge go to the last bin; empty for words.
    """

    name: str
    unit: str
    kind: Literal["number", "word"]
    source: str
    edges: tuple[float, ...]
    description: str


def _count(name: str, unit: str, source: str, description: str) -> Measure:
    return Measure(name, unit, "number", source, _COUNT_EDGES, description)


def _few(name: str, unit: str, source: str, description: str) -> Measure:
    return Measure(name, unit, "number", source, _FEW_EDGES, description)


def _fraction(name: str, of: str, source: str, description: str) -> Measure:
    return Measure(name, f"fraction of {of}", "number", source, _FRACTION_EDGES, description)


def _per_word(name: str, source: str, description: str) -> Measure:
    return Measure(name, "per word", "number", source, _RATIO_EDGES, description)


def _repetition() -> Iterable[Measure]:
    lines = "lines between runs of newlines"
    yield _fraction("duplicate_line_fraction", "lines", _GOPHER, f"Lines seen before in the text; {lines}.")
    yield _fraction("duplicate_line_char_fraction", "characters", _GOPHER, f"Characters in lines seen before; {lines}.")
    yield _fraction("duplicate_paragraph_fraction", "paragraphs", _GOPHER, "Paragraphs seen before in the text.")
    yield _fraction("duplicate_paragraph_char_fraction", "characters", _GOPHER, "Characters in paragraphs seen before.")
    for n in (2, 3, 4):
        text = f"Characters in the most frequent {n}-gram of words, with a space between two words."
        yield _fraction(f"top_{n}gram_char_fraction", "characters", _GOPHER, text)
    for n in (5, 6, 7, 8, 9, 10):
        text = f"Characters of words in {n}-grams seen before, no word counted twice."
        yield _fraction(f"duplicate_{n}gram_char_fraction", "characters", _GOPHER, text)


def _quality() -> Iterable[Measure]:
    yield _count("n_words", "words", _GOPHER, "Words that hold a character other than punctuation.")
    yield _count("n_words_and_symbols", "words", _GOPHER, "Words, a punctuation mark counting as a word.")
    yield Measure(
        "mean_word_length", "characters", "number", _GOPHER, _LENGTH_EDGES, "Mean length of the words of n_words."
    )
    yield _per_word("hashes_per_word", _GOPHER, "Hash signs for each word of n_words_and_symbols.")
    yield _per_word("ellipses_per_word", _GOPHER, "Ellipses (... or …) for each word of n_words_and_symbols.")
    yield _fraction("bullet_line_fraction", "lines", _GOPHER, "Lines that begin with a bullet or hyphen.")
    yield _fraction("ellipsis_line_fraction", "lines", _GOPHER, "Lines that end with an ellipsis (... or …).")
    yield _fraction("alphabetic_word_fraction", "words", _GOPHER, "Words of n_words_and_symbols that hold a letter.")
    yield _few("n_stop_words", "words", _GOPHER, "How many of: the be to of and that have with; lower case only.")


def _rest() -> Iterable[Measure]:
    yield _count("n_chars", "characters", _OWN, "Unicode code points.")
    yield _count("n_lines", "lines", _OWN, "Lines as str.splitlines divides them.")
    yield _count("n_newlines", "characters", _OWN, "Newlines.")
    yield _few("n_hashes", "characters", _OWN, "Hash signs.")
    yield _few("n_ellipses", "ellipses", _OWN, "Ellipses (... or …).")
    yield _few("n_curly_brackets", "characters", _C4, "Opening curly brackets.")
    yield _few("n_lorem_ipsum", "phrases", _C4, "Occurrences of 'lorem ipsum', in any case.")
    yield _count("n_sentences", "sentences", _C4, "Sentences, counted in each line by spaCy's sentencizer rule.")
    lines = "lines that are not blank"
    yield _fraction(
        "lines_ending_in_punctuation_fraction", lines, _FINEWEB, "Lines that end with a sentence-final mark."
    )
    yield _fraction("short_line_fraction", lines, _FINEWEB, "Lines of 30 characters or fewer.")
    yield _fraction(
        "duplicate_text_line_char_fraction",
        "characters other than newlines",
        _FINEWEB,
        "Characters in lines seen before; blank lines left out.",
    )
    yield _per_word("newlines_per_word", _FINEWEB, "Newlines for each word of n_words_and_symbols.")


def _chunks() -> Iterable[Measure]:
    yield _count("n_chunks", "chunks", _DCLM, "Chunks: what lies between white space.")
    yield _count("n_alphanumeric_chunks", "chunks", _DCLM, "Chunks that begin with a letter or digit.")
    yield _few("n_stop_word_chunks", "chunks", _DCLM, "Chunks that are a word of n_stop_words, in any case.")
    yield _few(
        "n_stop_word_occurrences",
        "chunks",
        _FINEWEB_V1,
        "Chunks that are, without what is no letter around them, a word of n_stop_words; lower case only.",
    )
    yield Measure("mean_chunk_length", "characters", "number", _DCLM, _LENGTH_EDGES, "Mean length of chunks.")
    yield _fraction("alphabetic_chunk_fraction", "chunks", _DCLM, "Chunks that hold a letter.")
    yield Measure(
        "symbols_per_chunk", "per chunk", "number", _DCLM, _RATIO_EDGES, "Hash signs and ellipses (... or . . . or …)."
    )
    yield _fraction("lines_ending_in_stop_fraction", "lines", _FINEWEB_V1, "Lines that end in . ' \" ! or ?")
    yield _fraction("short_or_blank_line_fraction", "lines", _FINEWEB_V1, "Lines of 30 characters or fewer.")
    lines = "lines that are not blank"
    yield _fraction("bullet_text_line_fraction", lines, _DCLM, "Lines that begin with one of ● • * -")
    yield _fraction("ellipsis_text_line_fraction", lines, _DCLM, "Lines that end with an ellipsis (... or . . . or …).")
    for name, of in (("line", lines), ("paragraph", "paragraphs that are not blank")):
        text = f"{name}s that occur more than once, all copies counted."
        yield _fraction(f"repeated_{name}_fraction", of, _DCLM, text.capitalize())
        yield _fraction(f"repeated_{name}_char_fraction", f"characters of {of}", _DCLM, f"Characters in {text}")


def _overlap() -> Iterable[Measure]:
    yield _few("overlap_ngrams", "n-grams", _GPT_3, "Different n-grams of benchmark items.")
    yield _fraction("overlap_fraction", "words", _GPT_3, "Words that are part of an n-gram of a benchmark item.")
    text = "Of one item's n-grams those in the text, for the item of which most are."
    yield _fraction("overlap_item_fraction", "n-grams", _OWN, text)


def _registry() -> Mapping[str, Measure]:
    found = {m.name: m for m in (*_rest(), *_quality(), *_repetition(), *_chunks(), *_overlap())}
    for measure in tuple(found.values()):
        name = KEPT_PREFIX + measure.name
        found[name] = replace(measure, name=name, description=f"In the kept lines: {measure.description}")
    model = "fastText lid.176 (Joulin et al. 2016, arXiv 1607.01759)"
    for measure in (
        _few(LANGUAGE_STOPS, "words", _FINEWEB_2, "How many of the stop words of `language`; lower case only."),
        _fraction("removed_word_fraction", "words", _DCLM, "Of n_alphanumeric_chunks, what the line rules remove."),
        Measure("language", "ISO 639 code", "word", model, (), "The most probable language of the extracted text."),
        Measure("language_score", "probability", "number", model, _FRACTION_EDGES, "Probability of `language`."),
    ):
        found[measure.name] = measure
    return MappingProxyType(found)


MEASURES: Final = _registry()
"""Measure name -> Measure, in the order in which a card shows them."""


def _on_request() -> Mapping[str, frozenset[str]]:
    chunks = [measure.name for measure in _chunks()]
    return MappingProxyType(
        {
            "chunks": frozenset({*chunks, *(KEPT_PREFIX + name for name in chunks), "removed_word_fraction"}),
            "stop_words": frozenset({LANGUAGE_STOPS}),
            "kept_ngrams": frozenset(name for name in MEASURES if name.startswith(KEPT_PREFIX) and "gram_char" in name),
        }
    )


ON_REQUEST: Final = _on_request()
"""Measures that are taken only where a Limit of the recipe asks for one of their group: few do, and they take long."""


OVERLAP: Final = frozenset(prefix + measure.name for measure in _overlap() for prefix in ("", KEPT_PREFIX))
"""Measures that are taken where a recipe names benchmarks, and only there."""


def quality_measure(name: str) -> Measure:
    """The measure that a quality model called `name` gives. Its edges are finer near 0 and 1, where most scores lie."""
    text = f"Probability that the quality model `{name}` gives to its label, in the kept lines."
    return Measure(QUALITY_PREFIX + name, "probability", "number", "the recipe's quality_models", _SKEWED_EDGES, text)


def measure_of(name: str) -> Measure | None:
    """The measure called `name`: of the registry, or of a quality model that a recipe may declare; else None."""
    if name in MEASURES:
        return MEASURES[name]
    model = name.removeprefix(QUALITY_PREFIX)
    return quality_measure(model) if model != name and re.fullmatch(QUALITY_NAME, model) else None


def nearest_measure(name: str, declared: Iterable[str] = ()) -> str | None:
    """The measure whose name is most like `name`, for error messages; None if none is close.

    `declared`: the measures that the recipe declares.
    """
    close = get_close_matches(name, [*declared, *MEASURES], n=1)
    return close[0] if close else None
