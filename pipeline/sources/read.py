"""A Slice -> Records, by the kind of its source."""

from collections.abc import Iterator

from pipeline.sources.options import (
    CodeSource,
    CommonCrawlSource,
    EnvironmentSource,
    MediaWikiSource,
    Source,
    TableSource,
    WarcSource,
)
from pipeline.sources.record import Record, Slice
from pipeline.sources.warc import MAX_PAGE_BYTES, read_warc


def read(source: Source, slice_: Slice, max_page_bytes: int = MAX_PAGE_BYTES) -> Iterator[Record]:
    """Every record of `slice_`, each once: pages of up to `max_page_bytes`, texts, and the fates of all others.

    Raises:
        SourceError: if the file cannot be opened, or is no longer what was listed.
    """
    if isinstance(source, CommonCrawlSource | WarcSource):
        return read_warc(slice_, min(max_page_bytes, MAX_PAGE_BYTES))
    if isinstance(source, TableSource):
        from pipeline.sources.tables import read_table

        return read_table(slice_, source)
    if isinstance(source, MediaWikiSource):
        from pipeline.sources.mediawiki import read_dump

        return read_dump(slice_)
    if isinstance(source, CodeSource):
        from pipeline.sources.code import read_code

        return read_code(slice_, source)
    from pipeline.sources.environment import read_environment

    assert isinstance(source, EnvironmentSource)
    return read_environment(slice_, source)
