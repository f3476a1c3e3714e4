"""Recipe fields of the steps: URL rules, language, line rules, Limits, personal data."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.config import Options


class Where(Options):
    """Which documents a step applies to; an empty field means all."""

    source: tuple[str, ...] = ()
    language: tuple[str, ...] = ()


class UrlOptions(Options):
    """URL rules, applied before a page is parsed."""

    deny_domains: tuple[str, ...] = Field((), description="Registered domains or hosts; subdomains are covered.")
    deny_words: tuple[str, ...] = Field((), description="Words that may not occur, as whole words, in a URL.")


class LanguageOptions(Options):
    """Language identification with a fastText model."""

    model: Literal["lid.176"] = "lid.176"
    max_chars: int = Field(20_000, ge=100, description="Characters of a document that the model reads, from its start.")


class LineStep(Options):
    """A Rewrite that marks lines to be left out; `kept_*` measures are taken on the other lines."""

    type: Literal["lines"]
    rule: Literal["c4"] = Field(description="c4: lines that C4 drops, and its citation marks (see docs/recipes.md).")
    where: Where = Where()


class Limit(Options):
    """A bound on one measure; a document outside it is dropped with the Limit's name as reason."""

    type: Literal["limit"] = "limit"
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="The drop reason.")
    measure: str = Field(description="A name from the registry of measures.")
    min: float | None = None
    max: float | None = None
    one_of: tuple[str, ...] | None = Field(None, description="Allowed values of a measure that is a word, such as language.")
    exclusive: bool = Field(False, description="A value equal to min or max is outside, too.")
    where: Where = Where()

    @model_validator(mode="after")
    def _bounded(self) -> "Limit":
        if self.min is None and self.max is None and self.one_of is None:
            raise ValueError("a limit needs min, max or one_of")
        return self


class PresetStep(Options):
    """A named list of line rules and Limits, with citation; any field of a Limit can be overridden by its name."""

    type: Literal["preset"]
    name: Literal["datatrove-0.10"]
    where: Where = Where()
    override: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Limit name -> fields that replace the preset's."
    )


Step = Annotated[PresetStep | LineStep | Limit, Field(discriminator="type")]


class PiiOptions(Options):
    """Personal data to replace in text, title and URL."""

    kinds: tuple[Literal["email", "ip"], ...] = ("email", "ip")
    public_ip_only: bool = Field(True, description="Leave private, loopback and documentation addresses as they are.")
    email_replacements: tuple[str, ...] = Field(
        ("email@example.com", "firstname.lastname@example.org"), min_length=1
    )
    ip_replacements: tuple[str, ...] = Field(
        ("22.214.171.124", "126.96.36.199", "220.127.116.11", "188.8.131.52", "22.231.113.64", "22.214.171.124"),
        min_length=1,
    )
