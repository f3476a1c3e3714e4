"""Cells, weights -> token budgets and epochs."""

from pydantic import Field

from pipeline.config import Options


class MixtureOptions(Options):
    """Shares of the training tokens by source; a source is a Cell."""

    weights: dict[str, float] = Field(
        default_factory=dict, description="Source name -> share of tokens; normalised to 1. Empty: natural proportions."
    )
    tokens: int | None = Field(None, ge=1, description="Token budget; none: the most that `max_epochs` allows for all shares.")
    max_epochs: float = Field(4.0, gt=0, description="How often a Cell may be repeated at the most.")
    tolerance: float = Field(0.01, gt=0, lt=1, description="Largest allowed distance of a realised share from its plan.")
