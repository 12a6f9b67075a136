"""Services behind the listeners of `run`: programs that run on an address each, and their clients."""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stage import Child, Skipped, Stage, free_port  # noqa: E402

# Seconds after which what was asked for does not come any more, on any machine.
PATIENCE = 60.0


def accepts(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=10):
            return True
    except OSError:
        return False


class Service:
    """A program on an address of its own, which can be killed and started again."""

    def __init__(self, stage: Stage, name: str, host: str,
                 command: Callable[[str, int], list[str]], port: int | None = None):
        self.stage, self.name, self.host = stage, name, host
        self.port = port or free_port()
        self.command = command(host, self.port)
        self.starts = 0
        self.child = self.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.host}:{self.port}"

    def start(self) -> Child:
        """Starts it, and waits until it accepts."""
        self.starts += 1
        name = f"{self.name}-{self.host}-{self.starts}"
        self.child = self.stage.workspace.start(name, self.command, None)
        self.child.wait_until(lambda: accepts(self.host, self.port))
        return self.child

    def kill(self) -> None:
        """Ends it at once, with all its processes."""
        self.child.kill()


def need(*programs: str) -> None:
    """Skips the check when a program is missing."""
    for program in programs:
        if not shutil.which(program):
            raise Skipped(f"{program} is not installed")


def postgresql() -> Path:
    """The newest installed version's programs (Debian keeps them off the path)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    if not found:
        raise Skipped("postgresql is not installed")
    return found[-1].parent


def as_postgres(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as Debian's `postgres`."""
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam("postgres")
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", *identity, *command]


def make_database(stage: Stage, programs: Path, name: str) -> Path:
    """A cluster with pgbench's tables."""
    folder = stage.workspace.folder(name)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    command = [str(programs / "initdb"), "-A", "trust", "-U", "tester", "--no-sync", "-D", str(data)]
    subprocess.run(as_postgres(command), check=True, capture_output=True, cwd=folder)
    return data


def serve_database(programs: Path, data: Path) -> Callable[[str, int], list[str]]:
    """The command that serves a cluster on an address."""
    def command(host: str, port: int) -> list[str]:
        options = ["-h", host, "-p", str(port), "-k", "", "-c", "fsync=off"]
        return as_postgres([str(programs / "postgres"), "-D", str(data), *options])
    return command


GREETER = """
import socket, sys, threading
name = sys.argv[1]
server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=256)
def serve(client):
    with client:
        client.sendall(b"hello, this is " + name.encode() + b"\\n")
        said = client.makefile("rb").readline()
        client.sendall(said)
while True:
    client, _ = server.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"""


def greeter(host: str, port: int) -> list[str]:
    """A service whose server speaks first."""
    return [sys.executable, "-c", GREETER, host, str(port)]


def mail_server(host: str, port: int) -> list[str]:
    """An SMTP server. Debian's own Python has aiosmtpd."""
    handler = "aiosmtpd.handlers.Sink"
    return ["/usr/bin/python3", "-m", "aiosmtpd", "-n", "-c", handler, "-l", f"{host}:{port}"]


class Crowd:
    """Clients that repeat a conversation of their own until they are told to end."""

    def __init__(self, count: int, converse: Callable[[], None]) -> None:
        self.done = 0
        self.errors: list[str] = []
        self.ending = threading.Event()
        self.converse = converse
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self) -> None:
        """One client."""
        while not self.ending.is_set():
            try:
                self.converse()
            except Exception as error:  # noqa: BLE001 whatever a client meets is what is looked for
                with self.lock:
                    self.errors.append(f"{type(error).__name__}: {error}")
                return
            with self.lock:
                self.done += 1

    def end(self) -> int:
        """Ends them: conversations they had; fails on any error."""
        self.ending.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise AssertionError(f"{len(self.errors)} clients failed, one with {self.errors[0]}")
        return self.done


def be_greeted(port: int) -> None:
    """Waits for the greeting before it says a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        lines = client.makefile("rb")
        greeting = lines.readline()
        if not greeting.startswith(b"hello, this is 127."):
            raise AssertionError(f"greeted by {greeting!r}")
        client.sendall(b"thank you\n")
        if lines.readline() != b"thank you\n":
            raise AssertionError("the echo is wrong")


def send_mail(port: int) -> None:
    """One message, of more than one segment."""
    body = "Subject: signals\r\n\r\n" + "all tracks are clear\r\n" * 200
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
        refused = client.sendmail("from@example.test", ["to@example.test"], body)
        if refused:
            raise AssertionError(f"refused: {refused}")


HOLDER = """
import select, socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=1024)
server.setblocking(False)
epoll, clients = select.epoll(), {}
epoll.register(server, select.EPOLLIN)
while True:
    for descriptor, _ in epoll.poll():
        if descriptor == server.fileno():
            client, _ = server.accept()
            clients[client.fileno()] = client
            epoll.register(client, select.EPOLLIN)
            continue
        try:
            said = clients[descriptor].recv(100)
            clients[descriptor].sendall(said)
        except ConnectionError:
            said = b""
        if not said:
            clients.pop(descriptor).close()
"""


def holder(host: str, port: int) -> list[str]:
    """An echo that holds any number of connections."""
    return [sys.executable, "-c", HOLDER, host, str(port)]


class Holders:
    """Connections that have said a word and are silent."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.clients: list[socket.socket] = []

    def open(self, count: int) -> None:
        """Opens so many more."""
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            client.sendall(b"hold the line")
            if client.recv(100) != b"hold the line":
                raise AssertionError("the echo is wrong")
            self.clients.append(client)

    def speak(self) -> int:
        """How many of them still carry a word."""
        return sum(self.carries(client) for client in self.clients)

    @staticmethod
    def carries(client: socket.socket) -> bool:
        """Whether a word comes back."""
        try:
            client.sendall(b"still there?")
            return client.recv(100) == b"still there?"
        except ConnectionError:
            return False

    def close(self) -> None:
        """Closes all."""
        for client in self.clients:
            client.close()
