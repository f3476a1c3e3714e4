"""Recipe fields of packing."""

from typing import Literal

from pydantic import Field

from pipeline.config import Options


class PackingOptions(Options):
    """Length of a Sequence, and how much is held out."""

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
