"""What every contender works on: targets to balance over, zone files and a certificate to serve.

The soak (`fuzz/soak`) sets the same scene, for Pointsman alone.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from collections.abc import Mapping

import zones
from processes import CannotRun, Workspace

TARGETS = {
    "http": ("127.0.0.11", "127.0.0.12", "127.0.0.13"),
    "echo": ("127.0.0.11", "127.0.0.12", "127.0.0.13"),
    "source": ("127.0.0.11", "127.0.0.12"),
    "datagrams": ("127.0.0.11", "127.0.0.12", "127.0.0.13"),
}


@dataclass(frozen=True)
class Scene:
    """Running targets, written zones, and the CPU for servers (None: any)."""

    workspace: Workspace
    server_cpu: int | None
    zones: Path
    gdnsd_zones: Path
    targets: Mapping[str, list[str]]
    certificate: Path


def write_certificate(folder: Path) -> Path:
    """A self-signed ECDSA certificate and its key in one PEM file, as every contender takes it."""
    path = folder / "bench.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=bench.test",
         "-addext", "subjectAltName=DNS:bench.test", "-newkey", "ec",
         "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(folder / "cert"),
         "-keyout", str(folder / "key")],
        check=True, capture_output=True,
    )
    path.write_text((folder / "cert").read_text() + (folder / "key").read_text())
    return path


def start_targets(workspace: Workspace, programs: Path, cpu: int | None) -> dict[str, list[str]]:
    """One process for all targets; returns the addresses it chose, by kind."""
    kinds = [(kind, host) for kind, hosts in TARGETS.items() for host in hosts]
    if not (programs / "answer").exists():
        raise CannotRun(f"{programs}/answer is missing: cargo build --release -p benches")
    command = [str(programs / "answer"), *(f"{kind}={host}:0" for kind, host in kinds)]
    child = workspace.start("answer", command, cpu)
    child.wait_until(lambda: len(child.log.read_text().splitlines()) == len(kinds))
    addresses: dict[str, list[str]] = {kind: [] for kind in TARGETS}
    for (kind, _), address in zip(kinds, child.log.read_text().splitlines()):
        addresses[kind].append(address)
    return addresses


def set_scene(
    workspace: Workspace, programs: Path, server_cpu: int | None, load_cpu: int | None
) -> Scene:
    """Writes the zones and starts the targets."""
    folder = workspace.folder("zones")
    zones.write_static_zone(folder)
    gdnsd_folder = workspace.folder("gdnsd-zones")
    zones.write_static_zone(gdnsd_folder)
    zones.write_gdnsd_weighted_zone(gdnsd_folder)
    zones.write_gdnsd_tree_zone(gdnsd_folder)
    zones.write_gdnsd_located_zone(gdnsd_folder)
    targets = start_targets(workspace, programs, load_cpu)
    certificate = write_certificate(workspace.folder("certificate"))
    return Scene(workspace, server_cpu, folder, gdnsd_folder, targets, certificate)
