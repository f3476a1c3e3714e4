"""Writes `datatrove_quality.json`: what datatrove's own filters find in the texts of `datatrove_texts.py`.

Run by hand from the repository's root, in an environment with `datatrove[io,processing]==0.10.1` and `spacy>=3.8,<3.9`:

    python tests/parity/make_datatrove_golden.py

With two arguments it reads texts from a JSON lines file (field `text`) and writes one JSON line for each.
"""

import json
import sys
from pathlib import Path

import datatrove.pipeline.filters.gopher_repetition_filter as repetition
import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_sentences, split_into_words

HERE = Path(__file__).parent
FILTERS = {"repetition": GopherRepetitionFilter(), "quality": GopherQualityFilter()}
C4 = C4QualityFilter(filter_no_terminal_punct=False)
FINEWEB = FineWebQualityFilter()


def decision(step, document):
    """The reason a filter drops a document for, or "" if it stays."""
    found = step.filter(document)
    return "" if found is True or (isinstance(found, tuple) and found[0]) else found[1]


def share(part, whole):
    return part / whole if whole else 0.0


def repetition_measures(text, words):
    step = FILTERS["repetition"]
    paragraphs = step.paragraph_exp.split(text.strip())
    lines = step._line_splitter.split(text)
    found = {}
    for name, parts in (("paragraph", paragraphs), ("line", lines)):
        count, chars = repetition.find_duplicates(parts)
        found[f"duplicate_{name}_fraction"] = share(count, len(parts))
        found[f"duplicate_{name}_char_fraction"] = share(chars, len(text))
    for n in (2, 3, 4):
        grams = repetition.get_n_grams(words, n)
        found[f"top_{n}gram_char_fraction"] = share(repetition.find_top_duplicate(grams) if grams else 0, len(text))
    for n in range(5, 11):
        found[f"duplicate_{n}gram_char_fraction"] = share(repetition.find_all_duplicate(words, n), len(text))
    return found


def quality_measures(text, words):
    real = [w for w in words if any(ch not in PUNCTUATION_SET for ch in w)]
    lines = text.splitlines()
    starts, ends = [s.lstrip() for s in lines], [s.rstrip() for s in lines]
    return {
        "n_words": len(real),
        "n_words_and_symbols": len(words),
        "mean_word_length": float(np.mean([len(w) for w in real])) if real else 0.0,
        "hashes_per_word": share(text.count("#"), len(words)),
        "ellipses_per_word": share(text.count("...") + text.count("…"), len(words)),
        "bullet_line_fraction": share(sum(s.startswith(("•", "-")) for s in starts), len(lines)),
        "ellipsis_line_fraction": share(sum(s.endswith(("...", "…")) for s in ends), len(lines)),
        "alphabetic_word_fraction": share(sum(any(c.isalpha() for c in w) for w in words), len(words)),
        "n_stop_words": len(set(STOP_WORDS) & set(words)),
    }


def fineweb_measures(text, words):
    lines = [line for line in text.split("\n") if line.strip()]
    duplicate_chars = repetition.find_duplicates(lines)[1]
    return {
        "lines_ending_in_punctuation_fraction": share(
            sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines), len(lines)
        ),
        "short_line_fraction": share(sum(len(line) <= 30 for line in lines), len(lines)),
        "duplicate_text_line_char_fraction": share(duplicate_chars, len(text.replace("\n", ""))),
        "newlines_per_word": share(text.count("\n"), len(words)),
        "n_sentences": sum(len(split_into_sentences(line)) for line in lines),
    }


def findings(text):
    """All measures, all decisions, and the text that C4 leaves (None if it drops the document)."""
    words = split_into_words(text)
    document = Document(text=text, id="")
    decisions = {name: decision(step, document) for name, step in FILTERS.items()} if text.strip() else {}
    decisions["c4"] = decision(C4, document)
    kept = None if decisions["c4"] else document.text
    decisions["fineweb"] = "" if kept is None else decision(FINEWEB, document)
    found = {"measures": {**repetition_measures(text, words), **quality_measures(text, words)}}
    if kept is not None:
        found["kept_measures"] = fineweb_measures(kept, split_into_words(kept))
    return {"text": text, "decisions": decisions, "kept": kept, **found}


def main():
    if len(sys.argv) == 3:
        with Path(sys.argv[1]).open() as source, Path(sys.argv[2]).open("w") as target:
            for line in source:
                print(json.dumps(findings(json.loads(line)["text"])), file=target)
        return
    sys.path.insert(0, str(HERE))
    from datatrove_texts import TEXTS

    records = [{"name": name, **findings(text)} for name, text in TEXTS.items()]
    text = json.dumps(records, ensure_ascii=False, indent=1)
    (HERE / "datatrove_quality.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
