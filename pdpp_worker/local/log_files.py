"""Log files that other processes write to for as long as they run."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)


def rotate(log: Path, limit_bytes: int) -> None:
    """Put a log that is longer than `limit_bytes` aside as `NAME.1`, and let its writers go on at its beginning.

    They have it open for appending, so that it cannot be replaced; what they write during the copy is lost. On a full
    disk all of it is.
    """
    if not log.exists() or log.stat().st_size <= limit_bytes:
        return
    aside = log.with_name(f"{log.name}.1")
    try:
        shutil.copyfile(log, aside)
        aside.chmod(0o600)
    except OSError as error:
        logger.warning("%s is emptied, since it cannot be put aside: %s", log, error.strerror)
    with suppress(FileNotFoundError):
        os.truncate(log, 0)
