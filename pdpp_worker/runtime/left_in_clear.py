"""Encrypts the files that killed workers of this host left in the clear, where files are to be encrypted."""

from __future__ import annotations

from pdpp_worker.errors import PdppError
from pdpp_worker.logs import get_logger
from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import resealing

WITHIN_S = 10.0
"""Most time that a call begins with another file, s; the next one goes on."""
_logged: set[str] = set()


def seal(settings: Settings) -> None:
    """Do so at the start of a worker, and now and then beside the control worker's work; failures are logged once."""
    try:
        outcome = resealing.seal_left(settings, WITHIN_S)
    except PdppError as error:  # the keys cannot be read
        outcome = resealing.Resealed(left=[str(error)])
    if outcome.rewritten:
        get_logger().info("files that a killed worker left in the clear were encrypted", files=outcome.rewritten)
    for why in {*outcome.left} - _logged:
        get_logger().warning("files that a killed worker left stay in the clear", why=why)
    _logged.clear()
    _logged.update(outcome.left)
