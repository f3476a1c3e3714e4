"""The shingles of a text as a user of datasketch or rensa makes them in Python: 5 words in lower case, as bytes."""

import re

WORD = re.compile(r"\w+")
NGRAM_WORDS = 5


def shingles(text: str) -> list[bytes]:
    """The n-grams of a text; of a shorter one, all its words."""
    words = WORD.findall(text.lower())
    n = max(1, len(words) - NGRAM_WORDS + 1)
    return [" ".join(words[i : i + NGRAM_WORDS]).encode() for i in range(n)]
