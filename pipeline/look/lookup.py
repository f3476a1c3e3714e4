"""The records that a person means by a URL or an id."""

import re
from collections.abc import Iterator

from pipeline.ledger.read import Entry, Ledger
from pipeline.manifest import Manifest
from pipeline.text.url_parts import host_of, page_of
from pipeline.versions import VersionError

ID_DIGITS = 32
_HEX = re.compile(r"[0-9A-Fa-f]{8,}")


def records_of(described: Manifest, ledger: Ledger, wanted: str) -> list[Entry]:
    """The records that have the id `wanted`, or whose URL names the same page, by id.

    Versions hold URLs with personal data replaced, so a URL is looked for as it is, and then as the recipe replaces it.

    Raises:
        VersionError: there is none, with the nearest that there is.
    """
    wanted = wanted.strip()
    if _HEX.fullmatch(wanted):
        if len(wanted) != ID_DIGITS:
            raise VersionError(f"{wanted[:80]}: an id has {ID_DIGITS} hexadecimal digits, this has {len(wanted)}")
        if (found := ledger.entry(bytes.fromhex(wanted))) is None:
            raise VersionError(
                f"{wanted}: no record of this version has this id, which is a hash of source, archive and offset: of "
                "another source's name or archive it is another. To look by address, give the URL"
            )
        return [found]
    ids = ledger.ids_of(wanted) or ledger.ids_of(_without_personal_data(described, wanted))
    entries = [ledger.entry(key) for key in sorted(set(ids))]
    if not ids:
        raise VersionError(_never_seen(ledger, wanted))
    if None in entries:
        raise ledger.damaged("a URL leads to a record that is not there")
    return [entry for entry in entries if entry is not None]


def _without_personal_data(described: Manifest, url: str) -> str:
    from pipeline.steps.options import PiiOptions  # late: nearly every URL is found without
    from pipeline.steps.pii.scrubber import Scrubber

    scrubbed, _ = Scrubber(PiiOptions.model_validate(described.recipe["pii"])).scrub_urls([url])
    return str(scrubbed[0].as_py())


def _never_seen(ledger: Ledger, url: str) -> str:
    """That no record has this URL, and what is near it."""
    page = page_of(url)
    if not host_of(url).count("."):
        return (
            f"{url!r} is neither the URL of a page, such as https://example.org/page, nor an id, which has {ID_DIGITS} "
            "hexadecimal digits"
        )
    known = [near for near in _nearer(page) if ledger.ids_of(near)]
    message = (
        f"{url!r}: no record of this version has this URL (looked for as {page!r}: http or https, `www.`, a fragment "
        "and a final slash make no difference; upper and lower case in the path do)"
    )
    return message + (f". There is {known[0]!r}" if known else "; nor its directory, nor its site's first page")


def _nearer(page: str) -> Iterator[str]:
    """Pages that may be meant: without the query, in lower case, each directory above, the site's first."""
    path = page.partition("?")[0]
    yield from (path, path.lower())
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
