"""The programs that `make bench` measures beside the fleet: `requirements/peers.txt`, in an environment of its own."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(sys.prefix) / "peers"
PYTHON = FOLDER / "bin" / "python"
MISSING = "the peers are not installed"


def are_installed() -> bool:
    """Whether `make` could install them."""
    return PYTHON.exists()
