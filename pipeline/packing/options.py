"""Recipe fields of packing."""

from itertools import product
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Options

OTHER = "other"
"""Name of the Cell of all languages that have none of their own."""


class CellOptions(Options):
    """How one source is cut into Cells, which the mixture weighs: by language, by a measure, or by both.

    Cells are called SOURCE.LANGUAGE, SOURCE.MEASURE-BUCKET or SOURCE.LANGUAGE.MEASURE-BUCKET.
    """

    languages: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")], ...] = Field(
        (),
        max_length=500,
        description="Languages that are a Cell each, such as `web.en`; documents of all others are in `web.other`.",
    )
    measure: str | None = Field(None, description="A measure whose value decides; of the extracted text, as in Limits.")
    edges: tuple[float, ...] = Field(
        (),
        max_length=99,
        description="Ascending values of the measure. Bucket 0 holds the documents below the first, bucket 1 those "
        "from it on and below the second, and so on.",
    )

    @model_validator(mode="after")
    def _cuts_something(self) -> Self:
        if (self.measure is None) != (not self.edges):
            raise ValueError("measure and edges go together: a measure is cut at edges, such as [0.2, 0.5, 0.8]")
        if self.measure is None and not self.languages:
            raise ValueError("nothing to cut by; name languages, or a measure and its edges, or leave the source out")
        if any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"edges must ascend, found {list(self.edges)}")
        if len({*self.languages, OTHER}) != len(self.languages) + 1:
            raise ValueError(f"languages must differ from each other and from {OTHER!r}, which all others are in")
        return self

    def cell_names(self, source: str) -> list[str]:
        """The names of all Cells that `source` may have, by language and then by bucket."""
        languages = [*self.languages, OTHER] if self.languages else []
        buckets = [f"{self.measure}-{k}" for k in range(len(self.edges) + 1)] if self.edges else []
        return [".".join((source, *names)) for names in product(*filter(None, (languages, buckets)))]


class PackingOptions(Options):
    """Length of a Sequence, how much is held out, and what is packed apart."""

    seq_len: int = Field(
        1024, ge=16, le=1_048_576, description="Positions a model sees; a Sequence holds one token more."
    )
    method: Literal["best_fit", "concat"] = Field(
        "best_fit",
        description="How training rows are filled: `best_fit` cuts only documents longer than a row and leaves few "
        "places empty; `concat` lays documents end to end and cuts them where a row ends. Neither drops a token. "
        "Validation is always packed by `concat`.",
    )
    validation_share: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Share of clusters (hence documents) held out, by a hash of the cluster id, whatever the source.",
    )
    pack_mb: int = Field(
        256,
        ge=1,
        description="Consecutive Parts of a source whose inputs sum to this many megabytes are packed together.",
    )
    shard_rows: int = Field(65_536, ge=1, description="Sequences in one shard file at the most.")
    cells: dict[str, CellOptions] = Field(
        default_factory=dict, description="Source name -> how it is cut; a source that is not named is one Cell."
    )
