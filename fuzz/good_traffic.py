"""The good requests that must all succeed while malformed input comes in.

Called by the soak in a thread of its own, from source addresses that send nothing else.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from dataclasses import dataclass, field

import zones

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.02
KEPT_FAILURES = 10


@dataclass
class GoodTraffic:
    """Sends until stopped; counts what was asked and keeps the first failures."""

    http_port: int
    tcp_port: int
    dns_port: int
    stop: threading.Event
    rng: random.Random
    asked: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    failed: int = 0

    def run(self) -> None:
        """The thread's whole life."""
        kept = self.open_http()
        kinds = {
            "http kept": lambda: self.http(kept),
            "http new": self.http_new,
            "tcp": self.echo,
            "dns udp": self.dns_udp,
            "dns tcp": self.dns_tcp,
        }
        while not self.stop.is_set():
            for kind, request in kinds.items():
                self.asked[kind] = self.asked.get(kind, 0) + 1
                try:
                    wrong = request()
                except (OSError, http.client.HTTPException) as error:
                    wrong = repr(error)
                    kept.close()
                if wrong:
                    self.failed += 1
                    if len(self.failures) < KEPT_FAILURES:
                        self.failures.append(f"{kind}: {wrong}")
            self.stop.wait(PAUSE_SECONDS)
        kept.close()

    def source(self) -> tuple[str, int]:
        """One of many addresses: ports of ended connections rest, one address would run out."""
        return f"127.0.5.{self.rng.randint(1, 254)}", 0

    def open_http(self) -> http.client.HTTPConnection:
        """A connection that connects with its first request."""
        return http.client.HTTPConnection(
            "127.0.0.1", self.http_port, timeout=PATIENCE_SECONDS, source_address=self.source()
        )

    def http(self, connection: http.client.HTTPConnection) -> str | None:
        """One GET; returns what is wrong with its answer."""
        connection.request("GET", "/good")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or body != b"x" * 128:
            return f"status {answer.status}, {len(body)} bytes"
        return None

    def http_new(self) -> str | None:
        """One GET on a connection of its own."""
        connection = self.open_http()
        try:
            return self.http(connection)
        finally:
            connection.close()

    def connect(self, port: int) -> socket.socket:
        """A TCP connection from a good source address."""
        return socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE_SECONDS, source_address=self.source()
        )

    def echo(self) -> str | None:
        """One message through the TCP listener and back."""
        message = self.rng.randbytes(200)
        with self.connect(self.tcp_port) as stream:
            stream.sendall(message)
            heard = receive_exactly(stream, len(message))
        return None if heard == message else "another message came back"

    def dns_udp(self) -> str | None:
        """One static name over UDP."""
        index = self.rng.randrange(zones.STATIC_NAMES)
        query = zones.query_packet(zones.static_name(index), self.rng.getrandbits(16))
        return self.judge(index, zones.exchange(query, self.dns_port, self.source()))

    def dns_tcp(self) -> str | None:
        """One static name over TCP."""
        index = self.rng.randrange(zones.STATIC_NAMES)
        query = zones.query_packet(zones.static_name(index), self.rng.getrandbits(16))
        with self.connect(self.dns_port) as stream:
            stream.sendall(struct.pack("!H", len(query)) + query)
            (length,) = struct.unpack("!H", receive_exactly(stream, 2))
            return self.judge(index, receive_exactly(stream, length))

    def judge(self, index: int, packet: bytes) -> str | None:
        """What is wrong with a nameserver's answer."""
        try:
            found = zones.parse_answer(packet)
        except (IndexError, struct.error):
            return f"cannot be parsed: {packet.hex()}"
        wanted = zones.expected(zones.static_address(index))
        return None if found == wanted else f"{zones.static_name(index)}: {found}"


def receive_exactly(stream: socket.socket, count: int) -> bytes:
    """That many bytes; an early end is an OSError."""
    heard = b""
    while len(heard) < count:
        piece = stream.recv(count - len(heard))
        if not piece:
            raise ConnectionError(f"closed after {len(heard)} of {count} bytes")
        heard += piece
    return heard
