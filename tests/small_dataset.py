"""A small dataset with planted truth, and ways to run it."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SUBJECTS = ("the river", "a teacher", "our neighbour", "the old engine", "her garden", "the committee", "a traveller")
VERBS = ("carried", "described", "repaired", "watched", "forgot", "measured", "painted", "followed", "explained")
OBJECTS = ("the long bridge", "a box of letters", "seven boats", "the broken clock", "an unusual plan", "every song")
PLACES = ("near the market", "before the rain", "in the valley", "after a week of work", "without a single word")


def name(random_: random.Random) -> str:
    """An invented name, so that two articles share few 5-grams."""
    return "".join(random_.choice("bdfgklmnprstv") + random_.choice("aeiou") for _ in range(3)).capitalize()


def sentence(random_: random.Random) -> str:
    words = [random_.choice(group) for group in (SUBJECTS, VERBS, OBJECTS, PLACES)]
    words += ["with", name(random_), "and", name(random_), random_.choice(VERBS), random_.choice(OBJECTS)]
    text = " ".join(words)
    return text[0].upper() + text[1:] + f" on day {random_.randrange(10_000)}."


def article(seed: int, n_sentences: int = 20) -> str:
    random_ = random.Random(seed)
    return "\n".join(" ".join(sentence(random_) for _ in range(4)) for _ in range(n_sentences // 4))


def planted_rows() -> list[dict[str, str]]:
    """120 plain articles; `kind` of the others says what must become of them."""
    rows = [{"text": article(seed), "url": f"https://plain.example/{seed}", "kind": "kept"} for seed in range(120)]
    rows += [{"text": article(seed), "url": f"https://copy.example/{seed}", "kind": "exact"} for seed in range(5)]
    rows += [
        {"text": article(seed).replace("day", "night", 1), "url": f"https://near.example/{seed}", "kind": "near"}
        for seed in range(10, 15)
    ]
    rows += [{"text": "Too short.", "url": f"https://short.example/{n}", "kind": "short"} for n in range(4)]
    mail = article(500) + "\nWrite to someone.real@mailhost.net or reach 9.9.9.9 today."
    rows.append({"text": mail, "url": "https://mail.example/?to=a.person@mailhost.net", "kind": "kept"})
    # The trap: the longest copy of a cluster fails the Limit on length, so another copy must survive.
    base = article(900, 24)
    rows.append({"text": base, "url": "https://trap.example/survivor", "kind": "kept"})
    rows.append({"text": base + "\n" + "# " * 40, "url": "https://trap.example/longest", "kind": "hashes"})
    return rows


@pytest.fixture
def small_recipe(tmp_path: Path) -> Path:
    """The recipe of `write_small_recipe`, in the test's own folder."""
    return write_small_recipe(tmp_path)


def write_small_recipe(folder: Path) -> Path:
    """Write a recipe over planted tables in seven files to `folder`; returns its path."""
    data = folder / "data"
    data.mkdir()
    rows = planted_rows()
    random.Random(5).shuffle(rows)
    for n in range(6):
        lines = [json.dumps(row) for row in rows[n::6]]
        (data / f"rows-{n}.jsonl").write_text("\n".join(lines) + "\n")
        os.utime(data / f"rows-{n}.jsonl", ns=(10**18, 10**18))
    extra = [json.dumps({"text": article(seed, 40)}) for seed in range(2000, 2060)]
    extra.append(json.dumps({"text": article(50)}))  # a copy of a document of `main`, which comes first
    (data / "extra.jsonl").write_text("\n".join(extra) + '\n{"text": 5}\nnot json\n')
    os.utime(data / "extra.jsonl", ns=(10**18, 10**18))
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"""\
name: small
seed: 3
sources:
  main: {{type: tables, path: "{data}/rows-*.jsonl", url_column: url, part_mb: 1}}
  extra: {{type: tables, path: "{data}/extra.jsonl"}}
steps:
  - {{type: limit, name: short, measure: n_chars, min: 100}}
  - {{type: limit, name: hashes, measure: n_hashes, max: 10}}
mixture:
  weights: {{main: 0.7, extra: 0.3}}
  max_epochs: 8
  tolerance: 0.05
tokenizer: {{vocab_size: 640}}
packing: {{seq_len: 64, validation_share: 0.1}}
"""
    )
    return recipe


Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def run_pipeline(*arguments: str | Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=600)


@pytest.fixture
def cli() -> Cli:
    """Runs the console command in a process of its own."""
    return run_pipeline
