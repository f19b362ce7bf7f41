"""Where data is kept when the owner names no place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import platformdirs

_CHECKOUT = Path(__file__).resolve().parent.parent


def default_data_dir() -> Path:
    """The directory of the embedded servers, logs and keys.

    A checkout gets a directory of its own, so that two checkouts never share a database. Root gets a place under
    `/var/lib`: PostgreSQL refuses to run as root, and the account it runs as cannot enter root's home.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        base = Path("/var/lib/pdpp-worker")
    else:
        base = Path(platformdirs.user_data_dir("pdpp-worker"))
    if not (_CHECKOUT / "pyproject.toml").exists():
        return base / "default"
    digest = hashlib.sha256(str(_CHECKOUT).encode()).hexdigest()[:8]
    return base / f"{_CHECKOUT.name}-{digest}"


def data_dirs(data_dir: Path) -> list[Path]:
    """The data directories of this account that exist: this one, then others."""
    return [*([data_dir] if data_dir.exists() else []), *other_data_dirs(data_dir)]


def other_data_dirs(data_dir: Path) -> list[Path]:
    """Data directories of other checkouts, such as of this one before it was moved; none where the owner chose one."""
    if data_dir != default_data_dir():
        return []
    found = (path.parents[2] for path in data_dir.parent.glob("*/embedded/postgres/data"))
    return sorted(path for path in found if path != data_dir)
