"""Messages between the extractor and its child: a fixed header of lengths, then UTF-8. Nothing is unpickled."""

import socket
import struct
import time
from collections.abc import Sequence

_N_FIELDS = struct.Struct("<I")
MAX_FIELDS = 16
MAX_MESSAGE_BYTES = 1 << 30

Fields = tuple[str, ...]
"""A request is (what is wanted, processor seconds, url, page), a reply (fate, detail, text, "last" if the child ends
after it, "slow" if it took long, processor seconds since the last reply, and the fields of PageFacts)."""


def send(connection: socket.socket, fields: Sequence[str | bytes]) -> None:
    """Send one message. Raises OSError if the other side is gone, TimeoutError if it does not read."""
    encoded = [field if isinstance(field, bytes) else field.encode("utf-8", "replace") for field in fields]
    header = struct.pack(f"<{len(encoded) + 1}I", len(encoded), *map(len, encoded))
    connection.sendall(b"".join([header, *encoded]))


def receive(connection: socket.socket, deadline: float = float("inf")) -> Fields:
    """The next message, waited for until `deadline` (`time.monotonic`).

    Raises:
        EOFError: if the other side is gone, or sent what is no message.
        TimeoutError: if the message is not complete by the deadline.
    """
    (n,) = _N_FIELDS.unpack(_exactly(connection, _N_FIELDS.size, deadline))
    if n > MAX_FIELDS:
        raise EOFError("not a message")
    lengths = struct.unpack(f"<{n}I", _exactly(connection, 4 * n, deadline))
    if sum(lengths) > MAX_MESSAGE_BYTES:
        raise EOFError("not a message")
    raw = _exactly(connection, sum(lengths), deadline)
    fields, start = [], 0
    for length in lengths:
        fields.append(raw[start : start + length].decode("utf-8", "replace"))
        start += length
    return tuple(fields)


def _exactly(connection: socket.socket, n: int, deadline: float) -> bytes:
    buffer = bytearray(n)
    view, done = memoryview(buffer), 0
    while done < n:
        if deadline != float("inf"):
            connection.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            got = connection.recv_into(view[done:])
        except ConnectionError as error:
            raise EOFError from error
        if got == 0:
            raise EOFError("the other side is gone")
        done += got
    return bytes(buffer)
