"""Counts add in any order, and a version is the hash of a manifest's bytes."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.manifest import Counts, Manifest, ManifestError, canonical_json, load_manifest, total

leaves = st.dictionaries(st.sampled_from("abc"), st.integers(0, 100), max_size=3)
trees = st.dictionaries(st.sampled_from("xyz"), leaves, max_size=3)

EMPTY = Manifest(
    name="n", sources=[], recipe={}, libraries={}, assets={}, inputs=[], files=[], counts={}, histograms={},
    tokenizer={}, packing={}, cells=[], mixture=[],
)  # fmt: skip


@given(st.lists(trees, min_size=1), st.randoms())
def test_counts_add_to_the_same_in_any_order(parts, random_) -> None:
    joined = sum(map(Counts, parts), Counts())
    shuffled = parts[:]
    random_.shuffle(shuffled)
    assert sum(map(Counts, shuffled), Counts()) == joined
    assert total(joined) == sum(total(p) for p in parts)


@given(st.lists(trees))
def test_counts_taken_one_after_another_are_their_sum(parts) -> None:
    taken = Counts()
    for part in copy.deepcopy(parts):
        taken.take(part)
    assert taken == sum(map(Counts, parts), Counts())
    assert list(taken) == list(sum(map(Counts, parts), Counts()))  # the order, too


def test_counts_of_different_shape_do_not_add() -> None:
    for a, b in (({"a": 1}, {"a": {"b": 1}}), ({"a": {"b": 1}}, {"a": 1}), ({"a": [1]}, {"a": [1, 2]})):
        with pytest.raises(TypeError, match="different shape"):
            Counts(a).take(b)
    with pytest.raises(TypeError, match="different shape"):
        Counts({"a": 1}) + {"a": {"b": 1}}
    with pytest.raises(TypeError, match="different shape"):
        Counts({"a": [1, 2]}) + {"a": [1, 2, 3]}


def test_canonical_json_has_one_form() -> None:
    assert canonical_json({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'.encode()
    with pytest.raises(ValueError):
        canonical_json({"a": float("nan")})


def test_a_manifest_reads_back_and_any_change_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(EMPTY.to_bytes())
    assert load_manifest(tmp_path) == EMPTY
    other = dataclasses.replace(EMPTY, counts={"records": {"web": 1}})
    assert other.version != EMPTY.version
    assert len(EMPTY.version) == 16


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; a dataset version is a folder that holds manifest.json"),
        ("{", "not JSON"),
        ("[]", "format is None, this program reads 'gristmill-dataset/1'"),
        (json.dumps({"format": "gristmill-dataset/9"}), "format is 'gristmill-dataset/9'"),
        (json.dumps({"format": "gristmill-dataset/1", "files": []}), "not the fields of gristmill-dataset/1 ('cells')"),
        (json.dumps({"format": "gristmill-dataset/1", "files": [{"x": 1}]}), "unexpected keyword argument 'x'"),
    ],
)
def test_a_foreign_manifest_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ManifestError, match=r"manifest\.json") as error:
        load_manifest(tmp_path)
    assert message in str(error.value)
