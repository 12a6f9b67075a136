"""The programs that the checks start beside Pointsman, each with a configuration of its own.

All of them serve on port 53 of an address of their own, which is added to the namespace's loopback.
Names end in `example`: resolvers answer for `test` themselves (RFC 6761).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode

from stage import Child, Skipped, Stage

OURS = "192.0.2.53"
ROOT = "192.0.2.1"
UNBOUND = "192.0.2.10"
KRESD = "192.0.2.11"
PATIENCE = 120.0


def need(*programs: str) -> None:
    """A check that needs a program which is not here is skipped."""
    # Servers are in folders that are not in everybody's path.
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    for program in programs:
        if not shutil.which(program, path=path):
            raise Skipped(f"{program} is not installed")


def have(*addresses: str) -> None:
    """Gives the namespace addresses; one that is there already is fine."""
    for address in addresses:
        length = "128" if ":" in address else "32"
        command = ["ip", "address", "replace", f"{address}/{length}", "dev", "lo"]
        subprocess.run([*command, *(["nodad"] if ":" in address else [])], check=True)


def eventually(what: str, holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.02)


def ask(server: str, name: str, rtype: str, source: str | None = None,
        options: Iterable[dns.edns.Option] = (), tcp_too: bool = True) -> dns.message.Message:
    """One question as a client asks it, over TCP when the answer does not fit."""
    query = dns.message.make_query(name, rtype, use_edns=0, payload=1232, options=list(options))
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            answer = dns.query.udp(query, server, timeout=5, source=source)
            break
        except (OSError, dns.exception.DNSException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    if tcp_too and answer.flags & dns.flags.TC:
        answer = dns.query.tcp(query, server, timeout=60, source=source)
    return answer


def ask_resolver(server: str, name: str, rtype: str, source: str | None = None,
                 options: Iterable[dns.edns.Option] = ()) -> dns.message.Message:
    """The same of a resolver, which may fail for a while when somebody it asked stood still."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = ask(server, name, rtype, source, list(options))
        if answer.rcode() != dns.rcode.SERVFAIL or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def data(answer: dns.message.Message) -> list[str]:
    """The records of the answer's ANSWER section, without owner and TTL."""
    return sorted(record.to_text() for rrset in answer.answer for record in rrset)


def await_answers(stage_name: str, server: str, name: str, rtype: str = "SOA") -> None:
    """Waits until a server that was started answers."""

    def answers() -> bool:
        query = dns.message.make_query(name, rtype)
        try:
            return dns.query.udp(query, server, timeout=1).rcode() == 0
        except (OSError, dns.exception.DNSException):
            return False

    eventually(f"{stage_name} answers", answers)


def pointsman(stage: Stage, config: str, settings: str = "") -> int:
    """Pointsman on `OURS`; its admin port."""
    have(OURS)
    _, admin = stage.serve("pointsman", f'[dns]\nbind = "{OURS}:53"\n{settings}{config}')
    return admin


def root_zone(zones: dict[str, tuple[str, ...]]) -> str:
    """A root zone that leads to the servers of each zone."""
    lines = [". 3600 SOA a.root.example. admin.root.example. 1 3600 600 86400 60", ". 3600 NS a.root.example.",
             f"a.root.example. 3600 A {ROOT}"]
    for zone, addresses in zones.items():
        for number, address in enumerate(addresses, 1):
            lines += [f"{zone} 3600 NS ns{number}.{zone}", f"ns{number}.{zone} 3600 A {address}"]
    return "\n".join(lines) + "\n"


def root(stage: Stage, zones: dict[str, tuple[str, ...]]) -> None:
    """Knot with the root zone."""
    need("knotd")
    have(ROOT)
    folder = stage.workspace.folder("root")
    (folder / "root.zone").write_text(root_zone(zones))
    knot(stage, "root-knot", folder, ROOT, {".": folder / "root.zone"})
    await_answers("the root server", ROOT, ".")


def knot(stage: Stage, name: str, folder: Path, address: str, zones: dict[str, Path]) -> Child:
    """Knot with zone files."""
    text = (
        f"server:\n  rundir: \"{folder}\"\n  listen: {address}@53\n  udp-workers: 1\n"
        f"  tcp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    any: warning\n"
        f"database:\n  storage: \"{folder}\"\nzone:\n"
    )
    for zone, file in zones.items():
        text += (f"  - domain: \"{zone}\"\n    file: \"{file}\"\n    zonefile-load: whole\n"
                 f"    journal-content: none\n    semantic-checks: off\n")
    (folder / "knot.conf").write_text(text)
    return stage.workspace.start(name, ["/usr/sbin/knotd", "-c", str(folder / "knot.conf")], None)


def nsd(stage: Stage, folder: Path, addresses: tuple[str, ...], zones: dict[str, Path]) -> None:
    """NSD with zone files."""
    text = (
        "server:\n" + "".join(f"  ip-address: {at}@53\n" for at in addresses) +
        f"  zonesdir: \"{folder}\"\n  database: \"\"\n"
        f"  pidfile: \"\"\n  xfrdfile: \"{folder}/xfrd\"\n  zonelistfile: \"{folder}/list\"\n"
        f"  xfrdir: \"{folder}\"\n  username: \"\"\n  chroot: \"\"\n  server-count: 1\n"
        f"  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n"
    )
    for zone, file in zones.items():
        text += f"zone:\n  name: \"{zone}\"\n  zonefile: \"{file}\"\n"
    (folder / "nsd.conf").write_text(text)
    stage.workspace.start("nsd", ["/usr/sbin/nsd", "-d", "-c", str(folder / "nsd.conf")], None)


def bind(stage: Stage, folder: Path, address: str, zones: dict[str, Path]) -> None:
    """BIND with zone files."""
    text = (
        f"options {{ directory \"{folder}\"; pid-file none; session-keyfile none; recursion no;\n"
        f"  listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; check-integrity no;\n"
        f"  notify no; minimal-responses yes; empty-zones-enable no; }};\ncontrols {{ }};\n"
    )
    for zone, file in zones.items():
        text += (f"zone \"{zone}\" {{ type primary; file \"{file}\"; check-names ignore;\n"
                 f"  check-mx ignore; check-srv-cname ignore; check-mx-cname ignore; }};\n")
    (folder / "named.conf").write_text(text)
    command = ["/usr/sbin/named", "-g", "-n", "1", "-c", str(folder / "named.conf")]
    stage.workspace.start("named", command, None)


def unbound(stage: Stage, subnets_to: str = OURS) -> None:
    """Unbound, which asks from the root on and tells one server its clients' subnets."""
    need("unbound")
    have(UNBOUND)
    folder = stage.workspace.folder("unbound")
    (folder / "hints").write_text(f". 3600 NS a.root.example.\na.root.example. 3600 A {ROOT}\n")
    (folder / "unbound.conf").write_text(
        f"server:\n  interface: {UNBOUND}\n  outgoing-interface: {UNBOUND}\n  port: 53\n  chroot: \"\"\n  username: \"\"\n"
        f"  directory: \"{folder}\"\n  pidfile: \"\"\n  use-syslog: no\n  do-daemonize: no\n"
        f"  num-threads: 1\n  do-ip6: no\n  root-hints: \"{folder}/hints\"\n"
        f"  access-control: 0.0.0.0/0 allow\n  access-control: ::/0 allow\n"
        f"  module-config: \"subnetcache iterator\"\n  send-client-subnet: {subnets_to}\n"
        f"  client-subnet-always-forward: yes\n  do-not-query-localhost: no\n"
        f"remote-control:\n  control-enable: no\n"
    )
    command = ["/usr/sbin/unbound", "-d", "-c", str(folder / "unbound.conf")]
    stage.workspace.start("unbound", command, None)
    await_answers("unbound", UNBOUND, ".")


def kresd(stage: Stage) -> None:
    """Knot Resolver, which asks from the root on."""
    need("kresd")
    have(KRESD)
    folder = stage.workspace.folder("kresd")
    (folder / "config").write_text(
        f"net.ipv6 = false\nnet.listen('{KRESD}', 53, {{ kind = 'dns' }})\n"
        f"trust_anchors.remove('.')\nmodules = {{ 'hints > iterate' }}\n"
        f"hints.root({{ ['a.root.example.'] = '{ROOT}' }})\ncache.size = 10 * MB\n"
    )
    command = ["/usr/sbin/kresd", "-n", "-c", str(folder / "config"), str(folder)]
    stage.workspace.start("kresd", command, None)
    await_answers("kresd", KRESD, ".")


def queries_answered(admin: int, zone: str) -> int:
    """How many queries for a zone Pointsman has answered, by its own metrics."""
    return answered(admin, f'zone="{zone}"')


def failures_answered(admin: int) -> int:
    """How often it answered that it failed."""
    return answered(admin, 'rcode="SERVFAIL"')


def answered(admin: int, label: str) -> int:
    """The sum of queries with a label."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    lines = re.findall(r"^pointsman_dns_queries_total\{([^}]*)\} (\d+)$", text, re.MULTILINE)
    return sum(int(count) for labels, count in lines if label in labels)
