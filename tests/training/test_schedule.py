import pytest

from training.config import DecayOptions, WSDOptions
from training.schedule import lr_factor


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.25), (3, 1.0), (4, 1.0), (6, 0.1 + 0.9 * 0.8535533905932737), (8, 0.55), (12, 0.1), (99, 0.1)],
)
def test_golden_values(step: int, factor: float) -> None:
    options = DecayOptions(type="cosine", warmup_steps=4, min_lr_ratio=0.1)
    assert lr_factor(step, 13, options) == pytest.approx(factor, abs=1e-12)


def test_without_warmup() -> None:
    options = DecayOptions(type="cosine", warmup_steps=0, min_lr_ratio=0.0)
    assert [round(lr_factor(step, 3, options), 9) for step in range(3)] == [1.0, 0.5, 0.0]
    assert lr_factor(0, 1, options) == 1.0


def test_linear_and_level_then_falling() -> None:
    linear = DecayOptions(type="linear", warmup_steps=4, min_lr_ratio=0.1)
    assert [lr_factor(step, 13, linear) for step in (0, 4, 8, 12)] == pytest.approx([0.25, 1.0, 0.55, 0.1])
    wsd = WSDOptions(type="wsd", warmup_steps=2, decay_share=0.4, min_lr_ratio=0.0)
    factors = [lr_factor(step, 10, wsd) for step in range(10)]
    assert factors == pytest.approx([0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0])
    whole = wsd.model_copy(update={"decay_share": 1.0})
    assert [lr_factor(step, 4, whole) for step in range(4)] == pytest.approx([0.5, 1.0, 1.0, 0.0])
