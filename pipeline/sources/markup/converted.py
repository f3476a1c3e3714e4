"""What a converter gives: plain text, and what the markup states about it."""

from dataclasses import dataclass


class MarkupError(ValueError):
    """A text that is not in the markup it is said to be in; the message holds nothing of the text."""


def check_size(text: str, max_chars: int) -> None:
    """Raises MarkupError if `text` is longer than `max_chars`."""
    if len(text) > max_chars:
        raise MarkupError(f"{len(text)} characters, at most {max_chars} are converted")


@dataclass(frozen=True, slots=True)
class Converted:
    """A text without its markup; "" where the markup states no title, date (ISO 8601), licence, URL or language."""

    text: str
    title: str = ""
    date: str = ""
    licence: str = ""
    url: str = ""
    language: str = ""
