"""Interpreters of other versions, with the project and what it pins installed for each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fleet import ROOT

PLACES = (
    *os.environ.get("PATH", "").split(os.pathsep),
    *map(str, Path("~/.pyenv/versions").expanduser().glob("*/bin")),
)


def interpreter(version: str, celery: str, directory: Path) -> Path:
    """An interpreter of this version in an environment of its own, with this Celery; skipped where there is none.

    The project pins one Celery; another one takes its place after what is pinned was installed.
    """
    base = _find(version)
    if base is None:
        pytest.skip(f"Python {version} is not installed")
    subprocess.run([base, "-m", "venv", directory / "venv"], check=True)
    python = directory / "venv" / "bin" / "python"
    _install(python, "--require-hashes", "--requirement", str(ROOT / "requirements" / "run.txt"))
    _install(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if not _version(python, "celery").startswith(f"{celery}."):
        _install(python, f"celery=={celery}.*", f"kombu=={celery}.*")
    return python


def _find(version: str) -> str | None:
    for place in PLACES:
        found = shutil.which(f"python{version}", path=place)
        if found and subprocess.run([found, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0:
            return found
    return sys.executable if sys.version.startswith(f"{version}.") else None


def _install(python: Path, *arguments: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", "install", *quiet, *arguments], check=True, stderr=subprocess.DEVNULL)


def _version(python: Path, package: str) -> str:
    asked = [str(python), "-c", f"from importlib.metadata import version; print(version('{package}'))"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout
