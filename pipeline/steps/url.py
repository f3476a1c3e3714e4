"""URL rules: whether a page's address alone rules it out, before anything is parsed."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from pipeline.steps.options import UrlOptions
from pipeline.steps.url_lists import ListFile, entries_of, url_files, words_of
from pipeline.steps.ut1 import page_keys, ut1_keys
from pipeline.text.addresses import (
    ALLOW,
    DENY,
    FATES,
    HAS_PAGE,
    HOST,
    SOFT,
    WORD,
    Keys,
    automaton,
    judge,
    keys_of,
    needs_respelling,
    table,
)
from pipeline.text.buffers import views
from pipeline.text.url_parts import decoded, listed_host, spelled

_SEPARATORS = re.compile(r"[^\x00-\x7f\w]+")


class UrlRules:
    """The rules of a recipe, compiled.

    `lists`: the files that `options` names, as `pipeline.steps.url_lists.url_files` finds them, which is the default.

    Raises:
        pipeline.config.ConfigError: a list cannot be read, or holds what is no entry.
    """

    def __init__(self, options: UrlOptions, lists: Mapping[str, ListFile] | None = None):
        lists = url_files(options) if lists is None else lists
        own = {name: [*getattr(options, name), *entries_of(name, lists)] for name in UrlOptions.OWN_LISTS}
        shipped = words_of(lists)
        allowed = {_folded(word) for word in own["allow_words"]}
        words, soft, subwords = (
            {_folded(word) for word in (*own[name], *shipped.get(name, ()))} - allowed
            for name in ("deny_words", "deny_soft_words", "deny_subwords")
        )
        self._listed, ut1_pages = ut1_keys(lists)
        entries: list[tuple[Keys, int]] = [(_keys(words, WORD), DENY), (_keys(soft, WORD), SOFT)]
        for side, kind, pages in (("allow", ALLOW, ()), ("deny", DENY, (ut1_pages,))):
            entries.append((_keys(map(listed_host, own[f"{side}_domains"]), HOST), kind))
            for page, host in (page_keys(own[f"{side}_urls"]), *pages):
                entries += [(page, kind), (host, HAS_PAGE)]
        self._own = table([keys for keys, _ in entries], [kind for _, kind in entries])
        self._subwords = automaton(word.encode() for word in subwords)
        self._threshold = options.soft_word_threshold

    def check_all(self, urls: pa.LargeStringArray) -> pa.DictionaryArray:
        """The fate of a page at each of `urls`: "" (go on) or another of FATES; as long as `urls`.

        Takes time linear in the URLs' length. An empty URL, and one from which no host can be read, match no list of
        domains.
        """
        plain = views(urls)
        found = self._judge(urls, urls)
        rows = np.flatnonzero(needs_respelling(*plain))
        if len(rows):
            texts = urls.take(pa.array(rows)).to_pylist()
            pages = ("//" + "".join(spelled(text)) for text in texts)
            found[rows] = self._judge(_column(pages), _column(map(_folded_url, texts)))
        return pa.DictionaryArray.from_arrays(found.view(np.int8), pa.array(FATES))

    def _judge(self, pages: pa.LargeStringArray, words: pa.LargeStringArray) -> np.ndarray:
        return judge(views(pages), views(words), self._own, self._listed, self._subwords, self._threshold)

    def check(self, url: str) -> str:
        """`check_all` of one."""
        found: str = self.check_all(_column([url]))[0].as_py()
        return found


def _column(texts: Iterable[str]) -> pa.LargeStringArray:
    """Lone surrogates, which no Arrow column holds, become question marks."""
    return pa.array([text.encode("utf-8", "replace") for text in texts], pa.large_binary()).cast(pa.large_string())


def _keys(entries: Iterable[str], kind: np.uint64) -> Keys:
    return keys_of(*views(_column(sorted(entries))), kind)


def _folded(word: str) -> str:
    """A word as the scan compares it: letters and digits only, upper and lower case alike."""
    return "".join(re.findall(r"[^\W_]+", word.casefold()))


def _folded_url(url: str) -> str:
    return _SEPARATORS.sub(" ", decoded(url).casefold())
