import math
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.steps.limits import JUDGED, judge
from pipeline.steps.options import Limit, LineStep, PresetStep, Where
from pipeline.steps.presets import PresetError, expand, preset_steps


def table(**columns: list[Any]) -> pa.Table:
    n = len(next(iter(columns.values())))
    return pa.table({"id": pa.array([k.to_bytes(16, "big") for k in range(n)], pa.binary(16)), **columns})


def failures(documents: pa.Table, *limits: Limit) -> list[list[int]]:
    judged = judge(documents, limits)
    judged.validate(full=True)
    found: list[list[int]] = judged.column("failed").to_pylist()
    return found


def test_bounds_are_inclusive_unless_exclusive() -> None:
    documents = table(n_words=[4, 5, 6, 7, 8])
    assert failures(documents, Limit(name="a", measure="n_words", min=5, max=7)) == [[0], [], [], [], [0]]
    assert failures(documents, Limit(name="a", measure="n_words", min=5, max=7, exclusive=True)) == [
        [0],
        [0],
        [],
        [0],
        [0],
    ]


def test_first_failed_limit_is_the_reason_and_all_are_kept() -> None:
    documents = table(n_words=[1, 100, 1], short_line_fraction=[0.9, 0.9, 0.1])
    limits = (
        Limit(name="lines", measure="short_line_fraction", max=0.5),
        Limit(name="words", measure="n_words", min=50),
    )
    judged = judge(documents, limits)
    assert judged.schema.equals(JUDGED)
    assert judged.column("id").to_pylist() == documents.column("id").to_pylist()
    assert judged.column("drop_reason").to_pylist() == ["lines", "lines", "words"]
    assert judged.column("failed").to_pylist() == [[0, 1], [0], [1]]


def test_unknown_values_never_pass() -> None:
    documents = table(
        mean_word_length=[None, math.nan, 4.0], n_words=pa.array([None, 1, 2], pa.int64()), language=[None, "de", "en"]
    )
    limits = (
        Limit(name="a", measure="mean_word_length", max=1e9),
        Limit(name="b", measure="n_words", min=0),
        Limit(name="c", measure="language", one_of=("en",)),
    )
    assert failures(documents, *limits) == [[0, 1, 2], [0, 2], []]


def test_where_leaves_other_documents_alone() -> None:
    documents = table(n_words=[1, 1, 1, 1], source=["web", "web", "wiki", "wiki"], language=["en", "de", "en", None])
    limits = (
        Limit(name="a", measure="n_words", min=5, where=Where(source=("web",))),
        Limit(name="b", measure="n_words", min=5, where=Where(source=("web", "wiki"), language=("en",))),
    )
    assert failures(documents, *limits) == [[0, 1], [0], [1], []]


@given(st.lists(st.tuples(st.floats(-10, 10) | st.none(), st.floats(-10, 10)), max_size=20), st.floats(-10, 10))
def test_equals_plain_comparison(values: list[tuple[float | None, float]], bound: float) -> None:
    documents = table(
        language_score=pa.array([a for a, _ in values], pa.float64()), mean_word_length=[b for _, b in values]
    )
    limits = (
        Limit(name="a", measure="language_score", min=bound),
        Limit(name="b", measure="mean_word_length", max=bound, exclusive=True),
    )
    expected = [[k for k, bad in ((0, a is None or a < bound), (1, b >= bound)) if bad] for a, b in values]
    assert failures(documents, *limits) == expected


def test_no_limits_and_no_documents() -> None:
    assert judge(table(n_words=[1]), ()).column("drop_reason").to_pylist() == [""]
    empty = judge(table(n_words=[1])[:0], (Limit(name="a", measure="n_words", min=1),))
    assert empty.schema.equals(JUDGED) and empty.num_rows == 0


def test_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="no column 'n_words', which limit 'a' needs"):
        judge(table(language=["en"]), (Limit(name="a", measure="n_words", min=1),))


def test_hundreds_of_limits() -> None:
    limits = tuple(Limit(name=f"l{k}", measure="n_words", min=k) for k in range(300))
    assert failures(table(n_words=[100]), *limits) == [list(range(101, 300))]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"measure": "n_word", "min": 1}, "unknown measure 'n_word'; did you mean 'n_words'"),
        ({"measure": "n_words"}, "n_words is a number: give min or max"),
        ({"measure": "n_words", "one_of": ["a"]}, "n_words is a number"),
        ({"measure": "language", "min": 1}, "language is a word: give one_of"),
        ({"measure": "n_words", "min": 2, "max": 1}, "no document would pass"),
        ({"measure": "n_words", "min": math.nan}, "finite number"),
    ],
)
def test_wrong_limits_are_explained(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Limit(name="a", **fields)


def test_preset_is_written_out_in_order() -> None:
    lines, limits = expand([PresetStep(type="preset", name="datatrove-0.10", where=Where(source=("web",)))])
    assert lines == (LineStep(type="lines", rule="c4", where=Where(source=("web",))),)
    assert [limits[k].name for k in (0, 1, 2, 15, -1)] == [
        "language",
        "language_score",
        "gopher_duplicate_paragraphs",
        "gopher_too_few_words",
        "fineweb_newlines",
    ]
    assert all(limit.where == Where(source=("web",)) for limit in limits)
    assert [limit.name for limit in limits if limit.exclusive] == ["language_score"]


def test_overrides_replace_fields() -> None:
    override = {
        "gopher_too_few_words": {"min": 20},
        "language": {"one_of": ["de"], "where": {"language": ["de", "en"]}},
    }
    _, limits = expand(
        [PresetStep(type="preset", name="datatrove-0.10", override=override, where=Where(source=("a",)))]
    )
    by_name = {limit.name: limit for limit in limits}
    assert by_name["gopher_too_few_words"].min == 20
    assert by_name["gopher_too_few_words"].where == Where(source=("a",))
    assert by_name["language"].one_of == ("de",)
    assert by_name["language"].where == Where(language=("de", "en"))
    assert len(limits) == len(preset_steps("datatrove-0.10")) - 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"gopher_to_few_words": {"min": 1}}, r"steps\[1\]: .* did you mean gopher_too_few_words\?"),
        ({"language": {"min": 1}}, r"steps\[1\]: override of language: language is a word: give one_of"),
        ({"language": {"one_of": None}}, r"language is a word: give one_of"),
    ],
)
def test_wrong_overrides_are_explained(override: dict[str, Any], message: str) -> None:
    steps = (LineStep(type="lines", rule="c4"), PresetStep(type="preset", name="datatrove-0.10", override=override))
    with pytest.raises(PresetError, match=message) as caught:
        expand(steps)
    assert caught.value.step == 1


def test_names_are_unique_where_they_apply() -> None:
    first = Limit(name="a", measure="n_words", min=1)
    with pytest.raises(PresetError, match="a second limit is named 'a'"):
        expand([first, first.model_copy(update={"min": 2.0})])
    expand([first, first.model_copy(update={"where": Where(source=("web",))})])


def test_presets_are_cheap_to_import() -> None:
    code = "import sys, pipeline.steps.presets; print({'numpy', 'numba', 'pyarrow', 'polars'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
