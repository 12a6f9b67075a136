"""What every contender works on: targets to balance over, zone files to serve.

The soak (`fuzz/soak`) sets the same scene, for Pointsman alone.
"""

from __future__ import annotations

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
    return Scene(workspace, server_cpu, folder, gdnsd_folder, targets)
