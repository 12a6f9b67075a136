"""How answers end when the target's connection does, with all that happened before Pointsman could look.

Part of run. Pointsman is stopped (SIGSTOP) while a target answers and ends its connection and the client
sends more, and goes on when all of it is with the kernel: no timing decides what it finds.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from frames import DATA, END_HEADERS, HEADERS, RST_STREAM, FrameClient, block, frame
from stage import Stage, free_port

# Only a failure waits so long.
PATIENCE = 60.0

OPEN_ENDED = b"HTTP/1.1 200 OK\r\n\r\n"
REQUEST = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n"


def reset(connection: socket.socket) -> None:
    """Ends a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Paused:
    """A process that does not run."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def __enter__(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        deadline = time.monotonic() + PATIENCE
        while not all(self.states()):
            if time.monotonic() > deadline:
                raise AssertionError("Pointsman does not stop")
            time.sleep(0.001)

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def states(self) -> list[bool]:
        """Of each thread, whether it is stopped."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [(task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks]


def targets(listening: socket.socket, found: list[socket.socket], came: threading.Semaphore) -> None:
    """Takes what connects and says something, which probes do not."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if head_of(connection):
            found.append(connection)
            came.release()
        else:
            connection.close()


def head_of(connection: socket.socket) -> bytes:
    """What comes up to the end of a head; of a probe, nothing."""
    head = b""
    try:
        while b"\r\n\r\n" not in head and (some := connection.recv(65_536)):
            head += some
    except ConnectionResetError:
        return b""
    return head


def read(client: socket.socket) -> tuple[bytes, bool]:
    """All that comes, and whether it ends with a reset."""
    said = b""
    try:
        while some := client.recv(65_536):
            said += some
    except ConnectionResetError:
        return said, True
    return said, False


def cut(target: socket.socket) -> None:
    """Half of an answer that lasts until the end."""
    target.sendall(OPEN_ENDED + b"half")
    reset(target)


def early(target: socket.socket) -> None:
    """A refusal, whole, before the request is."""
    target.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
    reset(target)


def whole(target: socket.socket) -> None:
    """An answer that lasts until the end, which is said."""
    target.sendall(OPEN_ENDED + b"whole")
    target.shutdown(socket.SHUT_WR)


UPGRADE = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
TUNNEL = (
    (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"),
    (":authority", "a.example"), ("sec-websocket-version", "13"),
)


def last_words(pid: int, port: int, next_target: Callable[[], socket.socket]) -> None:
    """What a target says before it resets a tunnel goes before the reset over HTTP/2 too (RFC 8441)."""
    with FrameClient(port, PATIENCE) as client:
        client.send(frame(HEADERS, END_HEADERS, 1, block(TUNNEL)))
        target = next_target()
        target.sendall(UPGRADE)
        while (got := client.read()) is not None and got[0] != HEADERS:
            pass
        if got is None:
            raise AssertionError("no tunnel was opened")
        with Paused(pid):
            target.sendall(b"last words")
            reset(target)
        said = b""
        while (got := client.read()) is not None and got[0] != RST_STREAM:
            said += got[3] if got[0] == DATA else b""
        if got is None or said != b"last words":
            raise AssertionError(f"of a tunnel came {said!r}, then {got!r}")


def endings(stage: Stage) -> str:
    """The target's end and more of the request are both there when Pointsman looks."""
    listening = socket.create_server(("127.0.0.1", 0))
    found: list[socket.socket] = []
    came = threading.Semaphore(0)
    threading.Thread(target=targets, args=(listening, found, came), daemon=True).start()
    port = free_port()
    child, _ = stage.serve("endings", (
        f'[[listener]]\nname = "in"\nbind = "127.0.0.1:{port}"\nprotocol = "http"\nforward = "app"\n'
        f'[[target-group]]\nname = "app"\nprotocol = "http"\n'
        f'targets = ["127.0.0.1:{listening.getsockname()[1]}"]\n'
        f'[target-group.health-check]\nprotocol = "tcp"\n'
    ))
    def next_target() -> socket.socket:
        if not came.acquire(timeout=PATIENCE):
            raise AssertionError("no request came to the target")
        return found[-1]

    cases: list[tuple[Callable[[socket.socket], None], bytes, bytes, bool]] = [
        (cut, b"HTTP/1.1 200 OK", b"half", True),
        (early, b"HTTP/1.1 413 Content Too Large", b"big", False),
        (whole, b"HTTP/1.1 200 OK", b"whole", False),
    ]
    for act, begins, ends, is_reset in cases * 3:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            client.sendall(REQUEST)
            target = next_target()
            with Paused(child.process.pid):
                act(target)
                client.sendall(b"more of it")
            said, was_reset = read(client)
            if was_reset != is_reset or not (said.startswith(begins) or was_reset):
                raise AssertionError(f"{act.__name__}: {said!r}, reset: {was_reset}")
            if not was_reset and not said.endswith(ends):
                raise AssertionError(f"{act.__name__}: {said!r}")
    for _ in range(3):
        last_words(child.process.pid, port, next_target)
    listening.close()
    return f"{len(cases)} ends of a target's connection while the request was still coming, and of tunnels"
