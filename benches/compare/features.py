"""What `http-full` switches on: rules, cookies and the access log; and whether they are on.

The rules are of the four kinds that people write most, and none holds for what the load asks: each
request is looked at by all of them, and then takes the default action.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from pathlib import Path

RULES = 100
# How long the writer of the log may pause before its last records.
WRITTEN_SECONDS = 10.0

CONDITIONS = (
    'path = "/area{number}/*"',
    'host = "host{number}.example.test"',
    'header = [{{ name = "X-Kind", values = ["kind{number}"] }}]',
    'query = [{{ key = "version", value = "{number}" }}]',
)


def rules() -> str:
    """All rules, as TOML."""
    parts = []
    for number in range(RULES):
        condition = CONDITIONS[number % len(CONDITIONS)].format(number=number)
        parts.append(
            f"[[listener.rule]]\npriority = {number + 1}\n{condition}\n"
            'fixed-response = { status = 404, body = "a rule" }\n'
        )
    return "\n".join(parts)


def status_and_cookies(port: int, path: str) -> tuple[int, list[str]]:
    """What one request got."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get_all("Set-Cookie") or []
    finally:
        connection.close()


def fault(port: int, log: Path) -> str | None:
    """Which of the features is not on, if any; the targets must be healthy soon."""
    last = f"/area{RULES - len(CONDITIONS)}/x"
    if status_and_cookies(port, last)[0] != 404:
        return f"no rule answered {last}"
    status, cookies = status_and_cookies(port, "/")
    if status != 200 or len(cookies) != 1:
        return f"status {status}, cookies {cookies}"
    if unlogged(log, 2):
        return "requests are not logged"
    record = json.loads(log.read_text().splitlines()[-1])
    return None if record["rule"] == "default" else f"record {record}"


def dropped(admin: int) -> int:
    """How many lines found no room, as Pointsman itself counts them: its threads share one CPU here."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    name = "pointsman_access_log_dropped_total"
    return sum(round(float(line.rpartition(" ")[2])) for line in lines if line.startswith(name))


def unlogged(log: Path, requests: int, patience: float = WRITTEN_SECONDS) -> int:
    """How many of so many requests have no line in the log, once those on their way are written."""
    least, deadline = requests + 1, 0.0
    while True:
        missing = requests - log.read_bytes().count(b"\n")
        if missing < least:
            least, deadline = missing, time.monotonic() + patience
        if missing <= 0 or time.monotonic() >= deadline:
            return max(0, missing)
        time.sleep(0.05)
