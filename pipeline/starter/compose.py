"""What was found -> the text of a recipe, with comments that say why."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.card.escape import size
from pipeline.recipe import SCHEMA_LINE
from pipeline.starter.lots import KIND_WORDS, Group, escaped, shown
from pipeline.starter.sample import SAMPLED_DOCUMENTS, Sample

MIN_SHARE = 0.05
"""Share of sampled texts from which a language is asked for."""
MIN_COVERED = 0.5
"""If the languages above MIN_SHARE are fewer texts than this, the source has no main languages to ask for."""
SHORT_CHARS = 200
"""Where half of the texts are shorter, their language is a guess, and no Limit is set on it."""
TEXT_PER_BYTE = {"warc": 0.15, "lines": 0.9, "delimited": 0.9, "parquet": 2.0, "arrow": 1.0, "text": 1.0}
PACKED_FACTOR = 3.0
"""Bytes of text in a stored byte, to choose a vocabulary by; measured within a factor of two on web archives (pages
stored as gzip), books, articles and source code."""
VOCABULARY = ((2e5, 512), (2e6, 2048), (2e7, 4096), (2e8, 8192), (2e9, 16_384), (2e10, 32_768), (float("inf"), 65_536))
"""Bytes of text up to which a vocabulary is taken: pieces that are seen some thousand times are learned, and GPT-2's
50,257 were trained on 40 GB."""
SEQUENCE = ((2e6, 256), (2e8, 512), (2e10, 1024), (float("inf"), 2048))
WIDTH = 118


@dataclass(frozen=True, slots=True)
class Entry:
    """One source of the recipe to be written."""

    name: str
    group: Group
    sample: Sample

    @property
    def is_short(self) -> bool:
        """Whether most of its texts are too short for what is asked of documents."""
        return self.sample.median_chars < SHORT_CHARS

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages to ask for; () for none in particular."""
        if self.sample.is_code or self.is_short:
            return ()
        main = tuple(code for code, share in self.sample.languages.items() if share >= MIN_SHARE and code)
        covered = sum(self.sample.languages[code] for code in main)
        return main if covered >= MIN_COVERED else ()

    @property
    def text_bytes(self) -> float:
        """Estimated bytes of its text."""
        packed = self.group.kind in ("lines", "delimited", "text") and self.group.files[0].path.lower().endswith(
            (".gz", ".zst")
        )
        return self.group.n_bytes * TEXT_PER_BYTE[self.group.kind] * (PACKED_FACTOR if packed else 1)


def entries(groups: Sequence[Group], samples: Sequence[Sample]) -> list[Entry]:
    """Groups with names: what they are, else what their path ends in; each name once."""
    made: list[Entry] = []
    for group, sampled in zip(groups, samples, strict=True):
        wanted = "web" if group.kind == "warc" else "code" if sampled.is_code else _slug(group.path)
        taken = {entry.name for entry in made}
        name = next(n for i in range(1, len(groups) + 1) if (n := wanted if i == 1 else f"{wanted}-{i}") not in taken)
        made.append(Entry(name, group, sampled))
    return made


def _slug(path: str) -> str:
    parts = [
        part for part in PurePosixPath(path).parts if not re.search(r"[*?\[]", part) and part not in ("/", ".", "..")
    ]
    stem = re.sub(
        r"\.(jsonl|ndjson|csv|tsv|parquet|arrow|feather|txt|md|markdown)(\.(gz|zst))?$",
        "",
        parts[-1].lower() if parts else "",
    )
    slug = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:40].strip("-")
    is_word = slug[:1].isalpha() and slug not in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    return slug if is_word else f"data-{slug}".strip("-")  # what YAML takes for a number or a truth value is no name


def quoted(text: str) -> str:
    """`text` as a double-quoted YAML scalar of printable characters."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else escaped(ord(char)) for char in written)


def percent(share: float) -> str:
    """A share for people, in whole percent, small ones as `<1%`."""
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def languages_in_words(sampled: Sample) -> str:
    """The shares of the most frequent languages of a sample."""
    listed = [f"{code or '?'} {percent(share)}" for code, share in list(sampled.languages.items())[:8]]
    more = len(sampled.languages) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more > 0 else "")


def _comment(text: str, indent: int = 0) -> Iterator[str]:
    """`text` as comment lines; a long word is not cut."""
    line, begin = "", " " * indent + "# "
    for word in shown(text).split(" "):
        if line and len(begin) + len(line) + 1 + len(word) > WIDTH:
            yield begin + line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield begin + line


def recipe(name: str, path: str, found: Sequence[Entry], left_out: Sequence[str], tokenizer: str = "") -> str:
    """The text of the recipe. `path` is what was looked at; `left_out` becomes comments; `tokenizer` is a model's path,
    or "" to train one."""
    lines = [SCHEMA_LINE]
    lines += _comment(f"Written by `pipeline init` after a look at {path}. Change what you like; to make the dataset:")
    lines += ["#", f"#     pipeline run {name}.yaml", "#"]
    lines += _comment("What is not written here has a default; `pipeline schema` lists every field. Paths that are not")
    lines += _comment("absolute are looked for from the folder in which the command is started.")
    lines += ["", f"name: {quoted(name)}", "seed: 0                          # of everything random", ""]
    lines += _comment("Where records come from. Of two copies of a document, the one from the earlier source stays.")
    lines.append("sources:")
    for entry in found:
        lines += _source(entry, _part_mb(found))
    if left_out:
        lines += _comment("Not read:")
        for sentence in left_out:
            lines += _comment(f"- {sentence}")
    lines += ["", *_steps(found), "", *_rest(found, tokenizer)]
    return "\n".join(lines) + "\n"


def _source(entry: Entry, part_mb: int) -> Iterator[str]:
    group = entry.group
    n_files = len(group.files)
    yield f"  {entry.name}:"
    files = f"{n_files:,} file{'s' * (n_files != 1)}, {size(group.n_bytes)}, {KIND_WORDS[group.kind]}"
    yield from _comment(f"{files}. {sample_in_words(entry)}", 4)
    yield f"    type: {'warc' if group.kind == 'warc' else 'tables'}"
    yield f"    path: {quoted(group.path)}"
    if group.columns is not None:
        for field in ("text", "url", "title", "date", "licence"):
            if (column := getattr(group.columns, field)) is not None:
                yield f"    {field}_column: {quoted(column)}"
    yield f"    part_mb: {part_mb:<20} # input of one Part, so that several workers share the work"


def sample_in_words(entry: Entry) -> str:
    """What the sample of a source showed, in a sentence or two."""
    sampled = entry.sample
    if not sampled.n_texts:
        return f"None of {sampled.n_records:,} sampled records held text."
    words = f"{sampled.n_texts:,} sampled texts, median {sampled.median_chars:,} characters"
    if sampled.is_code:
        return f"{words}; they look like source code."
    return f"{words}; languages: {languages_in_words(sampled)}." if sampled.languages else f"{words}."


def _part_mb(found: Sequence[Entry]) -> int:
    """About 32 Parts, of 1 to 64 MB; ten times that for a source of many terabytes."""
    total = sum(entry.group.n_bytes for entry in found)
    return max(1, min(64, round(total / 32e6))) if total < 1e13 else 640


def _steps(found: Sequence[Entry]) -> Iterator[str]:
    yield from _comment(
        "Limits bound one measure each; the first that a document fails is its drop reason. A Limit can"
    )
    yield from _comment("be changed or taken out at any time: nothing is read or extracted again.")
    yield "steps:"
    for group in _alike(found):
        yield from _language_limit(group)
    for entry in found:
        if entry.group.kind == "warc":
            yield from _web_steps(entry)
    for entry in found:
        if entry.group.kind != "warc":
            yield from _clean_steps(entry)


def _alike(found: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Sources of the same languages, together."""
    lots: dict[tuple[str, ...], list[Entry]] = {}
    for entry in found:
        lots.setdefault(tuple(sorted(entry.languages)), []).append(entry)
    yield from lots.values()


def _where(entries: Sequence[Entry], languages: Sequence[str] = ()) -> str:
    inside = f"source: [{', '.join(entry.name for entry in entries)}]"
    inside += f", language: [{', '.join(map(quoted, languages))}]" if languages else ""
    return f"where: {{{inside}}}"


def _limit(name: str, measure: str, bound: str, where: str, why: str) -> Iterator[str]:
    yield from _comment(why, 2)
    yield f"  - {{type: limit, name: {name}, measure: {measure}, {bound}, {where}}}"


def _language_limit(alike: Sequence[Entry]) -> Iterator[str]:
    languages = alike[0].languages
    names = ", ".join(entry.name for entry in alike)
    if languages:
        bound = f"one_of: [{', '.join(map(quoted, languages))}]"
        why = f"The languages that have at least {percent(MIN_SHARE)} of the sampled texts of {names}."
        yield from _limit("other_language", "language", bound, _where(alike), why)
    else:
        why = "source code, texts too short to tell their language, or no main language"
        yield from _comment(f"No Limit on the language of {names}: {why}.", 2)


def _web_steps(entry: Entry) -> Iterator[str]:
    others = [code for code in entry.languages if code != "en"]
    if "en" in entry.languages:
        yield from _comment(
            "FineWeb's rules for English pages as datatrove 0.10 has them (arXiv 2406.17557). A bound", 2
        )
        yield from _comment("is changed by its Limit's name: `override: {language_score: {min: 0.8}}`.", 2)
        yield f"  - {{type: preset, name: datatrove-0.10, {_where([entry], ['en'])}}}"
    if others or not entry.languages:
        where = _where([entry], others)
        yield from _comment("Other languages: the rules that do not count English words.", 2)
        why = "FineWeb asks for .65 in English, too."
        yield from _limit("uncertain_language", "language_score", "min: 0.65", where, why)
        yield from _limit("too_short", "n_chars", f"min: {SHORT_CHARS}", where, "Menus and remains of pages.")
        why = "Gopher's bound (arXiv 2112.11446)."
        yield from _limit("duplicate_lines", "duplicate_line_char_fraction", "max: 0.2", where, why)


def _clean_steps(entry: Entry) -> Iterator[str]:
    where, median = _where([entry]), entry.sample.median_chars
    if entry.sample.is_code:
        yield from _limit("too_short", "n_chars", "min: 50", where, f"{entry.name}: what is left of empty files.")
        yield from _limit("too_long", "n_chars", "max: 500000", where, "Tables and test data written out as code.")
        return
    least = 200 if median >= 2000 else 50 if median >= SHORT_CHARS else 1
    why = f"{entry.name}: half of the sampled texts have {median:,} characters or more."
    yield from _limit("too_short", "n_chars", f"min: {least}", where, why)
    why = "Gopher drops pages above .2; clean collections hold tables and verse, so only the worst go."
    yield from _limit("duplicate_lines", "duplicate_line_char_fraction", "max: 0.5", where, why)


def _rest(found: Sequence[Entry], tokenizer: str) -> Iterator[str]:
    n_bytes = sum(entry.text_bytes for entry in found)
    yield from _comment("Copies: equal texts, and texts whose word 5-grams are alike (MinHash, 14 bands of 8 rows).")
    yield from ("dedup:", "  exact: true", "  near: true", "")
    yield from _comment("Personal data, replaced in text, title and URL.")
    yield from ("pii:", "  kinds: [email, ip]", "", "tokenizer:")
    if tokenizer:
        yield from (
            "  type: file                     # brought along; its bytes are part of the version",
            f"  path: {quoted(tokenizer)}",
        )
    else:
        n_characters = max(entry.sample.n_characters for entry in found)
        by_size = next(pieces for most, pieces in VOCABULARY if n_bytes < most)
        vocabulary = next(
            (pieces for _, pieces in VOCABULARY if pieces >= max(by_size, 2 * n_characters + 512)), 65_536
        )
        yield "  type: bpe"
        yield f"  vocab_size: {vocabulary:<18} # for about {size(round(n_bytes))} of text"
    yield from (
        "",
        "packing:",
        f"  seq_len: {next(n for most, n in SEQUENCE if n_bytes < most):<21} # positions that a model sees",
    )
    few = sum(entry.sample.n_texts for entry in found) < SAMPLED_DOCUMENTS / 2  # as in a collection of books
    yield f"  validation_share: {0.05 if few else 0.01:<12} # of documents; near copies fall on the same side"
    yield ""
    yield from _comment("Shares of the training tokens. Without weights every source is read once. To change the mix:")
    shares = ", ".join(f"{entry.name}: {entry.text_bytes / max(1.0, n_bytes):.2g}" for entry in found)
    yield from _comment(f"`weights: {{{shares}}}` is about how much text each has.")
    yield from (
        "mixture:",
        "  weights: {}",
        "  max_epochs: 4                  # how often a source may be repeated for the sake of its weight",
        "",
    )
    yield from _comment("What a version stores of the records that are no documents of it.")
    yield from (
        "keep:",
        "  fates: true                    # a row for every record: what became of it, and why",
        "  dropped_text: false            # the text of dropped documents",
        "",
    )
    yield from _comment("What only a person can say; the rest of the card is written from what came out.")
    yield from ("card:", '  summary: ""', '  intended_use: ""', '  limits: ""', '  contact: ""')
