import pytest

from training.config import ScheduleOptions
from training.schedule import lr_factor


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.25), (3, 1.0), (4, 1.0), (6, 0.1 + 0.9 * 0.8535533905932737), (8, 0.55), (12, 0.1), (99, 0.1)],
)
def test_golden_values(step: int, factor: float) -> None:
    options = ScheduleOptions(type="cosine", warmup_steps=4, min_lr_ratio=0.1)
    assert lr_factor(step, 13, options) == pytest.approx(factor, abs=1e-12)


def test_without_warmup() -> None:
    options = ScheduleOptions(type="cosine", warmup_steps=0, min_lr_ratio=0.0)
    assert [round(lr_factor(step, 3, options), 9) for step in range(3)] == [1.0, 0.5, 0.0]
    assert lr_factor(0, 1, options) == 1.0
