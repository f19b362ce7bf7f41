"""The manifests of Kubernetes are valid by the schemas of its oldest and newest version that the checker has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.matrix.interpreters import install, uv
from tests.support.fleet import ROOT
from tests.test_kubernetes import LISTS

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif("PDPP_MATRIX" not in os.environ, reason="installs a checker: make matrix"),
]

NOT_OF_KUBERNETES = {"ScaledObject", "TriggerAuthentication"}
"""Kinds of KEDA: no schema of Kubernetes has them."""


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checker, in an environment of its own."""
    home = tmp_path_factory.mktemp("checker")
    uv("venv", "--python", sys.executable, str(home))
    install(home / "bin" / "python", "--require-hashes", "--requirement", str(ROOT / "requirements" / "kubernetes.txt"))
    return home / "bin" / "kubernetes-validate"


@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_every_object_is_valid(checker: Path, version: str) -> None:
    named = [one.parent / name for one in LISTS for name in yaml.safe_load(one.read_text()).get("resources", [])]
    files = [path for path in named if path.is_file()]

    done = subprocess.run([checker, "--strict", "-k", version, *files], capture_output=True, text=True)

    said = done.stdout + done.stderr
    assert "ERROR" not in said, said
    assert set(re.findall(r"schema for kind (\w+)", said)) == NOT_OF_KUBERNETES
    assert said.count(" passed for resource ") > len(files) - len(NOT_OF_KUBERNETES)
