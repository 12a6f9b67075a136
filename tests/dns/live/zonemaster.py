"""Zonemaster asked about a zone on Pointsman and about the same zone on NSD."""

from __future__ import annotations

import json
import subprocess

from stage import Stage

from . import servers
from .servers import OURS, ROOT, need

SECOND = "198.51.100.53"
NSD = ("192.0.2.63", "198.51.100.63")

ATTEMPTS = 3

ZONE = """$TTL 3600
@ SOA ns1 hostmaster 2026010101 14400 3600 1209600 3600
@ NS ns1
@ NS ns2
ns1 A {first}
ns2 A {second}
@ A 198.51.100.7
@ MX 10 mail
mail A 198.51.100.25
@ TXT "v=spf1 mx -all"
www A 198.51.100.7
"""


def judged(stage: Stage, zone: str) -> set[tuple[str, str, str]]:
    """What Zonemaster finds to be wrong with a zone: level, module, what."""
    hints = stage.workspace.directory / "hints"
    hints.write_text(f". 3600 NS a.root.example.\na.root.example. 3600 A {ROOT}\n")
    command = ["zonemaster-cli", "--hints", str(hints), "--level", "INFO", "--no-ipv6", "--json",
               "--no-progress", zone]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
    found = json.loads(said)
    if not isinstance(found, list) or len(found) < 10:
        raise AssertionError(f"zonemaster says {said[-600:]}")
    bad = {"WARNING", "ERROR", "CRITICAL"}
    return {(one["level"], one["module"], one["tag"]) for one in found if one["level"] in bad}


def check(stage: Stage) -> str:
    """Nothing worse than NOTICE that NSD does not get as well."""
    need("zonemaster-cli", "nsd", "knotd")
    servers.have(SECOND, *NSD)
    folder = stage.workspace.folder("zones")
    ours, theirs = folder / "ours.zone", folder / "nsd.zone"
    ours.write_text(ZONE.format(first=OURS, second=SECOND))
    theirs.write_text(ZONE.format(first=NSD[0], second=NSD[1]))
    zone = f'[[zone]]\nname = "ours.example"\nfile = "{ours}"\n'
    servers.have(OURS)
    _, _ = stage.serve("pointsman", f'[dns]\nbind = ["{OURS}:53", "{SECOND}:53"]\n{zone}')
    servers.nsd(stage, folder, NSD, {"nsd.example.": theirs})
    for address in NSD:
        servers.await_answers("NSD", address, "nsd.example")
    servers.root(stage, {"ours.example.": (OURS, SECOND), "nsd.example.": NSD})
    of_nsd = judged(stage, "nsd.example")
    of_ours = judged(stage, "ours.example")
    # What is wrong is wrong every time; who did not answer in time may have stood still.
    for _ in range(ATTEMPTS - 1):
        if of_ours - of_nsd:
            of_ours &= judged(stage, "ours.example")
    if of_ours - of_nsd:
        raise AssertionError(f"{sorted(of_ours - of_nsd)} and not for NSD; both {sorted(of_ours & of_nsd)}")
    tags = ", ".join(sorted(tag for _, _, tag in of_ours)) or "nothing"
    return f"nothing that NSD does not get; both get {tags}"
