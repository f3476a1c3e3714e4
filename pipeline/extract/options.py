"""Recipe fields of extraction."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.config import Options
from pipeline.measures import KEPT_PREFIX, MEASURES, ON_REQUEST, OVERLAP

LOOK_MEASURES = tuple(
    name
    for name in MEASURES
    if not name.startswith(KEPT_PREFIX) and not any(name in group for group in (OVERLAP, *ON_REQUEST.values()))
)
"""What a look may ask of a page: measures of the whole text that need no line rule."""


def _look_measure(name: str) -> str:
    if name not in LOOK_MEASURES:
        raise ValueError(f"{name[:60]!r} is no measure of a whole text; there are: {', '.join(LOOK_MEASURES)}")
    return name


class Look(Options):
    """A bound on one measure of all text that a page shows, menus and all; a page outside it is not extracted."""

    measure: Annotated[str, AfterValidator(_look_measure)] = Field(
        description="A measure of the registry. The fate is `look_` and this name."
    )
    min: float | None = None
    max: float | None = None
    one_of: tuple[str, ...] | None = Field(None, description="Allowed values of a measure that is a word.")

    @model_validator(mode="after")
    def _bounded(self) -> "Look":
        is_word = MEASURES[self.measure].kind == "word"
        if (self.one_of is not None) != is_word or (not is_word and self.min is None and self.max is None):
            wanted = "one_of" if is_word else "min or max"
            raise ValueError(f"a look at {self.measure} needs {wanted}, and nothing else")
        return self


class ExtractOptions(Options):
    """How a page becomes text, and the bounds on what one page may cost."""

    extractor: Literal["trafilatura", "resiliparse"] = "trafilatura"
    favor: Literal["precision", "recall", "balanced"] = Field(
        "precision", description="trafilatura's trade-off; resiliparse has none and ignores it."
    )
    fast: bool = Field(False, description="trafilatura without its fallbacks (readability, jusText).")
    comments: bool = Field(False, description="Keep the comments of readers.")
    tables: bool = Field(True, description="Keep text inside tables.")
    looks: Literal["off"] | tuple[Look, ...] = Field(
        "off",
        description="A list of bounds on what a page shows, taken with a fast parser before it is extracted, or `off`. "
        "Each has to be looser than a Limit of the steps on the same measure.",
    )
    min_page_bytes: int = Field(0, ge=0, description="A smaller page gets the fate `page_too_small`.")
    max_page_bytes: int = Field(4_000_000, ge=1, description="A larger page gets the fate `page_too_large`.")
    max_tags: int = Field(
        100_000,
        ge=1,
        description="A page with more start tags gets the fate `page_too_many_tags`: extraction may take "
        "time that is quadratic in them.",
    )
    max_depth: int = Field(
        2_000, ge=1, description="A page with more elements inside each other gets the fate `page_too_deep`."
    )
    timeout_s: float = Field(
        30.0,
        gt=0,
        description="Processor seconds for a page; one that takes more ends its worker, fate `extract_timeout`, and is "
        "remembered. By the clock, a busy machine would decide which pages are kept.",
    )
    wall_timeout_s: float = Field(
        300.0, gt=0, description="Seconds by the clock after which a page that neither ends nor computes is given up."
    )
    memory_mb: int = Field(2048, ge=256, description="Megabytes of address space a page may add to its worker.")

    @property
    def bounds(self) -> tuple[Look, ...]:
        """The looks; none if they are off."""
        return () if self.looks == "off" else self.looks
