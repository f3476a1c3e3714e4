"""Addresses of pages against lists of hosts, pages, words and parts of words: one compiled pass over a column.

A list is held as 64-bit keys: FNV-1a (Fowler, Noll, Vo; draft-eastlake-fnv) of an entry's bytes, ended with
MurmurHash3's `fmix64` (Appleby), so that all bits depend on all bytes. Among ten thousand million different hosts one
is taken for one of 4.6 million listed ones with a chance of 1 in 400. Subwords are found by the automaton of Aho and
Corasick (1975, "Efficient string matching").
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.kernels import kernel, leaf
from pipeline.text.url_parts import MAX_HOST_CHARS

Data = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

HOST, PAGE, WORD = np.uint64(1), np.uint64(2), np.uint64(3)
"""What a key is of, so that one table can hold all three."""
ALLOW: Final = 1
DENY: Final = 2
SOFT: Final = 4
HAS_PAGE: Final = 8
"""Of a host: a list names a page of it."""
FATES: Final = (
    "",
    "url_denied_domain",
    "url_denied_url",
    "url_denied_word",
    "url_denied_soft_words",
    "url_denied_subword",
)
"""What the codes of `judge` mean; the first that holds, in this order."""

_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT, _ZERO, _ONE = np.uint64(33), np.uint64(0), np.uint64(1)
_SCHEME_CHARS: Final = 31
_WWW: Final = (119, 119, 119, 46)
_DOT, _SLASH, _COLON, _AT, _OPEN, _CLOSE, _QUERY, _HASH, _BACK, _PERCENT = map(ord, "./:@[]?#\\%")


class Automaton(NamedTuple):
    """A state is a place in `after` and `accepts`, from 0. `after[state + symbol]` is the next state, uint32;
    `accepts[state]` whether a subword ends there, bool; `symbols` the symbol of each byte, uint32 [256], 0 for those in
    no subword."""

    after: npt.NDArray[np.uint32]
    accepts: npt.NDArray[np.bool_]
    symbols: npt.NDArray[np.uint32]


def automaton(subwords: Iterable[bytes]) -> Automaton:
    """The automaton that finds each of `subwords`, which are not empty."""
    patterns = sorted(set(subwords))
    used = sorted({byte for pattern in patterns for byte in pattern})
    symbols = np.zeros(256, np.uint32)
    symbols[used] = np.arange(1, len(used) + 1)
    after = np.zeros((1 + sum(map(len, patterns)), 1 + len(used)), np.int32)
    accepts = np.zeros(len(after), np.bool_)
    n_states = 1
    for pattern in patterns:
        state = 0
        for symbol in symbols[list(pattern)]:
            if not after[state, symbol]:
                after[state, symbol] = n_states
                n_states += 1
            state = after[state, symbol]
        accepts[state] = True
    fails = np.zeros(len(after), np.int32)
    waiting = [int(state) for state in after[0] if state]
    for state in waiting:  # grows: breadth first, so that the state to fall back to is complete
        fallback = fails[state]
        accepts[state] |= accepts[fallback]
        for symbol in range(1, after.shape[1]):
            if child := int(after[state, symbol]):
                fails[child] = after[fallback, symbol]
                waiting.append(child)
            else:
                after[state, symbol] = after[fallback, symbol]
    width = after.shape[1]
    places = (after * width).astype(np.uint32).reshape(-1)
    return Automaton(_fixed(places), _fixed(np.repeat(accepts, width)), _fixed(symbols))


class Table(NamedTuple):
    """Open addressing: `keys`, uint64, 0 if free, length a power of two; `kinds`, uint8, bits of the kinds above."""

    keys: Keys
    kinds: npt.NDArray[np.uint8]


def table(keys: Sequence[Keys], kinds: Sequence[int]) -> Table:
    """A table of `keys[i]`, each of kind `kinds[i]`, at most two thirds full."""
    size = 1 << max(4, (3 * sum(map(len, keys)) // 2).bit_length())
    slots, bits = np.zeros(size, np.uint64), np.zeros(size, np.uint8)
    for some, kind in zip(keys, kinds, strict=True):
        _put(slots, bits, some, kind)
    return Table(_fixed(slots), _fixed(bits))


def _fixed(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


@leaf
def _mixed(state: np.uint64, kind: np.uint64) -> np.uint64:
    """The key of what was hashed to `state`; never 0."""
    state ^= kind
    state = (state ^ (state >> _SHIFT)) * _MIX_1
    state = (state ^ (state >> _SHIFT)) * _MIX_2
    state ^= state >> _SHIFT
    return state if state != _ZERO else _ONE


@leaf
def _put(slots: Keys, bits: Data, keys: Keys, kind: int) -> None:
    mask = np.uint64(len(slots) - 1)
    for key in keys:
        at = key & mask
        while slots[at] != _ZERO and slots[at] != key:
            at = (at + _ONE) & mask
        slots[at] = key
        bits[at] |= kind


@leaf
def _find(slots: Keys, key: np.uint64) -> np.int64:
    """The place of `key`, or -1."""
    mask = np.uint64(len(slots) - 1)
    at = key & mask
    while slots[at] != _ZERO:
        if slots[at] == key:
            return np.int64(at)
        at = (at + _ONE) & mask
    return np.int64(-1)


@leaf
def _lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


@kernel
def keys_of(data: Data, offsets: Offsets, kind: np.uint64) -> Keys:
    """The key of each string as it stands: uint64 [n]. Those of kind HOST are hashed from their end."""
    found = np.empty(len(offsets) - 1, np.uint64)
    for k in range(len(found)):
        start, end = offsets[k], offsets[k + 1]
        state = _BASIS
        for i in range(start, end):
            byte = data[end - 1 - (i - start)] if kind == HOST else data[i]
            state = (state ^ np.uint64(byte)) * _PRIME
        found[k] = _mixed(state, kind)
    return found


@kernel
def needs_respelling(data: Data, offsets: Offsets) -> npt.NDArray[np.bool_]:
    """Addresses that `judge` cannot read as they stand: with other bytes than printable ASCII, `%` or a backslash."""
    found = np.zeros(len(offsets) - 1, np.bool_)
    for k in range(len(found)):
        for i in range(offsets[k], offsets[k + 1]):
            byte = data[i]
            if byte <= 32 or byte >= 127 or byte in (_PERCENT, _BACK):
                found[k] = True
                break
    return found


@leaf
def _authority_start(data: Data, start: int, end: int) -> int:
    """The place behind the scheme and `//`, where there are such."""
    i = start
    while i < end and i - start < _SCHEME_CHARS:
        byte = _lower(data[i])
        if not (97 <= byte <= 122 or (i > start and (48 <= byte <= 57 or byte in (43, 45, 46)))):
            break
        i += 1
    if i > start and i < end and data[i] == _COLON:
        i += 1
    else:
        i = start
    return i + 2 if i + 1 < end and data[i] == _SLASH and data[i + 1] == _SLASH else start


@leaf
def _parts(data: Data, start: int, end: int) -> tuple[int, int, int, int]:
    """Of the address in `data[start:end]`: begin and end of the host, begin of the port with its colon, and its end."""
    host = _authority_start(data, start, end)
    stop = host
    while stop < end and data[stop] != _SLASH and data[stop] != _QUERY and data[stop] != _HASH:
        if data[stop] == _AT:
            host = stop + 1
        stop += 1
    port = host
    if host < stop and data[host] == _OPEN:
        while port < stop and data[port] != _CLOSE:
            port += 1
        host_end = port = port + 1 if port < stop else host
    else:
        while port < stop and data[port] != _COLON:
            port += 1
        host_end = port
    while host_end > host and data[host_end - 1] == _DOT:
        host_end -= 1
    if host_end - host > MAX_HOST_CHARS:
        host = host_end - MAX_HOST_CHARS
        while host < host_end and data[host] != _DOT:
            host += 1
        host = min(host + 1, host_end)
    return host, host_end, port, stop


@leaf
def _page_key(data: Data, parts: tuple[int, int, int, int], end: int) -> np.uint64:
    """The key of what `pipeline.text.url_parts.page_of` gives for a plain address."""
    host, host_end, port, port_end = parts
    state = _BASIS
    www = 0
    while www < 4 and host + www < host_end and _lower(data[host + www]) == _WWW[www]:
        www += 1
    for i in range(host + 4 if www == 4 else host, host_end):
        state = (state ^ np.uint64(_lower(data[i]))) * _PRIME
    if not _is_usual_port(data, port, port_end):
        for i in range(port, port_end):
            state = (state ^ np.uint64(data[i])) * _PRIME
    stop = port_end
    while stop < end and data[stop] != _HASH:
        stop += 1
    while stop > port_end and data[stop - 1] == _SLASH:
        stop -= 1
    for i in range(port_end, stop):
        state = (state ^ np.uint64(data[i])) * _PRIME
    return _mixed(state, PAGE)


@leaf
def _is_usual_port(data: Data, port: int, end: int) -> bool:
    """None, or that of http or https."""
    n = end - port
    if n == 3:
        return bool(data[port + 1] == 56 and data[port + 2] == 48)
    is_https = n == 4 and data[port + 1] == 52 and data[port + 2] == 52 and data[port + 3] == 51
    return bool(n < 2 or is_https)


@leaf
def _is_number(data: Data, host: int, host_end: int) -> bool:
    """Is the last label a number, as of an IP address, which has no domains above it?"""
    i = host_end
    while i > host and 48 <= data[i - 1] <= 57:
        i -= 1
    return bool(i < host_end and (i == host or data[i - 1] == _DOT))


@leaf
def _by_address(data: Data, start: int, end: int, slots: Keys, bits: Data, listed: Keys) -> int:
    """The bits of the hosts and the page that an address names: ALLOW, DENY of its host, SOFT for DENY of the page."""
    parts = _parts(data, start, end)
    host, host_end = parts[0], parts[1]
    found, state = 0, _BASIS
    is_number = _is_number(data, host, host_end)
    for k in range(host_end - host):
        i = host_end - 1 - k
        state = (state ^ np.uint64(_lower(data[i]))) * _PRIME
        if i == host or (data[i - 1] == _DOT and not is_number):
            key = _mixed(state, HOST)
            at = _find(slots, key)
            if at >= 0:
                found |= bits[at]
            if _find(listed, key) >= 0:
                found |= DENY
    if found & HAS_PAGE:
        at = _find(slots, _page_key(data, parts, end))
        if at >= 0:
            found |= ALLOW if bits[at] & ALLOW else SOFT
    return found


@leaf
def _by_words(data: Data, start: int, end: int, slots: Keys, bits: Data, subwords: Automaton, seen: Keys) -> int:
    """The fate's number by the words of `data[start:end]`. Bytes beyond ASCII are letters. `seen`: as many places as
    different soft words deny."""
    after, accepts, symbols = subwords
    is_denied, has_subword, n_soft = False, False, 0
    node, state, in_word = np.uint32(0), _BASIS, False
    for i in range(start, end + 1):
        byte = _lower(data[i]) if i < end else 0
        if byte >= 128 or 97 <= byte <= 122 or 48 <= byte <= 57:
            state = (state ^ np.uint64(byte)) * _PRIME
            in_word = True
            node = after[node + symbols[byte]]
            has_subword |= accepts[node]
        elif in_word:
            key = _mixed(state, WORD)
            at = _find(slots, key)
            if at >= 0:
                is_denied |= bits[at] & DENY != 0
                if bits[at] & SOFT and n_soft < len(seen):
                    is_new = True
                    for k in range(n_soft):
                        is_new = is_new and seen[k] != key
                    if is_new:
                        seen[n_soft] = key
                        n_soft += 1
            state, in_word = _BASIS, False
    if is_denied:
        return 3
    if n_soft == len(seen):
        return 4
    return 5 if has_subword else 0


@kernel
def judge(
    plain: tuple[Data, Offsets],
    words: tuple[Data, Offsets],
    own: Table,
    listed: Keys,
    subwords: Automaton,
    threshold: int,
) -> npt.NDArray[np.uint8]:
    """For each address its place in FATES: uint8 [n].

    Args:
        plain: the addresses, bytes and offsets, none that `needs_respelling`.
        words: the same in letters and digits, decoded, in lower case beyond ASCII; what separates words is ASCII.
        own: keys of all kinds.
        listed: more keys of hosts that are denied, as in `Table`.
        subwords: what no row of letters and digits may hold, whatever separates them.
        threshold: different soft words that deny.
    """
    data, offsets = plain
    text, ends = words
    slots, bits = own
    seen = np.empty(threshold, np.uint64)
    found = np.zeros(len(offsets) - 1, np.uint8)
    for k in range(len(found)):
        here = _by_address(data, offsets[k], offsets[k + 1], slots, bits, listed)
        if here & ALLOW:
            continue
        if here & DENY:
            found[k] = 1
        elif here & SOFT:
            found[k] = 2
        else:
            found[k] = _by_words(text, ends[k], ends[k + 1], slots, bits, subwords, seen)
    return found
