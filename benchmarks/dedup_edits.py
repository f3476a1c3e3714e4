"""Real passages and copies of them, edited as the web edits them; how alike a copy stays is drawn from .5 to 1."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

NGRAM_WORDS = 5
MIN_WORDS, MAX_WORDS = 60, 600
MAX_COPIES = 4
SINGLE_SHARE = 0.25
"""Of the families; one without copies says nothing on recall, but may be found by mistake."""
ASCII_SHARE = 0.97
"""Of a text's characters, at least: the peers take words as English has them."""

Edit = Callable[[list[str], float, list[str], random.Random], str]


@dataclass(frozen=True, slots=True)
class Document:
    """`edit` names what was done to the passage; "" for the passage itself."""

    text: str
    family: int
    edit: str


def documents(texts: Sequence[str], n: int, seed: int) -> list[Document]:
    """`n` documents, or fewer if `texts` have too few passages; the same for the same input.

    Raises:
        ValueError: there is no English passage in `texts`.
    """
    chance = random.Random(seed)
    pool = list(dict.fromkeys(passage for text in texts for passage in _passages(text, chance)))
    chance.shuffle(pool)
    if len(pool) < 2:
        raise ValueError(
            f"{len(texts)} texts have {len(pool)} passages of {MIN_WORDS} words in ASCII; expected 2 or more"
        )
    found: list[Document] = []
    for family, passage in enumerate(pool):
        if len(found) >= n:
            break
        found += _family(passage, family, chance.choice(pool).split(), chance)
    found = found[:n]
    chance.shuffle(found)
    return found


def _passages(text: str, chance: random.Random) -> Iterator[str]:
    """Runs of whole lines of a text, each of a length of its own."""
    if sum(map(str.isascii, text)) < ASCII_SHARE * len(text):
        return
    lines: list[str] = []
    n_words, wanted = 0, chance.randint(MIN_WORDS, MAX_WORDS)
    for line in text.split("\n"):
        lines.append(line)
        n_words += len(line.split())
        if n_words >= wanted:
            if n_words <= 2 * MAX_WORDS:
                yield "\n".join(lines)
            lines, n_words, wanted = [], 0, chance.randint(MIN_WORDS, MAX_WORDS)


def _family(passage: str, family: int, other: list[str], chance: random.Random) -> Iterator[Document]:
    """A passage and its copies; `other` is a passage from which new words come."""
    yield Document(passage, family, "")
    if chance.random() < SINGLE_SHARE:
        return
    words = passage.split()
    for _ in range(chance.randint(1, MAX_COPIES)):
        name, edit = chance.choice(list(EDITS.items()))
        yield Document(edit(words, chance.uniform(0.5, 1.0), other, chance), family, name)


# -- The edits: words of a passage, the Jaccard similarity wanted, words to take from, chance -> text ------------------


def _share(likeness: float) -> float:
    """Of n shingles, those to replace by as many others: x / n, where the similarity is (n - x) / (n + x)."""
    return (1 - likeness) / (1 + likeness)


def _other_words(words: list[str], likeness: float, other: list[str], chance: random.Random) -> str:
    """Single words inserted, deleted or replaced, each in all shingles around it."""
    edited: list[str | None] = list(words)
    for place in chance.sample(range(len(words)), round(len(words) * _share(likeness) / NGRAM_WORDS)):
        new = chance.choice(other)
        edited[place] = chance.choice((None, new, f"{words[place]} {new}"))
    return " ".join(word for word in edited if word is not None)


def _other_sentences(words: list[str], likeness: float, other: list[str], chance: random.Random) -> str:
    """Runs of words replaced by runs from another passage."""
    edited, left = list(words), round(len(words) * _share(likeness))
    while left > 0:
        length = min(left, chance.randint(8, 25))
        start, source = chance.randrange(len(words)), chance.randrange(len(other))
        edited[start : start + length] = other[source : source + length]
        left -= length
    return " ".join(edited)


def _shorter(words: list[str], likeness: float, other: list[str], chance: random.Random) -> str:
    """A part only: all copied shingles are among those of the passage."""
    length = round(len(words) * likeness)
    start = chance.choice((0, len(words) - length))
    return " ".join(words[start : start + length])


def _other_body(words: list[str], likeness: float, other: list[str], chance: random.Random) -> str:
    """Head and foot of the passage, as a site's template, around another body."""
    body = round(len(words) * _share(likeness))
    head = chance.randint(0, len(words) - body)
    start = chance.randrange(len(other))
    return " ".join([*words[:head], *(other[start:] + other[:start])[:body], *words[head + body :]])


def _other_order(words: list[str], likeness: float, other: list[str], chance: random.Random) -> str:
    """Paragraphs in another order: shingles over their borders change."""
    n_borders = max(1, round(len(words) * _share(likeness) / (NGRAM_WORDS - 1)))
    cuts = sorted(chance.sample(range(1, len(words)), min(n_borders, len(words) - 1)))
    paragraphs = [" ".join(words[a:b]) for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True)]
    chance.shuffle(paragraphs)
    return "\n\n".join(paragraphs)


EDITS: dict[str, Edit] = {
    "other words": _other_words,
    "other sentences": _other_sentences,
    "shorter": _shorter,
    "other body": _other_body,
    "other order": _other_order,
}
