"""Every record ends in one bucket, or the run fails and says where."""

import json
from pathlib import Path

import pytest

from pipeline.assembly import TOP_VALUES, CountsError, check_sums, shortened
from pipeline.manifest import CellTotals, Counts
from tests.small_dataset import run_pipeline

GOOD = {
    "records": {"web": 10},
    "fates": {"web": {"not_html": 2, "no_text": 1}},
    "extracted": {"web": 7},
    "dropped": {"web": {"short": 3}},
    "documents": {"web": 4},
    "utf8_bytes": {"web": 900},
    "languages": {"web": {"en": 3, "de": 1}},
    "language_bytes": {"web": {"en": 800, "de": 100}},
    "licences": {"web": {"": 4}},
    "licence_bytes": {"web": {"": 900}},
    "years": {"web": {"2024": 1, "": 3}},
    "document_tokens": {"web": [0, 0, 3, 1]},
    "train_tokens": {"web": {"en": 15, "de": 5}},
    "validation_tokens": {"web": {"en": 7}},
}
CELLS = [CellTotals("web", "train", 2, 20, 3, 800), CellTotals("web", "validation", 1, 7, 1, 100)]


def test_sums_that_hold_pass() -> None:
    check_sums(GOOD, CELLS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"records": {"web": 11}}, "web: 11 records, but 3 fates + 7 extracted"),
        ({"fates": {}}, "web: 10 records, but 0 fates + 7 extracted"),
        ({"dropped": {"web": {"short": 2}}}, "web: 7 extracted, but 2 dropped + 4 documents"),
        ({"documents": {}}, "web: 7 extracted, but 3 dropped + 0 documents"),
        ({"languages": {"web": {"en": 3}}}, "web: 4 documents, but 3 languages"),
        ({"licences": {"web": {"": 5}}}, "web: 4 documents, but 5 licences"),
        ({"years": {}}, "web: 4 documents, but 0 years"),
        ({"document_tokens": {"web": [0, 0, 3, 0]}}, "web: 4 documents, but 3 document_tokens"),
        ({"language_bytes": {"web": {"en": 1}}}, "web: 900 utf8_bytes, but 1 language_bytes"),
        ({"licence_bytes": {"web": {"": 1}}}, "web: 900 utf8_bytes, but 1 licence_bytes"),
        ({"train_tokens": {"web": {"en": 15}}}, "web: 20 train tokens packed, but 15 by language"),
        ({"validation_tokens": {}}, "web: 7 validation tokens packed, but 0 by language"),
    ],
)
def test_a_sum_that_is_off_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(CountsError) as error:
        check_sums({**GOOD, **change}, CELLS)
    assert str(error.value) == message


def test_a_manifest_lists_the_most_frequent_domains_and_licences_and_counts_all() -> None:
    many = {f"v{i:03}": 1 + i // 2 for i in range(TOP_VALUES + 2)}
    sizes = {name: 10 * n for name, n in many.items()}
    counts = Counts({"domains": {"a": many, "b": {"x": 1}}, "licences": {"a": many}, "licence_bytes": {"a": sizes}})
    short = shortened(counts)
    assert short["distinct_domains"] == {"a": TOP_VALUES + 2, "b": 1}
    assert short["distinct_licences"] == {"a": TOP_VALUES + 2}
    kept = set(many) - {"v000", "v001"}
    assert set(short["domains"]["a"]) == set(short["licences"]["a"]) == set(short["licence_bytes"]["a"]) == kept
    assert short["licence_bytes"]["a"]["v100"] == sizes["v100"]
    assert short["domains"]["b"] == {"x": 1}
    assert len(counts["domains"]["a"]) == TOP_VALUES + 2, "the counts given stay whole"


def test_a_lost_record_fails_the_run_and_publishes_nothing(small_recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_pipeline("run", small_recipe, "--output", out).returncode == 0
    before = sorted(p.name for p in (out / "small").iterdir())
    marker = next((out / "small" / "work" / "extract").glob("*/part.json"))
    value = json.loads(marker.read_text())
    value["counts"]["records"] = {name: n + 1 for name, n in value["counts"]["records"].items()}
    marker.write_text(json.dumps(value))
    done = run_pipeline("run", small_recipe, "--output", out, "--set", "card.contact=changed")
    assert done.returncode == 1
    assert "records, but" in done.stderr and "Traceback" not in done.stderr
    assert sorted(p.name for p in (out / "small").iterdir()) == before
