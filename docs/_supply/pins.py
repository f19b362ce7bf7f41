"""The versions that a file of requirements pins."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


def pins_of(path: Path) -> dict[NormalizedName, str]:
    """The packages of a file, with their versions."""
    return {canonicalize_name(name): version for name, version in _PIN.findall(path.read_text(encoding="utf-8"))}
