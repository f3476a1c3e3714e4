"""What a converter gives: plain text, and what the markup states about it."""

from dataclasses import dataclass


class MarkupError(ValueError):
    """A text that is not in the markup it is said to be in; the message holds nothing of the text."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A text without its markup; "" where the markup states no title, date (ISO 8601), licence, URL or language."""

    text: str
    title: str = ""
    date: str = ""
    licence: str = ""
    url: str = ""
    language: str = ""
