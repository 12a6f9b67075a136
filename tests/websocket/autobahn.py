"""Autobahn's WebSocket test suite: its fuzzing client and its echo, which run on Python 2.7 only.

Installed from PyPI into the target folder when there is a Python 2.7, which Debian has no more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from stage import ROOT, Child, Skipped, Stage, free_port
from processes import accepts_tcp  # where stage finds it

# With what it needs as it was when it was made; what it names no version of, Python 2.7 has the last of.
PACKAGE = "autobahntestsuite==25.10.1"
# Framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing, and automatic fragmentation.
GROUPS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
# Fewer would mean that it ran something else.
CASES = 247

# The folder is one that pip filled, whose namespace packages only a site folder finds.
#
# Its cases give up after a second or ten what they otherwise get within milliseconds, and then judge what
# came until then: a machine that stands still for so long would look like a server that says nothing. The
# waits that a case is made of (tag A, or none) stay.
PROGRAM = """
import site, sys
site.addsitedir(sys.argv.pop(1))
from autobahntestsuite.fuzzing import FuzzingProtocol
kill, close, later = FuzzingProtocol.killAfter, FuzzingProtocol.closeAfter, FuzzingProtocol.continueLater
FuzzingProtocol.killAfter = lambda self, delay: kill(self, max(delay, PATIENCE))
FuzzingProtocol.closeAfter = lambda self, delay: close(self, max(delay, PATIENCE))
FuzzingProtocol.continueLater = lambda self, delay, then, tag=None: later(
    self, PATIENCE if tag == "B" else delay, then, tag)
from autobahntestsuite.wstest import run
run()
"""

# The suite's own echo, which its command starts in clear text only.
ECHO = """
import site, sys
site.addsitedir(sys.argv[1])
from twisted.internet import reactor, ssl
from autobahn.twisted.websocket import listenWS
from autobahntestsuite.testee import TesteeServerFactory
url, tls = sys.argv[2], sys.argv[3:]
context = ssl.DefaultOpenSSLContextFactory(tls[1], tls[0]) if tls else None
factory = TesteeServerFactory(url)
# Clients name the port that they know, the balancer's.
factory.externalPort = None
factory.setProtocolOptions(openHandshakeTimeout=PATIENCE, closeHandshakeTimeout=PATIENCE)
listenWS(factory, context)
reactor.run()
"""

# Seconds within which something comes on any machine, if it comes at all.
PATIENCE = 60
# Milliseconds that no case takes by itself: it waited for what did not come.
SLOWEST = PATIENCE * 1000

# What a case came to. Octets and times depend on how the bytes were cut on their way.
VERDICT = (
    "behavior", "behaviorClose", "remoteCloseCode", "remoteCloseReason", "wasClean", "rxFrameStats",
    "received",
)


def verdict_of(report: dict[str, Any]) -> tuple[str, ...]:
    """What must be the same every time: where a case leaves open what comes, only that it did so."""
    return VERDICT[:2] if report["behavior"] == "INFORMATIONAL" else VERDICT


def python() -> str:
    """A Python 2.7 that works: on the path, or one of pyenv's."""
    own = sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    for program in (shutil.which("python2.7"), shutil.which("pypy"), *map(str, own)):
        if program is None:
            continue
        if subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            return program
    raise Skipped("Autobahn's test suite needs Python 2.7 (python2.7, pypy, or pyenv's), which is not here")


def installed() -> tuple[str, Path]:
    """The Python that runs it, and the folder it is in."""
    interpreter = python()
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "autobahn"
    whole = folder / "whole"
    if not whole.exists():
        shutil.rmtree(folder, ignore_errors=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--target", str(folder), PACKAGE]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise Skipped(f"{PACKAGE} cannot be installed: {(made.stderr or made.stdout).strip()[-300:]}")
        whole.touch()
    return interpreter, folder


def start(stage: Stage, name: str, program: str, *words: str) -> Child:
    """Starts a program of its Python."""
    interpreter, folder = installed()
    program = f"PATIENCE = {PATIENCE}\n{program}"
    return stage.workspace.start(name, [interpreter, "-c", program, str(folder), *words], None)


def echo(stage: Stage, name: str, *tls: Path) -> int:
    """Starts its echo, over TLS if given a certificate and a key: the port.

    It answers a message before it looks at the next frame, so what it sends back does not depend on how
    the bytes were cut on their way, as it does for servers that read and answer in two tasks.
    """
    port = free_port()
    url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
    child = start(stage, name, ECHO, url, *map(str, tls))
    child.wait_until(lambda: accepts_tcp(port))
    return port


class Fuzzing:
    """A run of the fuzzing client against one URL."""

    def __init__(self, stage: Stage, name: str, url: str) -> None:
        self.name, self.reports = name, stage.workspace.folder(f"reports-{name}")
        specification = self.reports / "specification.json"
        specification.write_text(json.dumps({
            "outdir": str(self.reports), "servers": [{"agent": name, "url": url}],
            "cases": GROUPS, "exclude-cases": [], "exclude-agent-cases": {},
            "options": {
                "openHandshakeTimeout": PATIENCE, "closeHandshakeTimeout": PATIENCE,
                "serverConnectionDropTimeout": PATIENCE,
            },
        }))
        self.child = start(
            stage, f"fuzzing-{name}", PROGRAM, "-m", "fuzzingclient", "-s", str(specification),
        )

    def verdicts(self) -> dict[str, dict[str, Any]]:
        """What every case came to, once all have run."""
        code = self.child.process.wait(timeout=900)
        index = self.reports / "index.json"
        if code != 0 or not index.exists():
            raise AssertionError(f"{self.name}: wstest ended with {code}: {self.child.log.read_text()[-500:]}")
        found: dict[str, dict[str, Any]] = {}
        for case, summary in json.loads(index.read_text())[self.name].items():
            if summary["duration"] >= SLOWEST:
                raise AssertionError(f"{self.name}: case {case} took {summary['duration']} ms")
            report = json.loads((self.reports / summary["reportfile"]).read_text())
            found[case] = {key: report.get(key) for key in verdict_of(report)}
        if len(found) < CASES:
            raise AssertionError(f"{self.name}: {len(found)} cases ran, of {CASES}")
        return found
