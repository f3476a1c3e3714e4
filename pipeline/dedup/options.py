"""Recipe fields of deduplication."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.config import Options
from pipeline.dedup.bands import MAX_PERMUTATIONS, optimal_bands

EXACT, URL, BAND_PREFIX = "exact", "url", "band_"


class VerifyOptions(Options):
    """A second opinion on each pair that shares a band."""

    jaccard: float = Field(0.8, gt=0, le=1, description="Pairs that are less alike are no near duplicates.")
    by: Literal["signature", "shingles"] = Field(
        "signature",
        description="Jaccard similarity as estimated from the signatures, or counted over the shingles, which then are "
        "stored: 4 bytes for each different shingle of a text.",
    )


class BestBy(Options):
    """A survivor rule by a measure."""

    measure: str = Field(description="A number from the registry of measures, or `quality_NAME`.")
    prefer: Literal["highest", "lowest"] = "highest"


class Repeat(Options):
    """Survivors of clusters from a size on are packed more than once."""

    min_size: int = Field(ge=1, description="Documents in the cluster.")
    times: int = Field(ge=1, le=100)


class DedupOptions(Options):
    """Exact, URL and MinHash deduplication. Defaults are FineWeb's: word 5-grams, 14 bands of 8 rows."""

    exact: bool = Field(True, description="Documents with equal kept text, by a 128-bit hash, are duplicates.")
    url: Literal["off", "address", "canonical"] = Field(
        "off",
        description="Captures of one page are duplicates: by the record's URL, or by the canonical URL that the page "
        "states where its host is the same or a parent of the other. Scheme, `www.` and fragment do not count.",
    )
    near: bool = True
    ngram_words: int = Field(
        5, ge=1, le=50, description="Words in a shingle; each letter of a script without spaces is a word."
    )
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Wanted Jaccard similarity: chooses `bands` and `rows` as `datasketch.MinHashLSH` does.",
    )
    n_permutations: int = Field(
        128, ge=1, le=MAX_PERMUTATIONS, description="With `threshold`: MinHash values of a signature at the most."
    )
    bands: int = Field(14, ge=1, le=MAX_PERMUTATIONS)
    rows: int = Field(8, ge=1, le=MAX_PERMUTATIONS, description="MinHash values in a band; bands * rows in all.")
    scheme: Literal["affine32", "affine64"] = Field(
        "affine32",
        description="As datasketch's `scheme`. 64 bits take twice the place; they tell apart what 32 bits no longer do "
        "in documents of many million words (docs/dedup.md).",
    )
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the permutations, as datasketch's `seed`.")
    verify: VerifyOptions | None = Field(None, description="Count a pair only if it is alike enough.")
    scope: Literal["all", "source", "language", "snapshot"] = Field(
        "all",
        description="Look for duplicates everywhere, or within each source, language, or crawl (`CC-MAIN-...` in the "
        "path of a record's file, else its source).",
    )
    against: tuple[str, ...] = Field(
        (),
        description="Folders of earlier versions: what is a duplicate of one of their documents is dropped, too. Their "
        "signatures are read, not their texts.",
    )
    survivor: tuple[Literal["source", "longest", "earliest", "latest"] | BestBy, ...] = Field(
        ("source", "longest"),
        description="Which document of a cluster stays: by the order of sources in the recipe, by length in characters "
        "of the kept text, by date (unknown dates last), by a measure; ties go to the smallest id.",
    )
    repeat_by_cluster_size: tuple[Repeat, ...] = Field(
        (),
        description="How often survivors are packed for training, by the size of their clusters; the last entry that a "
        "cluster is large enough for counts. As FineWeb-2's rehydration (arXiv 2506.20920).",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> "DedupOptions":
        if self.threshold is not None:
            best = optimal_bands(self.threshold, self.n_permutations)
            if not {"bands", "rows"} & self.model_fields_set:
                # Not a validator before the fields', which would no longer see JSON and so refuse its lists as tuples.
                self.__dict__.update(bands=best[0], rows=best[1])
            if best != (self.bands, self.rows):
                raise ValueError(
                    f"a threshold of {self.threshold:g} with {self.n_permutations} permutations means {best[0]} bands "
                    f"of {best[1]} rows, not {self.bands} of {self.rows}; give either the threshold or bands and rows"
                )
        if self.verify is not None and not self.near:
            raise ValueError("verify says which near duplicates count, and near is off; switch near on, or drop verify")
        if self.against and self.scope == "snapshot":
            raise ValueError("versions do not tell snapshots apart; compare against them with another scope")
        return self

    @field_validator("survivor")
    @classmethod
    def _each_rule_once(cls, rules: tuple[str | BestBy, ...]) -> tuple[str | BestBy, ...]:
        names = [rule.measure if isinstance(rule, BestBy) else rule for rule in rules]
        if len(set(names)) != len(names):
            raise ValueError(f"each rule may stand once, found {', '.join(names)}")
        return rules

    @field_validator("repeat_by_cluster_size")
    @classmethod
    def _sizes_grow(cls, repeats: tuple[Repeat, ...]) -> tuple[Repeat, ...]:
        sizes = [repeat.min_size for repeat in repeats]
        if sizes != sorted(set(sizes)):
            raise ValueError(f"min_size must grow from entry to entry, found {', '.join(map(str, sizes))}")
        return repeats


def band_names(options: DedupOptions) -> list[str]:
    """What documents are compared by: `exact`, `url`, `band_00`, `band_01`, ..."""
    near = [f"{BAND_PREFIX}{band:02d}" for band in range(options.bands * options.near)]
    return [EXACT] * options.exact + [URL] * (options.url != "off") + near


def needs_shingles(options: DedupOptions) -> bool:
    """Whether the shingles of documents are kept, to be compared."""
    return options.verify is not None and options.verify.by == "shingles"
