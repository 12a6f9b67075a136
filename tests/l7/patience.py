"""What takes long and must not fail for it: a slow upload, and targets that close what is idle.

Part of run. The long forms take ten minutes; the smoke forms, seconds, go through the same steps.
"""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
import time
from collections import Counter

from services import accepts
from stage import Stage, free_port

# Node closes connections that were idle for 5 s, its default, and may do so while a request is on its way.
# Digests what is uploaded; says on which of its connections a request came.
NODE = """
const crypto = require("crypto");
let connections = 0;
const server = require("http").createServer((request, response) => {
  const hash = crypto.createHash("sha256");
  request.on("data", (data) => hash.update(data));
  request.on("end", () => response.end(hash.digest("hex") + " " + request.socket.number));
});
server.on("connection", (socket) => { socket.number = ++connections; });
server.requestTimeout = 0;
server.listen(+process.argv[1], "127.0.0.1");
"""

# Within these many seconds of silence a client is given up: less than the pauses of the upload in all,
# more than each, even where the machine stands still in one.
IDLE = 10
# Node may close a connection while a request is on its way only if something stood still for about a second:
# that much sooner Pointsman takes no idle connection any more. Requests that took less show that nothing did.
STANDSTILL = 0.5


def node(stage: Stage, more: str = "") -> tuple[int, str]:
    """Pointsman before node: its port, and node's address."""
    target, port = free_port(), free_port()
    child = stage.workspace.start("node", ["node", "-e", NODE, str(target)], None)
    child.wait_until(lambda: accepts("127.0.0.1", target))
    stage.serve("patience", (
        f'[[listener]]\nname = "in"\nbind = "127.0.0.1:{port}"\nprotocol = "http"\nforward = "app"\n{more}'
        f'[[target-group]]\nname = "app"\nprotocol = "http"\ntargets = ["127.0.0.1:{target}"]\n'
        f'[target-group.health-check]\nprotocol = "tcp"\n'
    ))
    return port, f"127.0.0.1:{target}"


def upload(stage: Stage) -> str:
    """A steady upload that takes far longer than any timeout arrives whole: 300 MB in ten minutes."""
    size, seconds, step = (12_000_000, 12, 0.2) if stage.smoke else (300_000_000, 600, 0.5)
    port, _ = node(stage, f'idle-timeout = "{IDLE}s"\n')
    piece = bytes(range(256)) * (int(size * step / seconds) // 256)
    digest, sent, begun = hashlib.sha256(), 0, time.monotonic()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    client.putrequest("POST", "/upload")
    client.putheader("Content-Length", str(size))
    client.endheaders()
    while sent < size:
        part = piece[:size - sent]
        client.send(part)
        digest.update(part)
        sent += len(part)
        # Steady, not as fast as it goes: this is what is checked.
        time.sleep(max(0.0, begun + sent / size * seconds - time.monotonic()))
    answer = client.getresponse()
    said = answer.read().decode().split()
    if answer.status != 200 or said[0] != digest.hexdigest():
        raise AssertionError(f"{sent} bytes were answered {answer.status}: {said}")
    took = time.monotonic() - begun
    return f"{size / 1e6:.0f} MB in {took:.0f} s, idle-timeout {IDLE} s, byte-exact"


class Asker(threading.Thread):
    """Asks again and again, with pauses about as long as node keeps an idle connection."""

    def __init__(self, port: int, pauses: list[float], until: float) -> None:
        super().__init__()
        self.port, self.pauses, self.until = port, pauses, until
        self.statuses: Counter[tuple[str, int | str]] = Counter()
        self.slowest = 0.0

    def run(self) -> None:
        """POST as often as GET: what is not idempotent cannot be tried again once it was written."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        asked = 0
        while (begun := time.monotonic()) < self.until:
            method = "POST" if asked % 2 else "GET"
            try:
                client.request(method, "/")
                answer = client.getresponse()
                answer.read()
                self.statuses[method, answer.status] += 1
            except (OSError, http.client.HTTPException) as error:
                self.statuses[method, type(error).__name__] += 1
                client.close()
            self.slowest = max(self.slowest, time.monotonic() - begun)
            time.sleep(self.pauses[asked % len(self.pauses)])
            asked += 1


def keep_alive(stage: Stage) -> str:
    """Node closes idle connections after 5 s; in ten minutes nobody sees a 502 for it."""
    port, _ = node(stage)
    seconds = 16 if stage.smoke else 600
    until = time.monotonic() + seconds
    askers = [
        Asker(port, [4.9 + 0.01 * (number % 25), 5.0, 4.99 + 0.002 * number], until)
        for number in range(40)
    ]
    for asker in askers:
        asker.start()
        # Apart, so that each finds other connections kept than the one before.
        time.sleep(0.013)
    for asker in askers:
        asker.join()
    statuses = sum((asker.statuses for asker in askers), Counter[tuple[str, int | str]]())
    slowest = max(asker.slowest for asker in askers)
    good = {("GET", 200), ("POST", 200)} | ({("POST", 502)} if slowest > STANDSTILL else set())
    if not {("GET", 200), ("POST", 200)} <= set(statuses) <= good:
        raise AssertionError(f"answers were {dict(statuses)}, the slowest after {slowest:.2f} s")
    said = f"{sum(statuses.values())} requests in {seconds} s, with pauses of about 5 s"
    if lost := statuses["POST", 502]:
        return f"{said}, all 200 but {lost} POST: the machine stood still for {slowest:.1f} s"
    return f"{said}, all 200"
