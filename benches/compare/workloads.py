"""The workloads: what the load does, in which unit the cost is given, what a right answer is.

A workload names the role a contender must play; `rounds` runs it against each that can.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from collections.abc import Callable, Mapping

import features
import http2
import zones
from contenders import Server, wrong_datagram_echo
from processes import PATIENCE, run_pinned

GIB = 1 << 30


@dataclass(frozen=True)
class Workload:
    """One kind of work."""

    name: str
    title: str
    role: str
    port: str
    unit: str
    command: tuple[str, ...]
    wrong_answer: Callable[[int], str | None]
    costs_per_gib: bool = False
    # Whose figures the ratio is of; all others are its peers.
    ours: str = "pointsman"


@dataclass(frozen=True)
class Sample:
    """One contender, one round, one workload."""

    cost: float
    rate: float
    p50_us: float
    p99_us: float
    busy: float
    failures: int
    first_failure: str | None
    # Requests without a line in the access log, where there is one.
    unlogged: int = 0


@dataclass(frozen=True)
class Bench:
    """Where the load comes from."""

    programs: Path
    names: Mapping[str, Path]
    load_cpu: int

    def load(self, workload: Workload, port: int, seconds: float) -> dict[str, Any]:
        """Runs the generator once and returns its JSON."""
        program, *arguments = workload.command
        if program == "h2load":
            return http2.load(arguments, port, self.load_cpu, seconds)
        command = [str(self.programs / program), *arguments, f"127.0.0.1:{port}"]
        command += ["--seconds", str(seconds)]
        if program == "dnsload":
            command += ["--names", str(self.names[workload.name])]
        result: dict[str, Any] = json.loads(run_pinned(command, self.load_cpu, seconds + PATIENCE))
        return result

    def measure(
        self, workload: Workload, server: Server, seconds: float, warm_up: float
    ) -> Sample:
        """A warm-up, then one measured run with the server's CPU time around it."""
        port = server.ports[workload.port]
        if warm_up > 0:
            self.load(workload, port, warm_up)
        if server.access_log:
            os.truncate(server.access_log, 0)
        before = server.child.cpu_nanoseconds()
        result = self.load(workload, port, seconds)
        spent = (server.child.cpu_nanoseconds() - before) / 1e9
        length = result["seconds"]
        if workload.costs_per_gib:
            amount = result["bytes"] / GIB
            cost = spent / amount if amount else float("inf")
        else:
            amount = result["requests"]
            cost = spent * 1e6 / amount if amount else float("inf")
        unlogged = features.unlogged(server.access_log, amount) if server.access_log else 0
        return Sample(
            cost=cost,
            rate=amount / length,
            p50_us=result["p50_us"],
            p99_us=result["p99_us"],
            busy=spent / length,
            failures=result["failures"],
            first_failure=result["first_failure"],
            unlogged=unlogged,
        )


def wrong_http_answer(port: int) -> str | None:
    """What is wrong with an HTTP listener's answer, if anything."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for _ in range(4):
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or body != b"x" * 128:
                return f"status {answer.status}, {len(body)} bytes"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
    return None


def unverified() -> ssl.SSLContext:
    """TLS that takes the scene's self-signed certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def wrong_https_answer(port: int) -> str | None:
    """What is wrong with an HTTPS listener's answer, if anything."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=unverified())
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
    right = answer.status == 200 and body == b"x" * 128
    return None if right else f"status {answer.status}, {len(body)} bytes"


def wrong_tls_source(port: int) -> str | None:
    """What is wrong with a TLS listener before a source of zeros, if anything."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stream:
            with unverified().wrap_socket(stream) as inside:
                heard = inside.recv(4096)
    except OSError as error:
        return repr(error)
    return None if heard and not heard.strip(b"\0") else f"{len(heard)} bytes, not all zero"


def wrong_echo(port: int) -> str | None:
    """What is wrong with a TCP listener before an echo, if anything."""
    message = bytes(range(128))
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stream:
            stream.sendall(message)
            heard = b""
            while len(heard) < len(message):
                piece = stream.recv(4096)
                if not piece:
                    return f"closed after {len(heard)} bytes"
                heard += piece
    except OSError as error:
        return repr(error)
    return None if heard == message else "another message came back"


def wrong_source(port: int) -> str | None:
    """What is wrong with a TCP listener before a source of zeros, if anything."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stream:
            heard = stream.recv(4096)
    except OSError as error:
        return repr(error)
    return None if heard and not heard.strip(b"\0") else f"{len(heard)} bytes, not all zero"


WORKLOADS = (
    Workload(
        "http",
        "HTTP/1.1 keep-alive, 64 connections, 128 B",
        "http",
        "http",
        "us/request",
        ("load", "http"),
        wrong_http_answer,
    ),
    Workload(
        "http-close",
        "HTTP/1.1, a new connection for each request",
        "http",
        "http",
        "us/request",
        ("load", "http-close"),
        wrong_http_answer,
    ),
    Workload(
        "http-full",
        "HTTP/1.1 keep-alive, rules, cookies and access log on; clients that keep cookies",
        "features",
        "http",
        "us/request",
        ("load", "http-cookies"),
        wrong_http_answer,
        ours="full",
    ),
    Workload(
        "http-full-new",
        "the same, each request by a client without a cookie",
        "features",
        "http",
        "us/request",
        ("load", "http"),
        wrong_http_answer,
        ours="full",
    ),
    Workload(
        "http2",
        "HTTP/2 over TLS, 16 connections of 16 streams, 128 B",
        "h2",
        "h2",
        "us/request",
        ("h2load", "-c", "16", "-m", "16"),
        http2.wrong_answer,
    ),
    Workload(
        "tcp",
        "TCP, messages of 128 B, 64 connections",
        "tcp",
        "tcp",
        "us/message",
        ("load", "messages"),
        wrong_echo,
    ),
    Workload(
        "tcp-bulk",
        "TCP bulk, 4 connections",
        "bulk",
        "bulk",
        "CPU s/GiB",
        ("load", "bulk", "--connections", "4"),
        wrong_source,
        costs_per_gib=True,
    ),
    Workload(
        "tls-full",
        "TLS 1.3, a handshake in full for each request",
        "tls",
        "tls",
        "us/handshake",
        ("tlsload", "full"),
        wrong_https_answer,
    ),
    Workload(
        "tls-resumed",
        "TLS 1.3, a resumed handshake for each request",
        "tls",
        "tls",
        "us/handshake",
        ("tlsload", "resumed"),
        wrong_https_answer,
    ),
    Workload(
        "tls-bulk",
        "TLS 1.3 bulk, 4 connections",
        "tls_bulk",
        "tls_bulk",
        "CPU s/GiB",
        ("tlsload", "bulk", "--connections", "4"),
        wrong_tls_source,
        costs_per_gib=True,
    ),
    Workload(
        "udp",
        "UDP, messages of 128 B, 64 flows",
        "udp",
        "udp",
        "us/message",
        ("load", "datagrams"),
        wrong_datagram_echo,
    ),
    Workload(
        "dns",
        "DNS over UDP, 10,000 static names",
        "dns",
        "dns",
        "us/query",
        ("dnsload",),
        zones.wrong_static_answer,
    ),
    Workload(
        "dns-missing",
        "DNS over UDP, random names that are not there",
        "dns",
        "dns",
        "us/query",
        ("dnsload", "--missing"),
        zones.wrong_missing_answer,
    ),
    Workload(
        "dns-weighted",
        "DNS over UDP, weighted answers",
        "weighted",
        "dns",
        "us/query",
        ("dnsload",),
        zones.wrong_weighted_answer,
    ),
    Workload(
        "dns-tree",
        "DNS over UDP, weighted answers behind three levels of aliases (gdnsd: one)",
        "weighted",
        "dns",
        "us/query",
        ("dnsload",),
        zones.wrong_tree_answer,
    ),
    Workload(
        "dns-located",
        "DNS over UDP, by the client's network (ECS), 3,000 networks in three places",
        "located",
        "dns",
        "us/query",
        ("dnsload",),
        zones.wrong_located_answer,
    ),
)
