"""A client that writes HTTP/2 frame by frame, so that it can say what no library would.

Used by hygiene/run and websocket/run. Field blocks are literals that no table remembers (RFC 7541
section 6.2.2) unless asked for otherwise; what is answered is read as frames and never decoded but for
statuses.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED, PRIORITY = 1, 4, 8, 32

Fields = Iterable[tuple[str | bytes, str | bytes]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113 section 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def integer(value: int, prefix: int) -> bytes:
    """An integer with a prefix of so many bits, the bits before it 0 (RFC 7541 section 5.1)."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([value])
    rest, out = value - most, bytearray([most])
    while rest >= 128:
        out.append(rest % 128 | 128)
        rest //= 128
    out.append(rest)
    return bytes(out)


def text(value: str | bytes) -> bytes:
    """A string as it is."""
    raw = value.encode("latin-1") if isinstance(value, str) else value
    return integer(len(raw), 7) + raw


def block(fields: Fields, first: int = 0) -> bytes:
    """A field block; `first` is what each field begins with: 0, 0x10 (never indexed), 0x40 (kept)."""
    return b"".join(bytes([first]) + text(name) + text(value) for name, value in fields)


def headers(stream: int, fields: Fields, ends: bool = True, first: int = 0) -> bytes:
    """HEADERS with a whole field block."""
    flags = END_HEADERS | (END_STREAM if ends else 0)
    return frame(HEADERS, flags, stream, block(fields, first))


class FrameClient:
    """A connection by prior knowledge."""

    def __init__(self, port: int, patience: float) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self.held = b""
        # With no table to remember fields in, the peer's statuses are there to be read.
        self.over = not self.send(PREFACE + frame(SETTINGS, 0, 0, bytes([0, 1, 0, 0, 0, 0])))

    def __enter__(self) -> FrameClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """False when the peer has closed."""
        try:
            self.socket.sendall(data)
        except ConnectionError:
            return False
        return True

    def _fill(self, count: int) -> bool:
        while len(self.held) < count:
            try:
                some = self.socket.recv(65536)
            except (ConnectionError, TimeoutError):
                some = b""
            if not some:
                self.over = True
                return False
            self.held += some
        return True

    def read(self) -> tuple[int, int, int, bytes] | None:
        """The next frame: kind, flags, stream, payload; none when the connection is over or silent."""
        if not self._fill(9):
            return None
        size = int.from_bytes(self.held[:3], "big")
        if not self._fill(9 + size):
            return None
        head, payload = self.held[:9], self.held[9:9 + size]
        self.held = self.held[9 + size:]
        stream = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        if head[3] == SETTINGS and not head[4] & 1:
            self.send(frame(SETTINGS, 1, 0))
        return head[3], head[4], stream, payload

    def outcome(self, stream: int) -> str:
        """How a stream ended: a status, `reset` with its code, `goaway` with its code, or `none`."""
        status = "none"
        while (got := self.read()) is not None:
            kind, flags, of, payload = got
            if kind == GOAWAY:
                self.over = True
                return f"goaway {int.from_bytes(payload[4:8], 'big')}"
            if of != stream:
                continue
            if kind == RST_STREAM:
                code = int.from_bytes(payload, "big")
                # NO_ERROR after a whole response asks for no more of the request (section 8.1).
                return status if code == 0 and status != "none" else f"reset {code}"
            if kind == HEADERS and status in ("none", "100"):
                status = status_of(payload)
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return status
        return status


# What the static table has of `:status` (RFC 7541 appendix A).
STATUSES = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}


def status_of(payload: bytes) -> str:
    """`:status`, which comes first: from the static table, or a literal of one of its names."""
    at = 0
    while at < len(payload) and payload[at] & 0xE0 == 0x20:
        # A new size of the table, within one byte or more.
        more = payload[at] & 31 == 31
        at += 1
        while more and at < len(payload):
            more = bool(payload[at] & 128)
            at += 1
    start = payload[at] if at < len(payload) else 0
    if start & 0x80:
        return STATUSES.get(start & 0x7F, "none")
    size = payload[at + 1]
    raw = payload[at + 2:at + 2 + (size & 0x7F)]
    return digits(raw) if size & 0x80 else raw.decode("latin-1")


def digits(raw: bytes) -> str:
    """Digits in Huffman's code (RFC 7541 appendix B): 0 to 2 have five bits, 3 to 9 six."""
    bits = "".join(f"{byte:08b}" for byte in raw)
    said = ""
    while len(said) < 3 and len(bits) >= 5:
        short = int(bits[:5], 2)
        said += str(short if short < 3 else int(bits[:6], 2) - 0x19 + 3)
        bits = bits[5 if short < 3 else 6:]
    return said
