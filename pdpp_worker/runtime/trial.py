"""Tries an account outside of any run: paced as its runs are, bounded in time, and nothing of it is kept."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from redis import Redis

from pdpp_worker import clock
from pdpp_worker.connector import Check, Context, Reached
from pdpp_worker.connector.author_context import Occasion
from pdpp_worker.errors import PdppError, UpstreamError
from pdpp_worker.logs import get_logger
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.connection_values import ceiling_ms, cold_lanes, with_defaults
from pdpp_worker.runtime.slice_context import http_factory, secret_reader, transport_factory
from pdpp_worker.runtime.time_limits import PACED, SliceEnded
from pdpp_worker.secrets import Redactor, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import rates
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.stored_files.file_store import FileStore
from pdpp_worker.stored_files.quota import Quota

LONGEST_S = 30.0
"""The time that a trial may take, s, its waits included."""
LONGEST_IN_BROWSER_S = 120.0
"""The same where the owner's browser is started for it."""
LONGEST_PAUSE_S = 15.0
"""The longest pause of a server within an answer, s."""
AT_ONCE = 4
"""Trials of one process at once, those that were given up included: a server that never answers holds a thread."""


class NotSignedInError(PdppError):
    """The account is read through the owner's browser, in which nobody could sign in yet."""


_free = threading.BoundedSemaphore(AT_ONCE)


class _Limits:
    """Ends what lasts too long: a wait that would, before it begins."""

    def __init__(self, longest_s: float) -> None:
        self._until = time.monotonic() + longest_s

    def check(self) -> None:
        """Raise SliceEnded once the time is over."""
        if time.monotonic() >= self._until:
            raise SliceEnded

    def wait_until(self, instant: float, hold: Hold | None) -> None:
        """Wait until a monotonic instant, s; raises SliceEnded where that is too late."""
        left = instant - time.monotonic()
        if instant >= self._until:
            raise SliceEnded(left, hold.reason if hold is not None else PACED)
        time.sleep(max(0.0, left))


@dataclass(frozen=True)
class Trial:
    """One call of a connector's check, for a connection or for one that is not stored yet: its id is 0."""

    settings: Settings
    db: Database
    redis: Redis
    row: ConnectionRow
    manifest: Manifest
    redactor: Redactor = field(default_factory=Redactor)
    """Learns the secrets that were handed out: no text of a failure may be shown without it."""
    longest_s: float | None = None
    """None: the usual."""

    def run(self, check: Check) -> Reached:
        """Call the check.

        Raises:
            NotSignedInError: it can be called once the connection is stored.
            ProviderError: the source refused, asks for a longer wait than there is time for, or did not answer in time.
            PdppError: the connector, a setting or the pacing server is at fault.
        """
        free = _free
        if not free.acquire(blocking=False):
            raise PdppError(f"{AT_ONCE} other checks are under way; try again in a minute.")
        outcome: list[Reached | BaseException] = []
        bound_s = self.longest_s or (LONGEST_IN_BROWSER_S if self._reads_by_browser else LONGEST_S)
        thread = threading.Thread(target=self._work, args=(check, outcome, bound_s, free), name="trial", daemon=True)
        thread.start()
        thread.join(bound_s)
        return _told(outcome[0] if outcome else SliceEnded(), bound_s)

    def _work(
        self, check: Check, outcome: list[Reached | BaseException], bound_s: float, free: threading.BoundedSemaphore
    ) -> None:
        try:
            outcome.append(self._tried(check, _Limits(bound_s)))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
            outcome.append(error)
        finally:
            free.release()

    def _tried(self, check: Check, limits: _Limits) -> Reached:
        with TemporaryDirectory(prefix="pdpp-check-") as files, ExitStack() as clients:
            return check(self._context(Path(files), clients, limits))

    def _context(self, files: Path, clients: ExitStack, limits: _Limits) -> Context:
        settings, row, manifest = self.settings, self.row, self.manifest
        lanes = self._lanes()
        pacer = self._pacer(lanes, limits)
        stored = FileStore(files, quota=Quota(files, most_mb=settings.connection_files_mb, free_mb=0))
        clients.callback(pacer.close)
        hurried = settings.model_copy(update={"http_timeout_s": min(settings.http_timeout_s, LONGEST_PAUSE_S)})
        is_early = self._reads_by_browser and not row.id
        transport = _nobody_signed_in if is_early else transport_factory(settings, self._given, row, clients)
        return Context(
            http=http_factory(hurried, manifest, pacer, self.redactor, clients, lambda paced: paced, transport),
            settings=self._given,
            secret=secret_reader(Vault(settings), manifest, row, self.redactor),
            log=get_logger().bind(connection=row.name, connector=manifest.name),
            now=clock.now,
            pace=pacer.turn,
            stored=stored,
            received=lambda count: lanes.day.on_received(time.monotonic(), count),
            check=stored.with_look(limits.check),
            min_interval_ms=ceiling_ms(settings, manifest, row),
            occasion=Occasion(as_fleet_user=row.as_fleet_user),
        )

    @property
    def _given(self) -> dict[str, Any]:
        return with_defaults(self.manifest.settings, self.row.settings)

    @property
    def _reads_by_browser(self) -> bool:
        return self._given.get("reach") == "browser"

    def _lanes(self) -> Lanes:
        """The rate model as the connection's last slice left it."""
        lanes = cold_lanes(self.settings, self.manifest, self.row)
        with self.db.begin() as connection:
            held = rates.load(connection, self.row.id)
        if held is not None and isinstance(held.state, dict):
            lanes.restore(held.state.get("law"), time.monotonic(), held.age_s)
        return lanes

    def _pacer(self, lanes: Lanes, limits: _Limits) -> Pacer:
        """The pacer, on the bucket of the connection; accounts that are not stored share one for each connector."""
        bucket = Bucket(self.redis, self.row.id or f"check:{self.row.connector}")
        ceiling = ceiling_ms(self.settings, self.manifest, self.row)
        return Pacer(self.row.name, bucket, lanes, ceiling, limits.wait_until, lambda _why, _asked: None)


def _nobody_signed_in(*, signed_in: bool) -> httpx.BaseTransport:  # noqa: ARG001 - the protocol's signature
    raise NotSignedInError


def _told(outcome: Reached | BaseException, longest_s: float) -> Reached:
    if isinstance(outcome, Reached):
        return outcome
    if not isinstance(outcome, SliceEnded):
        raise outcome
    if outcome.pause_s <= 0:
        raise UpstreamError(f"no answer within {longest_s:g} s", reason="timed_out")
    until = clock.now() + timedelta(seconds=outcome.pause_s)
    words = f"nothing is asked before {until.astimezone():%Y-%m-%d %H:%M:%S}: {outcome.why}"
    raise UpstreamError(words, retry_after=until)
