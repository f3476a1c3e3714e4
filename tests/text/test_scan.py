"""The scan against datatrove's counting functions and plain Python, on arbitrary text."""

import hashlib
import time
from itertools import islice, pairwise
from pathlib import Path
from unicodedata import category

import numpy as np
import pyarrow as pa
import pytest
from datatrove.pipeline.filters import gopher_repetition_filter as gopher
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.extract.charset import decode
from pipeline.extract.options import ExtractOptions
from pipeline.extract.textform import text_form
from pipeline.extract.worker import Extractor
from pipeline.measures import LANGUAGE_STOPS, MEASURES, OVERLAP
from pipeline.sources.read import read
from pipeline.starter.lots import find
from pipeline.starter.sample import source_of
from pipeline.text.c4_lines import c4_spans
from pipeline.text.characters import character_tables
from pipeline.text.chunks import CHUNK_COLUMNS
from pipeline.text.english import STOP_WORDS, english_tables
from pipeline.text.scan import COLUMNS, Measured, measure_texts
from pipeline.text.scan_words import split_words
from pipeline.text.spans import apply_spans

# fmt: off
PIECES = st.sampled_from(
    [
        "the ", "of", " and", "\n", "\n\n", "\r\n", "...", "…", "- x", "• ", "#", "{", "Lorem IPSUM",
        "a b a b ", ".", "!", " ", "é", "中文", "ไทย", "\u2028", "word", "😀", "\x1c", "。",
    ]
)
# fmt: on
TEXTS = st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=60))


def words(text: str) -> list[str]:
    """The words of the word rule."""
    points = np.array([ord(char) for char in text], np.int32)
    flags = character_tables().flags[points]
    starts, ends, stack = (np.empty(len(text), np.int32) for _ in range(3))
    n = split_words(points, flags, len(text), english_tables(), starts, ends, stack)
    return [text[a:b] for a, b in zip(starts[:n], ends[:n], strict=True)]


def measure_whole(array: pa.LargeStringArray) -> Measured:
    return measure_texts(array, pa.nulls(len(array), pa.list_(pa.int64())), False)[0]


def measure(text: str) -> dict[str, float]:
    return {name: values[0].item() for name, values in measure_whole(pa.array([text], pa.large_string())).items()}


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def sentences(line: str) -> int:
    """Sentences by spaCy's sentencizer: what follows a sentence-final mark and is no punctuation begins one."""
    count, closed = 0, True
    for word in words(line):
        terminal = word in TERMINAL_PUNCTUATION
        if count == 0 or (closed and not terminal and not all(category(char)[0] == "P" for char in word)):
            count, closed = count + 1, False
        closed = closed or terminal
    return count


def plain(text: str) -> dict[str, float]:
    """What the scan counts, in plain Python and datatrove's functions; needs a text that is not empty."""
    tokens, lines = words(text), text.splitlines()
    found: dict[str, float] = {
        "n_chars": len(text),
        "n_lines": len(lines),
        "n_newlines": text.count("\n"),
        "n_hashes": text.count("#"),
        "n_ellipses": text.count("...") + text.count("…"),
        "n_curly_brackets": text.count("{"),
        "n_lorem_ipsum": text.lower().count("lorem ipsum"),
        "bullet_line_fraction": share(sum(s.lstrip().startswith(("•", "-")) for s in lines), len(lines)),
        "ellipsis_line_fraction": share(sum(s.rstrip().endswith(("...", "…")) for s in lines), len(lines)),
        "n_words_and_symbols": len(tokens),
        "n_words": sum(any(char not in PUNCTUATION_SET for char in word) for word in tokens),
        "alphabetic_word_fraction": share(sum(any(map(str.isalpha, word)) for word in tokens), len(tokens)),
        "n_stop_words": len(set(STOP_WORDS) & set(tokens)),
    }
    real = [word for word in tokens if any(char not in PUNCTUATION_SET for char in word)]
    found["mean_word_length"] = share(sum(map(len, real)), len(real))
    found["n_sentences"] = sum(map(sentences, lines))
    for name in ("hashes", "ellipses", "newlines"):
        found[f"{name}_per_word"] = share(found[f"n_{name}"], len(tokens))
    step = gopher.GopherRepetitionFilter()
    for name, parts in (
        ("line", step._line_splitter.split(text)),
        ("paragraph", step.paragraph_exp.split(text.strip())),
    ):
        count, chars = gopher.find_duplicates(parts)
        found[f"duplicate_{name}_fraction"] = count / len(parts)
        found[f"duplicate_{name}_char_fraction"] = chars / len(text)
    texts = [line for line in text.split("\n") if line.strip()]
    ends = tuple(TERMINAL_PUNCTUATION)
    found["lines_ending_in_punctuation_fraction"] = share(sum(s.endswith(ends) for s in texts), len(texts))
    found["short_line_fraction"] = share(sum(len(s) <= 30 for s in texts), len(texts))
    found["duplicate_text_line_char_fraction"] = share(gopher.find_duplicates(texts)[1], len(text.replace("\n", "")))
    for n in (2, 3, 4):
        grams = gopher.get_n_grams(tokens, n)
        found[f"top_{n}gram_char_fraction"] = gopher.find_top_duplicate(grams) / len(text) if grams else 0.0
    for n in range(5, 11):
        found[f"duplicate_{n}gram_char_fraction"] = gopher.find_all_duplicate(tokens, n) / len(text)
    return found


@settings(deadline=None, max_examples=150)
@given(TEXTS.filter(bool))
@example("a by y ba")  # different 2-grams whose characters add up alike
def test_equals_plain_counting(text: str) -> None:
    found, expected = measure(text), plain(text)
    assert {name: found[name] for name in expected} == expected


def test_n_grams_of_any_length_are_found_again() -> None:
    """Of 5 to 10 words with any number of characters: shorter and longer than each prefix that the search looks at."""
    texts = []
    for n in range(5, 11):
        for chars in range(n, 48):
            phrase = " ".join("abcdefghij"[k] * (chars // n + (k < chars % n)) for k in range(n))
            texts.append(f"{phrase} once {phrase} more")
    found = measure_whole(pa.array(texts, pa.large_string()))
    for k, text in enumerate(texts):
        tokens = words(text)
        for n in range(5, 11):
            expected = gopher.find_all_duplicate(tokens, n) / len(text)
            assert found[f"duplicate_{n}gram_char_fraction"][k] == expected, text
    assert all(found["duplicate_5gram_char_fraction"] > 0)


def test_equals_plain_counting_on_real_pages(shared_data: Path) -> None:
    texts = []
    for name in ("html", "wiki"):
        files = [(group, file) for group in find(str(shared_data / name)).groups for file in group.files]
        files.sort(key=lambda pair: hashlib.sha256(pair[1].path.encode()).digest())
        with Extractor(ExtractOptions()) as extractor:
            for group, file in files[:20]:
                for record in islice(read(source_of(group), file), 10):
                    if record.html is not None:
                        record.text = extractor.extract(decode(record.html, record.charset)[0], record.url).text
                    texts.append(text_form(record.text or "")[:20_000])
    texts = [text for text in texts if text]
    assert len(texts) > 30
    found = measure_whole(pa.array(texts, pa.large_string()))
    for k, text in enumerate(texts):
        expected = plain(text)
        assert {name: found[name][k].item() for name in expected} == expected


@settings(deadline=None)
@given(st.text(max_size=80) | TEXTS)
def test_words_are_the_text_without_white_space(text: str) -> None:
    assert "".join(words(text)) == "".join(text.split())
    assert all(words(text))


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=6), st.integers(0, 3))
def test_batches_and_slices_change_nothing(texts: list[str], skip: int) -> None:
    array = pa.array(texts, pa.large_string())[skip:]
    found = measure_whole(array)
    assert list(found) == list(COLUMNS)
    assert all(np.isfinite(values).all() for values in found.values())
    for k, text in enumerate(array.to_pylist()):
        assert {name: values[k].item() for name, values in found.items()} == measure(text)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_kept_measures_are_those_of_the_kept_text(texts: list[str]) -> None:
    array = pa.array(texts, pa.large_string())
    assert_kept_measures(array, c4_spans(array))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(TEXTS, st.none() | st.lists(st.integers(0, 99), max_size=8)), max_size=4))
@example([("abc def", [1, 7]), ("abc def", [0, 2]), ("abc def", [0, 6]), ("ab cd ef", [0, 2, 6, 8]), ("é ab", [0, 3])])
def test_kept_measures_with_cuts_anywhere(drawn: list[tuple[str, list[int] | None]]) -> None:
    spans = []
    for text, places in drawn:
        bounds = places and sorted(len(text[: place % (len(text) + 1)].encode()) for place in places)
        spans.append(bounds and bounds[: len(bounds) // 2 * 2])
    assert_kept_measures(
        pa.array([text for text, _ in drawn], pa.large_string()), pa.array(spans, pa.list_(pa.int64()))
    )


def assert_kept_measures(array: pa.LargeStringArray, spans: pa.ListArray) -> None:
    measured, kept = measure_texts(array, spans, True)
    fewer = measure_texts(array, spans, False)[1]
    assert list(fewer) == [name for name in kept if "gram_char" not in name]
    for found, expected in (
        (measured, measure_whole(array)),
        (fewer, kept),
        (kept, measure_whole(apply_spans(array, spans))),
    ):
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name])


def test_registry_names_every_column() -> None:
    columns = {*COLUMNS, *CHUNK_COLUMNS}
    plain = {name for name in MEASURES if not name.startswith(("kept_", "language")) and name not in OVERLAP}
    assert plain == columns | {"removed_word_fraction", LANGUAGE_STOPS}
    assert {f"kept_{name}" for name in columns} <= MEASURES.keys()
    for measure_of in MEASURES.values():
        assert all(a < b for a, b in pairwise(measure_of.edges)), measure_of.name


def test_counts_are_integers_and_empty_texts_zero() -> None:
    found = measure_whole(pa.array([""], pa.large_string()))
    assert {name for name, values in found.items() if values.dtype == np.int64} == {
        name for name in COLUMNS if name.startswith("n_")
    }
    assert all(values.tolist() == [0] for values in found.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't know, e.g. it's (see U.S. law).", "I|do|n't|know|,|e.g.|it|'s|(|see|U.S.|law|)|."),
        ("www.example.com/foo-bar well-known end.Next", "www.example.com/foo-bar|well|-|known|end|.|Next"),
        ("$5.00, 20% 5km/h US$7 C++ foo@bar.com…", "$|5.00|,|20|%|5|km/h|US$|7|C++|foo@bar.com|…"),
        ("“Hi!” he said... (closed in 1964):", "“|Hi|!|”|he|said|...|(|closed|in|1964|):"),
        ("東京タワーです。Tokyo Tower", "東|京|タワー|です|。|Tokyo|Tower"),
        ("เขาไปโรงเรียน", "เขา|ไป|โรง|เรียน"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert "|".join(words(text)) == expected


@pytest.mark.parametrize(
    "unit",
    ["(", ")", ".", "@a", "a.", "://", "'s", "…", "-", "a-", "ab ", "\n", "\n\n", "[1]", "a b c d\n", "中", "5km"],
)
def test_time_is_linear_in_hostile_text(unit: str) -> None:
    small, large = (pa.array([unit * (n // len(unit))], pa.large_string()) for n in (20_000, 2_000_000))
    measure_texts(small, c4_spans(small), True)
    start = time.process_time()
    spans = c4_spans(large)
    apply_spans(large, spans)
    measure_texts(large, spans, True)
    assert time.process_time() - start < 8
