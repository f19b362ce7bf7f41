"""The package as it is published, apart from the checkout."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def requirements_of(wheel: Path) -> list[str]:
    """The requirements that the wheel names."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []


def needed(requirements: Iterable[str], extras: frozenset[str] = frozenset()) -> set[str]:
    """The packages that these requirements name with these extras, and those that they need here in their turn."""
    found: set[str] = set()
    for one in map(Requirement, requirements):
        asked = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras or {""})
        if asked and (name := canonicalize_name(one.name)) not in found:
            found |= {name} | needed(metadata.requires(name) or [], frozenset(one.extras))
    return found


def pins(names: set[str]) -> str:
    """The lines by which these packages are pinned, with their hashes."""
    text = (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    return "".join(block for block in blocks if canonicalize_name(re.split(r"[=\[]", block)[0]) in names)


def install_alone(wheel: Path, folder: Path) -> Path:
    """Install the wheel with its extra `embedded` into an empty environment, at the versions that are pinned.

    Everything is checked by its hash. Returns the folder of the environment's programs.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wanted = folder / "wanted.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    own = f"pdpp-worker[embedded] @ {wheel.as_uri()} --hash=sha256:{digest}\n"
    wanted.write_text(own + pins(needed(requirements_of(wheel), frozenset({"embedded"}))))
    install = ("install", "--quiet", "--require-hashes", "--requirement", str(wanted))
    subprocess.run([str(folder / "bin" / "python"), *PIP, *install], check=True)
    return folder / "bin"
