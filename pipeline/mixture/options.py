"""Recipe fields of the mixture."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from pipeline.config import Options

_UNITS = {"k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_COUNT = r"^([0-9]{1,6})(?:\.([0-9]{1,6}))?([kMBT])$"


def _tokens(value: Any) -> Any:
    """6B -> 6_000_000_000; what is no text as it is, for pydantic to judge."""
    if not isinstance(value, str):
        return value
    found = re.match(_COUNT, value)
    count, rest = (
        divmod(int(found[1] + (found[2] or "")) * _UNITS[found[3]], 10 ** len(found[2] or "")) if found else (0, 1)
    )
    if rest:
        raise ValueError(f"expected a number of tokens, such as 6000000000 or 6B (k, M, B, T), found {value[:60]!r}")
    return count


Tokens = Annotated[
    int,
    Field(ge=1),
    BeforeValidator(_tokens),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": _COUNT}]}),
]
"""A number of tokens, of the dataset's tokenizer: 6000000000, or 6B (k, M, B, T)."""

Share = Annotated[float, Field(ge=0)]


class OrderOptions(Options):
    """Rows by the value of a measure, instead of shuffled: each source is read bucket by bucket.

    The buckets are Cells: `packing.cells` cuts sources by the measure. Shares of sources stay the same all along, and
    what is not cut by the measure is spread evenly. Within a bucket rows are shuffled.
    """

    measure: str = Field(description="A measure that `packing.cells` cuts a source by.")
    first: Literal["low", "high"] = Field("low", description="Which values are read first.")


class Weighting(Options):
    """How tokens are shared among Cells: one of `weights`, `alpha` and `unimax`, or none, which is by size."""

    weights: dict[str, Share] = Field(
        default_factory=dict,
        description="Source or Cell -> share of tokens, as 0.6 or 60, normalised; what is left out gets none. What "
        "has several Cells, such as a source, shares its own out among them by size.",
    )
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Shares in proportion to tokens^alpha: 1 is by size, 0 equal. Temperature sampling, T = 1 / alpha.",
    )
    unimax: bool = Field(
        False,
        description="Equal shares, but for Cells that would be read more than `max_epochs` times; needs `tokens`.",
    )
    order: OrderOptions | None = Field(None, description="Rows by the value of a measure; none: shuffled.")

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        if weights and not sum(weights.values()) > 0:
            raise ValueError("all weights are 0; give at least one source a weight above 0, or no weights at all")
        _check_parts(weights)
        return weights

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if len(found := self.chosen()) > 1:
            raise ValueError(f"{' and '.join(found)} both say how tokens are shared; keep one of them")
        return self

    def chosen(self) -> list[str]:
        """The fields that say how tokens are shared."""
        given = {"weights": bool(self.weights), "alpha": self.alpha is not None, "unimax": self.unimax}
        return [name for name, is_given in given.items() if is_given]


def _check_parts(names: Mapping[str, float]) -> None:
    for name in names:
        if whole := next((other for other in names if name.startswith(f"{other}.")), ""):
            raise ValueError(f"{name} is a part of {whole}, which is named, too; name the whole or its Cells")


class Phase(Weighting):
    """A stretch of training with a mixture of its own. What it does not say is as in `mixture`."""

    share: float = Field(gt=0, description="Of the training tokens, as 0.9 or 90; the shares of phases are normalised.")


class MixtureOptions(Weighting):
    """What training reads: shares of tokens, a budget, and phases."""

    tokens: Tokens | None = Field(
        None,
        description="Token budget, such as 6000000000 or 6B. None: by size every row once; else the most that "
        "`max_epochs` allows for all shares.",
    )
    token_targets: dict[str, Tokens] = Field(
        default_factory=dict, description="Instead of shares and budget: source or Cell -> tokens to read, such as 6B."
    )
    max_epochs: float = Field(4.0, gt=0, description="How often a Cell may be read at the most, over all phases.")
    when_short: Literal["error", "spread"] = Field(
        "error",
        description="A share that `max_epochs` does not allow: an error, or what is missing is spread over the other "
        "Cells in proportion to their shares.",
    )
    phases: tuple[Phase, ...] = Field((), max_length=100, description="Mixtures one after another; none: one mixture.")
    tolerance: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Largest distance of a realised share from its plan, in each phase; beyond it the build fails. The "
        "default, one percentage point, is what rounding to whole rows can cost a mixture of a hundred rows or fewer.",
    )

    @field_validator("token_targets")
    @classmethod
    def _no_part_twice(cls, targets: dict[str, int]) -> dict[str, int]:
        _check_parts(targets)
        return targets

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.token_targets and (self.tokens is not None or self.chosen() or self.phases):
            raise ValueError(
                "token_targets stand for shares and budget; go without tokens, weights, alpha, unimax, phases"
            )
        if self.tokens is None and any(phase.unimax for phase in self.all_phases()):
            raise ValueError("unimax needs a budget: set mixture.tokens, such as 6B")
        return self

    def all_phases(self) -> tuple[Phase, ...]:
        """The phases, with what each takes from the mixture; one for a mixture without any."""
        own = {name: getattr(self, name) for name in self.chosen()}
        if self.token_targets:
            own["weights"] = {name: float(n) for name, n in self.token_targets.items()}
        if not self.phases:
            return (Phase(share=1.0, order=self.order, **own),)
        return tuple(
            phase.model_copy(update=({} if phase.chosen() else own) | {"order": phase.order or self.order})
            for phase in self.phases
        )

    def budget(self) -> int | None:
        """Tokens to read, if the recipe says so."""
        return sum(self.token_targets.values()) or self.tokens

    def named(self) -> Mapping[tuple[str | int, ...], str]:
        """Where the recipe names a source or Cell -> which."""
        found: dict[tuple[str | int, ...], str] = {("weights", name): name for name in self.weights}
        found |= {("token_targets", name): name for name in self.token_targets}
        for i, phase in enumerate(self.phases):
            found |= {("phases", i, "weights", name): name for name in phase.weights}
        return found
