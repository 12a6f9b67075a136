"""Four origins that write down every request they see: nginx, apache2, node and gunicorn.

Each writes one line `METHOD PATH` per request into a file of its own, by its own means, undecoded.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ports import free_port
from processes import Workspace, accepts_tcp
from stage import Skipped

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format seen escape=none "$request";
    access_log {folder}/seen seen;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }}
}}
"""

APACHE = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/error.log
Mutex file:{folder}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
DocumentRoot {folder}
ErrorDocument 404 ok
LogFormat "%r" seen
CustomLog {folder}/seen seen
"""

NODE = """
const fs = require("fs");
require("http").createServer((request, response) => {
  fs.appendFileSync("%s/seen", request.method + " " + request.url + "\\n");
  request.resume();
  request.on("end", () => response.end("ok"));
}).on("clientError", (error, socket) => {
  // What is no request to node was one to whoever sent it.
  const line = String(error.rawPacket || "").split(/\\r?\\n/)[0];
  if (line) fs.appendFileSync("%s/seen", line + "\\n");
  socket.end("HTTP/1.1 400 Bad Request\\r\\nConnection: close\\r\\n\\r\\n");
}).listen(%d, "127.0.0.1");
"""

GUNICORN = """
def application(environ, start_response):
    with open("{folder}/seen", "a") as seen:
        seen.write(environ["REQUEST_METHOD"] + " " + environ["RAW_URI"] + "\\n")
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


class Origin:
    """A running origin."""

    def __init__(self, name: str, folder: Path, port: int) -> None:
        self.name, self.folder, self.port = name, folder, port

    def writes(self, request: str) -> str:
        """How it writes a request down that it got."""
        if self.name == "apache2":
            return request.replace("\\", "\\\\").replace('"', '\\"')
        method, _, path = request.partition(" ")
        # WSGI's environment has methods in upper case.
        return f"{method.upper()} {path}" if self.name == "gunicorn" else request

    def seen(self) -> list[str]:
        """Every request so far; a connection that says nothing (a probe) is none."""
        file = self.folder / "seen"
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        # nginx and Apache write the request line as it came: less is theirs, not ours.
        lines = [line.removesuffix(" HTTP/1.1") for line in lines]
        return [line for line in lines if line.strip(" -")]


def program(name: str) -> str:
    """Where a program is."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        raise Skipped(f"{name} is not installed")
    return found


def start(name: str, workspace: Workspace, role: str = "origin") -> Origin:
    """Starts the origin called `name`."""
    folder, port = workspace.folder(f"{role}-{name}"), free_port()
    file = folder / "configuration"
    if name == "nginx":
        file.write_text(NGINX.format(folder=folder, port=port))
        command = [program("nginx"), "-p", str(folder), "-c", str(file)]
    elif name == "apache2":
        modules = "/usr/lib/apache2/modules"
        file.write_text(APACHE.format(folder=folder, port=port, modules=modules))
        command = [program("apache2"), "-X", "-f", str(file)]
    elif name == "node":
        file.write_text(NODE % (folder, folder, port))
        command = [program("node"), str(file)]
    else:
        (folder / "origin.py").write_text(GUNICORN.format(folder=folder))
        command = [program("gunicorn"), "--bind", f"127.0.0.1:{port}", "--chdir", str(folder)]
        command += ["--worker-class", "gthread", "--threads", "4", "origin:application"]
    child = workspace.start(f"{role}-{name}", command, None)
    child.wait_until(lambda: accepts_tcp(port))
    return Origin(name, folder, port)
