"""Interpreters of other versions, with the project and what it pins installed for each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.support.fleet import ROOT

PLACES = (
    *os.environ.get("PATH", "").split(os.pathsep),
    *map(str, Path("~/.pyenv/versions").expanduser().glob("*/bin")),
)


def interpreter(version: str, celery: str, directory: Path) -> Path:
    """An interpreter of this version in an environment of its own, with this Celery; skipped where one is missing.

    The project pins one Celery; another one takes its place after what is pinned was installed.
    """
    base = _find(version)
    if base is None:
        pytest.skip(f"Python {version} is not installed")
    uv("venv", "--python", base, str(directory / "venv"))
    python = directory / "venv" / "bin" / "python"
    install(python, "--require-hashes", "--requirement", str(ROOT / "requirements" / "run.txt"))
    install(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if not _version(python, "celery").startswith(f"{celery}."):
        try:
            install(python, f"celery=={celery}.*", f"kombu=={celery}.*")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"Celery {celery} cannot be installed: {error.stderr.strip().splitlines()[-1]}")
    return python


def _find(version: str) -> str | None:
    for place in PLACES:
        found = shutil.which(f"python{version}", path=place)
        if found and _version_of(found) == version:
            return found
    return sys.executable if sys.version.startswith(f"{version}.") else None


def _version_of(python: str) -> str:
    """Its version; none where it is only the shim of one that is not there."""
    asked = [python, "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip()


def install(python: Path, *arguments: str) -> None:
    """Install into the environment of an interpreter; raises CalledProcessError."""
    uv("pip", "install", "--python", str(python), *arguments)


def uv(*arguments: str) -> None:
    """Run uv; raises CalledProcessError."""
    subprocess.run([find_uv_bin(), "--quiet", *arguments], check=True, capture_output=True, text=True)


def _version(python: Path, package: str) -> str:
    asked = [str(python), "-c", f"from importlib.metadata import version; print(version('{package}'))"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout
