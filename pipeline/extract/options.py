"""Recipe fields of extraction."""

from typing import Literal

from pydantic import Field

from pipeline.config import Options


class ExtractOptions(Options):
    """How a page becomes text, and the bounds on what one page may cost."""

    extractor: Literal["trafilatura", "resiliparse"] = "trafilatura"
    favor: Literal["precision", "recall", "balanced"] = Field(
        "precision", description="trafilatura's trade-off; resiliparse has none and ignores it."
    )
    comments: bool = Field(False, description="Keep the comments of readers.")
    tables: bool = Field(True, description="Keep text inside tables.")
    max_page_bytes: int = Field(4_000_000, ge=1, description="A larger page gets the fate `page_too_large`.")
    timeout_s: float = Field(
        30.0,
        gt=0,
        description="Processor seconds for a page; one that takes more ends its worker, fate `extract_timeout`. "
        "By the clock, a busy machine would decide which pages are kept.",
    )
    wall_timeout_s: float = Field(
        300.0, gt=0, description="Seconds by the clock after which a page that neither ends nor computes is given up."
    )
    memory_mb: int = Field(2048, ge=256, description="Megabytes of address space a page may add to its worker.")
