"""A record that fails over, seen through unbound while clients ask 10,000 times a second."""

from __future__ import annotations

import re
import subprocess
import sys
import time

from stage import Child, Stage
from drops import Drops  # where stage finds it

from . import servers
from .servers import OURS, UNBOUND, ask, data, need

PRIMARY, SECONDARY = "198.51.100.1", "198.51.100.2"
PROBED = "192.0.2.80"
# Seconds between probes, probes that decide, and seconds that resolvers keep answers.
INTERVAL, THRESHOLD, TTL = 0.5, 2, 2
# What a busy machine of two CPUs may add to them; in the smoke form any time.
SLACK = 1.5

CONFIG = f"""
[[health-check]]
name = "primary-up"
type = "tcp"
address = "{PROBED}:80"
interval = "500ms"
failure-threshold = {THRESHOLD}
[[zone]]
name = "shop.example"
[[zone.record]]
name = "ns1"
type = "A"
values = ["{OURS}"]
[[zone.record]]
name = "www"
type = "A"
ttl = {TTL}
policy = "failover"
sets = [
  {{ id = "first", failover = "primary", values = ["{PRIMARY}"], health-check = "primary-up" }},
  {{ id = "second", failover = "secondary", values = ["{SECONDARY}"] }},
]
[[zone.record]]
name = "*.plain"
type = "A"
ttl = {TTL}
values = ["198.51.100.7"]
"""

SERVICE = """
import socket, sys
listener = socket.create_server((sys.argv[1], 80))
print("ready", flush=True)
while True:
    listener.accept()[0].close()
"""


def service(stage: Stage, name: str) -> Child:
    """What is probed: accepts connections."""
    child = stage.workspace.start(name, [sys.executable, "-c", SERVICE, PROBED], None)
    child.wait_until(lambda: child.log.read_text() == "ready\n")
    return child


def flip(stage: Stage, wanted: str) -> float:
    """Seconds until a client of unbound is sent to `wanted`."""
    began = time.monotonic()
    bound = servers.PATIENCE if stage.smoke else TTL + INTERVAL * THRESHOLD + SLACK
    while data(ask(UNBOUND, "www.shop.example", "A")) != [wanted]:
        if time.monotonic() > began + bound:
            raise AssertionError(f"clients are not sent to {wanted} within {bound} s")
        time.sleep(0.02)
    return time.monotonic() - began


def check(stage: Stage) -> str:
    """Down and up again under load."""
    need("dnsperf")
    servers.have(PROBED)
    first = service(stage, "first-service")
    admin = servers.pointsman(stage, CONFIG, f'ecs = ["{UNBOUND}"]\n')
    servers.root(stage, {"shop.example.": (OURS,)})
    servers.unbound(stage)
    servers.eventually("the primary serves",
                       lambda: data(ask(UNBOUND, "www.shop.example", "A")) == [PRIMARY])
    queries = stage.workspace.directory / "queries"
    # Every second one is the record; the others run out of the resolver's memory all the time.
    lines = [f"www.shop.example A\nhost{number}.plain.shop.example A\n" for number in range(500)]
    queries.write_text("".join(lines))
    rounds = 1 if stage.smoke else 5
    seconds, rate = str(10 * rounds + 1), "2000" if stage.smoke else "10000"
    # Longer than unbound may need for an answer that says failure.
    command = ["dnsperf", "-s", UNBOUND, "-d", str(queries), "-l", seconds, "-Q", rate, "-c", "8", "-t", "20"]
    drops = Drops()
    load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    down, up = [], []
    for number in range(rounds):
        time.sleep(1.0)
        first.process.kill()
        first.process.wait()
        down.append(flip(stage, SECONDARY))
        first = service(stage, f"service-{number}")
        up.append(flip(stage, PRIMARY))
    said, _ = load.communicate(timeout=600)
    sent = int(found(r"Queries sent:\s+(\d+)", said))
    lost = int(found(r"Queries lost:\s+(\d+)", said))
    reached = float(found(r"second:\s+([0-9.]+)", said))
    good = int(found(r"Response codes:\s+NOERROR (\d+)", said))
    # Unbound drops what is too much for it. An answer that says failure would be ours, unless the kernel
    # dropped what unbound asked for it.
    failed, ours = sent - lost - good, servers.failures_answered(admin)
    if ours or failed > drops.since() or lost > sent / 2:
        raise AssertionError(f"{ours} of our answers say failure; dnsperf says {said.strip()[-700:]}")
    return (f"down seen after {max(down):.1f} s, up after {max(up):.1f} s at most; {sent} queries "
            f"meanwhile ({reached:.0f}/s), {lost} lost, {failed} SERVFAIL")


def found(pattern: str, text: str) -> str:
    """What a pattern finds."""
    match = re.search(pattern, text)
    if not match:
        raise AssertionError(f"dnsperf says {text.strip()[-700:]}")
    return match[1]
