"""The programs that are compared: how each is started from its template in `peers/`.

A contender turns a `Scene` (what to balance over, which zones to serve) into a running server with
known ports. Nothing here measures; nothing here knows a workload.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from string import Template
from collections.abc import Callable, Mapping

import features
import zones
from ports import free_port
from processes import CannotRun, Child, accepts_tcp
from scene import Scene

PEERS = Path(__file__).parent / "peers"
# Datagrams may be lost, and a machine may stand still.
ECHO_ATTEMPTS = 60
NGINX_STREAM_MODULES = (
    Path("/usr/lib/nginx/modules/ngx_stream_module.so"),
    Path("/usr/lib64/nginx/modules/ngx_stream_module.so"),
)


class PercentTemplate(Template):
    """`%{name}`: nginx and gdnsd have their own use for the dollar sign."""

    delimiter = "%"


@dataclass(frozen=True)
class Server:
    """A running contender and its port per role: http, h2, tcp, bulk, udp, tls, tls_bulk, dns."""

    name: str
    child: Child
    ports: Mapping[str, int]
    # Where it writes a line for each request, if it does.
    access_log: Path | None = None


@dataclass(frozen=True)
class Contender:
    """A program that can take part, and the roles it can play."""

    name: str
    program: str
    roles: frozenset[str]
    version_flags: tuple[str, ...]
    start: Callable[[Scene], Server]

    def missing(self) -> str | None:
        """What stands in the way of running it, if anything."""
        return None if shutil.which(self.program) else f"{self.program} is not installed"

    def version(self) -> str:
        """The program's own words about its version."""
        done = subprocess.run(
            [self.program, *self.version_flags], capture_output=True, text=True, check=False
        )
        lines = (done.stdout + done.stderr).strip().splitlines()
        numbered = [line for line in lines if re.search(r"\d+\.\d+", line)]
        return (numbered or lines or ["unknown"])[0].strip()


def launch(
    scene: Scene,
    name: str,
    template: Path,
    command: Callable[[Path], list[str]],
    roles: tuple[str, ...],
    extra: Mapping[str, object],
) -> Server:
    """Writes the configuration into a folder of its own, starts the program, waits for it."""
    folder = scene.workspace.folder(name)
    ports = {role: free_port() for role in roles}
    config = folder / ("config" if name == "gdnsd" else template.name)
    values = {
        "directory": folder,
        "zones": scene.zones,
        "static_zone": zones.STATIC_ZONE,
        "certificate": scene.certificate,
    }
    text = PercentTemplate(template.read_text()).substitute({**values, **ports, **extra})
    config.write_text(text)
    child = scene.workspace.start(name, command(config), scene.server_cpu)
    child.wait_until(lambda: all(answers(role, port) for role, port in ports.items()))
    return Server(name, child, ports)


def answers(role: str, port: int) -> bool:
    """Whether a server plays its role already."""
    if role == "udp":
        return wrong_datagram_echo(port) is None
    if role != "dns":
        return accepts_tcp(port)
    try:
        return zones.ask(port, zones.static_name(0)).rcode == 0
    except OSError:
        return False


def wrong_datagram_echo(port: int) -> str | None:
    """What is wrong with a UDP listener before an echo, if anything."""
    message = bytes(range(128))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect(("127.0.0.1", port))
        for _ in range(ECHO_ATTEMPTS):
            try:
                client.send(message)
                heard = client.recv(65536)
            except TimeoutError:
                continue
            except OSError as error:
                return repr(error)
            return None if heard == message else "another message came back"
    return f"no answer to {ECHO_ATTEMPTS} messages"


def start_nginx(scene: Scene) -> Server:
    """nginx as it comes from Debian, with the stream module."""
    modules = [path for path in NGINX_STREAM_MODULES if path.exists()]
    if not modules:
        raise CannotRun("nginx has no stream module: install libnginx-mod-stream")
    lists = {
        f"{kind}_targets": " ".join(f"server {address};" for address in addresses)
        for kind, addresses in scene.targets.items()
    }
    return launch(
        scene,
        "nginx",
        PEERS / "nginx.conf",
        lambda config: ["nginx", "-c", str(config), "-p", str(config.parent)],
        ("http", "h2", "tcp", "bulk", "udp", "tls", "tls_bulk"),
        {"module": modules[0], **lists},
    )


def start_haproxy(scene: Scene) -> Server:
    """HAProxy as one process in the foreground."""
    lists = {
        f"{kind}_targets": "\n    ".join(
            f"server t{index} {address}" for index, address in enumerate(addresses)
        )
        for kind, addresses in scene.targets.items()
    }
    return launch(
        scene,
        "haproxy",
        PEERS / "haproxy.cfg",
        lambda config: ["haproxy", "-q", "-db", "-f", str(config)],
        ("http", "h2", "tcp", "bulk", "tls", "tls_bulk"),
        lists,
    )


def start_gdnsd(scene: Scene) -> Server:
    """gdnsd with the static zone and, through its plugins, the weighted and located ones."""
    folder = scene.workspace.directory / "gdnsd"

    def command(config: Path) -> list[str]:
        (folder / "zones").symlink_to(scene.gdnsd_zones)
        return ["gdnsd", "-c", str(config.parent), "start"]

    weights = {
        "blue": zones.BLUE[0],
        "blue_weight": zones.BLUE[1],
        "green": zones.GREEN[0],
        "green_weight": zones.GREEN[1],
        **zones.gdnsd_places(),
    }
    return launch(scene, "gdnsd", PEERS / "gdnsd.conf", command, ("dns",), weights)


def start_nsd(scene: Scene) -> Server:
    """NSD in the foreground."""

    def command(config: Path) -> list[str]:
        return ["nsd", "-d", "-c", str(config)]

    return launch(scene, "nsd", PEERS / "nsd.conf", command, ("dns",), {})


def start_knot(scene: Scene) -> Server:
    """Knot DNS in the foreground."""

    def command(config: Path) -> list[str]:
        return ["knotd", "-c", str(config)]

    return launch(scene, "knot", PEERS / "knot.conf", command, ("dns",), {})


def start_pointsman(
    scene: Scene, program: str, template: Path = PEERS / "pointsman.toml"
) -> Server:
    """Pointsman with every plane on, in one process; the port `admin` is its own."""
    lists = {
        f"{kind}_targets": ", ".join(f'"{address}"' for address in addresses)
        for kind, addresses in scene.targets.items()
    }
    extra = {
        "weighted_zone": zones.WEIGHTED_ZONE,
        "weighted_records": zones.weighted_records(),
        "tree_zone": zones.TREE_ZONE,
        "tree_records": zones.tree_records(),
        "located_zone": zones.LOCATED_ZONE,
        "located_records": zones.located_records(),
        "network_tables": zones.network_tables(),
    }
    return launch(
        scene,
        "pointsman",
        template,
        lambda config: [program, "run", "-c", str(config)],
        ("http", "h2", "tcp", "bulk", "udp", "tls", "tls_bulk", "dns", "admin"),
        {**lists, **extra},
    )


BALANCES = frozenset({"http", "h2", "tcp", "bulk", "tls", "tls_bulk"})


def pointsman(program: str) -> Contender:
    """The contender that is compared with all others."""
    return Contender(
        "pointsman",
        program,
        BALANCES | {"udp", "dns", "weighted", "located", "features"},
        ("version",),
        lambda scene: start_pointsman(scene, program),
    )


def start_full(scene: Scene, program: str) -> Server:
    """Pointsman with rules, a cookie for each client and an access log."""
    targets = ", ".join(f'"{address}"' for address in scene.targets["http"])
    server = launch(
        scene,
        "full",
        PEERS / "pointsman-full.toml",
        lambda config: [program, "run", "-c", str(config)],
        ("http", "admin"),
        {"http_targets": targets, "rules": features.rules()},
    )
    log = scene.workspace.directory / "full" / "access.log"
    if fault := features.fault(server.ports["http"], log):
        raise CannotRun(f"full: {fault}")
    return dataclasses.replace(server, access_log=log)


def full(program: str) -> Contender:
    """The contender that is compared with Pointsman bare."""
    return Contender(
        "full",
        program,
        frozenset({"features"}),
        ("version",),
        lambda scene: start_full(scene, program),
    )


PEER_CONTENDERS = (
    Contender("nginx", "nginx", BALANCES | {"udp"}, ("-v",), start_nginx),
    Contender("haproxy", "haproxy", BALANCES, ("-v",), start_haproxy),
    Contender("gdnsd", "gdnsd", frozenset({"dns", "weighted", "located"}), ("-?",), start_gdnsd),
    Contender("nsd", "nsd", frozenset({"dns"}), ("-v",), start_nsd),
    Contender("knot", "knotd", frozenset({"dns"}), ("-V",), start_knot),
)
