"""Keys: what they depend on, what they do not, and how a change is told."""

import os
from pathlib import Path

import pytest

from pipeline import assets, code
from pipeline import plan as plan_module
from pipeline.plan import COUNTING_STAGES, STAGES, Part, Plan, differences, make_plan
from pipeline.recipe import load_recipe

ORDER = ["extract", "measure", "judge", "match", "cluster", "select", "tokenizer", "pack", "describe"]


@pytest.fixture(autouse=True)
def _fresh_versions():
    plan_module.library_versions.cache_clear()
    yield
    plan_module.library_versions.cache_clear()


def made(recipe: Path, *overrides: str) -> Plan:
    return make_plan(load_recipe(recipe, overrides))


def changed(a: Plan, b: Plan) -> set[str]:
    """Stages in which a Part has another key."""
    return {stage for stage in a.stages if [p.key for p in a.stages[stage]] != [p.key for p in b.stages[stage]]}


def test_stages_stand_in_the_order_of_the_corridor(small_recipe: Path) -> None:
    from pipeline.stages import STAGE_FUNCTIONS

    assert list(STAGES) == list(STAGE_FUNCTIONS)
    assert list(made(small_recipe).stages) == [stage for stage in STAGES if stage not in COUNTING_STAGES] == ORDER


def test_the_same_recipe_and_inputs_give_the_same_keys(small_recipe: Path) -> None:
    assert changed(made(small_recipe), made(small_recipe)) == set()


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("extract.favor=recall", "extract"),
        ("language.max_chars=500", "measure"),
        ("dedup.ngram_words=4", "measure"),
        ("steps.0.min=101", "judge"),
        ("dedup.scope=source", "match"),
        ("dedup.survivor=[longest]", "cluster"),
        ("pii.kinds=[email]", "select"),
        ("tokenizer.vocab_size=700", "tokenizer"),
        ("packing.seq_len=32", "pack"),
        ("mixture.max_epochs=9", "describe"),
        ("card.contact=me", "describe"),
    ],
)
def test_a_changed_field_changes_its_stage_and_those_after_it_only(
    small_recipe: Path, override: str, first: str
) -> None:
    before, after = made(small_recipe), made(small_recipe, override)
    assert changed(before, after) == set(ORDER[ORDER.index(first) :])


def test_another_place_of_the_same_files_gives_the_same_keys_but_describe(small_recipe: Path, tmp_path: Path) -> None:
    before = made(small_recipe)
    moved = tmp_path / "moved"
    (tmp_path / "data").rename(moved)
    after = made(small_recipe, f"sources.main.path={moved}/rows-*.jsonl", f"sources.extra.path={moved}/extra.jsonl")
    assert changed(before, after) == {"describe"}  # it records the recipe as written


def test_size_and_mtime_of_an_input_are_in_the_key(small_recipe: Path, tmp_path: Path) -> None:
    before = made(small_recipe)
    os.utime(tmp_path / "data" / "rows-3.jsonl", ns=(1, 1))
    assert "extract" in changed(before, made(small_recipe))


def test_a_library_version_is_in_the_key_and_the_difference_is_told(small_recipe: Path, monkeypatch) -> None:
    before = made(small_recipe).stages["extract"][0]
    real = plan_module.metadata.version
    monkeypatch.setattr(plan_module.metadata, "version", lambda name: "9.9" if name == "trafilatura" else real(name))
    plan_module.library_versions.cache_clear()
    after = made(small_recipe).stages["extract"][0]
    assert differences(before.ingredients, after.ingredients) == [
        f"libraries.trafilatura: {real('trafilatura')} -> 9.9"
    ]
    assert before.key != after.key


def test_an_asset_hash_and_a_revision_are_in_the_key(small_recipe: Path, monkeypatch) -> None:
    before = made(small_recipe)
    monkeypatch.setattr(assets, "sha256_of", lambda name: "0" * 64)
    assert changed(before, made(small_recipe)) >= {"measure"}
    monkeypatch.undo()
    import dataclasses

    raised = {**STAGES, "judge": dataclasses.replace(STAGES["judge"], revision=99)}
    monkeypatch.setattr(plan_module, "STAGES", raised)
    assert changed(before, made(small_recipe)) == set(ORDER[ORDER.index("judge") :])


def test_the_code_digest_sees_code_and_not_comments(tmp_path: Path, monkeypatch) -> None:
    def digest(stages: str, room: str) -> str:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        (root / "pipeline").mkdir(parents=True)
        (root / "pipeline" / "stages.py").write_text(stages)
        (root / "pipeline" / "room.py").write_text(room)
        monkeypatch.setattr(code, "ROOT", root)
        code.code_digests.cache_clear()
        return code.code_digests((("judge", ("pipeline.room",)),))["judge"]

    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path.parent / "cache"))
    stages = "LIMIT = 3\ndef judge(a):\n    return a + LIMIT\ndef pack(a):\n    return a\n"
    first = digest(stages, "def f():\n    return 1\n")
    assert digest(stages, 'def f():\n    """Says more."""\n    return 1  # why\n') == first
    assert digest(stages.replace("return a\n", "return a * 2\n"), "def f():\n    return 1\n") == first  # pack's affair
    assert digest(stages, "def f():\n    return 2\n") != first
    assert digest(stages.replace("LIMIT = 3", "LIMIT = 4"), "def f():\n    return 1\n") != first
    assert digest(stages, "def f():\n    return 1\n") == first  # now from the outlines that are kept
    (kept,) = (tmp_path.parent / "cache" / "code").iterdir()
    for damaged in (b"", b"[]", b'{"a": "'):
        kept.write_bytes(damaged)
        assert digest(stages, "def f():\n    return 1\n") == first
    monkeypatch.undo()
    code.code_digests.cache_clear()


def test_workers_engine_and_output_are_no_ingredients(small_recipe: Path) -> None:
    words = {"workers", "engine", "output", "tasks", "mirror", "path_root", "url"}

    def keys(value) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {k for v in value.values() for k in keys(v)}
        return {k for v in value for k in keys(v)} if isinstance(value, list | tuple) else set()

    for part in made(small_recipe).parts():
        found = keys(part.ingredients.get("inputs"))
        assert not found & words, part.label


def test_a_big_file_is_many_parts_and_small_files_share_one() -> None:
    from pipeline.sources.listing import cut
    from pipeline.sources.record import Slice

    big = Slice("web", "big.warc.gz", "big.warc.gz", 10_000_000, "e", 0, 10_000_000)
    small = [Slice("web", f"s{n}.warc.gz", f"s{n}.warc.gz", 100, "e", 0, 100) for n in range(5)]
    parts = cut([big], 3)
    assert len(parts) == 4
    assert [(s.start, s.end) for part in parts for s in part] == [
        (0, 3_000_000), (3_000_000, 6_000_000), (6_000_000, 9_000_000), (9_000_000, 10_000_000),
    ]  # fmt: skip
    assert len(cut(small, 3)) == 1


def test_keys_are_unique_within_a_plan(small_recipe: Path) -> None:
    parts: list[Part] = list(made(small_recipe).parts())
    assert len({p.key for p in parts}) == len(parts)
    assert len({(p.stage, p.label) for p in parts}) == len(parts)
