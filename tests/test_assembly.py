"""Every record ends in one bucket, or the run fails and says where."""

import json
from pathlib import Path

import pytest

from pipeline.assembly import CountsError, check_sums
from tests.small_dataset import run_pipeline

GOOD = {
    "records": {"web": 10},
    "fates": {"web": {"not_html": 2, "no_text": 1}},
    "extracted": {"web": 7},
    "dropped": {"web": {"short": 3}},
    "documents": {"web": 4},
}


def test_sums_that_hold_pass() -> None:
    check_sums(GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"records": {"web": 11}}, "web: 11 records, but 3 fates + 7 extracted documents"),
        ({"fates": {}}, "web: 10 records, but 0 fates + 7 extracted documents"),
        ({"dropped": {"web": {"short": 2}}}, "web: 7 extracted documents, but 2 dropped + 4 kept"),
        ({"documents": {}}, "web: 7 extracted documents, but 3 dropped + 0 kept"),
    ],
)
def test_a_sum_that_is_off_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(CountsError) as error:
        check_sums({**GOOD, **change})
    assert str(error.value) == message


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
