"""Tests of the comparison itself: python3 -m unittest discover benches/compare."""

from __future__ import annotations

import os
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

import features
import report
import zones
from ports import PORTS, Ports, hold
from processes import CannotRun, Workspace, runs
from rounds import Ratio, Result
from workloads import WORKLOADS, Sample

BURN = "import os, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ntime.sleep(60)"
STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen(['sleep', '60'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)"
)


def sample(cost: float) -> Sample:
    """A sample of which only the cost matters."""
    return Sample(cost, 1.0, 1.0, 1.0, 1.0, 0, None)


class Processes(unittest.TestCase):
    """Children are measured with all they fork, and gone afterwards."""

    def test_cpu_time_includes_forked_processes(self) -> None:
        command = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"
        with Workspace() as workspace:
            child = workspace.start("parent", [sys.executable, "-c", command], None)
            child.wait_until(lambda: child.log.stat().st_size > 0)
            self.assertGreater(child.cpu_nanoseconds(), 250_000_000)

    def test_a_stubborn_program_and_its_child_are_ended(self) -> None:
        with Workspace() as workspace:
            folder = workspace.directory
            child = workspace.start("stubborn", [sys.executable, "-c", STUBBORN], None)
            child.wait_until(lambda: child.log.stat().st_size > 0)
            pids = child.pids()
            self.assertIn(int(child.log.read_text()), pids)
        self.assertFalse(folder.exists())
        self.assertEqual([pid for pid in pids if runs(pid)], [])

    def test_a_port_is_given_once(self) -> None:
        other = Ports()
        ports = [ports.take() for ports in (PORTS, other) for _ in range(100)]
        self.assertEqual(len(set(ports)), 200)
        self.assertIsNone(hold(ports[0]))
        for descriptor in other.held.values():
            os.close(descriptor)

    def test_a_program_that_ends_at_start_says_why(self) -> None:
        with Workspace() as workspace:
            child = workspace.start("broken", ["sh", "-c", "echo no such zone; exit 3"], None)
            with self.assertRaisesRegex(CannotRun, "broken ended at start:\nno such zone"):
                child.wait_until(lambda: False)


class Ratios(unittest.TestCase):
    """Ours over the best peer of the same round."""

    def test_each_round_has_its_own_best_peer(self) -> None:
        result = Result(
            WORKLOADS[0],
            {
                "pointsman": [sample(9), sample(10), sample(30)],
                "nginx": [sample(10), sample(40), sample(20)],
                "haproxy": [sample(12), sample(20), sample(25)],
            },
        )
        ratio = result.ratio("pointsman", lambda s: s.cost, min)
        self.assertEqual(ratio, Ratio(0.9, 0.5, 1.5))

    def test_three_percent_count_as_equal(self) -> None:
        words = [report.verdict(Ratio(m, m, m), True) for m in (0.96, 0.98, 1.02, 1.04)]
        self.assertEqual(words, ["better", "equal", "equal", "worse"])
        self.assertEqual(report.verdict(Ratio(1.2, 1.2, 1.2), False), "better")

    def test_a_workload_says_whose_figures_the_ratio_is_of(self) -> None:
        workload = next(workload for workload in WORKLOADS if workload.name == "http-full")
        result = Result(workload, {"pointsman": [sample(10)], "full": [sample(11)]})
        self.assertIn("1.100 x pointsman of the same round", report.table(result))

    def test_without_ours_there_is_no_ratio(self) -> None:
        result = Result(WORKLOADS[0], {"nginx": [sample(1)]})
        self.assertIsNone(result.ratio("pointsman", lambda s: s.cost, min))


class Features(unittest.TestCase):
    """What `http-full` switches on."""

    def test_rules_are_what_the_configuration_takes(self) -> None:
        rules = tomllib.loads("[[listener]]\n" + features.rules())["listener"][0]["rule"]
        self.assertEqual([rule["priority"] for rule in rules], list(range(1, 101)))
        kinds = {next(key for key in rule if key not in ("priority", "fixed-response")) for rule in rules}
        self.assertEqual(kinds, {"path", "host", "header", "query"})

    def test_requests_without_a_line_are_counted(self) -> None:
        with tempfile.NamedTemporaryFile() as log:
            log.write(b"{}\n{}\n{}\n")
            log.flush()
            self.assertEqual(features.unlogged(Path(log.name), 2), 0)
            self.assertEqual(features.unlogged(Path(log.name), 5, patience=0), 2)


class Answers(unittest.TestCase):
    """The small resolver reads what servers send."""

    def test_an_answer_with_a_compressed_owner(self) -> None:
        query = zones.query_packet("www.example.test", 7)
        header = query[:2] + b"\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00"
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x0a"
        answer = zones.parse_answer(header + query[12:-11] + record)
        self.assertEqual(answer, zones.expected("192.0.2.10"))

    def test_every_static_name_has_an_address_of_its_own(self) -> None:
        addresses = {zones.static_address(index) for index in range(zones.STATIC_NAMES)}
        self.assertEqual(len(addresses), zones.STATIC_NAMES)


if __name__ == "__main__":
    unittest.main()
