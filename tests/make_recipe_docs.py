"""Writes docs/recipes.md from the models of a recipe: `python -m tests.make_recipe_docs`. A test keeps it current."""

import json
import types
import typing
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.config_words import fields_of
from pipeline.measures import MEASURES
from pipeline.recipe import Recipe
from pipeline.steps.options import PRESETS, Limit
from pipeline.steps.presets import preset_source, preset_steps

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"
HEAD = """\
# Recipes

A recipe is a YAML file that says all that decides a dataset's bytes. This page is generated from the models that check
a recipe; `recipes/commoncrawl.yaml` is a commented example, and `pipeline schema` prints the same for an editor.

Recipes that ship with the program; each says in its first lines what to set:

| recipe | what it reads |
|---|---|
| `recipes/commoncrawl.yaml` | the sample crawl or a Common Crawl snapshot, Python's documentation, Python code |
| `recipes/books.yaml` | plain-text books, Project Gutenberg's without their boilerplate |
| `recipes/encyclopedia.yaml` | dumps of a Wikipedia or another wiki |
| `recipes/code.yaml` | trees of source code |
| `recipes/papers.yaml` | papers in LaTeX and in JATS XML |
| `recipes/mix.yaml` | all of these and synthetic text, in proportions like those in print |

- Scalars follow YAML 1.2: `no` and `on` are words, `1e-3` is a number. Anchors, aliases, tags and duplicate keys are
  refused.
- `--set a.b=c` replaces one value on the command line, under the same checks; `steps.0.min=100` reaches into a list.
- A wrong recipe is refused before any work, with file, line, key path, what was found and what is allowed.

"""

DATATROVE = """\
## datatrove's filters and formatters

Any class derived from `BaseFilter` or `BaseFormatter` of datatrove 0.10, its own or yours, is a step:

```yaml
steps:
  - {type: datatrove, name: few_words, class: datatrove.pipeline.filters.GopherQualityFilter, args: {min_doc_words: 40}}
  - {type: datatrove, name: symbol_lines, class: datatrove.pipeline.formatters.SymbolLinesFormatter}
  - {type: datatrove, name: adverts, class: my_steps.Adverts, args: {words: [sale, bargain]}, where: {source: [web]}}
  - {type: limit, name: too_short, measure: kept_n_chars, min: 200}
```

- **A filter** is asked about every document that `where` names, also about those that other steps drop. Its `name` is
  the drop reason, and counts as a Limit's does; the reasons that the class itself gives are counted in the card's
  funnel (80 characters of each; the 200 most frequent). A change of `name`, or of any Limit, reads no text again.
- **A formatter** rewrites the text, and so may a filter (`C4QualityFilter` does). Line rules and classes work in the
  order of the recipe, each on what those before it left. What all of them leave is measured as `kept_*`, compared for
  duplicates and written; measures without `kept_` are of the extracted text, wherever their Limit stands.
- **What a class is given**: `text`, `id` (32 hexadecimal digits) and in `metadata` what is known of `source`, `url`,
  `title`, `date`, `licence`, `language`, `language_score`. What it puts into `metadata` is there for the classes
  after it.
- **One document at a time.** After each document the object's attributes, lists, dicts and sets (of up to 1,000
  entries) are put back to what they were, so results do not depend on order, workers or neighbours; `PIIFormatter`
  begins with its first replacement in every text. `random`, numpy's generators and those that the object holds are
  seeded by the recipe's `seed`, the step and the document's id. What an object hides in module globals, closures,
  `__slots__` or compiled parts cannot be put back; therefore a document in 32 is given to the class twice, and
  another answer ends the run. A class with a `run` of its own is refused.
- **Arguments** are plain values, held against the annotations of the class; lists become tuples where it asks for
  tuples. Functions (`LambdaFilter`) and `exclusion_writer` cannot be given: write a class, and use `keep:
  {dropped_text: true}`.
- **A class that fails** on a document ends the run and names class, document and URL. It counts as failed if an
  earlier class dropped the document, which datatrove would not have shown it. A class that hangs is not stopped.
- **Keys** hold class, arguments, `seed`, datatrove's version and that of the distribution the class is from; for a
  module that lies elsewhere, such as a folder on PYTHONPATH, a digest of its package's Python files. Versions of what
  a class uses besides (spaCy, ftfy, a file that it reads) are not in the key.
- **Packages**: those that a class needs (`pip install spacy`, `ftfy`, `fasteners`, `tldextract pyahocorasick`) are
  yours to install; before the work begins each class is tried, and says what it lacks.
- **Speed** is that of Python: what the class takes, and 10 to 30 microseconds a document around it. Where a preset
  has the same rule, its compiled measures are much faster (`benchmarks/quality.py`).
- A recipe with such steps runs the code that it names. Read a stranger's recipe before you run it.
"""


REPEATED = """\
## Repeated lines

`repeated_lines` leaves out lines that other documents hold, too, as CCNet does (Wenzek et al. 2020, arXiv 1911.00359);
`site_boilerplate` those that stand on many pages of one site: menus, footers, calls to subscribe.

```yaml
steps:
  - {type: repeated_lines, where: {source: [web]}}                 # one copy of each line stays
  - {type: site_boilerplate, where: {source: [web]}}               # on 5 pages and a tenth of the site's: none stays
  - {type: lines, rule: c4, where: {source: [web]}}                # then C4's rules, on the lines that are left
```

- **Two lines are the same** if they have the same words: lower case, each number as 0, without diacritics, whatever
  punctuation and white space lies between. A line lies between newlines. One without a word (blank, `---`, `}`), with
  fewer than `min_words`, or of more than a megabyte is not counted, and stays.
- **Documents are counted**, so a line that is repeated within one document only stays: Gopher's measures of repetition
  judge that. With `keep: first` the first such line of the document with the smallest id stays. An id is a hash, so
  this is no matter of order; and if that document is dropped later, the line is gone. CCNet leaves one of the
  repeats within a document, keeps the digits of a number apart, and white space.
- **A site** is the registered domain of the URL by the public suffix list, private suffixes included: each blog below
  `github.io` is a site. Documents without a URL are of no site, and keep their lines.
- **`where`**: `source` says whose documents are counted and lose lines. `language` says only which of them lose lines,
  since lines are counted before a language is known.
- **With other rules**: whatever their order in the recipe, these steps look at the extracted text, and a line goes if
  any of them finds it. Then line rules and datatrove's classes get what is left, and so do `kept_*` measures and the
  search for duplicates. A document of which nothing is left is `no_text_left`, unless a Limit drops it first.
- **Blank lines** behind a line that goes are left out if one stands before it, so that a paragraph does not end twice.
- **Short lines** are often neither boilerplate nor prose: `else` and `fi` in listings, `Note` above a note. If the
  sources hold such, raise `min_words`; `site_boilerplate` is the more careful step, as it looks at one site.
- **What it costs**: two stages between Extract and Measure. As the counts are over all documents, one more file means
  that all of them are measured again. docs/scale.md has figures.
- The card's section on duplicates counts lines and bytes by step and source.
"""


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in models_of(inner)]


def type_of(annotation: Any) -> str:
    """An annotation in words."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_of(inner[0])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_of(a) for a in inner))
    if origin is tuple:
        return f"list of {type_of(inner[0])}" if inner[-1] is Ellipsis else ", ".join(map(type_of, inner))
    if origin is dict:
        return f"mapping of name to {type_of(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    names = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "nothing", Any: "any"}
    return names.get(annotation, str(annotation))


def number(value: float) -> str:
    """A bound for people: large powers of two as such, other integers with commas."""
    if isinstance(value, int):
        return f"2^{value.bit_length() - 1}" if value >= 2**20 and value.bit_count() == 1 else f"{value:,}"
    return f"{value:g}"


def bounds_of(field: FieldInfo) -> str:
    """The bounds of a field, such as `>= 1`."""
    signs = {annotated_types.Ge: ">=", annotated_types.Gt: ">", annotated_types.Le: "<=", annotated_types.Lt: "<"}
    found = [
        f"{sign} {number(getattr(item, kind.__name__.lower()))}"
        for item in field.metadata
        for kind, sign in signs.items()
        if isinstance(item, kind)
    ]
    return f" ({', '.join(found)})" if found else ""


def default_of(field: FieldInfo) -> str:
    """The default as YAML would have it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    return f"`{json.dumps(value)}`"


def section(model: type[BaseModel], level: int = 2) -> str:
    """A model's fields as a table."""
    lines = [f"{'#' * level} {model.__name__}", "", " ".join((model.__doc__ or "").split()), ""]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields_of(model).items():
        kind = type_of(field.annotation) + bounds_of(field)
        text = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{name}` | {kind} | {default_of(field)} | {text} |")
    return "\n".join(lines) + "\n"


def preset(name: str) -> str:
    """A preset's steps as a table, and one of the bounds that languages have of their own."""
    rows = ["| step | measure | min | max | allowed | equal is outside |", "|---|---|---|---|---|---|"]
    limits: dict[str, list[Limit]] = {}
    for step in preset_steps(name):
        if step.type == "lines":
            rows.append(f"| line rule `{step.rule}` | | | | | |")
            continue
        limits.setdefault(step.name, []).append(step)
        if len(limits[step.name]) > 1:
            continue
        same_name = [other for other in preset_steps(name) if other.type == "limit" and other.name == step.name]
        values = ["" if v is None else "by language" if len(same_name) > 1 else f"{v:g}" for v in (step.min, step.max)]
        of_all = next((codes for (first, *_) in limits.values() if (codes := first.one_of)), ())
        left_out = [code for code in of_all if not any(code in other.where.language for other in same_name)]
        measure = f"`{step.measure}`" + f", not for {', '.join(left_out)}" * bool(step.where.language and left_out)
        allowed = ", ".join(step.one_of or ())
        outside = "yes" if step.exclusive else ""
        rows.append(f"| `{step.name}` | {measure} | {values[0]} | {values[1]} | {allowed} | {outside} |")
    varied = {name: found for name, found in limits.items() if len(found) > 1}
    return f"### {name}\n\n" + "\n".join([*rows, *_languages(varied)]) + "\n"


def _languages(varied: dict[str, list[Limit]]) -> list[str]:
    """A table of bounds: a row for each language, empty where a Limit is not for it."""
    if not varied:
        return []
    rows = ["", f"| language | {' | '.join(f'`{name}`' for name in varied)} |", f"|{'---|' * (len(varied) + 1)}"]
    for language in sorted({code for limits in varied.values() for limit in limits for code in limit.where.language}):
        bounds = (
            f"{limit.max if limit.min is None else limit.min:g}" if limit else ""
            for limits in varied.values()
            for limit in [next((limit for limit in limits if language in limit.where.language), None)]
        )
        rows.append(f"| {language} | {' | '.join(bounds)} |")
    return rows


def page() -> str:
    """The whole page."""
    waiting: list[type[BaseModel]] = [Recipe]
    seen: list[type[BaseModel]] = []
    while waiting:
        model = waiting.pop(0)
        if model not in seen:
            seen.append(model)
            waiting += [m for field in model.model_fields.values() for m in models_of(field.annotation)]
    parts = [HEAD, *(section(model) for model in seen), "## Presets\n"]
    parts.append(
        "[quality.md](quality.md) says what each is, and how decisions differ from those of the code it follows.\n"
    )
    rows = ["| preset | line rule | limits | source |", "|---|---|---|---|"]
    for name in PRESETS:
        rules = ", ".join(f"`{step.rule}`" for step in preset_steps(name) if step.type == "lines")
        count = len({step.name for step in preset_steps(name) if step.type == "limit"})
        rows.append(f"| [`{name}`](#{name.replace('.', '')}) | {rules} | {count} | {preset_source(name)} |")
    parts.append("\n".join(rows) + "\n")
    parts += [preset(name) for name in PRESETS]
    parts += [REPEATED, DATATROVE]
    parts.append(
        "## Measures\n\nNames with `kept_` in front are taken on the lines that line rules keep. Those of their "
        "n-grams, and\nmeasures of chunks (`*chunk*`, `*text_line*`, `repeated_*`, `lines_ending_in_stop_fraction`,\n"
        "`short_or_blank_line_fraction`, `removed_word_fraction`), are taken only where a Limit asks for one of\n"
        "them. Each entry `NAME` of `quality_models` adds `quality_NAME`, the probability of its label on the kept "
        "lines\n([models.md](models.md)). `overlap_*` are taken where `overlap` names benchmarks "
        "([overlap.md](overlap.md)).\n"
    )
    rows = ["| measure | unit | meaning | source |", "|---|---|---|---|"]
    rows += [
        f"| `{m.name}` | {m.unit} | {m.description} | {m.source} |"
        for m in MEASURES.values()
        if not m.name.startswith("kept_")
    ]
    parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
