"""The members (gzip members, Zstandard frames) of a compressed archive, and the groups they form: a chain of positions,
the same whatever byte one starts to look from.

A group is a member that inflates to `WARC/`, and the whole members directly behind it that do not: writers may cut a
record, or the whole archive, into members anywhere. The chain of a file is defined from its first byte. At a position
stands either a group whose members inflate to their ends with the right checksums, and the chain goes on behind it; or
something damaged, and the chain goes on at the next member that inflates to `WARC/`.

To enter the chain at any byte, one must not be fooled by an archive that was itself crawled and lies, incompressible,
inside a record. Such bytes stand in the outer stream in blocks of limited size (`Codec.copied_bytes`), with block
headers in between. So a run of whole members of more stored bytes is no copy inside another member, and is part of the
chain.
"""

import io
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.sources.framing import SEARCH_BYTES, Frame, frames
from pipeline.sources.inflate import STEP_BYTES, Codec, Inflater

WINDOW_BYTES = 64 * 1024 * 1024
"""Inflated bytes of one group held at a time; a record whose content is longer is not held at all."""
LOOK_BACK_BYTES = 1024 * 1024
"""How far before a byte the search for an entrance starts; it grows fourfold where records are larger."""
PROBE_BYTES = 16


class Chain:
    """The chain of one file."""

    def __init__(self, file: BinaryIO, codec: Codec) -> None:
        self.file = file
        self._codec = codec
        self._size = file.seek(0, 2)
        self._opened: tuple[int, Inflater, bytes] | None = None
        self._found = (0, -1)  # a position, and what `find` gives for it and for all up to that

    def is_member(self, position: int) -> bool:
        """Whether the header of a member stands at `position`."""
        return self._at(position, len(self._codec.magic)) == self._codec.magic

    def frames(self, position: int) -> tuple["GroupView", Iterator[Frame]]:
        """The inflated bytes of the group at `position`, and its frames, fewer than its stored bytes.

        The limit makes position + number of the frame unique in the file, also for members made to burst.
        """
        view = GroupView(self, position)

        def bounded() -> Iterator[Frame]:
            for number, frame in enumerate(frames(view)):
                if number + 1 >= view.stored_end - position:
                    detail = "more records than stored bytes"
                    yield Frame(frame.position, b"", frame.position, 0, "damaged_bytes", detail)
                    return
                yield frame

        return view, bounded()

    def skippable_end(self, position: int) -> int:
        """The position behind the skippable frame at `position`, as that says; -1 if there is none."""
        n = self._codec.skippable(self._at(position, 8))
        return -1 if n is None else position + n

    def after(self, position: int) -> int:
        """The chain's position after `position`."""
        end = self._whole_end(position)
        if end is not None:
            return end
        n_frames = sum(1 for _ in self.frames(position)[1]) if self.is_member(position) else 0
        return self.find(position + max(1, n_frames))

    def first(self, start: int) -> int:
        """The chain's first position that is not below `start`; the file's size if there is none."""
        back = LOOK_BACK_BYTES
        while True:
            found = self._enter(max(0, start - back), start)
            if found is not None:
                return found
            back *= 4

    def find(self, position: int) -> int:
        """The next member from `position` on that inflates to `WARC/`; the file's size if there is none."""
        low, found = self._found
        if not low <= position <= found:
            found = self._search(position)
            self._found = position, found
        return found

    def _search(self, position: int) -> int:
        magic = self._codec.magic
        while True:
            block = self._at(position, SEARCH_BYTES)
            at = block.find(magic)
            while at >= 0:
                flags = int.from_bytes(block[at + len(magic) : at + len(magic) + 1], "little")
                if not flags & self._codec.reserved and self._is_start_at(position + at):
                    return position + at
                at = block.find(magic, at + 1)
            if len(block) < SEARCH_BYTES:
                return position + len(block)
            position += len(block) - len(magic) + 1

    def _is_start_at(self, position: int) -> bool:
        probe = io.BytesIO(self._at(position, self._codec.probe_bytes))
        return _is_start(self._codec.open(probe, 0).more(PROBE_BYTES))

    def open(self, position: int) -> tuple[Inflater, bytes]:
        """The member at `position` and its first step. A group that ends looks at the next, which keeps what was
        inflated for that look."""
        opened, self._opened = self._opened, None
        if opened and opened[0] == position:
            return opened[1:]
        member = self._codec.open(self.file, position)
        return member, member.more()

    def go_on(self, position: int) -> tuple[Inflater, bytes] | None:
        """The member at `position` and its first step, if it belongs to the group before it."""
        if not self.is_member(position):
            return None
        member, step = self.open(position)
        if _is_start(step) or (member.fault and not step):
            self._opened = (position, member, step)
            return None
        return member, step

    def _at(self, position: int, n: int) -> bytes:
        self.file.seek(position)
        return self.file.read(n)

    def _whole_end(self, position: int) -> int | None:
        """The position behind the group at `position`, if it is whole, or behind the skippable frame there, if what
        follows confirms its length."""
        if not self.is_member(position):
            end = self.skippable_end(position)
            if not position < end <= self._size:
                return None
            is_confirmed = end == self._size or self.is_member(end) or self.skippable_end(end) > 0
            return end if is_confirmed and end <= self.find(position + 1) else None
        view = GroupView(self, position)
        view.drain()
        return None if view.fault else view.stored_end

    def _enter(self, low: int, start: int) -> int | None:
        candidate = 0 if low == 0 else self.find(low)
        while candidate < start or candidate == 0:
            position, trusted, answer = candidate, candidate == 0, None
            while True:
                answer = position if answer is None and position >= start else answer
                trusted = trusted or position - candidate > self._codec.copied_bytes or position >= self._size
                if trusted and answer is not None:
                    return answer
                end = self._whole_end(position)
                if end is None and not trusted:
                    break
                position = self.after(position) if end is None else end
            candidate = self.find(max(position, candidate + 1))
        return None


class GroupView:
    """The inflated bytes of the group at `start` of a file, of which the last `WINDOW_BYTES` at least are held.

    `fault` is "" or says why inflating stopped early; `stored_end` is the stored position behind what was inflated.
    """

    def __init__(self, chain: Chain, start: int) -> None:
        self._chain = chain
        self._member, step = chain.open(start)
        self._held = bytearray(step)
        self._dropped = 0
        self._is_over = False

    @property
    def fault(self) -> str:
        """See the class."""
        return self._member.fault

    @property
    def stored_end(self) -> int:
        """See the class."""
        return self._member.stored_end

    def at(self, position: int, n: int) -> bytes:
        """See `View`. Reads on as far as needed."""
        while position + n > self._dropped + len(self._held) and self._more():
            surplus = min(len(self._held) - WINDOW_BYTES, position - self._dropped)
            if surplus > WINDOW_BYTES:
                del self._held[:surplus]
                self._dropped += surplus
        at = position - self._dropped
        with memoryview(self._held) as held:
            return bytes(held[at : at + n])

    def oldest(self, position: int) -> int:
        """See `View`."""
        return max(position, self._dropped)

    def drain(self) -> None:
        """Inflate to the end, holding nothing."""
        while self._more():
            self._dropped += len(self._held)
            self._held.clear()

    def _more(self) -> bool:
        while not self._is_over:
            step = self._member.more(STEP_BYTES)
            if not step and not self._member.fault and (following := self._chain.go_on(self._member.stored_end)):
                self._member, step = following
                if not step:
                    continue
            self._held += step
            self._is_over = not step
            return bool(step)
        return False


def _is_start(inflated: bytes) -> bool:
    return inflated.lstrip(b"\r\n").startswith(b"WARC/")
