"""What stands around an article: menus, notices, headlines, comments and small print of a site.

tests/sample/sites.yaml describes sites by host; what it does not say is taken from tests/sample/chrome.yaml by a hash
of the host, so that a site looks the same on all its pages and unlike the others.
"""

import hashlib
import html
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import yaml

from tests.sample.prose import FOLDER

Item = TypeVar("Item")


@cache
def _described(name: str) -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    return described


def site(host: str) -> dict[str, Any]:
    """The entry of a host in sites.yaml, {} if it has none."""
    return _described("sites").get(host) or {}


def number(*parts: str) -> int:
    """A number of 64 bits that depends on `parts` alone."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


def pick(items: Sequence[Item], n: int, *seed: str) -> list[Item]:
    """`n` of `items`, in an order that depends on `seed` alone."""
    return sorted(items, key=lambda item: number(*seed, str(item)))[:n]


def around(host: str, lang: str) -> dict[str, str]:
    """The fields of a layout that do not depend on the page: HTML, escaped."""
    words, own = _described("chrome")[lang], site(host)
    nav = own.get("nav") or pick(words["nav"], 5 + number(host, "nav") % 3, host, "nav")
    aside = own.get("aside") or pick(words["headlines"], 3 + number(host, "aside") % 3, host, "aside")
    legal = pick(words["legal"], 3, host, "legal")
    one = ("cookies", "accept", "reject", "search", "login", "home", "skip", "feedback", "newsletter_title")
    fields = {key: pick(words[key], 1, host, key)[0] for key in (*one, "newsletter", "comments_title")}
    fields = {key: html.escape(str(value)) for key, value in fields.items()}
    fields |= {"cookie": fields.pop("cookies"), "aside_title": html.escape(pick(words["aside"], 1, host)[0])}
    fields |= {"footer": html.escape(own.get("footer") or pick(words["footer"], 1, host, "footer")[0])}
    fields |= {"first_nav": html.escape(nav[0]), "first_aside": html.escape(aside[0])}
    fields |= {"last_aside": html.escape(aside[-1]), "version": str(10 + number(host) % 900)}
    for name, titles in (("nav", nav), ("aside", aside), ("legal", legal)):
        links = [_link(host, name, title) for title in titles]
        fields[f"{name}_items"] = "".join(f"<li>{link}</li>" for link in links)
        fields[f"{name}_links"] = " ".join(links)
        fields[f"{name}_lines"] = "<br>".join(links)
        fields[f"{name}_bars"] = " | ".join(links)
    fields["tag_links"] = " ".join(_link(host, "tag", tag) for tag in pick(words["tags"], 2, host))
    return fields


def comments(url: str, lang: str) -> dict[str, str]:
    """What readers wrote under a page."""
    said = pick(_described("chrome")[lang]["comments"], 1, url)[0]
    lines = [
        f'<div class="comment"><b class="comment-author">{html.escape(who)}</b><p>{html.escape(str(what))}</p></div>'
        for who, what in said
    ]
    return {"comments": "\n".join(lines), "n_comments": str(len(said))}


def _link(host: str, kind: str, title: str) -> str:
    ascii_title = "".join(c if c.isascii() and c.isalnum() else "-" for c in title.lower()).strip("-")
    slug = ascii_title or str(number(title) % 10_000)
    below = {"aside": f"{number(host) % 90 + 10}/", "tag": "tag/"}.get(kind, "")
    return f'<a href="/{below}{slug}">{html.escape(title)}</a>'
