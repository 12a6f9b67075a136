"""The threads that send malformed input, each of one kind, at a bounded rate.

Called by the soak. A sender never judges answers: the server may refuse, close or ignore. It only
must not die, grow or disturb `good_traffic`.
"""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from collections.abc import Callable, Sequence

import malformed

# Sends per second and sender: enough to reach every parser thousands of times a minute, too few to
# drown the good traffic on two CPUs.
TCP_RATE = 150
UDP_RATE = 1000
HELD_CONNECTIONS = 100
PATIENCE_SECONDS = 0.05


@dataclass
class BadTraffic:
    """What all senders share."""

    ports: dict[str, int]
    stop: threading.Event
    seed: int
    http_seeds: Sequence[bytes]
    names: Sequence[str]
    sent: Counter[str] = field(default_factory=Counter)

    def threads(self) -> list[threading.Thread]:
        """One thread per kind."""
        senders: dict[str, Callable[[random.Random], None]] = {
            "http noise": self.http_noise,
            "http mutated": self.http_mutated,
            "http held": self.http_held,
            "http/2 frames": self.http2_frames,
            "tcp noise": self.tcp_noise,
            "datagrams": self.datagrams,
            "dns udp": self.dns_udp,
            "dns tcp": self.dns_tcp,
        }
        return [
            threading.Thread(target=sender, args=(random.Random(self.seed + number),), name=kind)
            for number, (kind, sender) in enumerate(senders.items())
        ]

    def count(self, rate: int) -> bool:
        """Counts one send and waits for the next; False when the soak is over."""
        self.sent[threading.current_thread().name] += 1
        return not self.stop.wait(1 / rate)

    def connect(self, rng: random.Random, port: int) -> socket.socket:
        """A connection from an address that only bad traffic has.

        Many addresses: ports of ended connections rest for a minute, one address would run out.
        """
        source = (f"127.0.9.{rng.randint(1, 254)}", 0)
        return socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE_SECONDS, source_address=source
        )

    def talk(self, rng: random.Random, port: int, pieces: Sequence[bytes]) -> None:
        """Sends the pieces and ends the connection in one of the ways clients do."""
        try:
            with self.connect(rng, port) as stream:
                for piece in pieces:
                    stream.sendall(piece)
                ending = rng.randrange(3)
                if ending == 0:
                    stream.shutdown(socket.SHUT_WR)
                if ending != 1:
                    stream.recv(4096)
        except OSError:
            # Refused, reset or silent: all are the server's right.
            return

    def http_noise(self, rng: random.Random) -> None:
        """Bytes that are no HTTP at all."""
        while self.count(TCP_RATE):
            self.talk(rng, self.ports["http"], [malformed.noise(rng, 4000)])

    def http_mutated(self, rng: random.Random) -> None:
        """Broken requests, whole or cut in two."""
        while self.count(TCP_RATE):
            seed = rng.choice(self.http_seeds)
            request = malformed.mutate(rng, seed, malformed.HTTP_TOKENS)
            cut = rng.randint(0, len(request))
            self.talk(rng, self.ports["http"], [request[:cut], request[cut:]])

    def http_held(self, rng: random.Random) -> None:
        """Half requests on connections that stay open until a hundred later ones."""
        held: deque[socket.socket] = deque()
        while self.count(TCP_RATE):
            seed = rng.choice(self.http_seeds)
            try:
                stream = self.connect(rng, self.ports["http"])
            except OSError:
                continue
            held.append(stream)
            try:
                stream.sendall(seed[: rng.randint(0, len(seed))])
            except OSError:
                held.pop().close()
            if len(held) > HELD_CONNECTIONS:
                held.popleft().close()
        for stream in held:
            stream.close()

    def http2_frames(self, rng: random.Random) -> None:
        """A right preface, then frames of any type with flags and payloads by chance."""
        while self.count(TCP_RATE):
            frames = b"".join(malformed.http2_frame(rng) for _ in range(rng.randint(1, 20)))
            cut = rng.randint(0, len(frames))
            pieces = [malformed.HTTP2_PREFACE, frames[:cut], frames[cut:]]
            self.talk(rng, self.ports["http"], pieces)

    def tcp_noise(self, rng: random.Random) -> None:
        """Flows that end in the middle, at the echo and at the endless source."""
        while self.count(TCP_RATE):
            port = self.ports[rng.choice(("tcp", "bulk"))]
            self.talk(rng, port, [malformed.noise(rng, 20_000)])

    def datagrams(self, rng: random.Random) -> None:
        """Noise and broken QUIC from many addresses, at the udp and the quic listener."""
        while self.count(UDP_RATE):
            datagram = malformed.noise(rng, 3000)
            if rng.randrange(2):
                seed = rng.choice(malformed.QUIC_SEEDS)
                datagram = malformed.mutate(rng, seed, malformed.QUIC_TOKENS)
            host = rng.choice(("127.0.0.1", "127.0.0.2"))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind((f"127.0.9.{rng.randint(1, 254)}", 0))
                    udp.sendto(datagram, (host, self.ports["udp"]))
                except OSError:
                    continue

    def dns_udp(self, rng: random.Random) -> None:
        """Packets: noise, broken queries, odd but whole queries."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.9.1", 0))
            while self.count(UDP_RATE):
                try:
                    udp.sendto(self.dns_message(rng), ("127.0.0.1", self.ports["dns"]))
                except OSError:
                    continue

    def dns_tcp(self, rng: random.Random) -> None:
        """Streams of one to five messages, some with a length that lies."""
        while self.count(TCP_RATE):
            messages = (self.dns_message(rng) for _ in range(rng.randint(1, 5)))
            stream = b"".join(malformed.framed(rng, message) for message in messages)
            cut = rng.randint(0, len(stream))
            self.talk(rng, self.ports["dns"], [stream[:cut], stream[cut:]])

    def dns_message(self, rng: random.Random) -> bytes:
        """One message of any quality."""
        quality = rng.randrange(4)
        if quality == 0:
            return malformed.noise(rng, 600)
        query = malformed.dns_query(rng, self.names)
        if quality == 1:
            return query
        return malformed.mutate(rng, query, malformed.DNS_TOKENS)
