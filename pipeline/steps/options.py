"""Recipe fields of the steps: URL rules, language, line rules, Limits, datatrove's classes, personal data."""

import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from pipeline.config import Options
from pipeline.measures import KEPT_PREFIX, MEASURES, QUALITY_NAME, QUALITY_PREFIX, measure_of, nearest_measure


class Where(Options):
    """Which documents a step applies to; an empty field means all."""

    source: tuple[str, ...] = ()
    language: tuple[str, ...] = ()


def _host(text: str) -> str:
    if not re.fullmatch(r"[^\s/:@?#\\]+", text):
        raise ValueError(f"{text[:60]!r} is no host; write it without scheme, port and path, such as example.org")
    return text


def _word(text: str) -> str:
    if not re.fullmatch(r"[^\W_]+", text):
        raise ValueError(f"{text[:60]!r} is not one word; a word has letters and digits only")
    return text


DECLARED = "measures"
"""Key of the validation context that holds the measures which the recipe declares; without it any may be declared."""


def _measure(name: str, info: ValidationInfo) -> str:
    declared = info.context.get(DECLARED) if info.context else None
    if name in MEASURES or (measure_of(name) if declared is None else name in declared):
        return name
    close = nearest_measure(name, declared or ())
    plain = ", ".join([*(n for n in MEASURES if not n.startswith(KEPT_PREFIX)), *(declared or ())])
    listed = f"; there are: {plain}, and the same of kept lines with {KEPT_PREFIX} in front"
    if name.startswith(QUALITY_PREFIX) and not declared:
        listed = "; quality_models of the recipe declares the models that such a measure comes from, and names none"
        close = None
    raise ValueError(f"unknown measure {name[:60]!r}" + (f"; did you mean {close!r}?" if close else listed))


MeasureName = Annotated[str, AfterValidator(_measure)]


def _page(text: str) -> str:
    if not re.fullmatch(r"(https?://)?[^\s/:@?#\\]+\.[^\s]+", text):
        raise ValueError(f"{text[:60]!r} is no address of a page; write it such as https://example.org/page")
    return text


def _subword(text: str) -> str:
    if len(re.sub(r"[\W_]+", "", text)) < 2:
        raise ValueError(f"{text[:60]!r} has fewer than two letters or digits; most URLs would hold it")
    return text


Hosts = tuple[Annotated[str, AfterValidator(_host)], ...]
Pages = tuple[Annotated[str, AfterValidator(_page)], ...]
Words = tuple[Annotated[str, AfterValidator(_word)], ...]
Subwords = tuple[Annotated[str, AfterValidator(_subword)], ...]
OwnList = Literal[
    "allow_domains",
    "allow_urls",
    "allow_words",
    "deny_domains",
    "deny_urls",
    "deny_words",
    "deny_soft_words",
    "deny_subwords",
]


class UrlOptions(Options):
    """URL rules, applied before a page is parsed; docs/urls.md has their order and what each fate means."""

    lists: tuple[Literal["ut1", "words"], ...] = Field(
        (),
        description="Lists that come with datatrove. `ut1`: 4.6 million domains and pages of the University of "
        "Toulouse: adult, malware, phishing and more. `words`: its words, soft words and subwords. FineWeb has both.",
    )
    soft_word_threshold: int = Field(2, ge=1, le=100, description="Different soft words in a URL that deny it.")
    allow_domains: Hosts = Field((), description="Domains, subdomains included, that no rule denies.")
    allow_urls: Pages = Field((), description="Pages that no rule denies.")
    allow_words: Subwords = Field((), description="Words, soft words and subwords that do not count.")
    deny_domains: Hosts = Field((), description="Registered domains or hosts; subdomains are covered.")
    deny_urls: Pages = Field((), description="Pages; http, https, `www.` and a final slash make no difference.")
    deny_words: Words = Field(
        (), description="Words that may not occur, as whole words, in a URL; upper and lower case are equal."
    )
    deny_soft_words: Words = Field((), description="Words of which `soft_word_threshold` different ones deny a URL.")
    deny_subwords: Subwords = Field(
        (), description="Letters and digits that may not follow each other in a URL, whatever stands between them."
    )
    files: dict[OwnList, tuple[Annotated[str, Field(min_length=1)], ...]] = Field(
        default_factory=dict,
        description="More entries of the lists above, by name: files as paths or fsspec URLs, UTF-8, one entry a line, "
        "`#` before remarks.",
    )

    OWN_LISTS: ClassVar[tuple[str, ...]] = get_args(OwnList)
    ENTRY_CHECKS: ClassVar[Mapping[str, Callable[[str], str]]] = {
        name: {"domains": _host, "urls": _page, "subwords": _subword}.get(name.rpartition("_")[2], _word)
        for name in get_args(OwnList)
    } | {"allow_words": _subword}


class RemovalOptions(Options):
    """Documents to remove on request; docs/urls.md has the form of an entry. Nothing is extracted or measured again."""

    files: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        description="Paths or fsspec URLs. One entry a line: the URL of a page, `domain:example.org`, or 32 "
        "hexadecimal digits of a document's id or of the hash of its text.",
    )
    with_copies: bool = Field(
        True,
        description="Remove the duplicates of a removed document, too, so that none of them takes its place. They are "
        "those that `dedup` finds.",
    )


class LanguageOptions(Options):
    """Language identification with a fastText model."""

    model: str = Field(
        "lid.176",
        min_length=1,
        description="`lid.176`, or the file of another fastText classifier, as a path or fsspec URL; `language` is "
        "then one of its labels, such as `eng_Latn` of GlotLID.",
    )
    max_chars: int = Field(
        10_000,
        ge=100,
        description="Characters of a document that the model reads; of a longer one windows from begin to end.",
    )


class QualityModel(Options):
    """A fastText classifier whose opinion of a document's kept lines becomes the measure `quality_NAME`."""

    path: str = Field(
        min_length=1,
        description="A .bin or .ftz file, as a path or fsspec URL. Take no model from a "
        "stranger: fastText trusts the file.",
    )
    label: str = Field(min_length=1, description="The label whose probability is the measure, without `__label__`.")
    max_chars: int = Field(
        100_000,
        ge=100,
        description="Characters of a document that the model reads; of a longer one windows from begin to end.",
    )


QualityName = Annotated[str, Field(pattern=QUALITY_NAME)]


OVERLAP_RULE = "benchmark_overlap"
"""The line rule that cuts n-grams of benchmarks. The others exclude each other; this one follows whichever applies."""


class LineStep(Options):
    """A Rewrite that marks lines to be left out; `kept_*` measures are taken on the other lines."""

    type: Literal["lines"]
    rule: Literal["c4", "c4-terminal", "c4-original", "dclm", "benchmark_overlap"] = Field(
        description="c4: lines that C4 drops, and its citation marks, as FineWeb has it. c4-terminal: those that end "
        "in no terminal mark, too. c4-original: the code that made C4. dclm: DCLM-Baseline's (see docs/quality.md). "
        "benchmark_overlap: lines that hold or touch an n-gram of `overlap`, after any other rule (docs/overlap.md)."
    )
    where: Where = Where()


class RepeatedLines(Options):
    """A Rewrite that leaves out lines which other documents hold, too, as CCNet does: see Repeated lines."""

    type: Literal["repeated_lines"]
    scope: Literal["all", "source", "site"] = Field(
        "all",
        description="Among which documents a line is looked for: all, those of the same source, or those of the same "
        "registered domain of the URL. CCNet: all that are loaded together.",
    )
    min_documents: int = Field(
        2, ge=2, description="A line that so many documents hold is repeated. CCNet: 2 (arXiv 1911.00359, section 3.1)."
    )
    keep: Literal["first", "none"] = Field(
        "first",
        description="`first`: the first such line of the document with the smallest id stays. `none`: all go, as in "
        "the code that made CCNet's corpus (facebookresearch/cc_net, cc_net/dedup.py, deduplicate_two_pass).",
    )
    min_words: int = Field(
        1, ge=1, description="Lines of fewer words stay, and are not counted. CCNet has no such bound."
    )
    where: Where = Where()

    min_share: ClassVar[float] = 0.0


class SiteBoilerplate(Options):
    """A Rewrite that leaves out lines which many pages of a site hold, on all of them: see Repeated lines."""

    type: Literal["site_boilerplate"]
    min_documents: int = Field(
        5, ge=2, description="Pages of the site that hold such a line, at least. Default: Gristmill's choice."
    )
    min_share: float = Field(
        0.1, ge=0, le=1, description="Share of the site's pages, at least. Default: Gristmill's choice."
    )
    min_words: int = Field(1, ge=1, description="Lines of fewer words stay, and are not counted.")
    where: Where = Where()

    scope: ClassVar[str] = "site"
    keep: ClassVar[str] = "none"


CountedStep = RepeatedLines | SiteBoilerplate
"""A step that has to know how many documents hold a line."""


class Limit(Options):
    """A bound on one measure; a document outside it is dropped with the Limit's name as reason."""

    type: Literal["limit"] = "limit"
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="The drop reason.")
    measure: MeasureName = Field(description="A name from the registry of measures.")
    min: float | None = None
    max: float | None = None
    one_of: tuple[str, ...] | None = Field(
        None, description="Allowed values of a measure that is a word, such as language."
    )
    exclusive: bool = Field(False, description="A value equal to min or max is outside, too.")
    where: Where = Where()

    @model_validator(mode="after")
    def _bounded(self) -> "Limit":
        measure = measure_of(self.measure)
        assert measure is not None  # the field's validator has seen to it
        numbers = self.min is not None or self.max is not None
        if measure.kind == "word" and (numbers or self.one_of is None):
            raise ValueError(f"{self.measure} is a word: give one_of, and neither min nor max")
        if measure.kind == "number" and (not numbers or self.one_of is not None):
            raise ValueError(f"{self.measure} is a number: give min or max, and not one_of")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no document would pass; exchange them?")
        return self


class LimitOverride(Options):
    """Fields that replace those of a preset's Limit; what is not written stays as the preset has it."""

    measure: MeasureName = ""
    min: float | None = None
    max: float | None = None
    one_of: tuple[str, ...] | None = None
    exclusive: bool = False
    where: Where = Where()

    @model_serializer(mode="wrap")
    def _as_written(self, all_fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in all_fields(self).items() if name in self.model_fields_set}


PRESET_FILES = files("pipeline.steps") / "preset_files"
PRESETS = tuple(
    sorted(file.name.removesuffix(".yaml") for file in PRESET_FILES.iterdir() if file.name.endswith(".yaml"))
)
"""The presets that ship: one file each."""

if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[PRESETS]


class PresetStep(Options):
    """A named list of line rules and Limits, with citation; any field of a Limit can be overridden by its name."""

    type: Literal["preset"]
    name: PresetName = Field(description="See Presets, and docs/quality.md.")
    where: Where = Where()
    override: dict[str, LimitOverride] = Field(
        default_factory=dict, description="Limit name -> fields that replace the preset's."
    )


class DatatroveStep(Options):
    """A filter or formatter of datatrove, or a class of your own derived from its BaseFilter or BaseFormatter."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: Literal["datatrove"]
    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        description="The drop reason, for a filter. A formatter has a name for messages only.",
    )
    class_: str = Field(
        alias="class",
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$",
        description="The dotted path of a class, such as datatrove.pipeline.filters.GopherQualityFilter.",
    )
    args: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of the class by name: plain values, lists and mappings."
    )
    where: Where = Where()


Step = Annotated[
    PresetStep | LineStep | RepeatedLines | SiteBoilerplate | Limit | DatatroveStep, Field(discriminator="type")
]


def _region(text: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS  # late: most recipes name no region, and plans are to be quick

    if text not in SUPPORTED_REGIONS:
        raise ValueError(f"{text[:60]!r} is no region of libphonenumber; write its ISO 3166-1 code, such as US or GB")
    return text


class PiiOptions(Options):
    """Personal data to replace in text, title and URL; docs/privacy.md says what counts as which kind."""

    kinds: tuple[Literal["email", "ip", "ipv6", "phone", "card", "iban", "ssn", "api_key", "private_key"], ...] = Field(
        ("email", "ip"), description="What is looked for. Default: what FineWeb's last step replaces."
    )
    replace: Literal["datatrove", "placeholder", "pseudonym"] = Field(
        "datatrove",
        description="placeholder: the kind, `<EMAIL>`. pseudonym: kind and number, `<EMAIL_2>`: one number for each "
        "different value in a document, counted anew in the next. datatrove: the replacements below; kinds that "
        "datatrove does not know get a placeholder. In URLs without the angle brackets.",
    )
    public_ip_only: bool = Field(True, description="Leave private, loopback and documentation addresses as they are.")
    phone_regions: tuple[Annotated[str, AfterValidator(_region)], ...] = Field(
        ("US",), description="Regions whose phone numbers count without country code, the most likely first."
    )
    email_replacements: tuple[str, ...] = Field(
        ("email@example.com", "firstname.lastname@example.org"),
        min_length=1,
        description="Taken in turn within a text. Default: datatrove's.",
    )
    ip_replacements: tuple[str, ...] = Field(
        ("22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168"),
        min_length=1,
        description="Taken in turn within a text. Default: datatrove's, addresses that answered no ping.",
    )
