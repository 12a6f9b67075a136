"""UDP clients of `run`: one-shot flows, game-like flows; as a program, one question to one address."""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping

MESSAGE = 64
PATIENCE = 2.0
SETTLE = 30.0


def one_shot(port: int, rate: int, seconds: float) -> tuple[int, int]:
    """Opens `rate` sockets a second, each asks once: how many asked, how many heard nothing."""
    epoll = select.epoll()
    waiting: dict[int, tuple[socket.socket, float, bytes]] = {}
    sent = lost = 0
    start = time.monotonic()
    while True:
        now = time.monotonic()
        due = min(int((now - start) * rate), int(seconds * rate))
        for number in range(sent, due):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.setblocking(False)
            client.connect(("127.0.0.1", port))
            message = struct.pack("<Q", number).ljust(MESSAGE, b".")
            client.send(message)
            epoll.register(client, select.EPOLLIN)
            waiting[client.fileno()] = (client, now, message)
        sent = due
        for descriptor, _ in epoll.poll(0.001):
            client, _, message = waiting.pop(descriptor)
            if client.recv(65536) != message:
                lost += 1
            client.close()
        late = [fd for fd, (_, asked, _) in waiting.items() if now - asked > PATIENCE]
        for descriptor in late:
            waiting.pop(descriptor)[0].close()
            lost += 1
        if sent == int(seconds * rate) and not waiting:
            epoll.close()
            return sent, lost


class Game:
    """Flows that send 60 small datagrams a second each and hear them come back."""

    RATE = 60

    def __init__(self, port: int, count: int) -> None:
        self.clients = []
        for _ in range(count):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.setblocking(False)
            client.connect(("127.0.0.1", port))
            self.clients.append(client)
        self.epoll = select.epoll()
        self.numbers = {client.fileno(): number for number, client in enumerate(self.clients)}
        for client in self.clients:
            self.epoll.register(client, select.EPOLLIN)
        self.sent = self.heard = self.disorder = 0
        self.newest = [-1] * count
        self.last_heard = [time.monotonic()] * count
        # Of each flow, the ticks that were not answered yet.
        self.unheard: list[set[int]] = [set() for _ in range(count)]
        self.tick = 0

    @property
    def lost(self) -> int:
        """Datagrams that did not come back."""
        return self.sent - self.heard

    def run(self, seconds: float, events: Mapping[float, Callable[[], None]]) -> None:
        """Plays; each event happens so many seconds after the start."""
        start = time.monotonic()
        pending = sorted(events.items(), key=lambda event: event[0])
        for tick in range(int(seconds * self.RATE)):
            self.tick = tick
            while pending and pending[0][0] <= tick / self.RATE:
                pending.pop(0)[1]()
            for number, client in enumerate(self.clients):
                self.unheard[number].add(tick)
                client.send(struct.pack("<Q", tick).ljust(MESSAGE, b"."))
                self.sent += 1
            self.listen(start + (tick + 1) / self.RATE)
        self.listen(time.monotonic() + 1.0)

    def listen(self, until: float) -> None:
        """Hears answers until then, at least once."""
        while True:
            left = until - time.monotonic()
            for descriptor, _ in self.epoll.poll(max(left, 0.0)):
                self.hear(self.numbers[descriptor])
            if left <= 0:
                return

    def hear(self, number: int) -> None:
        """One answer."""
        try:
            (tick,) = struct.unpack_from("<Q", self.clients[number].recv(65536))
        except BlockingIOError:
            return
        self.heard += 1
        self.unheard[number].discard(tick)
        self.disorder += tick <= self.newest[number]
        self.newest[number] = max(tick, self.newest[number])
        self.last_heard[number] = time.monotonic()

    def settle(self) -> None:
        """Hears everything that was sent, or waits for long."""
        deadline = time.monotonic() + SETTLE
        while any(self.unheard) and time.monotonic() < deadline:
            self.listen(time.monotonic() + 0.01)

    def gaps(self) -> list[tuple[int, int]]:
        """The first and the last tick lost of each flow that lost any; they must be all those between."""
        found = []
        for lost in filter(None, self.unheard):
            first, last = min(lost), max(lost)
            if len(lost) != last - first + 1:
                raise AssertionError(f"a flow lost ticks {sorted(lost)}, not those of one gap")
            found.append((first, last))
        return found

    def silent(self, seconds: float) -> int:
        """Flows that heard nothing in the last `seconds` of play."""
        newest = max(self.last_heard)
        return sum(newest - heard > seconds for heard in self.last_heard)


def ask_one(address: str, port: int) -> None:
    """Asks from a connected socket: an answer from another address would not be heard."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((address, port))
        # The second one is too long for the wire, so that it comes and goes in fragments.
        for message in (b"which of you?", bytes(range(250)) * 36):
            client.send(message)
            if client.recv(65536) != message:
                raise SystemExit("another answer")


if __name__ == "__main__":
    ask_one(sys.argv[1], int(sys.argv[2]))
