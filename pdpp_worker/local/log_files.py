"""Log files that other processes write to for as long as they run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def rotate(log: Path, limit_bytes: int) -> None:
    """Put a log that is longer than `limit_bytes` aside as `NAME.1`, and let its writers go on at its beginning.

    They have it open for appending, so that it cannot be replaced; what they write during the copy is lost.
    """
    if log.exists() and log.stat().st_size > limit_bytes:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        log.with_name(f"{log.name}.1").chmod(0o600)
        os.truncate(log, 0)
