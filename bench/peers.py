"""The programs that `make bench` measures beside the fleet, in a folder of their own.

`requirements/peers.txt` names those of Python, `requirements/npm` that of npm; mail programs come from Debian.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(sys.prefix) / "peers"
PYTHON = FOLDER / "bin" / "python"
CCUSAGE = FOLDER / "node_modules" / "@ccusage" / "ccusage-linux-x64" / "bin" / "ccusage"
MISSING = "the peers are not installed"


def are_installed() -> bool:
    """Whether `make` could install them."""
    return PYTHON.exists()
