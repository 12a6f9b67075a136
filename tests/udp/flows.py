"""UDP clients of `run`: one-shot flows, game-like flows; as a program, one question to one address."""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping

MESSAGE = 64
# Seconds after which an answer does not come any more, on any machine.
PATIENCE = 30.0
SETTLE = 30.0
# Who stood still catches up, but sends no more than a queue of the kernel's default size holds.
WINDOW = 128
# Answers on their way are waited for so long before more is sent; what was lost is never answered.
PAUSE = 1.0


def one_shot(port: int, rate: int, seconds: float) -> tuple[int, int]:
    """Opens `rate` sockets a second, each asks once: how many asked, how many heard nothing."""
    epoll = select.epoll()
    waiting: dict[int, tuple[socket.socket, float, bytes]] = {}
    sent = lost = 0
    start = time.monotonic()
    while True:
        now = time.monotonic()
        due = min(int((now - start) * rate), int(seconds * rate), sent + WINDOW - len(waiting))
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
            self.catch_up()
            for number, client in enumerate(self.clients):
                self.unheard[number].add(tick)
                client.send(struct.pack("<Q", tick).ljust(MESSAGE, b"."))
                self.sent += 1
            self.listen(start + (tick + 1) / self.RATE)
        self.settle()

    def under_way(self) -> int:
        """Datagrams that may still be answered: those behind the newest one heard of each flow."""
        return sum(len([tick for tick in lost if tick > newest])
                   for lost, newest in zip(self.unheard, self.newest))

    def catch_up(self) -> None:
        """Waits while too much is under way."""
        deadline = time.monotonic() + PAUSE
        while self.under_way() + len(self.clients) > max(WINDOW, len(self.clients)) \
                and time.monotonic() < deadline:
            self.listen(time.monotonic() + 0.001)

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

    def settle(self) -> None:
        """Hears all that may still come, or waits for long."""
        deadline = time.monotonic() + SETTLE
        while self.under_way() and time.monotonic() < deadline:
            self.listen(time.monotonic() + 0.01)

    def gaps(self) -> list[list[tuple[int, int]]]:
        """Of each flow that lost any, the gaps: first and last tick of each."""
        found = []
        for lost in filter(None, self.unheard):
            gaps: list[tuple[int, int]] = []
            for tick in sorted(lost):
                if gaps and gaps[-1][1] == tick - 1:
                    gaps[-1] = (gaps[-1][0], tick)
                else:
                    gaps.append((tick, tick))
            found.append(gaps)
        return found

    def silent(self) -> int:
        """Flows that did not hear the last that they sent."""
        return sum(newest < self.tick for newest in self.newest)


def ask_one(address: str, port: int) -> None:
    """Asks from a connected socket: an answer from another address would not be heard."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect((address, port))
        # The second one is too long for the wire, so that it comes and goes in fragments.
        for message in (b"which of you?", bytes(range(250)) * 36):
            client.send(message)
            if client.recv(65536) != message:
                raise SystemExit("another answer")


if __name__ == "__main__":
    ask_one(sys.argv[1], int(sys.argv[2]))
