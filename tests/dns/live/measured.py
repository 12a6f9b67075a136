"""Measured round-trip times: a longer path to one network changes where its clients are sent."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import dns.edns

from stage import Skipped, Stage, free_port

from . import servers
from .path import CLIENTS, Path
from .servers import OURS, ask, data

OWN, OTHER = "198.51.100.1", "198.51.100.2"
FAR, NEAR = CLIENTS

# Expected times so far apart that no machine is too busy to measure which is which.
CONFIG = """
[[latency]]
country = "DE"
regions = { "eu-central-1" = 10, "eu-west-1" = 150 }
[[network]]
name = "clients"
cidrs = ["203.0.112.0/20"]
country = "DE"
[[zone]]
name = "shop.example"
[[zone.record]]
name = "www"
type = "A"
policy = "latency"
sets = [
  { id = "own", region = "eu-central-1", values = ["198.51.100.1"] },
  { id = "other", region = "eu-west-1", values = ["198.51.100.2"] },
]
[[listener]]
name = "web"
bind = "192.0.2.53:PORT"
protocol = "http"
fixed-response = { status = 200, body = "here" }
"""


class Scene:
    """Pointsman and the path to its clients."""

    def __init__(self, stage: Stage, path: Path) -> None:
        self.stage, self.path, self.port = stage, path, free_port()
        settings = (f'ecs = ["{OURS}"]\n'
                    'measured-latency = { region = "eu-central-1", min-samples = 4 }\n')
        self.admin = servers.pointsman(stage, CONFIG.replace("PORT", str(self.port)), settings)

    def connect(self, client: str, count: int, at_once: int = 1) -> None:
        """Connections of a client, so many at a time."""
        self.path.connect(client, OURS, self.port, count, at_once)

    def sent_to(self, client: str) -> str:
        """Where DNS sends a client, told by a resolver."""
        option = dns.edns.ECSOption(client, 24)
        return data(ask(OURS, "www.shop.example", "A", OURS, [option]))[0]

    def latencies(self, *words: str) -> str:
        """What `pointsman latencies` prints."""
        admin = f"http://127.0.0.1:{self.admin}"
        command = [str(self.stage.pointsman), "latencies", *words, "--admin", admin]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def known(self, client: str) -> dict[str, Any]:
        """What is known of a client's network; empty when nothing is."""
        network = client.rsplit(".", 1)[0] + ".0/24"
        found = [one for one in json.loads(self.latencies("--json")) if one["network"] == network]
        return found[0] if found else {}


def check(stage: Stage) -> str:
    """400 ms more, another connection, and as it was before."""
    if not os.path.exists("/dev/net/tun"):
        raise Skipped("there are no TUN devices here")
    with Path() as path:
        scene = Scene(stage, path)
        if [scene.sent_to(client) for client in CLIENTS] != [OWN, OWN]:
            raise AssertionError("clients in Germany are not sent to eu-central-1")
        # 200 ms each way for one network: 400 for a round trip.
        path.delay(FAR, 0.2)
        scene.connect(FAR, 60, at_once=10)
        scene.connect(NEAR, 60)
        servers.eventually("the far network is sent elsewhere", lambda: scene.sent_to(FAR) == OTHER)
        if scene.sent_to(NEAR) != OWN:
            raise AssertionError("the near network is sent elsewhere, too")
        servers.eventually("both networks are shown with all their connections", lambda: all(
            scene.known(client).get("samples") == 60 for client in CLIENTS))
        far, near = scene.known(FAR), scene.known(NEAR)
        if far["rtt-ms"] < 390 or far["rtt-ms"] < 2 * near["rtt-ms"]:
            raise AssertionError(f"measured {far} and {near}")
        # One connection by a better path is not news: what is told stays as it is.
        path.delay(FAR, 0.15)
        before, samples = far["used-ms"], far["samples"]
        scene.connect(FAR, 1)
        servers.eventually("it was counted", lambda: scene.known(FAR)["samples"] > samples)
        if scene.known(FAR)["used-ms"] != before or scene.sent_to(FAR) != OTHER:
            raise AssertionError(f"one connection changed {far} to {scene.known(FAR)}")
        exported = scene.latencies("--export")
        check_export(stage, exported)
        # They all come by the best path.
        path.delay(FAR, 0.0)
        scene.connect(FAR, 60)
        servers.eventually("the network is sent back", lambda: scene.sent_to(FAR) == OWN)
        return (f"{far['rtt-ms']} ms measured for one network and {near['rtt-ms']} for another: one "
                f"answer changed, one connection did not change it back, 60 did")


def check_export(stage: Stage, exported: str) -> None:
    """What is exported is configuration that can be served."""
    if exported.count("[[latency]]") != 2:
        raise AssertionError(f"exported: {exported}")
    file = stage.workspace.directory / "exported.toml"
    config = '[dns]\nbind = "127.0.0.1:0"\n[[zone]]\nname = "shop.example"\n'
    file.write_text(config + exported)
    command = [str(stage.pointsman), "check", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"check says {done.stdout}{done.stderr}")
