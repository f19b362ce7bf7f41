"""Installing shows how far it is, also in a log, and says why it failed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.process


def wheel(folder: Path, name: str) -> str:
    """Make a package of one module; returns its line in a file of requirements."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def install(folder: Path, requirements: str) -> subprocess.CompletedProcess[str]:
    """Install into `there`, from `folder` alone, as `make` does; the output is a log."""
    file = folder / "requirements.txt"
    file.write_text(requirements)
    own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_TARGET": str(folder / "there")}
    command = [sys.executable, str(ROOT / "requirements" / "install.py"), str(file)]
    return subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, timeout=120)


def test_what_is_pinned_is_installed_and_counted(tmp_path: Path) -> None:
    elsewhere = "colorama==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"

    done = install(tmp_path, f"{wheel(tmp_path, 'first')}{wheel(tmp_path, 'second')}{elsewhere}")

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("  Fetching 1 of 2: ")
    assert lines[-1].startswith("  2 packages in ")
    assert {path.name for path in (tmp_path / "there").glob("*.py")} == {"first.py", "second.py"}


def test_a_package_that_is_not_the_pinned_one_ends_it_with_pips_own_words(tmp_path: Path) -> None:
    requirements = wheel(tmp_path, "first").replace("sha256:", "sha256:00")[:-3] + "\n"

    done = install(tmp_path, requirements)

    assert done.returncode == 1
    assert "HASH" in done.stderr.upper()
    assert not (tmp_path / "there").exists()
