"""Recipe fields of the sources. Pydantic only: a plan reads these without importing any reader."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import Options


class SourceOptions(Options):
    """Fields that every source has."""

    licence: str = Field(
        "", description="Licence of the source's documents where a record states none; shown on the card."
    )
    part_mb: int = Field(64, ge=1, le=4096, description="Input megabytes (10^6 bytes, as stored) read by one Part.")


class CommonCrawlSource(SourceOptions):
    """Files of Common Crawl snapshots, or the sample crawl that ships with the project."""

    type: Literal["commoncrawl"]
    snapshot: (
        Annotated[str, Field(pattern=r"^(sample|CC-MAIN-\d{4}-\d{2})$")]
        | Annotated[tuple[Annotated[str, Field(pattern=r"^CC-MAIN-\d{4}-\d{2}$")], ...], Field(min_length=1)]
    ) = Field(
        description="`sample` (ships with the project) or the name of a crawl, such as CC-MAIN-2026-43, or a list of "
        "names.",
    )
    format: Literal["warc", "wet"] = Field(
        "warc", description="`warc`: pages. `wet`: the text that Common Crawl took from them."
    )
    files: Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^\d*:\d*$")] = Field(
        1,
        description='`4`: the first four files of each snapshot\'s list; `"10:20"`: the ten after the first ten; '
        '`":"`: all.',
    )
    mirror: str = Field(
        "https://data.commoncrawl.org",
        description="Base URL of a store with Common Crawl's layout (https://, s3://commoncrawl, any of fsspec), or a "
        "folder.",
    )
    max_requests_per_s: float = Field(
        20,
        gt=0,
        le=10_000,
        description="Requests that each worker process sends to the mirror in a second, at the most.",
    )
    max_unavailable_share: float = Field(
        0,
        ge=0,
        le=1,
        description="Share of the files that a version may lack because they could not be had. Each of them counts as "
        "a record with the fate `file_unavailable`, and is tried again by the next run. With more, no version is made.",
    )

    def snapshots(self) -> tuple[str, ...]:
        """The names of the snapshots, in order."""
        return (self.snapshot,) if isinstance(self.snapshot, str) else self.snapshot

    def picked(self) -> slice:
        """The places in the list of a snapshot's files that `files` means."""
        if isinstance(self.files, int):
            return slice(self.files)
        first, _, behind = self.files.partition(":")
        return slice(int(first or 0), int(behind) if behind else None)


class WarcSource(SourceOptions):
    """WARC and WET files at a path: plain, gzip or Zstandard, by record or as a whole."""

    type: Literal["warc"]
    path: str = Field(
        min_length=1,
        description="A file, a folder (searched for .warc and .wet, also .gz or .zst) or a glob; any fsspec URL.",
    )


Markup = Literal["plain", "gutenberg", "wikitext", "latex", "jats"]


class TableSource(SourceOptions):
    """Rows of JSONL, CSV or TSV (plain, gzip, zstd), Parquet or Arrow files; whole text and Markdown files (UTF-8)."""

    type: Literal["tables"]
    path: str = Field(min_length=1, description="A file, a folder or a glob; any fsspec URL.")
    text_column: str = Field("text", min_length=1, description="Column of the text; a row without it: `missing_text`.")
    markup: Markup = Field(
        "plain",
        description="What the text is written in, to be turned into plain text: Project Gutenberg's files (header, "
        "licence and footer go), MediaWiki's wikitext, LaTeX (reads *.tex, too) or JATS XML (*.xml and *.nxml, too). "
        "Title, date, licence and URL that it states count where no column has them.",
    )
    url_column: str | None = Field(
        None, description="Column of the URL. A name with dots, such as `meta.url`, also leads into nested columns."
    )
    title_column: str | None = None
    date_column: str | None = None
    licence_column: str | None = Field(None, description="Column of the licence; `licence` is used where it is empty.")
    language_column: str | None = Field(None, description="Column of the language that the source states.")


class MediaWikiSource(SourceOptions):
    """XML dumps of a wiki, such as Wikipedia's `pages-articles` (plain, bzip2, gzip): the text of each article."""

    type: Literal["mediawiki"]
    path: str = Field(
        min_length=1,
        description="A file, a folder (searched for *.xml, *.xml.bz2, *.xml.gz) or a glob; any fsspec URL.",
    )


class CodeSource(SourceOptions):
    """A tree of source files, by rule without vendored, generated, minified and other files that nobody wrote."""

    type: Literal["code"]
    path: str = Field(min_length=1, description="A folder, a file or a glob; any fsspec URL.")
    licences: tuple[str, ...] = Field(
        (),
        description="SPDX identifiers; a file under another licence, or under none that is known, gets the fate "
        "`other_licence`. Empty: all files. What counts is the file's SPDX line, else the nearest licence file.",
    )


class EnvironmentSource(SourceOptions):
    """Source files or docstrings of the standard library and of installed distributions, read with `ast`, never run."""

    type: Literal["environment"]
    collect: Literal["code", "docs"] = Field(
        description="`code`: source files. `docs`: docstrings, READMEs and licences."
    )
    standard_library: bool = True
    distributions: tuple[str, ...] = Field(
        (), description="Names of installed distributions; one that is missing is an error."
    )


Source = Annotated[
    CommonCrawlSource | WarcSource | TableSource | MediaWikiSource | CodeSource | EnvironmentSource,
    Field(discriminator="type"),
]
