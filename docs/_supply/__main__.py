"""Looks for known vulnerabilities of what is pinned, by pip-audit where FOLDER is "".

    python -m docs._supply FOLDER FILE…

Ends with 0 when all was looked up and nothing found, 1 with findings, 2 when it could not look.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from docs._supply.advisories import Advisories
from docs._supply.pins import pins_of

FOUND, COULD_NOT_LOOK = 1, 2


def main(folder: str, files: list[Path]) -> int:
    """Look in a folder of advisories, else ask PyPI; returns the exit code."""
    return _by_folder(Path(folder), files) if folder else max(_by_network(file) for file in files)


def _by_folder(folder: Path, files: list[Path]) -> int:
    try:
        advisories = Advisories(folder)
    except ValueError as error:
        sys.stderr.write(f"Nothing was looked up: {error}.\n")
        return COULD_NOT_LOOK
    pins = {pin for file in files for pin in pins_of(file).items()}
    findings = [found for package, version in sorted(pins) for found in advisories.about(package, version)]
    for found in findings:
        sys.stdout.write(f"{found.package} {found.version}: {found.advisory} {found.summary}\n")
    sys.stdout.write(f"Looked up {len(pins)} packages: {len(findings)} findings.\n")
    return FOUND if findings else 0


def _by_network(file: Path) -> int:
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--requirement", str(file)]
    done = subprocess.run([*command, "--progress-spinner=off", "--format=json"], capture_output=True, check=False)
    if not done.stdout.strip():
        why = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:300]
        sys.stderr.write(
            f"{file} was not looked up: {why}\nWhere no vulnerability database can be reached, give one: "
            "make audit AUDIT_DB=FOLDER, with advisories in OSV's form (PyPI/all.zip of osv.dev, unpacked).\n"
        )
        return COULD_NOT_LOOK
    sys.stdout.write(done.stderr.decode(errors="replace"))
    if done.returncode:
        sys.stdout.write(done.stdout.decode(errors="replace"))
    return FOUND if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [Path(name) for name in sys.argv[2:]]))
