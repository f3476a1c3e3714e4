# ruff: noqa: E501
"""What a person reads when the parts of a recipe do not fit together, and that the shipped recipes do."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.config import ConfigError, dump
from pipeline.measures import MEASURES
from pipeline.recipe import Recipe, load_recipe
from pipeline.steps.language_codes import LID_176
from pipeline.steps.options import PRESETS
from pipeline.steps.presets import preset_steps
from tests.small_dataset import run_pipeline

GOOD = "name: d\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n"
STEPS = GOOD + "steps:\n"

DOLMA = """\
streams:
  - name: getting-started
    documents:
      - wikipedia/v0/documents/*
    output:
      path: wikipedia/example0/documents
      max_size_in_bytes: 1_000_000_000
    filter:
      exclude:
        - "$.attributes[?(@.exp__length[0][2] < 10)]"
processes: 4
"""
NEMO = """\
input_field: text
filters:
  - name: nemo_curator.filters.heuristic_filter.WordCountFilter
    params: {min_words: 50, max_words: 100000}
"""


def other_keys(*names: str) -> str:
    """The keys of a recipe but these, as a message lists them."""
    return ", ".join(key for key in Recipe.model_fields if key not in names)


LIMITS = ", ".join(step.name for step in preset_steps("datatrove-0.10") if step.type == "limit")
MEASURED = ", ".join(name for name in MEASURES if not name.startswith("kept_"))

CASES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "source in where, a name is near": (
        STEPS + "  - {type: lines, rule: c4, where: {source: [wbe]}}\n",
        (),
        ("r.yaml:5:46: steps.0.where.source.0: no source is called 'wbe'; did you mean web?",),
    ),
    "source in where, no name is near": (
        STEPS + "  - {type: preset, name: datatrove-0.10, where: {source: [web, books]}}\n",
        (),
        ("r.yaml:5:64: steps.0.where.source.1: no source is called 'books'; there are: web",),
    ),
    "language in where": (
        STEPS + "  - {type: lines, rule: c4, where: {language: [english]}}\n",
        (),
        (
            "r.yaml:5:48: steps.0.where.language.0: no language code is called 'english'; codes have two or three letters, such as en",
        ),
    ),
    "language of a limit": (
        STEPS + "  - {type: limit, name: a, measure: language, one_of: [en, eng]}\n",
        (),
        ("r.yaml:5:60: steps.0.one_of.1: no language code is called 'eng'; did you mean en?",),
    ),
    "source's name": (
        "name: d\nsources:\n  My Web: {type: commoncrawl, snapshot: sample}\n",
        (),
        (
            "r.yaml:3:3: sources.My Web: expected as a key text (characters a-z 0-9 _ -, the first one a-z 0-9, at most 64), found 'My Web'; write my-web",
        ),
    ),
    "source's name leads out of the folder": (
        "name: d\nsources:\n  ../web: {type: commoncrawl, snapshot: sample}\n",
        (),
        (
            "r.yaml:3:3: sources.../web: expected as a key text (characters a-z 0-9 _ -, the first one a-z 0-9, at most 64), found '../web'; write web",
        ),
    ),
    "dataset's name leads out of the folder": (
        "name: ../d\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        (
            "r.yaml:1:7: name: expected text (characters a-z 0-9 . _ -, the first one a-z 0-9, at most 64), found the text '../d'; write d",
        ),
    ),
    "snapshot": (
        GOOD,
        ("sources.web.snapshot=CC-MAIN-2026",),
        (
            "--set sources.web.snapshot=CC-MAIN-2026: sources.web.snapshot: expected `sample` (ships with the project) or the name of a crawl, such as CC-MAIN-2026-43, or a list of names, found the text 'CC-MAIN-2026'",
        ),
    ),
    "weight of no source": (
        GOOD + "mixture: {weights: {web: 1, wbe: 2}}\n",
        (),
        ("r.yaml:4:34: mixture.weights.wbe: no source is called 'wbe'; did you mean web?",),
    ),
    "weight of no source, by option": (
        GOOD + "mixture: {weights: {web: 1}}\n",
        ("mixture.weights.code=1",),
        ("--set mixture.weights.code=1: mixture.weights.code: no source is called 'code'; there are: web",),
    ),
    "weight of no Cell": (
        GOOD + "packing: {cells: {web: {languages: [en, de]}}}\nmixture: {weights: {web.en: 1, web.fr: 2}}\n",
        (),
        ("r.yaml:5:40: mixture.weights.web.fr: no source or Cell is called 'web.fr'; did you mean web.other?",),
    ),
    "weight of a Cell and of its source": (
        GOOD
        + "packing: {cells: {web: {languages: [en, de]}}}\nmixture: {phases: [{share: 1, weights: {web.en: 1, web: 2}}]}\n",
        (),
        (
            "r.yaml:5:31: mixture.phases.0.weights: web.en is a part of web, which is named, too; name the whole or its Cells",
        ),
    ),
    "cells of no source": (
        GOOD + "packing: {cells: {wbe: {languages: [en]}}}\n",
        (),
        ("r.yaml:4:19: packing.cells.wbe: no source is called 'wbe'; did you mean web?",),
    ),
    "cells of no language": (
        GOOD + "packing: {cells: {web: {languages: [en, english]}}}\n",
        (),
        (
            "r.yaml:4:41: packing.cells.web.languages.1: no language code is called 'english'; codes have two or three letters, such as en",
        ),
    ),
    "cells by a word": (
        GOOD + "packing: {cells: {web: {measure: language, edges: [1]}}}\n",
        (),
        ("r.yaml:4:34: packing.cells.web.measure: language is a word; Cells are cut by numbers",),
    ),
    "cells by a measure that is not taken": (
        GOOD + "packing: {cells: {web: {measure: n_chunks, edges: [1]}}}\n",
        (),
        (
            "r.yaml:4:34: packing.cells.web.measure: n_chunks is taken only where a Limit asks for it, or for another one of its group; add such a Limit",
        ),
    ),
    "cells without edges": (
        GOOD + "packing: {cells: {web: {measure: n_words}}}\n",
        (),
        (
            "r.yaml:4:19: packing.cells.web: measure and edges go together: a measure is cut at edges, such as [0.2, 0.5, 0.8]",
        ),
    ),
    "cells by nothing": (
        GOOD + "packing: {cells: {web: {}}}\n",
        (),
        (
            "r.yaml:4:19: packing.cells.web: nothing to cut by; name languages, or a measure and its edges, or leave the source out",
        ),
    ),
    "edges that do not ascend": (
        GOOD + "packing: {cells: {web: {measure: n_words, edges: [5, 5]}}}\n",
        (),
        ("r.yaml:4:19: packing.cells.web: edges must ascend, found [5.0, 5.0]",),
    ),
    "a language twice": (
        GOOD + "packing: {cells: {web: {languages: [en, other]}}}\n",
        (),
        (
            "r.yaml:4:19: packing.cells.web: languages must differ from each other and from 'other', which all others are in",
        ),
    ),
    "order by what no source is cut by": (
        GOOD + "packing: {cells: {web: {measure: n_words, edges: [5]}}}\nmixture: {order: {measure: n_wrods}}\n",
        (),
        ("r.yaml:5:28: mixture.order.measure: no source is cut by 'n_wrods'; did you mean n_words?",),
    ),
    "order without cells": (
        GOOD + "mixture: {phases: [{share: 1, order: {measure: n_words}}]}\n",
        (),
        (
            "r.yaml:4:48: mixture.phases.0.order.measure: no source is cut by 'n_words'; cut a source by it: packing.cells.SOURCE, docs/mixture.md",
        ),
    ),
    "tokens with another unit": (
        GOOD + "mixture: {tokens: 6G}\n",
        (),
        (
            "r.yaml:4:19: mixture.tokens: expected a number of tokens, such as 6000000000 or 6B (k, M, B, T), found '6G'",
        ),
    ),
    "two ways to share": (
        GOOD + "mixture: {alpha: 0.3, unimax: true, tokens: 6B}\n",
        (),
        ("r.yaml:4:1: mixture: alpha and unimax both say how tokens are shared; keep one of them",),
    ),
    "negative weight": (
        GOOD + "mixture: {weights: {web: -1}}\n",
        (),
        ("r.yaml:4:26: mixture.weights.web: expected a number (>= 0), found the number -1",),
    ),
    "weights all 0": (
        GOOD + "mixture: {weights: {web: 0}}\n",
        (),
        (
            "r.yaml:4:11: mixture.weights: all weights are 0; give at least one source a weight above 0, or no weights at all",
        ),
    ),
    "measure": (
        STEPS + "  - {type: limit, name: a, measure: n_wrods, min: 1}\n",
        (),
        ("r.yaml:5:37: steps.0.measure: unknown measure 'n_wrods'; did you mean 'n_words'?",),
    ),
    "measure that is a word": (
        STEPS + "  - {type: limit, name: a, measure: language, min: 1}\n",
        (),
        ("r.yaml:5:5: steps.0: language is a word: give one_of, and neither min nor max",),
    ),
    "measure that is a number": (
        STEPS + "  - {type: limit, name: a, measure: n_words, one_of: [a]}\n",
        (),
        ("r.yaml:5:5: steps.0: n_words is a number: give min or max, and not one_of",),
    ),
    "nothing passes": (
        STEPS + "  - {type: limit, name: a, measure: n_words, min: 2, max: 2, exclusive: true}\n",
        (),
        ("r.yaml:5:73: steps.0.exclusive: min and max are both 2 and excluded: no document would pass",),
    ),
    "reason twice": (
        STEPS
        + "  - {type: limit, name: a, measure: n_words, min: 2}\n"
        + "  - {type: limit, name: a, measure: n_chars, min: 2, where: {source: [web]}}\n",
        (),
        ("r.yaml:6:25: steps.1.name: steps.0 has a limit called a, too, for the same documents; rename one",),
    ),
    "reason of a preset": (
        STEPS
        + "  - {type: preset, name: datatrove-0.10}\n"
        + "  - {type: limit, name: gopher_stop_words, measure: n_words, min: 2}\n",
        (),
        (
            "r.yaml:6:25: steps.1.name: steps.0 has a limit called gopher_stop_words, too, for the same documents; rename one",
        ),
    ),
    "reason of deduplication": (
        STEPS + "  - {type: limit, name: near_duplicate, measure: n_words, min: 2}\n",
        (),
        ("r.yaml:5:25: steps.0.name: the name near_duplicate is kept for deduplication; choose another",),
    ),
    "preset": (
        STEPS + "  - {type: preset, name: datatrove}\n",
        (),
        (
            f"r.yaml:5:26: steps.0.name: expected one of {', '.join(PRESETS)}, found the text 'datatrove'; did you mean datatrove-0.10?",
        ),
    ),
    "override of no limit": (
        STEPS
        + "  - type: preset\n    name: datatrove-0.10\n    override:\n"
        + "      gopher_stopwords: {min: 1}\n      c4_sentences: {min: 3}\n",
        (),
        (
            "r.yaml:8:7: steps.0.override.gopher_stopwords: preset datatrove-0.10 has no limit 'gopher_stopwords' to override; did you mean gopher_stop_words?",
        ),
    ),
    "override of no field": (
        STEPS + "  - {type: preset, name: datatrove-0.10, override: {c4_sentences: {mni: 1}}}\n",
        (),
        (
            "r.yaml:5:68: steps.0.override.c4_sentences.mni: unknown key; did you mean min? Allowed here: measure, min, max, one_of, exclusive, where",
        ),
    ),
    "key at the top": (
        GOOD + "dedupe: {exact: true}\n",
        (),
        (f"r.yaml:4:1: dedupe: unknown key; did you mean dedup? Allowed here: {other_keys('name', 'sources')}",),
    ),
    "key of a source": (
        "name: d\nsources:\n  web: {type: commoncrawl, snaphsot: sample}\n",
        (),
        (
            "r.yaml:3:3: sources.web.snapshot: missing; expected `sample` (ships with the project) or the name of a crawl, such as CC-MAIN-2026-43, or a list of names",
            "r.yaml:3:28: sources.web.snaphsot: unknown key; did you mean snapshot? Allowed here: licence, part_mb, snapshot, format, files, mirror, max_requests_per_s, max_unavailable_share",
        ),
    ),
    "key of another tool": (
        GOOD + "filters: []\n",
        (),
        (f"r.yaml:4:1: filters: unknown key; allowed here: {other_keys('name', 'sources')}",),
    ),
    "step type": (
        STEPS + "  - {type: presets, name: datatrove-0.10}\n",
        (),
        (
            "r.yaml:5:12: steps.0.type: expected one of preset, lines, repeated_lines, site_boilerplate, limit, datatrove, found the text 'presets'; did you mean preset?",
        ),
    ),
    "key of a limit": (
        STEPS + "  - {type: limit, nam: a, measure: n_words, min: 1}\n",
        (),
        (
            "r.yaml:5:5: steps.0.name: missing; expected text (characters a-z 0-9 _, the first one a-z): The drop reason.",
            "r.yaml:5:19: steps.0.nam: unknown key; did you mean name? Allowed here: name, max, one_of, exclusive, where",
        ),
    ),
    "key that is too long a word": (
        STEPS + "  - {type: limit, name: a, measure: n_words, minimum: 1}\n",
        (),
        (
            "r.yaml:5:46: steps.0.minimum: unknown key; did you mean min? Allowed here: min, max, one_of, exclusive, where",
        ),
    ),
    "key of a part": (
        GOOD + "dedup: {bandz: 3}\n",
        (),
        (
            "r.yaml:4:9: dedup.bandz: unknown key; did you mean bands? Allowed here: exact, url, near, ngram_words, threshold, n_permutations, bands, rows, scheme, seed, verify, scope, against, survivor, repeat_by_cluster_size",
        ),
    ),
    "source type": (
        "name: d\nsources:\n  web: {type: comoncrawl, snapshot: sample}\n",
        (),
        (
            "r.yaml:3:15: sources.web.type: expected one of commoncrawl, warc, tables, mediawiki, code, environment, found the text 'comoncrawl'; did you mean commoncrawl?",
        ),
    ),
    "source type that is a format": (
        "name: d\nsources:\n  web: {type: jsonl, path: x}\n",
        (),
        (
            "r.yaml:3:15: sources.web.type: expected one of commoncrawl, warc, tables, mediawiki, code, environment, found the text 'jsonl'; did you mean tables?",
        ),
    ),
    "source type of another tool": (
        "name: d\nsources:\n  web: {type: huggingface, path: x}\n",
        (),
        (
            "r.yaml:3:15: sources.web.type: expected one of commoncrawl, warc, tables, mediawiki, code, environment, found the text 'huggingface'",
        ),
    ),
    "source without a type": (
        "name: d\nsources:\n  web: {path: x}\n",
        (),
        (
            "r.yaml:3:3: sources.web.type: missing; expected one of commoncrawl, warc, tables, mediawiki, code, environment",
        ),
    ),
    "sources as a list": (
        "name: d\nsources:\n  - name: web\n    type: commoncrawl\n",
        (),
        (
            "r.yaml:3:3: sources: expected a mapping (at least 1 entry), each value a mapping with type: commoncrawl, warc, tables, mediawiki, code, environment, found a list of 1; a mapping is written as lines `key: value` without dashes",
        ),
    ),
    "source that is a path": (
        "name: d\nsources:\n  web: data/*.jsonl\n",
        (),
        (
            "r.yaml:3:8: sources.web: expected a mapping with type: commoncrawl, warc, tables, mediawiki, code, environment, found the text 'data/*.jsonl'; a mapping is written as lines `key: value`, indented, below the key",
        ),
    ),
    "no sources": (
        "name: d\n",
        (),
        (
            "r.yaml:1:1: sources: missing; expected a mapping (at least 1 entry), each value a mapping with type: commoncrawl, warc, tables, mediawiki, code, environment: Source name -> where its records come from.",
        ),
    ),
    "sources without entries": (
        "name: d\nsources:\n",
        (),
        (
            "r.yaml:2:9: sources: expected a mapping (at least 1 entry), each value a mapping with type: commoncrawl, warc, tables, mediawiki, code, environment, found nothing; write its keys below it, indented",
        ),
    ),
    "source's keys not indented": (
        "name: d\nsources:\n  web:\n  type: commoncrawl\n  snapshot: sample\n",
        (),
        (
            "r.yaml:3:7: sources.web: expected a mapping with type: commoncrawl, warc, tables, mediawiki, code, environment, found nothing; write its keys below it, indented",
            "r.yaml:4:9: sources.type: expected a mapping with type: commoncrawl, warc, tables, mediawiki, code, environment, found the text 'commoncrawl'; a mapping is written as lines `key: value`, indented, below the key",
            "r.yaml:5:13: sources.snapshot: expected a mapping with type: commoncrawl, warc, tables, mediawiki, code, environment, found the text 'sample'; a mapping is written as lines `key: value`, indented, below the key",
        ),
    ),
    "one space too few": (
        "name: d\nsources:\n  web:\n    type: commoncrawl\n   snapshot: sample\n",
        (),
        (
            "r.yaml:5:4: indented by 3 spaces, where line 3, to which it belongs, has 2; indent what belongs together alike",
        ),
    ),
    "one line indented further": (
        "name: d\nsources:\n  web:\n    type: commoncrawl\n      snapshot: sample\n",
        (),
        ("r.yaml:5:7: line 4 has a value already, so nothing may be indented below it; indent both lines alike",),
    ),
    "top line indented": (
        "name: d\n seed: 3\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:2:2: line 1 has a value already, so nothing may be indented below it; indent both lines alike",),
    ),
    "dash without indentation after it": (
        STEPS + "  - type: limit\n  name: a\n    measure: n_words\n",
        (),
        ("r.yaml:6:3: a key without a dash stands among list entries; indent it like the keys of the entry above",),
    ),
    "steps without a dash": (
        STEPS + "  type: limit\n  name: a\n  measure: n_words\n  min: 3\n",
        (),
        (
            "r.yaml:5:3: steps: expected a list, each entry a mapping with type: preset, lines, repeated_lines, site_boilerplate, limit, datatrove, found a mapping (type, name, measure, ...); a list has a dash before each entry",
        ),
    ),
    "tab as indentation": (
        "name: d\nsources:\n\tweb: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:3:1: a tab stands here; use spaces, not tabs",),
    ),
    "tab among spaces": (
        "name: d\nsources:\n  web:\n    type: commoncrawl\n\tsnapshot: sample\n",
        (),
        ("r.yaml:5:1: a tab stands here; use spaces, not tabs",),
    ),
    "key twice": (
        GOOD + "seed: 1\nseed: 2\n",
        (),
        ("r.yaml:5:1: seed: the key is there twice, first on line 4; remove one",),
    ),
    "two lists of sources": (
        GOOD + "sources:\n  books: {type: tables, path: x}\n",
        (),
        ("r.yaml:4:1: sources: the key is there twice, first on line 2; remove one",),
    ),
    "two sources of one name": (
        GOOD + "  web: {type: tables, path: x}\n",
        (),
        ("r.yaml:4:3: sources.web: the key is there twice, first on line 3; remove one",),
    ),
    "no colon in the first line": (
        "name d\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:1:1: expected `key: value`, found 'name d'; is the colon missing?",),
    ),
    "no colon in the middle": (
        "name: d\nseed 3\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:2:1: expected `key: value`, found 'seed 3'; is the colon missing?",),
    ),
    "no space after the colon": (
        "name:d\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:1:1: expected `key: value`, found 'name:d'; write a space after the colon",),
    ),
    "no space after the last colon": (
        GOOD + "seed:3\n",
        (),
        ("r.yaml:4:1: expected `key: value`, found 'seed:3'; write a space after the colon",),
    ),
    "no space after the colon between braces": (
        "name: d\nsources:\n  web: {type:commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:3:9: sources.web.type: write a space after the colon: type: commoncrawl",),
    ),
    "equals sign for a colon": (
        "name = d\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:1:1: expected `key: value`, found 'name = d'; write a colon and a space in place of =",),
    ),
    "brace not closed": (
        "name: d\nsources:\n  web: {type: commoncrawl, snapshot: sample\n",
        (),
        ("r.yaml:3:8: the { that opens here is never closed; add }",),
    ),
    "comma missing between braces": (
        "name: d\nsources:\n  web: {type: commoncrawl snapshot: sample}\n",
        (),
        ("r.yaml:3:35: a comma or } is missing before this, since a { was opened",),
    ),
    "quote not closed": (
        'name: "d\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n',
        (),
        ('r.yaml:1:7: the quote that opens here is never closed; add " at its end',),
    ),
    "apostrophe in single quotes": (
        "name: d\ncard:\n  contact: 'it's me'\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:3:16: text follows the closing '; write '' for a ' inside of the text",),
    ),
    "yes for true": (
        GOOD + "dedup: {exact: yes}\n",
        (),
        ("r.yaml:4:16: dedup.exact: expected true or false, found the text 'yes'; write true",),
    ),
    "true in quotes": (
        GOOD + 'dedup: {exact: "true"}\n',
        (),
        ("r.yaml:4:16: dedup.exact: expected true or false, found the text 'true'; write true without quotes",),
    ),
    "number with exponent as a name": (
        "name: 1e5\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        (
            'r.yaml:1:7: name: expected text (characters a-z 0-9 . _ -, the first one a-z 0-9, at most 64), found the number 1e5; for text write "1e5"',
        ),
    ),
    "colon in text": (
        GOOD + "card:\n  summary: Pages: cleaned\n",
        (),
        ('r.yaml:5:17: the text here holds ": "; put it in quotes',),
    ),
    "star at the start": (
        "name: d\nsources:\n  web:\n    type: warc\n    path: *.warc.gz\n",
        (),
        ("r.yaml:5:11: text may not begin with *; put it in quotes",),
    ),
    "star and a word": (
        "name: d\nsources:\n  web:\n    type: warc\n    path: *data\n",
        (),
        ("r.yaml:5:11: sources.web.path: aliases are not read (*data); write the value, or quote it",),
    ),
    "at sign at the start": (
        GOOD + "card:\n  contact: @me\n",
        (),
        ("r.yaml:5:12: text may not begin with @; put it in quotes",),
    ),
    "percent sign at the start": (
        GOOD + "card:\n  summary: %5 of it\n",
        (),
        ("r.yaml:5:12: text may not begin with %; put it in quotes",),
    ),
    "percentage": (
        GOOD + "packing: {validation_share: 1%}\n",
        (),
        ("r.yaml:4:29: packing.validation_share: expected a number (>= 0, < 1), found the text '1%'; write 0.01",),
    ),
    "backtick at the start": (
        GOOD + "card:\n  summary: `code`\n",
        (),
        ("r.yaml:5:12: text may not begin with `; put it in quotes",),
    ),
    "hash sign at the start": (
        "name: #1\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        (
            "r.yaml:1:6: name: expected text (characters a-z 0-9 . _ -, the first one a-z 0-9, at most 64), found nothing; write a value",
        ),
    ),
    "exclamation mark at the start": (
        GOOD + "card:\n  summary: !important\n",
        (),
        ("r.yaml:5:12: card.summary: tags are not read (!important); remove it, and quote what is text",),
    ),
    "ampersand at the start": (
        GOOD + "card:\n  summary: &more\n",
        (),
        ("r.yaml:5:12: card.summary: anchors are not read (&more); write the value, or quote it",),
    ),
    "backslash in double quotes": (
        'name: d\nsources:\n  web: {type: warc, path: "C:\\data\\web"}\n',
        (),
        (
            'r.yaml:3:31: a backslash in double quotes begins an escape, and this is none; use single quotes, or write "\\\\"',
        ),
    ),
    "word for a number": (
        GOOD + "seed: three\n",
        (),
        ("r.yaml:4:7: seed: expected an integer (>= 0, < 9223372036854775808), found the text 'three'",),
    ),
    "number in quotes": (
        GOOD + 'seed: "3"\n',
        (),
        ("r.yaml:4:7: seed: expected an integer (>= 0, < 9223372036854775808), found the text '3'; write 3",),
    ),
    "comma in a number between braces": (
        GOOD + "tokenizer: {vocab_size: 32,000}\n",
        (),
        (
            "r.yaml:4:25: tokenizer.vocab_size: expected an integer (>= 512, <= 1000000), found the number 32",
            "r.yaml:4:28: tokenizer.000: unknown key; a number is written without commas, since { } divides its entries there",
        ),
    ),
    "comma in a number": (
        GOOD + "tokenizer:\n  vocab_size: 32,000\n",
        (),
        (
            "r.yaml:5:15: tokenizer.vocab_size: expected an integer (>= 512, <= 1000000), found the text '32,000'; write 32000",
        ),
    ),
    "unit after a number": (
        GOOD + "tokenizer: {vocab_size: 32k}\n",
        (),
        (
            "r.yaml:4:25: tokenizer.vocab_size: expected an integer (>= 512, <= 1000000), found the text '32k'; write digits only, without unit",
        ),
    ),
    "decimal comma": (
        GOOD + "packing:\n  validation_share: 0,01\n",
        (),
        ("r.yaml:5:21: packing.validation_share: expected a number (>= 0, < 1), found the text '0,01'; write 0.01",),
    ),
    "megabytes with their unit": (
        "name: d\nsources:\n  web: {type: warc, path: x, part_mb: 64MB}\n",
        (),
        (
            "r.yaml:3:39: sources.web.part_mb: expected an integer (>= 1, <= 4096), found the text '64MB'; write digits only, without unit",
        ),
    ),
    "year as a name": (
        "name: 2026\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        (
            'r.yaml:1:7: name: expected text (characters a-z 0-9 . _ -, the first one a-z 0-9, at most 64), found the number 2026; for text write "2026"',
        ),
    ),
    "list for a mapping": (
        GOOD + "dedup: [exact, near]\n",
        (),
        (
            "r.yaml:4:8: dedup: expected a mapping with keys exact, url, near, ngram_words, threshold, n_permutations, bands, rows, scheme, seed, verify, scope, against, survivor, repeat_by_cluster_size, found a list of 2; a mapping is written as lines `key: value` without dashes",
        ),
    ),
    "false for a mapping": (
        GOOD + "dedup: false\n",
        (),
        (
            "r.yaml:4:8: dedup: expected a mapping with keys exact, url, near, ngram_words, threshold, n_permutations, bands, rows, scheme, seed, verify, scope, against, survivor, repeat_by_cluster_size, found false; a mapping is written as lines `key: value`, indented, below the key",
        ),
    ),
    "nothing for a mapping": (
        GOOD + "dedup:\n",
        (),
        (
            "r.yaml:4:7: dedup: expected a mapping with keys exact, url, near, ngram_words, threshold, n_permutations, bands, rows, scheme, seed, verify, scope, against, survivor, repeat_by_cluster_size, found nothing; write its keys below it, indented, or remove the line",
        ),
    ),
    "nothing for a number": (
        GOOD + "seed:\n",
        (),
        (
            "r.yaml:4:6: seed: expected an integer (>= 0, < 9223372036854775808), found nothing; write a value, or remove the line",
        ),
    ),
    "one word for a list": (
        STEPS + "  - {type: lines, rule: c4, where: {source: web}}\n",
        (),
        ("r.yaml:5:45: steps.0.where.source: expected a list, each entry text, found the text 'web'; write [web]",),
    ),
    "step that is a word": (
        STEPS + "  - c4\n",
        (),
        (
            "r.yaml:5:5: steps.0: expected a mapping with type: preset, lines, repeated_lines, site_boilerplate, limit, datatrove, found the text 'c4'; a mapping is written as lines `key: value`, indented, below the key",
        ),
    ),
    "step type as a key": (
        STEPS + "  - limit:\n      name: a\n",
        (),
        (
            "r.yaml:5:5: steps.0.type: missing; expected one of preset, lines, repeated_lines, site_boilerplate, limit, datatrove; write type: limit",
        ),
    ),
    "where that is a word": (
        STEPS + "  - {type: lines, rule: c4, where: web}\n",
        (),
        (
            "r.yaml:5:36: steps.0.where: expected a mapping with keys source, language, found the text 'web'; a mapping is written as lines `key: value`, indented, below the key",
        ),
    ),
    "vocabulary too small": (
        GOOD + "tokenizer: {vocab_size: 100}\n",
        (),
        ("r.yaml:4:25: tokenizer.vocab_size: expected an integer (>= 512, <= 1000000), found the number 100",),
    ),
    "all held out": (
        GOOD + "packing: {validation_share: 1}\n",
        (),
        ("r.yaml:4:29: packing.validation_share: expected a number (>= 0, < 1), found the number 1",),
    ),
    "percent for a share": (
        GOOD + "tokenizer: {character_coverage: 99.95}\n",
        (),
        ("r.yaml:4:33: tokenizer.character_coverage: expected a number (> 0.9, <= 1.0), found the number 99.95",),
    ),
    "below the range": (
        GOOD + "seed: -1\n",
        (),
        ("r.yaml:4:7: seed: expected an integer (>= 0, < 9223372036854775808), found the number -1",),
    ),
    "leading zero": (
        GOOD + "seed: 007\n",
        (),
        ('r.yaml:4:7: seed: 007 may be octal; write 7, 0o... for octal, or "..." for text',),
    ),
    "min above max": (
        STEPS + "  - {type: limit, name: a, measure: n_words, min: 100, max: 10}\n",
        (),
        ("r.yaml:5:5: steps.0: min 100 is above max 10: no document would pass; exchange them?",),
    ),
    "limit without a bound": (
        STEPS + "  - {type: limit, name: a, measure: n_words}\n",
        (),
        ("r.yaml:5:5: steps.0: n_words is a number: give min or max, and not one_of",),
    ),
    "limit's name with a dash": (
        STEPS + "  - {type: limit, name: too-short, measure: n_words, min: 3}\n",
        (),
        (
            "r.yaml:5:25: steps.0.name: expected text (characters a-z 0-9 _, the first one a-z), found the text 'too-short'; write too_short",
        ),
    ),
    "preset of another name": (
        STEPS + "  - {type: preset, name: fineweb1}\n",
        (),
        (
            f"r.yaml:5:26: steps.0.name: expected one of {', '.join(PRESETS)}, found the text 'fineweb1'; did you mean fineweb-v1?",
        ),
    ),
    "measure that is not there": (
        STEPS + "  - {type: limit, name: a, measure: perplexity, max: 1000}\n",
        (),
        (
            f"r.yaml:5:37: steps.0.measure: unknown measure 'perplexity'; there are: {MEASURED}, and the same of kept lines with kept_ in front",
        ),
    ),
    "line rule": (
        STEPS + "  - {type: lines, rule: c5}\n",
        (),
        (
            "r.yaml:5:25: steps.0.rule: expected one of c4, c4-terminal, c4-original, dclm, benchmark_overlap, found the text 'c5'",
        ),
    ),
    "step type of another tool": (
        STEPS + "  - {type: dedup}\n",
        (),
        (
            "r.yaml:5:12: steps.0.type: expected one of preset, lines, repeated_lines, site_boilerplate, limit, datatrove, found the text 'dedup'",
        ),
    ),
    "override of a wrong type": (
        STEPS + "  - type: preset\n    name: datatrove-0.10\n    override:\n      c4_sentences: {min: many}\n",
        (),
        ("r.yaml:8:27: steps.0.override.c4_sentences.min: expected a number, found the text 'many'",),
    ),
    "override with a number": (
        STEPS + "  - type: preset\n    name: datatrove-0.10\n    override:\n      c4_sentences: 3\n",
        (),
        (
            "r.yaml:8:21: steps.0.override.c4_sentences: expected a mapping with keys measure, min, max, one_of, exclusive, where, found the number 3; a mapping is written as lines `key: value`, indented, below the key",
        ),
    ),
    "override with min above max": (
        STEPS
        + "  - type: preset\n    name: datatrove-0.10\n    override:\n      language_score: {min: 0.8, max: 0.1}\n",
        (),
        (
            "r.yaml:8:7: steps.0.override.language_score: override of language_score: min 0.8 is above max 0.1: no document would pass; exchange them?",
        ),
    ),
    "override of the name": (
        STEPS + "  - type: preset\n    name: datatrove-0.10\n    override:\n      c4_sentences: {name: a}\n",
        (),
        (
            "r.yaml:8:22: steps.0.override.c4_sentences.name: unknown key; allowed here: measure, min, max, one_of, exclusive, where",
        ),
    ),
    "override of a limit that is not there": (
        STEPS + "  - type: preset\n    name: datatrove-0.10\n    override:\n      perplexity: {max: 3}\n",
        (),
        (
            f"r.yaml:8:7: steps.0.override.perplexity: preset datatrove-0.10 has no limit 'perplexity' to override; its limits are: {LIMITS}",
        ),
    ),
    "weight in percent": (
        GOOD + "mixture: {weights: {web: 80%}}\n",
        (),
        ("r.yaml:4:26: mixture.weights.web: expected a number (>= 0), found the text '80%'; write 0.8",),
    ),
    "weights as a list": (
        GOOD + "mixture: {weights: [0.5]}\n",
        (),
        (
            "r.yaml:4:20: mixture.weights: expected a mapping, each value a number (>= 0), found a list of 1; a mapping is written as lines `key: value` without dashes",
        ),
    ),
    "weights one level too high": (
        GOOD + "mixture: {web: 0.5}\n",
        (),
        (
            "r.yaml:4:11: mixture.web: unknown key; allowed here: weights, alpha, unimax, order, tokens, token_targets, max_epochs, when_short, phases, tolerance",
        ),
    ),
    "integer with a point": (
        GOOD + "mixture: {tokens: 1.5e9}\n",
        (),
        ("r.yaml:4:19: mixture.tokens: expected an integer (>= 1), found the number 1.5e9; write 1500000000",),
    ),
    "path missing": (
        "name: d\nsources:\n  web: {type: warc}\n",
        (),
        (
            "r.yaml:3:3: sources.web.path: missing; expected text: A file, a folder (searched for .warc and .wet, also .gz or .zst) or a glob; any fsspec URL.",
        ),
    ),
    "snapshot and path at once": (
        "name: d\nsources:\n  web: {type: commoncrawl, snapshot: sample, path: x}\n",
        (),
        (
            "r.yaml:3:46: sources.web.path: unknown key for type: commoncrawl; it is one of type: warc, tables, mediawiki, code. Allowed here: licence, part_mb, format, files, mirror, max_requests_per_s, max_unavailable_share",
        ),
    ),
    "key of another type of source": (
        "name: d\nsources:\n  web: {type: warc, snapshot: sample}\n",
        (),
        (
            "r.yaml:3:3: sources.web.path: missing; expected text: A file, a folder (searched for .warc and .wet, also .gz or .zst) or a glob; any fsspec URL.",
            "r.yaml:3:21: sources.web.snapshot: unknown key for type: warc; it is one of type: commoncrawl. Allowed here: licence, part_mb, path",
        ),
    ),
    "path without a value": (
        "name: d\nsources:\n  web: {type: warc, path: }\n",
        (),
        ("r.yaml:3:26: sources.web.path: expected text, found nothing; write a value",),
    ),
    "list for text": (
        "name: d\nsources:\n  web: {type: warc, path: [a, b]}\n",
        (),
        ("r.yaml:3:27: sources.web.path: expected text, found a list of 2",),
    ),
    "path empty": (
        'name: d\nsources:\n  web: {type: warc, path: ""}\n',
        (),
        ("r.yaml:3:27: sources.web.path: expected text, found empty text",),
    ),
    "snapshot in lower case": (
        "name: d\nsources:\n  web: {type: commoncrawl, snapshot: cc-main-2026-43}\n",
        (),
        (
            "r.yaml:3:38: sources.web.snapshot: expected `sample` (ships with the project) or the name of a crawl, such as CC-MAIN-2026-43, or a list of names, found the text 'cc-main-2026-43'; write CC-MAIN-2026-43",
        ),
    ),
    "all files": (
        "name: d\nsources:\n  web: {type: commoncrawl, snapshot: sample, files: all}\n",
        (),
        (
            'r.yaml:3:53: sources.web.files: expected `4`: the first four files of each snapshot\'s list; `"10:20"`: the ten after the first ten; `":"`: all, found the text \'all\'',
        ),
    ),
    "word of a choice": (
        "name: d\nsources:\n  web: {type: environment, collect: doc}\n",
        (),
        ("r.yaml:3:37: sources.web.collect: expected one of code, docs, found the text 'doc'; did you mean docs?",),
    ),
    "one word for a list of names": (
        "name: d\nsources:\n  web: {type: environment, collect: docs, distributions: numpy}\n",
        (),
        (
            "r.yaml:3:58: sources.web.distributions: expected a list, each entry text, found the text 'numpy'; write [numpy]",
        ),
    ),
    "URL for a host": (
        GOOD + "url: {deny_domains: [https://a.example/x]}\n",
        (),
        (
            "r.yaml:4:22: url.deny_domains.0: 'https://a.example/x' is no host; write it without scheme, port and path, such as example.org",
        ),
    ),
    "two words for a word": (
        GOOD + "url: {deny_words: [buy now]}\n",
        (),
        ("r.yaml:4:20: url.deny_words.0: 'buy now' is not one word; a word has letters and digits only",),
    ),
    "rule twice": (
        GOOD + "dedup: {survivor: [longest, longest]}\n",
        (),
        ("r.yaml:4:9: dedup.survivor: each rule may stand once, found longest, longest",),
    ),
    "capital letter": (
        GOOD + "extract: {extractor: Trafilatura}\n",
        (),
        (
            "r.yaml:4:22: extract.extractor: expected one of trafilatura, resiliparse, found the text 'Trafilatura'; did you mean trafilatura?",
        ),
    ),
    "dataset's name with a space": (
        "name: My Dataset\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        (
            "r.yaml:1:7: name: expected text (characters a-z 0-9 . _ -, the first one a-z 0-9, at most 64), found the text 'My Dataset'; write my-dataset",
        ),
    ),
    "empty file": (
        "",
        (),
        (f"r.yaml:1:1: the file is empty; it needs name, sources; allowed too: {other_keys('name', 'sources')}",),
    ),
    "only a comment": (
        "# to do\n",
        (),
        (f"r.yaml:1:1: the file is empty; it needs name, sources; allowed too: {other_keys('name', 'sources')}",),
    ),
    "a list": (
        "- a\n- b\n",
        (),
        (
            f"r.yaml:1:1: the file holds a list of 2; it needs name, sources; allowed too: {other_keys('name', 'sources')}",
        ),
    ),
    "text": (
        "hello\n",
        (),
        (
            f"r.yaml:1:1: the file holds the text 'hello'; it needs name, sources; allowed too: {other_keys('name', 'sources')}",
        ),
    ),
    "two documents": (
        GOOD + "---\n" + GOOD,
        (),
        ("r.yaml:5:1: a second YAML document begins here; a file holds one: remove the --- above, or what follows it",),
    ),
    "dataset card": (
        "---\nlicense: mit\nlanguage:\n- en\npretty_name: X\ntask_categories:\n- text-generation\n---\n# Dataset Card\n\nHello: there\n",
        (),
        (
            "r.yaml:11:1: a second YAML document begins here; a file holds one: remove the --- above, or what follows it",
        ),
    ),
    "anchor and alias": (
        "x: &b {type: commoncrawl, snapshot: sample}\nname: d\nsources: {web: *b}\n",
        (),
        (
            "r.yaml:1:4: x: anchors are not read (&b); write the value, or quote it",
            "r.yaml:3:16: sources.web: aliases are not read (*b); write the value, or quote it",
        ),
    ),
    "merge key": (
        "name: d\nsources:\n  web: {<<: {type: commoncrawl}, snapshot: sample}\n",
        (),
        (
            "r.yaml:3:3: sources.web.type: missing; expected one of commoncrawl, warc, tables, mediawiki, code, environment",
        ),
    ),
    "tag that would run code": (
        "name: !!python/object/apply:os.system [ls]\n",
        (),
        (
            "r.yaml:1:1: sources: missing; expected a mapping (at least 1 entry), each value a mapping with type: commoncrawl, warc, tables, mediawiki, code, environment: Source name -> where its records come from.",
            "r.yaml:1:7: name: tags are not read (tag:yaml.org,2002:python/object/apply...); remove it, and quote what is text",
        ),
    ),
    "Dolma's configuration": (
        DOLMA,
        (),
        (
            f"r.yaml:1:1: the file is about something else: it has streams, processes; it needs name, sources; allowed too: {other_keys('name', 'sources')}",
        ),
    ),
    "NeMo Curator's configuration": (
        NEMO,
        (),
        (
            f"r.yaml:1:1: the file is about something else: it has input_field, filters; it needs name, sources; allowed too: {other_keys('name', 'sources')}",
        ),
    ),
    "set: no equals sign": (
        GOOD,
        ("seed",),
        ("--set seed: expected key.path=value, such as seed=1 or steps.0.min=50; there is no = in it",),
    ),
    "set: spaces around the equals sign": (
        GOOD,
        ("seed = 3",),
        ("--set seed = 3: expected key.path=value, such as seed=1 or steps.0.min=50; write no spaces around =",),
    ),
    "set: unknown key": (
        GOOD,
        ("sed=3",),
        (f"--set sed=3: sed: unknown key; did you mean seed? Allowed here: {other_keys('name', 'sources')}",),
    ),
    "set: unknown key below": (
        GOOD,
        ("dedup.bandz=3",),
        (
            "--set dedup.bandz=3: dedup.bandz: unknown key; did you mean bands? Allowed here: exact, url, near, ngram_words, threshold, n_permutations, bands, rows, scheme, seed, verify, scope, against, survivor, repeat_by_cluster_size",
        ),
    ),
    "set: entry that is not there": (
        STEPS + "  - {type: preset, name: datatrove-0.10}\n",
        ("steps.1.min=3",),
        ("--set steps.1.min=3: steps.1: steps is a list; expected the number of an entry, 0 to 0, found '1'",),
    ),
    "set: brackets": (
        STEPS + "  - {type: preset, name: datatrove-0.10}\n",
        ("steps[0].name=x",),
        ("--set steps[0].name=x: steps[0]: write steps.0",),
    ),
    "set: step by its name": (
        STEPS + "  - {type: limit, name: a, measure: n_words, min: 1}\n",
        ("steps.a.min=3",),
        ("--set steps.a.min=3: steps.a: steps is a list; expected the number of an entry, 0 to 0, found 'a'",),
    ),
    "set: word for a number": (
        GOOD,
        ("seed=many",),
        ("--set seed=many: seed: expected an integer (>= 0, < 9223372036854775808), found the text 'many'",),
    ),
    "set: nothing": (
        GOOD,
        ("seed=",),
        ("--set seed=: seed: expected an integer (>= 0, < 9223372036854775808), found nothing",),
    ),
    "set: source's name": (
        GOOD,
        ("sources.wbe.snapshot=sample",),
        (
            "--set sources.wbe.snapshot=sample: sources.wbe.type: missing; wbe is not in the file; did you mean web? Expected one of commoncrawl, warc, tables, mediawiki, code, environment",
        ),
    ),
    "set: below text": (GOOD, ("name.x=3",), ("--set name.x=3: name.x: name is the text 'd', which has no keys",)),
    "set: list without brackets": (
        GOOD,
        ("pii.kinds=email,ip",),
        (
            "--set pii.kinds=email,ip: pii.kinds: expected a list, each entry one of email, ip, ipv6, phone, card, iban, ssn, api_key, private_key, found the text 'email,ip'; write [email,ip]",
        ),
    ),
    "set: bracket not closed": (
        GOOD,
        ("pii.kinds=[email",),
        ("--set pii.kinds=[email: pii.kinds: the [ that opens here is never closed; add ]",),
    ),
    "set: colon in text": (
        GOOD,
        ("card.summary=a: b",),
        (
            '--set card.summary=a: b: card.summary: expected text, found a mapping (a); put text that holds ": " in quotes',
        ),
    ),
    "set: star at the start": (
        "name: d\nsources:\n  web: {type: warc, path: x}\n",
        ("sources.web.path=*.warc",),
        ("--set sources.web.path=*.warc: sources.web.path: text may not begin with *; put it in quotes",),
    ),
    "set: entry of no list": (
        GOOD,
        ("steps.0.min=3",),
        ("--set steps.0.min=3: steps.0: steps is a list with no entries, found '0'; set all of steps",),
    ),
    "override for a source that is not there": (
        STEPS + "  - {type: preset, name: datatrove-0.10, override: {c4_sentences: {where: {source: [wbe]}}}}\n",
        (),
        ("r.yaml:5:85: steps.0.override.c4_sentences.where.source.0: no source is called 'wbe'; did you mean web?",),
    ),
    "override with a language that is not there": (
        STEPS + "  - {type: preset, name: datatrove-0.10, override: {language: {one_of: [en, eng]}}}\n",
        (),
        ("r.yaml:5:77: steps.0.override.language.one_of.1: no language code is called 'eng'; did you mean en?",),
    ),
    "several at once": (
        STEPS + "  - {type: lines, rule: c4, where: {source: [wbe]}}\nmixture: {weights: {wbe: 2}}\n",
        ("steps.0.where.language=[xx]",),
        (
            "r.yaml:5:46: steps.0.where.source.0: no source is called 'wbe'; did you mean web?",
            "r.yaml:6:26: mixture.weights.wbe: no source is called 'wbe'; did you mean web?",
            "--set steps.0.where.language=[xx]: steps.0.where.language.0: no language code is called 'xx'; codes have two or three letters, such as en",
        ),
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str, overrides: tuple[str, ...] = ()) -> Recipe:
    path = Path("r.yaml")
    path.write_text(text, encoding="utf-8")
    return load_recipe(path, overrides)


@pytest.mark.parametrize("case", CASES)
def test_every_message_in_full(case: str) -> None:
    text, overrides, messages = CASES[case]
    with pytest.raises(ConfigError) as caught:
        loaded(text, overrides)
    assert caught.value.problems == messages


def said(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    done = run_pipeline(*arguments)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_the_command_says_all_that_is_wrong_and_ends_with_2() -> None:
    Path("r.yaml").write_text(GOOD + "sede: 1\ndedup: {exact: yes}\n")
    message = (
        f"error: r.yaml:4:1: sede: unknown key; did you mean seed? Allowed here: {other_keys('name', 'sources', 'dedup', 'steps')}\n"
        "r.yaml:5:16: dedup.exact: expected true or false, found the text 'yes'; write true\n"
        "--set steps=c4: steps: expected a list, each entry a mapping with type: preset, lines, repeated_lines, site_boilerplate, limit, datatrove, found the text 'c4'; a list has a dash before each entry\n"
    )
    assert said("plan", "r.yaml", "--set", "steps=c4") == (2, "", message)
    assert said("run", "r.yaml", "--set", "steps=c4") == (2, "", message)
    assert not Path("datasets").exists()


def test_a_picture_for_a_recipe() -> None:
    Path("cat.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert said("run", "cat.png") == (2, "", "error: cat.png: not text (byte 8 is zero); name a YAML file\n")


def test_each_command_knows_the_file_of_the_other(repository: Path) -> None:
    shutil.copyfile(repository / "recipes" / "train" / "tiny.yaml", "tiny.yaml")
    assert said("run", "tiny.yaml") == (
        2,
        "",
        "error: tiny.yaml:2:1: this is a training configuration, for `pipeline train`: it has data, output, model, batch, optim, "
        f"schedule, n_steps, precision, ...; it needs name, sources; allowed too: {other_keys('name', 'sources')}\n",
    )
    Path("r.yaml").write_text(GOOD)
    assert said("train", "r.yaml") == (
        2,
        "",
        "error: r.yaml:1:1: this is a recipe, for `pipeline run`: it has name, sources; it needs data, output, model, batch, optim, "
        "schedule, n_steps, precision, device, compile, spikes, evaluate, checkpoint, sample, seed; allowed too: start_from, "
        "activation_checkpointing\n",
    )


def test_hostile_files_are_refused_soon_and_unread() -> None:
    Path("r.yaml").write_text(GOOD + "a: &a [x]\n" + "".join(f"k{i}: &b{i} [{'*a, ' * 9}*a]\n" for i in range(100)))
    begun = time.monotonic()
    with pytest.raises(
        ConfigError, match=r"^r.yaml:4:4: a: anchors are not read \(&a\); write the value, or quote it\n"
    ):
        load_recipe(Path("r.yaml"))
    Path("r.yaml").write_text("#" * 300_000)
    with pytest.raises(
        ConfigError, match=r"^r.yaml: larger than 250000 bytes, as no recipe or configuration is; name another file$"
    ):
        load_recipe(Path("r.yaml"))
    Path("r.yaml").write_bytes(GOOD.encode() + "card: {contact: Zoé}\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"^r.yaml:4:19: not UTF-8 \(byte 0xE9\); save the file as UTF-8$"):
        load_recipe(Path("r.yaml"))
    assert time.monotonic() - begun < 5


def test_one_preset_for_two_sources() -> None:
    text = (
        "name: d\nsources:\n  a: {type: warc, path: x}\n  b: {type: warc, path: y}\nsteps:\n"
        "  - {type: preset, name: datatrove-0.10, where: {source: [a]}}\n"
        "  - {type: preset, name: datatrove-0.10, where: {source: [b]}, override: {c4_sentences: {min: 1}}}\n"
    )
    assert len(loaded(text).steps) == 2
    with pytest.raises(
        ConfigError, match=r"^r.yaml:7:5: steps.1: steps.0 has a limit called language and 31 more, too"
    ):
        loaded(text, ("steps.1.where.source=[b, a]",))


def shipped() -> list[Path]:
    return sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_shipped_recipes_are_whole(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.card.summary and recipe.card.intended_use and recipe.card.limits
    assert Recipe.model_validate(dump(recipe)) == recipe


def test_the_first_recipe_in_an_empty_folder_and_for_a_real_crawl() -> None:
    path = Path("recipes/commoncrawl.yaml")
    sample = load_recipe(path)
    real = load_recipe(path, ["sources.web.snapshot=CC-MAIN-2026-43", "sources.web.files=4"])
    assert dump(sample.sources["web"])["snapshot"] == "sample"
    assert dump(real.sources["web"])["snapshot"] == "CC-MAIN-2026-43"
    assert real.model_copy(update={"sources": sample.sources}) == sample
    assert set(sample.mixture.weights) == set(sample.sources)


def test_an_installed_package_finds_its_recipes(tmp_path: Path, repository: Path) -> None:
    site = tmp_path / "site-packages"
    shutil.copytree(repository / "pipeline", site / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(repository / "recipes", site / "pipeline" / "recipes")
    code = "from pathlib import Path; from pipeline.recipe import load_recipe as l; print(l(Path('recipes/commoncrawl.yaml')).name)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("commoncrawl\n", "")


def test_language_codes_are_plausible() -> None:
    assert len(LID_176) == 176
    assert {"en", "de", "zh", "als", "ceb"} <= LID_176
