"""HTTP answers as a crawler stores them: status line, the headers of different servers, content and transfer codings.

`http` in the header of a page, in others.yaml or in sites.yaml may hold: `protocol` (HTTP/1.1); `server`; `lower_case:
true` for the names of headers; `type`, the value of Content-Type ("" leaves it out); `content_encoding` gzip, deflate
or raw-deflate; `chunked: true`; `headers`, more of them. Of a site's options, pictures and such take the server only.
"""

import gzip
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from tests.sample.chrome import number, pick, site

SERVERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("nginx", {"Connection": "keep-alive", "Vary": "Accept-Encoding"}),
    ("nginx/1.18.0 (Ubuntu)", {"X-Frame-Options": "SAMEORIGIN", "Strict-Transport-Security": "max-age=31536000"}),
    ("nginx/1.24.0", {"Cache-Control": "max-age=600", "X-Cache": "HIT"}),
    ("Apache", {"X-Powered-By": "PHP/8.1.27", "Set-Cookie": "PHPSESSID=@; path=/", "Pragma": "no-cache"}),
    ("Apache/2.4.57 (Debian)", {"ETag": '"@-61c"', "Accept-Ranges": "bytes"}),
    ("Apache/2.2.22 (Unix) PHP/5.3.29", {"X-Powered-By": "PHP/5.3.29", "Connection": "close"}),
    ("Microsoft-IIS/10.0", {"X-Powered-By": "ASP.NET", "X-AspNet-Version": "4.0.30319"}),
    ("Microsoft-IIS/6.0", {"MicrosoftOfficeWebServer": "5.0_Pub", "Cache-Control": "private"}),
    ("LiteSpeed", {"X-LiteSpeed-Cache": "hit", "Alt-Svc": 'h3=":443"; ma=2592000'}),
    ("openresty", {"X-Served-By": "cache-@", "Age": "118", "Via": "1.1 varnish"}),
    ("Caddy", {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}),
    ("lighttpd/1.4.69", {"Accept-Ranges": "bytes"}),
    ("", {"Content-Security-Policy": "default-src 'self'", "Set-Cookie": "session=@; HttpOnly; Secure"}),
)
"""What servers call themselves, and headers that come with it; @ becomes a number of the site."""


def answer(
    url: str,
    body: bytes,
    content_type: str,
    when: datetime,
    *,
    status: str = "200 OK",
    http: Mapping[str, Any] | None = None,
) -> bytes:
    """The answer to a request for `url` at `when`. `http` stands above what sites.yaml says of the host."""
    host = urlsplit(url).hostname or ""
    usual_options = site(host).get("http", {})
    if not content_type.startswith("text/html"):
        usual_options = {key: value for key, value in usual_options.items() if key in ("server", "lower_case")}
    options = {**usual_options, **(http or {})}
    (server, usual), *_ = pick(SERVERS, 1, host, "server")
    fields = {"Date": _http_date(when), "Server": options.get("server", server)}
    fields["Content-Type"] = options.get("type", content_type)
    fields |= {name: value.replace("@", f"{number(host, name):x}"[:12]) for name, value in usual.items()}
    if number(url, "modified") % 3 == 0:
        fields["Last-Modified"] = _http_date(when - timedelta(hours=number(url) % 9_000))
    coding = options.get("content_encoding", "")
    if coding:
        fields["Content-Encoding"] = coding.removeprefix("raw-")
        body = _encoded(body, coding)
    if options.get("chunked"):
        fields["Transfer-Encoding"] = "chunked"
        body = _chunked(body)
    else:
        fields["Content-Length"] = str(len(body))
    fields |= options.get("headers", {})
    names = {name: name.lower() if options.get("lower_case") else name for name in fields}
    lines = [f"{names[name]}: {value}" for name, value in fields.items() if value]
    head = [f"{options.get('protocol', 'HTTP/1.1')} {status}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def _http_date(when: datetime) -> str:
    """RFC 9110, section 5.6.7. Not `strftime("%a")`, which speaks the machine's language."""
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{days[when.weekday()]}, {when.day:02} {months[when.month - 1]} {when.year} {when:%H:%M:%S} GMT"


def _encoded(body: bytes, coding: str) -> bytes:
    if coding == "gzip":
        return gzip.compress(body, 9, mtime=0)
    deflater = zlib.compressobj(9, zlib.DEFLATED, 15 if coding == "deflate" else -15)
    return deflater.compress(body) + deflater.flush()


def _chunked(body: bytes) -> bytes:
    cut = len(body) // 2
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:cut], body[cut:], b""))
