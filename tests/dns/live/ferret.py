"""The 993 zones of dns-groot/FerretDataset, served by Pointsman, BIND, NSD and Knot at once.

Reads `../shared/data/dns-ferret.jsonl.gz` from the project's root; skipped when it is not there.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode

from stage import ROOT as PROJECT
from stage import Skipped, Stage

from . import servers
from .servers import OURS, ask, need

DATA = PROJECT.parent / "shared" / "data" / "dns-ferret.jsonl.gz"
PEERS = {"BIND": "192.0.2.20", "NSD": "192.0.2.21", "Knot": "192.0.2.22"}
# Where we differ from two of them, and why.
EXPLAINED = {
    # A DNAME that leads into itself: no two of the peers stop after the same number of steps, and
    # RFC 6672 (section 2.2) leaves it to the server when to stop.
    4383: 0,
    # A DNAME that leads into another of the zones served. RFC 1034 section 4.3.2 goes back to step 1,
    # the choice among all zones that are served; so do NSD and we. BIND and Knot stay in the zone
    # they began in and let the client ask again.
    6908: 1,
}

Judgement = tuple[str, bool, tuple[str, ...]]


def judged(answer: dns.message.Message) -> Judgement:
    """What must be equal: code, AA and ANSWER."""
    lines = (line.lower() for rrset in answer.answer for line in rrset.to_text().splitlines())
    authoritative = bool(answer.flags & dns.flags.AA)
    return dns.rcode.to_text(answer.rcode()), authoritative, tuple(sorted(lines))


def serve(stage: Stage, cases: list[dict[str, Any]]) -> None:
    """All zones on all servers."""
    files: dict[str, Path] = {}
    folder = stage.workspace.folder("zones")
    for case in cases:
        files[case["origin"]] = folder / f"{case['id']}.zone"
        files[case["origin"]].write_text(case["zone"])
    servers.have(*PEERS.values())
    servers.bind(stage, stage.workspace.folder("bind"), PEERS["BIND"], files)
    servers.nsd(stage, stage.workspace.folder("nsd-files"), (PEERS["NSD"],), files)
    servers.knot(stage, "knot", stage.workspace.folder("knot-files"), PEERS["Knot"], files)
    servers.pointsman(stage, "", f'zone-files = ["{folder}/*.zone"]\n')
    for name, address in PEERS.items():
        servers.await_answers(name, address, cases[-1]["origin"])


def check(stage: Stage) -> str:
    """Every question to everybody."""
    need("named", "nsd", "knotd")
    if not DATA.exists():
        raise Skipped(f"{DATA} is not there")
    cases = [json.loads(line) for line in gzip.open(DATA, "rt")]
    serve(stage, cases)
    wrong, agreed = [], 0
    for case in cases:
        question = case["query"]["Name"], case["query"]["Type"]
        ours = judged(ask(OURS, *question))
        theirs = {name: judged(ask(address, *question)) for name, address in PEERS.items()}
        alike = sum(one == ours for one in theirs.values())
        agreed += alike >= 2
        if alike < EXPLAINED.get(case["id"], 2):
            wrong.append(f"{case['id']} {question}: ours {ours}, theirs {theirs}")
    if wrong:
        raise AssertionError(f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:20]))
    return f"{agreed} of {len(cases)} answers equal at least two; {len(cases) - agreed} are explained"
