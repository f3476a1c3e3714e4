"""A Slice -> Records, by the kind of its source."""

from collections.abc import Iterator

from pipeline.sources.fetching import ChangedError, limit_requests
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
from pipeline.sources.remote import is_remote
from pipeline.sources.warc import MAX_PAGE_BYTES, read_warc


def read(source: Source, slice_: Slice, max_page_bytes: int = MAX_PAGE_BYTES) -> Iterator[Record]:
    """Every record of `slice_`, each once: pages of up to `max_page_bytes`, texts, and the fates of all others.

    A file that is marked as unavailable is one record with the fate `file_unavailable`, however it is cut.

    Raises:
        SourceError: if the file cannot be opened, or is no longer what was listed.
    """
    if slice_.unavailable:
        lost = Record(slice_.path, 0, fate="file_unavailable", detail=slice_.unavailable)
        return iter([lost] if slice_.start == 0 else [])
    if isinstance(source, CommonCrawlSource) and is_remote(slice_.url):
        limit_requests(slice_.url, source.max_requests_per_s)
        return _forgetting(source, read_warc(slice_, min(max_page_bytes, MAX_PAGE_BYTES)))
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


def _forgetting(source: CommonCrawlSource, records: Iterator[Record]) -> Iterator[Record]:
    """`records`; what is remembered of a mirror is forgotten if one of its files has changed."""
    try:
        yield from records
    except ChangedError:
        from pipeline.sources.commoncrawl import forget_listing

        forget_listing(source)
        raise
