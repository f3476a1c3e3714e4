"""Messages between the extractor and its child: a fixed header of lengths, then UTF-8. Nothing is unpickled."""

import socket
import struct
import time

_LENGTHS = struct.Struct("<5I")
MAX_MESSAGE_BYTES = 1 << 30

Fields = tuple[str, str, str, str, str]
"""A request is (url, page, "", "", ""), a reply (fate, detail, title, text, "last" if the child ends after it)."""


def send(connection: socket.socket, fields: Fields) -> None:
    """Send one message. Raises OSError if the other side is gone, TimeoutError if it does not read."""
    encoded = [field.encode("utf-8", "replace") for field in fields]
    connection.sendall(b"".join([_LENGTHS.pack(*map(len, encoded)), *encoded]))


def receive(connection: socket.socket, deadline: float = float("inf")) -> Fields:
    """The next message, waited for until `deadline` (`time.monotonic`).

    Raises:
        EOFError: if the other side is gone, or sent what is no message.
        TimeoutError: if the message is not complete by the deadline.
    """
    lengths = _LENGTHS.unpack(_exactly(connection, _LENGTHS.size, deadline))
    if sum(lengths) > MAX_MESSAGE_BYTES:
        raise EOFError("not a message")
    raw = _exactly(connection, sum(lengths), deadline)
    fields, start = [], 0
    for length in lengths:
        fields.append(raw[start : start + length].decode("utf-8", "replace"))
        start += length
    return (fields[0], fields[1], fields[2], fields[3], fields[4])


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
