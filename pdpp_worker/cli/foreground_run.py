"""Work a run in this process, so that its connector can ask the owner.

An answer goes from the terminal to the connector, and through no database, broker or log.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pdpp_worker.cli.output import note
from pdpp_worker.cli.prompts import Terminal
from pdpp_worker.local.endpoints import resolve
from pdpp_worker.owner.session import Session
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.runtime.slice import run_slice


def work(session: Session, run_id: int) -> bool:
    """Work slice after slice until the run ends, waits, or turns out to be at work elsewhere.

    Returns:
        Whether the owner stopped it with Ctrl-C; its position is kept then.
    """
    redis = connect(resolve(session.settings).redis_url.get_secret_value(), session.settings.broker_timeout_s)
    terminal = Terminal()
    with redis, _private_files(), _stopping_on_ctrl_c() as stopping:
        while not stopping():
            result = run_slice(session.settings, session.db, redis, run_id, stopping=stopping, answerer=terminal)
            if result is None:
                note(f"A worker is at run {run_id} already; what its connector asks is answered there, by nobody.")
            elif result.pause_s > 0:
                note(f"Run {run_id} has to wait; the fleet goes on with it, and its connector cannot ask you there.")
            if result is None or result.status is not None or result.pause_s > 0:
                break
        return stopping()


@contextmanager
def _private_files() -> Iterator[None]:
    """Files that a connector writes are for this user alone, as they are in a worker."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _stopping_on_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Ctrl-C lets the slice end in good order."""
    pressed: list[int] = []

    def press(number: int, _: FrameType | None) -> None:
        pressed.append(number)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
