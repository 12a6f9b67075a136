"""Private zones and forward rules, asked from two network namespaces: an office and the street.

The clients' namespaces have no names: they are those of two processes, and end with them.
"""

from __future__ import annotations

import subprocess
import time
from types import TracebackType

from stage import Stage

from . import servers
from .servers import OURS, eventually, have, need

CORP = "192.0.2.60"
OFFICE, STREET = "10.1.0.9", "198.51.100.7"

CONFIG = f"""
[[network]]
name = "office"
cidrs = ["10.1.0.0/16"]
country = "DE"
[[forward-rule]]
name = "corp"
domain = "corp.example"
servers = ["{CORP}:53"]
networks = ["office"]
""" + """
[[zone]]
name = "shop.example"
record = [
  { name = "www", type = "A", values = ["192.0.2.1"] },
  { name = "public", type = "A", values = ["192.0.2.2"] },
]
[[zone]]
id = "shop-inside"
name = "shop.example"
networks = ["office"]
record = [
  { name = "www", type = "A", values = ["10.1.1.1"] },
  { name = "guest.team", type = "A", values = ["10.1.1.2"] },
  { name = "guest.closed", type = "A", values = ["10.1.1.3"] },
]
[[zone]]
id = "team"
name = "team.shop.example"
networks = ["office"]
fallthrough = "parent"
record = [{ name = "own", type = "A", values = ["10.1.1.4"] }]
[[zone]]
id = "closed"
name = "closed.shop.example"
networks = ["office"]
fallthrough = "none"
record = [{ name = "own", type = "A", values = ["10.1.1.5"] }]
[[zone]]
name = "open.example"
record = [{ name = "www", type = "A", values = ["192.0.2.3"] }]
[[zone]]
id = "open-inside"
name = "open.example"
networks = ["office"]
fallthrough = "public"
record = [{ name = "db", type = "A", values = ["10.1.1.6"] }]
"""

# Question; what the office is told, and what the street: an address, or the response code.
QUESTIONS = (
    # One name, two zones. Nothing falls through unless it is said.
    ("www.shop.example", "10.1.1.1", "192.0.2.1"),
    ("public.shop.example", "NXDOMAIN", "192.0.2.2"),
    # parent: the private zone around is asked next, and its own parent's word counts.
    ("own.team.shop.example", "10.1.1.4", "NXDOMAIN"),
    ("guest.team.shop.example", "10.1.1.2", "NXDOMAIN"),
    ("none.team.shop.example", "NXDOMAIN", "NXDOMAIN"),
    # none: the most specific zone's "no" is final, whatever the one around has.
    ("own.closed.shop.example", "10.1.1.5", "NXDOMAIN"),
    ("guest.closed.shop.example", "NXDOMAIN", "NXDOMAIN"),
    # public: what everybody gets.
    ("db.open.example", "10.1.1.6", "NXDOMAIN"),
    ("www.open.example", "192.0.2.3", "192.0.2.3"),
    ("none.open.example", "NXDOMAIN", "NXDOMAIN"),
    # Forwarded for one network only; nobody's zone is refused to both.
    ("www.corp.example", "172.16.0.1", "REFUSED"),
    ("none.corp.example", "NXDOMAIN", "REFUSED"),
    ("www.nobody.example", "REFUSED", "REFUSED"),
)


class Client:
    """A network namespace with one address, behind a router that is this one."""

    def __init__(self, number: int, address: str) -> None:
        self.address = address
        command = ["unshare", "--net", "sh", "-c", "echo up; exec sleep infinity"]
        self.holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout
        self.holder.stdout.readline()
        near, router = f"client{number}", address.rsplit(".", 1)[0] + ".1"
        self.ip("link", "add", near, "type", "veth", "peer", "name", "up0",
                "netns", str(self.holder.pid), inside=False)
        self.ip("address", "add", f"{router}/24", "dev", near, inside=False)
        self.ip("link", "set", near, "up", inside=False)
        self.ip("address", "add", f"{address}/24", "dev", "up0")
        self.ip("link", "set", "up0", "up")
        self.ip("route", "add", "default", "via", router)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.holder.kill()
        self.holder.wait()

    def ip(self, *words: str, inside: bool = True) -> None:
        """Sets the network up."""
        subprocess.run([*(self.enter() if inside else []), "ip", *words], check=True)

    def enter(self) -> list[str]:
        """What a command in the namespace begins with."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]

    def dig(self, *words: str) -> str:
        """What dig prints."""
        command = [*self.enter(), "dig", f"@{OURS}", "+tries=10", "+time=5", *words]
        return subprocess.run(command, capture_output=True, text=True).stdout

    def told_at_last(self, *words: str) -> str:
        """The same where no failure is meant: the server that a rule asks may stand still for a while."""
        deadline = time.monotonic() + servers.PATIENCE
        while (said := self.told(*words)) == "SERVFAIL" and time.monotonic() < deadline:
            time.sleep(0.1)
        return said

    def told(self, *words: str) -> str:
        """The address, or the response code where there is none."""
        said = self.dig(*words)
        records = [line.split() for line in said.splitlines() if line and line[0] != ";"]
        addresses = [record[4] for record in records if record[3] == "A"]
        return addresses[0] if addresses else said.split("status: ")[1].split(",")[0]


def check(stage: Stage) -> str:
    """Each question from either side, over UDP and TCP; then without the server asked."""
    need("dig", "knotd", "nsenter")
    have(CORP)
    folder = stage.workspace.folder("corp")
    (folder / "corp.zone").write_text(
        "corp.example. 600 SOA ns.corp.example. admin.corp.example. 1 3600 600 86400 600\n"
        "corp.example. 600 NS ns.corp.example.\nns.corp.example. 600 A 192.0.2.60\n"
        "www.corp.example. 600 A 172.16.0.1\nlate.corp.example. 600 A 172.16.0.2\n")
    corp = servers.knot(stage, "corp-knot", folder, CORP, {"corp.example.": folder / "corp.zone"})
    servers.await_answers("the server behind the rule", CORP, "corp.example.")
    servers.pointsman(stage, CONFIG, f'ecs = ["{STREET}"]\n')
    with Client(0, OFFICE) as office, Client(1, STREET) as street:
        eventually("it answers", lambda: office.told("a", "www.shop.example") == "10.1.1.1")
        for transport in ("+notcp", "+tcp"):
            for name, inside, outside in QUESTIONS:
                for client, wanted in ((office, inside), (street, outside)):
                    told = client.told_at_last(transport, "a", name)
                    if told != wanted:
                        raise AssertionError(f"{name} {transport} from {client.address}: {told}, not {wanted}")
        # A believed sender's client subnet moves answers, but opens nothing.
        for name, wanted in (("www.shop.example", "192.0.2.1"), ("www.corp.example", "REFUSED")):
            told = street.told("+subnet=10.1.0.0/24", "a", name)
            if told != wanted:
                raise AssertionError(f"{name} for the office's subnet from the street: {told}")
        flags = office.dig("a", "www.corp.example").split("flags: ")[1].split(";")[0]
        if flags != "qr rd ra":
            raise AssertionError(f"a forwarded answer has the flags {flags}")
        corp.end()
        kept = [office.told("a", name) for name in ("www.corp.example", "none.corp.example")]
        if kept != ["172.16.0.1", "NXDOMAIN"]:
            raise AssertionError(f"without the server asked: {kept} from memory")
        late = office.told("a", "late.corp.example")
        if late != "SERVFAIL":
            raise AssertionError(f"without the server asked: {late} for what nobody asked before")
        if street.told("a", "www.corp.example") != "REFUSED":
            raise AssertionError("what is remembered is told to the street")
    return (f"{len(QUESTIONS)} names from an office and from the street, by UDP and TCP: each "
            f"fallthrough, and a rule for one of them that remembers what it was told")
