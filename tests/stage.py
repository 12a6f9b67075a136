"""What scripts that check the real binary share: a stage to start things on, and running checks.

Used by the run scripts beside it. Everything started ends with the check that started it, by pid.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benches" / "compare"))

from ports import free_port  # noqa: E402
from processes import Child, Workspace  # noqa: E402


class Skipped(Exception):
    """What a check needs is not here."""


class Stage:
    """Starts targets and Pointsman in one workspace."""

    def __init__(self, arguments: argparse.Namespace, workspace: Workspace) -> None:
        self.pointsman: Path = arguments.pointsman
        self.programs: Path = arguments.programs
        self.smoke: bool = arguments.smoke
        self.workspace = workspace

    def echo(self, host: str) -> tuple[Child, str]:
        """A UDP echo of its own process, and its address."""
        command = [str(self.programs / "answer"), f"datagrams={host}:0"]
        child = self.workspace.start(f"echo-{host}-{free_port()}", command, None)
        child.wait_until(lambda: child.log.read_text().endswith("\n"))
        return child, child.log.read_text().strip()

    def serve(
        self, name: str, config: str, prefix: tuple[str, ...] = (), access: str = "off"
    ) -> tuple[Child, int]:
        """Pointsman on `config`, and its admin port; `access` is its access log."""
        folder, admin = self.workspace.folder(name), free_port()
        head = (
            f'state-dir = "{folder}/state"\n[admin]\nbind = "127.0.0.1:{admin}"\n'
            f'[logs]\naccess = "{access}"\n'
        )
        file = folder / "pointsman.toml"
        file.write_text(head + config)
        command = [*prefix, str(self.pointsman), "run", "-c", str(file)]
        child = self.workspace.start(name, command, None)
        if not prefix:
            child.wait_until(lambda: is_ready(admin))
        return child, admin

    def tell(self, admin: int, *words: str) -> None:
        """A command to a running Pointsman."""
        command = [str(self.pointsman), *words, "--admin", f"http://127.0.0.1:{admin}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def target(self, admin: int, group: str, address: str) -> dict[str, Any]:
        """What a running Pointsman says of a target."""
        path = f"target-groups/{group}/targets/{quote(address, safe=':[]')}"
        url = f"http://127.0.0.1:{admin}/api/v1/{path}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            said: dict[str, Any] = json.load(answer)
            return said


def is_ready(admin: int) -> bool:
    """Whether Pointsman serves and knows its targets' health."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def run_checks(about: str, checks: Mapping[str, Callable[[Stage], str]]) -> int:
    """Runs the checks that the command line asks for, each on a stage of its own: the exit code."""
    release = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("checks", nargs="*", help=f"of {', '.join(checks)}; all when none is given")
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--pointsman", type=Path, default=release / "pointsman", metavar="PATH")
    parser.add_argument("--programs", type=Path, default=release, metavar="FOLDER")
    arguments = parser.parse_args()
    for name in arguments.checks:
        if name not in checks:
            parser.error(f"no check is called '{name}'; there are: {', '.join(checks)}")
    passed = failed = 0
    for name in arguments.checks or checks:
        with Workspace() as workspace:
            try:
                print(f"{name}: {checks[name](Stage(arguments, workspace))}", flush=True)
                passed += 1
            except Skipped as reason:
                print(f"{name}: skipped: {reason}", flush=True)
            except Exception as error:  # noqa: BLE001 whatever goes wrong is a failed check
                print(f"{name}: FAILED: {type(error).__name__}: {error}", flush=True)
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)
