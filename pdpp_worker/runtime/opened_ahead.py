"""Opens a connector's connection to its source while the slice is claimed and planned.

Nothing is collected with it before the claim is on the disk, and it is closed unused where the claim fails: the
provider then sees one connection more. It is a request like every other, so it has its turn or is not begun.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

from redis import Redis

from pdpp_worker import registry
from pdpp_worker.connector.author_context import Closes, nothing_opened
from pdpp_worker.logs import get_logger
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.connection_values import ceiling_ms, cold_lanes, with_defaults
from pdpp_worker.runtime.slice_context import secret_reader
from pdpp_worker.secrets import Redactor, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.rates import HeldRate
from pdpp_worker.store.run_slices import DueSlice


class _NotNowError(Exception):
    """The request would have to wait."""


class OpenedAhead:
    """A connection to the source that a thread opens for one slice."""

    def __init__(self, row: ConnectionRow, opens: Callable[[], Closes], sent_at: float) -> None:
        """`sent_at`: when its turn came; monotonic, s."""
        self._row, self._sent_at = row, sent_at
        self._opened: Future[Closes] = Future()
        self._is_gone = False
        """Whether it was taken or dropped."""
        threading.Thread(target=self._work, args=(opens,), name="open-ahead", daemon=True).start()

    def taken(self, row: ConnectionRow, pacer: Pacer) -> Closes | None:
        """Wait for it and hand it over, once; None where the connection's settings or credentials changed since.

        Raises the failure to open it, after the pacer has heard of that.
        """
        if row != self._row:
            self.drop()
        if self._is_gone:
            return None
        with pacer.adopted(self._sent_at):
            self._is_gone = True
            return self._opened.result()

    def drop(self) -> None:
        """Close it as soon as it is open, if nobody took it."""
        if not self._is_gone:
            self._is_gone = True
            self._opened.add_done_callback(_close)

    def _work(self, opens: Callable[[], Closes]) -> None:
        try:
            self._opened.set_result(opens())
        except BaseException as error:  # noqa: BLE001 - raised where it is taken
            self._opened.set_exception(error)


def _close(opened: Future[Closes]) -> None:
    if opened.exception() is None:
        opened.result().close()


def handed_over(ahead: OpenedAhead | None, row: ConnectionRow, pacer: Pacer) -> Callable[[], Closes | None]:
    """The function by which a slice's connector takes what was opened for it."""
    return nothing_opened if ahead is None else partial(ahead.taken, row, pacer)


@contextmanager
def opened_ahead(settings: Settings, redis: Redis, due: DueSlice | None) -> Iterator[OpenedAhead | None]:
    """Open for a run that a worker is about to claim; close it at the end of the block if nobody took it.

    `due`: the run; None where it was looked at a while ago.
    """
    ahead = None if due is None else _begun(settings, redis, due)
    try:
        yield ahead
    finally:
        if ahead is not None:
            ahead.drop()


def _begun(settings: Settings, redis: Redis, due: DueSlice) -> OpenedAhead | None:
    row = due.connection
    try:
        connector = registry.all_connectors().get(row.connector)
        open_ahead = None if connector is None else connector.open_ahead()
        if connector is None or open_ahead is None:
            return None
        manifest = connector.manifest
        secret = secret_reader(Vault(settings), manifest, row, Redactor())
        opens = open_ahead(with_defaults(manifest.settings, row.settings), secret)
        is_next = opens is not None and _has_its_turn(settings, redis, due, manifest)
        return OpenedAhead(row, opens, time.monotonic()) if opens is not None and is_next else None
    except Exception as error:  # noqa: BLE001 - also of the connector's code; the slice meets it again, and tells of it
        get_logger().debug("nothing was opened ahead", connection=row.name, error=type(error).__name__)
        return None


def _has_its_turn(settings: Settings, redis: Redis, due: DueSlice, manifest: Manifest) -> bool:
    """Whether the learned rate and the shared bucket let a request of this run out at once; then its turn is taken."""
    row, held = due.connection, due.rate
    lanes, ceiling = cold_lanes(settings, manifest, row), ceiling_ms(settings, manifest, row)
    is_free = due.is_free and due.version == manifest.version
    if not is_free or (held is not None and not _restored(lanes, held)):
        return False
    try:
        Pacer(row.name, Bucket(redis, row.id), lanes, ceiling, _at_once, lambda _why, _asked: None).admit()
    except _NotNowError:
        return False
    return True


def _restored(lanes: Lanes, held: HeldRate) -> bool:
    notes: Any = held.state
    return isinstance(notes, dict) and lanes.restore(notes.get("law"), time.monotonic(), held.age_s)


def _at_once(instant: float, hold: Hold | None) -> None:
    if hold is not None or instant > time.monotonic():
        raise _NotNowError
