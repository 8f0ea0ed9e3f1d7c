"""Looks the locked packages up among the known vulnerabilities, with pip-audit.

Fails (exit code 1) only on a vulnerability that a newer version mends. One without a mend is shown and passes:
nothing in this repository could turn it green. So does an audit whose data cannot be had: it says "skipped".
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "requirements-dev.lock"  # holds what the other lock files hold
SERVICES = ("pypi", "osv")
CONNECT_S = 5
WHOLE_S = 90  # for a whole answer: one request a package


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What one service knew of the locked packages."""

    looked_up: int
    """Packages for which it had data."""
    unknown: tuple[str, ...]
    """Packages it does not know."""
    mendable: tuple[str, ...]
    """One line for each vulnerability that a newer version mends."""
    open: tuple[str, ...]
    """One line for each vulnerability without a mend."""


def read_report(report: str) -> Audit:
    """Reads pip-audit's JSON; raises ValueError (also KeyError or TypeError) where it is none."""
    looked_up, unknown, mendable, unmended = 0, [], [], []
    packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    for package in packages:
        if "skip_reason" in package:
            unknown.append(package["name"])
            continue
        looked_up += 1
        for found in package["vulns"]:
            line = f"{package['name']} {package['version']}: {found['id']}"
            if found["fix_versions"]:
                mendable.append(f"{line}, mended in {', '.join(found['fix_versions'])}")
            else:
                unmended.append(f"{line}, no mend yet")
    return Audit(looked_up=looked_up, unknown=tuple(unknown), mendable=tuple(mendable), open=tuple(unmended))


def ask(service: str) -> Audit | str:
    """The audit by *service*, or why there is none."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service]
    command += ["--requirement", str(LOCK), "--disable-pip", "--require-hashes", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", str(CONNECT_S)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WHOLE_S)
    except subprocess.TimeoutExpired:
        return f"no answer within {WHOLE_S} s"
    try:
        audit = read_report(done.stdout)
    except (ValueError, KeyError, TypeError):
        return (done.stderr.strip() or "pip-audit said nothing").splitlines()[-1]
    return audit if audit.looked_up else f"it knows none of the {len(audit.unknown)} packages"


def verdict(audit: Audit) -> tuple[int, list[str]]:
    """The exit code, and the lines to print."""
    lines = [f"audit: {audit.looked_up} packages looked up, {len(audit.mendable + audit.open)} vulnerabilities"]
    if audit.unknown:
        lines.append(f"audit: not known to the service: {', '.join(audit.unknown)}")
    lines += [f"audit: warning: {line}" for line in audit.open]
    lines += [f"audit: error: {line}; scripts/lock -P {line.split()[0]}" for line in audit.mendable]
    return (1 if audit.mendable else 0), lines


def main() -> int:
    """Asks one service after the other until one has data; returns the exit code."""
    for service in SERVICES:
        match ask(service):
            case str(reason):
                print(f"audit: {service} not usable: {reason}", file=sys.stderr)
            case Audit() as audit:
                code, lines = verdict(audit)
                print(*lines, sep="\n", file=sys.stderr)
                return code
    print("audit: skipped, since no vulnerability data can be had from here.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
