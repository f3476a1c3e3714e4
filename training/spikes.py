"""Losses and gradient norms that stand out from those before them, and the Sequences that made them so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

HISTORY, ENOUGH = 128, 32
"""Updates that are looked back on, and how many there must be before one is judged."""
SIGMA_PER_MAD = 1.4826
"""Standard deviations of a normal distribution in one median absolute deviation: 1 / its quantile at 3/4 (Leys et al.
2013, "Detecting outliers", section 3)."""
SMALLEST_SIGMA = {"loss": 0.01, "gradient norm": 0.05}
"""Least standard deviation that is believed, as a share of the median: where values hardly differ, neither counts a
small step as a spike. Chosen by us."""
NAMED_SEQUENCES = 5


@dataclass(slots=True)
class History:
    """Losses in nats per target and gradient norms of the last updates of a phase of the mixture, at most `HISTORY`."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)

    def add(self, loss: float, norm: float) -> None:
        """Take in the values of an update."""
        self.losses, self.norms = [*self.losses, loss][-HISTORY:], [*self.norms, norm][-HISTORY:]

    def clear(self) -> None:
        """Forget all, since what comes is of another kind."""
        self.losses, self.norms = [], []

    def objection(self, loss: float, norm: float, sigma: float) -> str:
        """Why a step of this loss and gradient norm should not change weights; "" if it may.

        It may not where a value is no finite number, or lies more than `sigma` robust standard deviations above the
        median. The norm is judged by its logarithm, since norms scatter by factors.
        """
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return f"loss {loss:.3g} or gradient norm {norm:.3g} is no finite number"
        if len(self.losses) < ENOUGH:
            return ""
        found = []
        if (z := _deviations(loss, self.losses, SMALLEST_SIGMA["loss"] * abs(float(np.median(self.losses))))) > sigma:
            found.append(f"loss {loss:.3f} lies {z:.1f} sigma above its median {np.median(self.losses):.3f}")
        logs = np.log(np.maximum(self.norms, 1e-30))
        z = _deviations(math.log(max(norm, 1e-30)), logs, SMALLEST_SIGMA["gradient norm"])
        if z > sigma:
            median = float(np.median(self.norms))
            found.append(f"gradient norm {norm:.3g} lies {z:.1f} sigma above its median {median:.3g}")
        return ", ".join(found)


def _deviations(value: float, before: Sequence[float] | np.ndarray[Any, Any], least: float) -> float:
    """How many robust standard deviations, but of at least `least`, `value` lies above the median of `before`."""
    median = float(np.median(before))
    scale = max(SIGMA_PER_MAD * float(np.median(np.abs(np.asarray(before) - median))), least)
    return (value - median) / scale if scale else (math.inf if value > median else 0.0)


def most_unusual(losses: Sequence[float]) -> list[int]:
    """Indices of the `NAMED_SEQUENCES` losses furthest from the median, first the furthest; those that are no finite
    numbers come before all."""
    values = np.asarray(losses, dtype=np.float64)
    finite = values[np.isfinite(values)]
    distance = np.abs(values - (np.median(finite) if finite.size else 0.0))
    distance[~np.isfinite(values)] = np.inf
    order: list[int] = np.argsort(-distance, kind="stable")[:NAMED_SEQUENCES].tolist()
    return order
