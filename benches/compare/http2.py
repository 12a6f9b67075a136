"""HTTP/2: nghttp2's h2load as the generator, curl as the judge of an answer."""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from collections.abc import Sequence

from processes import PATIENCE, CannotRun, run_pinned

COUNTS = re.compile(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
FINISHED = re.compile(r"finished in ([0-9.]+)(m?s)")


def load(arguments: Sequence[str], port: int, cpu: int, seconds: float) -> dict[str, Any]:
    """Runs h2load for so long (whole seconds, as it wants them) and returns what a generator must."""
    with tempfile.TemporaryDirectory(prefix="pointsman-h2load-") as folder:
        log = Path(folder) / "log"
        command = ["h2load", *arguments, "-t", "1", "-D", str(max(1, round(seconds)))]
        command += ["--log-file", str(log), f"https://127.0.0.1:{port}/"]
        said = run_pinned(command, cpu, seconds + PATIENCE)
        lines = log.read_text().splitlines()
    counts, finished = COUNTS.search(said), FINISHED.search(said)
    if counts is None or finished is None:
        raise CannotRun(f"h2load said something else than it used to:\n{said[-2000:]}")
    done, succeeded, *_ = (int(count) for count in counts.groups())
    failed = sum(int(count) for count in counts.groups()[2:]) + done - succeeded
    times = sorted(int(line.split("\t")[2]) for line in lines)
    parts = statistics.quantiles(times, n=100) if len(times) > 1 else [0.0] * 99
    return {
        "requests": succeeded,
        "seconds": float(finished[1]) / (1000 if finished[2] == "ms" else 1),
        "p50_us": parts[49],
        "p99_us": parts[98],
        "failures": failed,
        "first_failure": counts.group(0) if failed else None,
    }


def wrong_answer(port: int) -> str | None:
    """What is wrong with an HTTPS listener's answer over HTTP/2, if anything."""
    command = ["curl", "-sk", "--http2", "-m", "60", "-w", "\n%{http_version} %{http_code}"]
    done = subprocess.run(
        [*command, f"https://127.0.0.1:{port}/"], capture_output=True, text=True, check=False
    )
    right = done.stdout == "x" * 128 + "\n2 200"
    return None if right else f"curl ended with {done.returncode}: {done.stdout[-80:]!r}"
