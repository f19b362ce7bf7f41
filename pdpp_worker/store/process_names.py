"""By which names the server, and the fleet, know a process."""

from __future__ import annotations

import os
import socket

APPLICATION = "pdpp-worker"
"""The server knows our connections by this name, with that of their process behind it."""


def process_name() -> str:
    """This process among all of the fleet: the holder of its leases, and its name in `pg_stat_activity`."""
    return f"{socket.gethostname()}:{os.getpid()}"
