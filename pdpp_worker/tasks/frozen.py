"""Ends a worker of which no thread runs any more: none of them could say so, or hear that it is to end.

A pattern that backtracks without end, or foreign code that keeps the interpreter's lock, stops all threads of a
process. The watchdog is a thread outside of the interpreter. It writes where each thread stands to standard error, and
ends the process; the supervisor starts another, and other runs go on.
"""

from __future__ import annotations

import faulthandler
import threading
import time
from functools import cache

FROZEN_S = 120.0
"""A process of which no thread has run for so long is ended, s. It counts no time in which the machine sleeps."""
_PER_BOUND = 12


@cache
def watch(frozen_s: float = FROZEN_S) -> None:
    """Watch this process from now on."""
    threading.Thread(target=_put_off, args=(frozen_s,), name="frozen", daemon=True).start()


def _put_off(frozen_s: float) -> None:
    """Put the end off for as long as a thread runs that can do it."""
    while True:
        faulthandler.dump_traceback_later(frozen_s, exit=True)
        time.sleep(frozen_s / _PER_BOUND)
