"""Child processes of a comparison: started pinned, measured from /proc, ended by pid.

Every program a comparison runs, peer or Pointsman, target or load, goes through a `Workspace`,
which owns one temporary folder and ends exactly the processes it started.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from collections.abc import Callable

# A machine that others use too may stand still for seconds; what never comes costs only whoever looks at it.
READY_SECONDS = 120.0
END_SECONDS = 5.0
POLL_SECONDS = 0.02
# What a load may take beyond the time that it is told to take.
PATIENCE = 120.0


class CannotRun(Exception):
    """A comparison cannot be set up; the text says why and what to do."""


def cpus() -> tuple[int, int]:
    """The CPU of the measured server and the CPU of load and targets."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise CannotRun("two usable CPUs are needed: one for the server, one for the load")
    return usable[0], usable[1]


class Child:
    """One running program with everything it forked."""

    def __init__(self, name: str, command: list[str], cpu: int | None, log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=None if cpu is None else lambda: os.sched_setaffinity(0, {cpu}),
            )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Returns when `ready` does; a program that ends or takes too long cannot be run."""
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if self.process.poll() is not None:
                raise CannotRun(f"{self.name} ended at start:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise CannotRun(f"{self.name} did not answer in time:\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def log_tail(self) -> str:
        """The end of what the program printed."""
        return self.log.read_text(errors="replace")[-2000:]

    def pids(self) -> list[int]:
        """The program's own process and all its living descendants."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                parent = parent_of(entry)
                if parent is not None:
                    children.setdefault(parent, []).append(int(entry.name))
        found = [self.process.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu_nanoseconds(self) -> int:
        """Time all threads of all its processes ran on a CPU so far (user and system)."""
        total = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                try:
                    total += int((task / "schedstat").read_text().split()[0])
                except (FileNotFoundError, ProcessLookupError):
                    continue
        return total

    def end(self, patience: float = END_SECONDS) -> None:
        """SIGTERM, then SIGKILL for what is left of exactly these processes."""
        if self.process.poll() is not None:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            kill_all(pids)
            self.process.wait()

    def kill(self) -> None:
        """SIGKILL for exactly these processes, at once."""
        kill_all(self.pids())
        self.process.wait()


def kill_all(pids: list[int]) -> None:
    """SIGKILL for those of them that are still there; returns when they have given back what they had.

    Whoever comes after them may want the same port or shared memory, which each holds until it is gone.
    """
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + READY_SECONDS
    while any(runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def parent_of(entry: Path) -> int | None:
    """The parent's pid of a process folder in /proc; None when the process is gone."""
    try:
        after_name = (entry / "stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(after_name.split()[1])


class Workspace:
    """A temporary folder and the children started in it; both end with the `with` block."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pointsman-compare-"))
        # A daemon that changes its user must still reach its files.
        self.directory.chmod(0o755)
        self.children: list[Child] = []

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self.children):
            child.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def folder(self, name: str) -> Path:
        """A folder of its own for one program."""
        path = self.directory / name
        path.mkdir()
        return path

    def start(self, name: str, command: list[str], cpu: int | None) -> Child:
        """Starts a program on one CPU (None: any); it ends with the workspace."""
        child = Child(name, command, cpu, self.directory / f"{name}.log")
        self.children.append(child)
        return child


def run_pinned(command: list[str], cpu: int, seconds: float) -> str:
    """Runs a program to its end on one CPU and returns what it printed."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        check=False,
    )
    if not done.stdout.strip():
        raise CannotRun(f"{command[0]} gave nothing: {done.stderr.strip()}")
    return done.stdout


def accepts_tcp(port: int) -> bool:
    """Whether something accepts connections at 127.0.0.1:port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            return True
    except OSError:
        return False
