"""The Recipe: what a person writes, and all that decides the bytes of a dataset.

Each room's fields live in the room's `options.py` (or in the room, where it is one file); this module joins them.
"""

from pydantic import Field

from pipeline.config import Options
from pipeline.dedup.options import DedupOptions
from pipeline.extract.options import ExtractOptions
from pipeline.mixture import MixtureOptions
from pipeline.packing import PackingOptions
from pipeline.sources.options import Source
from pipeline.steps.options import LanguageOptions, PiiOptions, Step, UrlOptions
from pipeline.tokenizer.options import TokenizerOptions


class CardOptions(Options):
    """What only a person can say about a dataset."""

    summary: str = ""
    intended_use: str = ""
    limits: str = ""
    contact: str = ""


class Recipe(Options):
    """A dataset as a value: the same recipe and inputs give the same bytes."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Folder name of the dataset.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of everything random.")
    sources: dict[str, Source] = Field(min_length=1, description="Source name -> where its records come from.")
    url: UrlOptions = UrlOptions()
    extract: ExtractOptions = ExtractOptions()
    language: LanguageOptions = LanguageOptions()
    steps: tuple[Step, ...] = Field((), description="Line rules and Limits, in order; the first failed Limit is the reason.")
    dedup: DedupOptions = DedupOptions()
    pii: PiiOptions = PiiOptions()
    mixture: MixtureOptions = MixtureOptions()
    tokenizer: TokenizerOptions = TokenizerOptions()
    packing: PackingOptions = PackingOptions()
    card: CardOptions = CardOptions()
