"""TLS scanners on every security policy: sslscan, and sslyze in a virtual environment of its own.

Used by l4/run. What a policy names is written down here a second time, from ELB's documentation of its
policies, so that a slip in the program's own table shows.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from services import need
from stage import ROOT, Skipped, Stage, free_port

TLS13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
FIPS13 = TLS13 - {"TLS_CHACHA20_POLY1305_SHA256"}
GCM = {
    f"ECDHE-{key}-{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384")
}
CURVES = {"X25519", "secp256r1", "secp384r1"}

# By what stands between `ELBSecurityPolicy-` and the date; suites with CBC or RSA key exchange are
# not served.
POLICIES = {
    "TLS13-1-2-Res-2021-06": TLS13 | GCM,
    "TLS13-1-3-2021-06": TLS13,
    "TLS13-1-2-2021-06": TLS13 | GCM,
    "TLS13-1-2-Ext1-2021-06": TLS13 | GCM,
    "TLS13-1-2-Ext2-2021-06": TLS13 | GCM,
    "FS-1-2-Res-2020-10": GCM,
    "FS-1-2-Res-2019-08": GCM,
    "FS-1-2-2019-08": GCM,
    "TLS-1-2-2017-01": GCM,
    "TLS-1-2-Ext-2018-06": GCM,
    "TLS13-1-3-FIPS-2023-04": FIPS13,
    "TLS13-1-2-Res-FIPS-2023-04": FIPS13 | GCM,
    "TLS13-1-2-FIPS-2023-04": FIPS13 | GCM,
    "TLS13-1-2-Ext0-FIPS-2023-04": FIPS13 | GCM,
    "TLS13-1-2-Ext1-FIPS-2023-04": FIPS13 | GCM,
    "TLS13-1-2-Ext2-FIPS-2023-04": FIPS13 | GCM,
    "TLS13-1-3-PQ-2025-09": TLS13,
    "TLS13-1-2-Res-PQ-2025-09": TLS13 | GCM,
    "TLS13-1-2-PQ-2025-09": TLS13 | GCM,
    "TLS13-1-2-Ext1-PQ-2025-09": TLS13 | GCM,
    "TLS13-1-2-Ext2-PQ-2025-09": TLS13 | GCM,
    "TLS13-1-3-FIPS-PQ-2025-09": FIPS13,
    "TLS13-1-2-Res-FIPS-PQ-2025-09": FIPS13 | GCM,
    "TLS13-1-2-FIPS-PQ-2025-09": FIPS13 | GCM,
}
SMOKE = ("TLS13-1-2-Res-2021-06", "FS-1-2-Res-2020-10", "TLS13-1-3-FIPS-2023-04")

# What a connection did not answer within seconds a scanner takes for something that is not there. What a
# listener shows is the same every time, so it is wrong only if it is wrong every time.
ATTEMPTS = 3

# sslyze's names of protocols, and what each is called in a policy.
OLD = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")
# Faults that no listener has: the field of the result, and what it must be.
FAULTS = {
    "tls_compression": ("supports_compression", False),
    "tls_1_3_early_data": ("supports_early_data", False),
    "openssl_ccs_injection": ("is_vulnerable_to_ccs_injection", False),
    "heartbleed": ("is_vulnerable_to_heartbleed", False),
    "session_renegotiation": ("is_vulnerable_to_client_renegotiation_dos", False),
}


def sslyze() -> Path:
    """The program; its environment is made when there is none."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / "sslyze" / "bin" / "sslyze"
    if program.exists():
        return program
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(target / "sslyze")], capture_output=True, text=True
    )
    pip = [str(program.with_name("pip")), "install", "--quiet", "sslyze>=6,<7"]
    if made.returncode == 0:
        made = subprocess.run(pip, capture_output=True, text=True)
    if made.returncode != 0:
        raise Skipped(f"sslyze cannot be installed: {(made.stderr or made.stdout).strip()[-200:]}")
    return program


def certificates(folder: Path) -> str:
    """An ECDSA and an RSA certificate, as a listener names them."""
    kinds = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
    entries = []
    for name, kind in kinds.items():
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        command = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=scan.test"]
        command += ["-addext", "subjectAltName=DNS:scan.test", "-newkey", *kind]
        subprocess.run([*command, "-out", cert, "-keyout", key], check=True, capture_output=True)
        entries.append(f'{{ cert = "{cert}", key = "{key}" }}')
    return f"[{', '.join(entries)}]"


def listeners(policies: list[str], shown: str) -> tuple[str, dict[str, int]]:
    """A listener for each policy, and their ports."""
    ports = {policy: free_port() for policy in policies}
    parts = [
        f'[[listener]]\nname = "{policy.lower()}"\nbind = "127.0.0.1:{port}"\nprotocol = "https"\n'
        f'fixed-response = {{ status = 200 }}\ncertificates = {shown}\n'
        f'tls-policy = "ELBSecurityPolicy-{policy}"\n'
        for policy, port in ports.items()
    ]
    return "".join(parts), ports


def protocols(suites: set[str]) -> set[str]:
    """Which protocols these suites belong to."""
    kinds = {"tls_1_3": TLS13, "tls_1_2": GCM}
    return {name for name, all_of in kinds.items() if suites & all_of}


def by_sslscan(port: int) -> tuple[set[str], set[str]]:
    """Protocols and suites that sslscan finds."""
    command = ["sslscan", "--xml=-", "--no-fallback", "--no-heartbleed", "--no-groups", "--timeout=30"]
    said = subprocess.run(
        [*command, f"127.0.0.1:{port}"], check=True, capture_output=True, text=True, timeout=300
    ).stdout
    on = re.findall(r'<protocol type="(\w+)" version="([\d.]+)" enabled="1"', said)
    names = {f"{kind}_{version.replace('.', '_')}" for kind, version in on}
    return names, set(re.findall(r'<cipher [^>]*? cipher="([^"]+)"', said))


def by_sslyze(program: Path, port: int, report: Path) -> tuple[set[str], set[str], set[str]]:
    """Protocols, suites and curves that sslyze finds; faults are failures."""
    kinds = ["sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "elliptic_curves"]
    kinds += ["compression", "early_data", "openssl_ccs", "heartbleed", "reneg"]
    options = ["--mozilla_config=disable", f"--json_out={report}"]
    command = [str(program), *options, *(f"--{kind}" for kind in kinds), f"127.0.0.1:{port}"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    [scanned] = json.loads(report.read_text())["server_scan_results"]
    found = {kind: part["result"] for kind, part in scanned["scan_result"].items() if part["result"]}
    for kind, (field, wanted) in FAULTS.items():
        if found[kind][field] is not wanted:
            raise AssertionError(f"sslyze says that {field} of {kind} is {found[kind][field]}")
    names, suites = set(), set()
    for name in (*OLD, "tls_1_2", "tls_1_3"):
        accepted = found[f"{name}_cipher_suites"]["accepted_cipher_suites"]
        if accepted:
            names.add(name)
        suites |= {one["cipher_suite"]["openssl_name"] for one in accepted}
    curves = {curve["name"] for curve in found["elliptic_curves"]["supported_curves"]}
    return names, suites, curves


def scan(stage: Stage) -> str:
    """Both scanners find of each policy exactly what it names."""
    need("sslscan", "openssl")
    program = sslyze()
    policies = list(SMOKE if stage.smoke else POLICIES)
    folder = stage.workspace.folder("scanners")
    config, ports = listeners(policies, certificates(folder))
    stage.serve("scanned", config)
    for policy, port in ports.items():
        for attempt in range(1, ATTEMPTS + 1):
            try:
                compare(policy, port, program, folder / f"{policy}-{attempt}.json")
                break
            except (AssertionError, KeyError, subprocess.SubprocessError):
                if attempt == ATTEMPTS:
                    raise
    return f"{len(policies)} policies show sslscan and sslyze exactly what they name"


def compare(policy: str, port: int, program: Path, report: Path) -> None:
    """What both find at a port is what the policy names."""
    suites = POLICIES[policy]
    wanted = (protocols(suites), suites)
    # Hybrid key exchange is more than sslyze knows.
    curves = CURVES - ({"X25519"} if "FIPS" in policy else set())
    seen = by_sslscan(port)
    if (seen[0], seen[1]) != wanted:
        raise AssertionError(f"{policy}: sslscan finds {seen}, not {wanted}")
    seen_too = by_sslyze(program, port, report)
    if seen_too != (*wanted, curves):
        raise AssertionError(f"{policy}: sslyze finds {seen_too}, not {(*wanted, curves)}")
