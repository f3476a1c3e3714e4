"""The archive and its truth, as bytes."""

import gzip
import json

from tests.sample.records import entries, times, to_warc
from tests.sample.truth import truth_rows


def build() -> tuple[bytes, bytes]:
    """The bytes of sample.warc.gz and of truth.jsonl."""
    records = entries()
    archive, offsets = bytearray(), []
    for entry, when in zip(records, times(records), strict=True):
        offsets.append(len(archive))
        raw = to_warc(entry, when)
        stored = gzip.compress(raw, 9, mtime=0) if entry.record_type else raw
        archive += stored[: len(stored) // 2] if entry.fate == "truncated_record" else stored
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in truth_rows(records, offsets)]
    return bytes(archive), "".join(lines).encode()
