"""Recipe fields of deduplication."""

from typing import Literal

from pydantic import Field, field_validator

from pipeline.config import Options


class DedupOptions(Options):
    """Exact and MinHash deduplication. Defaults are FineWeb's: word 5-grams, 14 bands of 8 rows."""

    exact: bool = True
    near: bool = True
    ngram_words: int = Field(5, ge=1, le=50, description="Words in a shingle.")
    bands: int = Field(14, ge=1, le=256)
    rows: int = Field(8, ge=1, le=64, description="MinHash values in a band; bands * rows permutations in all.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the permutations, as datasketch's `seed`.")
    scope: Literal["all", "source"] = Field("all", description="Look for duplicates everywhere, or within each source.")
    survivor: tuple[Literal["source", "longest", "earliest"], ...] = Field(
        ("source", "longest"),
        description="Which document of a cluster stays: by the order of sources in the recipe, by length in characters "
        "of the kept text, by date (the earliest, unknown dates last); ties go to the smallest id.",
    )

    @field_validator("survivor")
    @classmethod
    def _each_rule_once(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(rules)) != len(rules):
            raise ValueError(f"each rule may stand once, found {', '.join(rules)}")
        return rules
