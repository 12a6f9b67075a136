"""Unix sockets: gunicorn, nginx and PostgreSQL as targets; curl and HAProxy at a listener."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import services  # noqa: E402
from stage import Child, Stage, free_port  # noqa: E402

PATIENCE = 120.0

APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("gunicorn " + environ.get("HTTP_X_FORWARDED_FOR", "-") + "\\n").encode()]
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  server {{
    listen unix:{path};
    location / {{ return 200 "nginx $http_x_forwarded_for\\n"; }}
    location /bulk {{ root {folder}; }}
  }}
}}
"""


def eventually(what: str, holds: Callable[[], bool]) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.02)


def listens(path: Path) -> bool:
    """Whether somebody accepts at a path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


class SocketService:
    """A program at a Unix socket, which can be killed and started again."""

    def __init__(self, stage: Stage, name: str, path: Path, command: list[str]) -> None:
        self.stage, self.name, self.path, self.command = stage, name, path, command
        self.starts = 0
        self.child = self.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"unix:{self.path}"

    def start(self) -> Child:
        """Starts it, and waits until it accepts. What a killed one left is in the way of most."""
        self.path.unlink(missing_ok=True)
        self.starts += 1
        self.child = self.stage.workspace.start(f"{self.name}-{self.starts}", self.command, None)
        self.child.wait_until(lambda: listens(self.path))
        return self.child

    def kill(self) -> None:
        """Ends it at once, with all its processes; its file stays."""
        self.child.kill()


def gunicorn(stage: Stage) -> SocketService:
    """A Python application server."""
    services.need("gunicorn")
    folder = stage.workspace.folder("gunicorn")
    (folder / "hello.py").write_text(APPLICATION)
    path = folder / "app.sock"
    command = ["gunicorn", "--chdir", str(folder), "--workers", "2", "--bind", f"unix:{path}",
               "--worker-tmp-dir", str(folder), "hello:application"]
    return SocketService(stage, "gunicorn", path, command)


def nginx(stage: Stage) -> SocketService:
    """A web server."""
    services.need("nginx")
    folder = stage.workspace.folder("nginx")
    path = folder / "web.sock"
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, path=path))
    (folder / "bulk").write_bytes(bytes(range(256)) * 65536)
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    return SocketService(stage, "nginx", path, command)


def fetch(port: int, path: str = "/") -> bytes:
    """One request on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        body = answer.read()
    finally:
        client.close()
    if answer.status != 200:
        raise AssertionError(f"{path}: status {answer.status}: {body[:200]!r}")
    return body


def strike(stage: Stage, admin: int, service: SocketService) -> None:
    """Drained, killed, put back while it is dead, started again."""
    def state() -> str:
        said: str = stage.target(admin, "app", service.address)["state"]
        return said

    def is_idle() -> bool:
        return int(stage.target(admin, "app", service.address)["in-flight"]) == 0

    stage.tell(admin, "weight", "app", service.address, "7")
    stage.tell(admin, "drain", "app", service.address)
    eventually("a drained target finishes its work", is_idle)
    service.kill()
    stage.tell(admin, "undrain", "app", service.address)
    eventually("a dead target is unhealthy", lambda: state() == "unhealthy")
    service.start()
    eventually("a target that is back is healthy", lambda: state() == "healthy")
    stage.tell(admin, "weight", "app", service.address, "reset")


def web(stage: Stage) -> str:
    """HTTP to both servers, one of which comes and goes."""
    steady, troubled = gunicorn(stage), nginx(stage)
    port = free_port()
    config = (
        f'[[listener]]\nname = "in"\nbind = "127.0.0.1:{port}"\nprotocol = "http"\nforward = "app"\n'
        f'[[target-group]]\nname = "app"\nprotocol = "http"\n'
        f'targets = ["{steady.address}", "{troubled.address}"]\n'
        f'[target-group.health-check]\nprotocol = "http"\ninterval = "500ms"\ntimeout = "400ms"\n'
    )
    _, admin = stage.serve("web-pointsman", config)

    def healthy(service: SocketService) -> bool:
        return bool(stage.target(admin, "app", service.address)["state"] == "healthy")

    for service in (steady, troubled):
        eventually("targets are healthy", lambda: healthy(service))
    said: set[bytes] = set()
    crowd = services.Crowd(4, lambda: said.add(fetch(port)))
    strike(stage, admin, troubled)
    requests = crowd.end()
    if said != {b"gunicorn 127.0.0.1\n", b"nginx 127.0.0.1\n"}:
        raise AssertionError(f"answers are {said}")
    stage.tell(admin, "drain", "app", steady.address)
    if fetch(port, "/bulk") != bytes(range(256)) * 65536:
        raise AssertionError("16 MiB came other than they were sent")
    return f"{requests} requests"


def database(stage: Stage) -> str:
    """pgbench over TCP to a server at its Unix socket alone."""
    programs = services.postgresql()
    data = services.make_database(stage, programs, "database")
    folder = data.parent
    options = ["-h", "", "-p", "5432", "-k", str(folder), "-c", "fsync=off"]
    command = services.as_postgres([str(programs / "postgres"), "-D", str(data), *options])
    server = SocketService(stage, "postgres", folder / ".s.PGSQL.5432", command)
    port = free_port()
    config = (
        f'[[listener]]\nname = "in"\nbind = "127.0.0.1:{port}"\nprotocol = "tcp"\nforward = "app"\n'
        f'[[target-group]]\nname = "app"\nprotocol = "tcp"\ntargets = ["{server.address}"]\n'
    )
    stage.serve("database-pointsman", config)
    client = [str(programs / "pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "tester"]

    def is_ready() -> bool:
        asking = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        return subprocess.run(asking, capture_output=True).returncode == 0

    eventually("the database serves", is_ready)
    subprocess.run([*client, "-i", "-q", "postgres"], check=True, capture_output=True)
    through = [*client, "-n", "-c", "8", "-j", "2", "-T", "2" if stage.smoke else "20", "postgres"]
    done = subprocess.run(through, capture_output=True, text=True, timeout=300)
    if done.returncode or "number of failed transactions: 0 " not in done.stdout:
        raise AssertionError(f"pgbench says {(done.stdout + done.stderr).strip()[-600:]}")
    line = next(line for line in done.stdout.splitlines() if "actually processed" in line)
    return f"{line.rpartition(':')[2].strip()} transactions"


HAPROXY = """
defaults
  timeout connect 60s
  timeout client 60s
  timeout server 60s
frontend http
  mode http
  bind 127.0.0.1:{plain}
  default_backend http
backend http
  mode http
  server s unix@{path}
frontend tcp
  mode tcp
  bind 127.0.0.1:{told}
  default_backend tcp
backend tcp
  mode tcp
  server s unix@{path} send-proxy-v2
"""


def curl(path: Path) -> str:
    """One request over a socket."""
    command = ["curl", "-sS", "--fail", "--max-time", "60", "--unix-socket", str(path), "http://pm/"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if said.returncode:
        raise AssertionError(f"curl says {said.stderr.strip()}")
    return said.stdout


def listener(stage: Stage) -> str:
    """Clients at a socket, alone and with HAProxy between; reloaded, ended, killed and begun again."""
    services.need("haproxy", "curl")
    target = nginx(stage)
    folder = stage.workspace.folder("sockets")
    path, log = folder / "in.sock", folder / "access.log"

    def config(more: str) -> str:
        return (
            f'[[listener]]\nname = "in"\nbind = "unix:{path}"\nprotocol = "http"\nforward = "app"\n'
            f'proxy-protocol-in = "optional"\n{more}\n'
            f'[[target-group]]\nname = "app"\nprotocol = "http"\ntargets = ["{target.address}"]\n'
        )

    child, admin = stage.serve("listener", config('unix-mode = "0600"\nunix-owner = "{}"'.format(os.geteuid())), access=str(log))
    if path.stat().st_mode & 0o777 != 0o600:
        raise AssertionError(f"its mode is {path.stat().st_mode:o}")
    plain, told = free_port(), free_port()
    (folder / "haproxy.cfg").write_text(HAPROXY.format(plain=plain, told=told, path=path))
    proxy = stage.workspace.start("haproxy", ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], None)
    proxy.wait_until(lambda: services.accepts("127.0.0.1", told))
    answers = {"curl": curl(path), "haproxy": fetch(plain).decode(), "told": fetch(told).decode()}
    # nginx shows an X-Forwarded-For that is not there as nothing.
    if answers != {"curl": "nginx \n", "haproxy": "nginx \n", "told": "nginx 127.0.0.1\n"}:
        raise AssertionError(f"answers are {answers}")
    eventually("three records", lambda: len(log.read_text().splitlines()) == 3)
    # Workers write in no order among each other.
    clients = sorted(json.loads(line)["client"] for line in log.read_text().splitlines())
    if clients[1:] != ["unix:", "unix:"] or not clients[0].startswith("127.0.0.1:"):
        raise AssertionError(f"clients are logged as {clients}")
    # A reload keeps the socket and changes its mode, under load.
    crowd = services.Crowd(4, lambda: fetch(told))
    file = folder.parent / "listener" / "pointsman.toml"
    before = path.stat().st_ino
    file.write_text(file.read_text().replace('"0600"', '"0666"'))
    stage.tell(admin, "reload")
    if (path.stat().st_ino, path.stat().st_mode & 0o777) != (before, 0o666):
        raise AssertionError("the reload made another socket, or left its mode")
    requests = crowd.end()
    # A second process is told; an orderly end leaves nothing, and a killed one no obstacle.
    other = folder / "other.toml"
    head = f'state-dir = "{folder}/other"\n[admin]\nbind = "127.0.0.1:{free_port()}"\n'
    other.write_text(head + config(""))
    command = [str(stage.pointsman), "run", "-c", str(other)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if second.returncode == 0 or f"(pid {child.process.pid}) listens there already" not in second.stderr:
        raise AssertionError(f"a second process says {second.stderr[-600:]}")
    child.end(PATIENCE)
    if path.exists():
        raise AssertionError("the socket's file stayed")
    killed, _ = stage.serve("killed", config(""))
    killed.process.kill()
    killed.process.wait()
    if not path.exists() or listens(path):
        raise AssertionError("a killed process left no dead socket, so nothing is shown here")
    stage.serve("again", config(""))
    if curl(path) != "nginx \n":
        raise AssertionError("another answer after all that")
    return f"{requests} requests through HAProxy"


def check(stage: Stage) -> str:
    """All of it, each on programs of its own."""
    told = f"{web(stage)} to gunicorn and nginx, {database(stage)} of PostgreSQL"
    for child in reversed(stage.workspace.children):
        child.end()
    shutil.rmtree(stage.workspace.directory / "nginx")
    return f"{told}, {listener(stage)}; none failed"
