"""datatrove 0.10.1's URLFilter as its recipe for FineWeb uses it: URLs in, reasons and processor seconds out.

The public suffix list is tldextract's own, so that no run depends on what the network gives.
"""

import json
import sys
import time

from datatrove.data import Document
from datatrove.pipeline.filters import URLFilter
from tldextract import TLDExtract

REASONS = {
    "domain": "url_denied_domain",
    "subdomain": "url_denied_domain",
    "url": "url_denied_url",
    "hard_blacklisted": "url_denied_word",
    "soft_blacklisted": "url_denied_soft_words",
    "blacklisted_subword": "url_denied_subword",
}

URL_FILTER = URLFilter()
URL_FILTER.tldextractor = TLDExtract(suffix_list_urls=())
URL_FILTER.download_data()


def reason(url):
    found = URL_FILTER.filter(Document(text="", id="", metadata={"url": url}))
    return "" if found is True else REASONS[found[1]]


if __name__ == "__main__":
    for line in sys.stdin:
        urls = json.loads(line)
        begun = time.process_time()
        reasons = [reason(url) for url in urls]
        print(json.dumps({"cpu_s": time.process_time() - begun, "reasons": reasons}), flush=True)
