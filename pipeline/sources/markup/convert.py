"""Text in a markup -> plain text, by the name that a recipe gives the markup."""

from pipeline.sources.markup.converted import Converted
from pipeline.sources.options import Markup


def convert(text: str, markup: Markup) -> Converted:
    """`text` without its markup, and what that states about it.

    Raises:
        pipeline.sources.markup.converted.MarkupError: if the text is not in that markup.
    """
    if markup == "jats":
        from pipeline.sources.markup import jats

        return jats.convert(text)
    if markup == "latex":
        from pipeline.sources.markup import latex

        return latex.convert(text)
    if markup == "wikitext":
        from pipeline.sources.markup import wikitext

        return wikitext.convert(text)
    if markup == "gutenberg":
        from pipeline.sources.markup import gutenberg

        return gutenberg.convert(text)
    return Converted(text)
