"""Renews the leases of all slices of this process, in one thread and one transaction."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from pdpp_worker.errors import PacerUnavailableError
from pdpp_worker.store import leases, run_parked
from pdpp_worker.store.engine import Database

if TYPE_CHECKING:
    from pdpp_worker.runtime.heartbeat import Heartbeat

logger = logging.getLogger(__name__)

HEARTBEATS_PER_LEASE = 3
LOOK_EVERY_S = 0.2
"""How soon a slice that waits learns of a worker that shuts down."""
ASK_EVERY_S = 1.0
"""How soon it learns of a lease that was lost, or of an owner who cancels."""


class Renewals:
    """The slices of this process, and the thread that renews their leases while there are any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._beats: set[Heartbeat] = set()
        self._thread: threading.Thread | None = None
        self._ask_at = 0.0
        self._is_looking = False

    def add(self, beat: Heartbeat) -> None:
        """Renew this lease from now on."""
        with self._changed:
            self._beats.add(beat)
            if self._thread is None:
                self._ask_at = time.monotonic() + _at_most(ASK_EVERY_S, [beat])
                self._thread = threading.Thread(target=self._work, name="renewals", daemon=True)
                self._thread.start()
            self._changed.notify()

    def discard(self, beat: Heartbeat) -> None:
        """Renew this lease no more; what is asked of its database now is waited for."""
        with self._changed:
            self._beats.discard(beat)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._is_looking)

    def _work(self) -> None:
        while beats := self._next():
            try:
                self._look(beats)
            except Exception:  # all leases of this process depend on this thread
                logger.exception("leases not renewed")
            with self._changed:
                self._is_looking = False
                self._changed.notify_all()

    def _next(self) -> list[Heartbeat]:
        with self._changed:
            if self._beats:
                self._changed.wait(_at_most(LOOK_EVERY_S, self._beats))
            if not self._beats:
                self._thread = None
            self._is_looking = bool(self._beats)
            return list(self._beats)

    def _look(self, beats: Sequence[Heartbeat]) -> None:
        if stopping := [beat for beat in beats if beat.is_stopping and not beat.ended]:
            with _outages_told():
                end_parked(stopping)
        are_over = all(beat.ended for beat in beats)
        for beat in beats:
            # Threads that were ended have time until the others have committed.
            if not beat.ended or are_over:
                beat.look()
        if time.monotonic() >= self._ask_at:
            self._ask_at = time.monotonic() + _at_most(ASK_EVERY_S, beats)
            with _outages_told():
                renew(beats)


def _at_most(pause_s: float, beats: Iterable[Heartbeat]) -> float:
    """A pause in which no lease runs out."""
    return min(pause_s, *(beat.claim.lease_s / HEARTBEATS_PER_LEASE for beat in beats))


@contextmanager
def _outages_told() -> Iterator[None]:
    """Log a server that is out of reach: the next look tries again, and each slice ends by itself."""
    try:
        yield
    except (DBAPIError, NoConnectionFree, PacerUnavailableError) as error:
        logger.warning("leases not renewed or given back: %s", type(error).__name__)


def end_parked(beats: Sequence[Heartbeat]) -> None:
    """End the slices that only wait, all in one transaction; where it fails, each ends by itself."""
    for db, those in _by_database(beats).items():
        with ExitStack() as kept:
            seized = [(beat, kept.enter_context(beat.seized())) for beat in those]
            parked = [one for _, one in seized if one is not None]
            ended = db.transact(partial(run_parked.end_all, parked=parked))
            for beat, _ in seized:
                if beat.claim.run_id in ended:
                    beat.end()


def _by_database(beats: Sequence[Heartbeat]) -> dict[Database, list[Heartbeat]]:
    together = defaultdict(list)
    for beat in beats:
        together[beat.db].append(beat)
    return together


def renew(beats: Sequence[Heartbeat]) -> None:
    """Renew the leases that are due; notice which of all were lost, and which runs their owners cancelled."""
    for db, those in _by_database(beats).items():
        with db.begin() as connection:
            lost, cancelled = leases.lost_and_cancelled(connection, [beat.claim for beat in those])
            renewed = leases.renew_all(connection, [beat.claim for beat in those if beat.is_due])
        for beat in those:
            _note(beat, lost, cancelled, renewed)


def _note(beat: Heartbeat, lost: set[int], cancelled: set[int], renewed: set[int]) -> None:
    if beat.claim.run_id in lost and not beat.ended:
        beat.note_lost()
    beat.note_cancel(beat.claim.run_id in cancelled)
    if beat.claim.connection_id in renewed:
        beat.note_renewed()


renewals = Renewals()
