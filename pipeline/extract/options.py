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
    max_page_bytes: int = Field(4_000_000, ge=1, description="A larger page is not parsed; its fate is `page_too_large`.")
    timeout_s: float = Field(
        30.0, gt=0, description="A page that takes longer ends its worker; its fate is `extract_timeout`."
    )
    memory_mb: int = Field(2048, ge=256, description="Address space a page may add to its worker.")
