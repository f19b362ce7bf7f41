"""The outlook of a connection: who resolves its gaps, when each is retried, and when all of them will be here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from pdpp_worker import registry
from pdpp_worker.coverage.stillness import Untouched, is_fruitless, stillness
from pdpp_worker.coverage.stream import availability_of
from pdpp_worker.coverage.verdict import Availability, GapFacts, Resolver, resolver
from pdpp_worker.coverage.waits import Wait, next_try, wait_of
from pdpp_worker.pacing.forecast import Forecast, forecast
from pdpp_worker.pacing.intervals import Ceiling, ceiling, paced_interval_ms, recovery_interval_ms
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.reasons import NEEDS_OWNER, RecoveryKind, known_reason
from pdpp_worker.recovery.policy import satisfies, supported_scopes
from pdpp_worker.settings import Settings
from pdpp_worker.store.views import connection_views, reading
from pdpp_worker.store.views import wait_views as store
from pdpp_worker.store.views.connection_views import ConnectionView
from pdpp_worker.store.views.coverage_views import GapGroup
from pdpp_worker.store.views.gap_views import GapView
from pdpp_worker.store.views.run_views import RunCost
from pdpp_worker.store.views.wait_views import Waits

if TYPE_CHECKING:
    from sqlalchemy import Connection

Gap = GapGroup | GapView


@dataclass(frozen=True)
class Outlook:
    """One connection at one instant. Every command that says who, when or why gets it from here."""

    view: ConnectionView
    manifest: Manifest | None
    """The installed connector's manifest; None: it is not installed."""
    ceiling: Ceiling
    waits: Waits
    now: datetime

    @cached_property
    def wait(self) -> Wait | None:
        """The wait that is in force."""
        return wait_of(self.waits, self.now)

    @property
    def still(self) -> Untouched | None:
        """Work that has not been touched for too long; None: the connection does not stand still."""
        return stillness(self.waits, installed=self.manifest is not None, now=self.now)

    @property
    def is_fruitless(self) -> bool:
        """Whether the last slices of its run made no progress."""
        return is_fruitless(self.waits.run)

    @property
    def is_paused(self) -> bool:
        """Whether no run goes for anything until the owner lets the connection go on."""
        return bool(self.view.paused) and self.waits.run is None

    @property
    def interval_ms(self) -> float | None:
        """The interval between two requests, ms: the learned one, never below the ceiling; None: none was learned."""
        learned = self.waits.interval_ms
        return None if learned is None else paced_interval_ms(learned, self.ceiling.min_interval_ms)

    @property
    def recovery_interval_ms(self) -> float | None:
        """The interval at which gaps are asked for, ms; None as long as none was learned."""
        learned = self.waits.interval_ms
        return None if learned is None else recovery_interval_ms(learned, self.ceiling.min_interval_ms, self.manifest)

    def availability(self, stream: str) -> Availability:
        """Whether the installed connector supplies a stream to the connection."""
        return availability_of(self.manifest, stream, self.view.settings)

    def resolver(self, gap: Gap) -> Resolver:
        """Tell who resolves a gap, or gaps that are alike."""
        upgrade = gap.recovery_kind == RecoveryKind.UPGRADE
        facts = GapFacts(
            availability=self.availability(gap.stream),
            closed=isinstance(gap, GapView) and gap.closed_at is not None,
            exhausted=gap.exhausted,
            timed=gap.next_attempt_at is not None,
            upgrade=upgrade,
            upgraded=upgrade and self._is_upgraded(gap),
            paused=self.is_paused,
        )
        return resolver(facts)

    def who_mends(self, gap: GapView) -> Resolver | None:
        """Tell who resolves a gap, as `who_mends` in JSON; None once it was recovered, and nothing is left to do."""
        return None if gap.status == "recovered" else self.resolver(gap)

    @cached_property
    def why_refused(self) -> str | None:
        """Why the connector, which is there, is refused; None: it is installed, or is not there."""
        return registry.refused_connectors().get(self.view.connector) if self.manifest is None else None

    @property
    def why_without(self) -> str:
        """Say of a connection without a usable connector what is wrong with that."""
        return self.why_refused or f"The connector {self.view.connector} is not installed."

    def next_try(self, gap: Gap) -> datetime | None:
        """The next try of the first of them; None where the fleet does not retry them by itself."""
        return self._tried_at(gap, gap.next_attempt_at)

    def expected(self, gaps: Iterable[GapGroup], of: Iterable[GapGroup] | None = None) -> Forecast | None:
        """The end of all that the fleet retries by itself; None where nobody can tell.

        `gaps` is all that is missing of the connection, since its streams share one rate; `of` are the gaps whose end
        is asked for (None: all). Nobody can tell where no rate was learned, where some of them stand for an unknown
        number of items, or where more than time is needed.
        """
        everything = list(gaps)
        pending = self.pending(everything)
        own = self.pending(of) if of is not None else pending
        interval_ms = self.recovery_interval_ms
        if not own or interval_ms is None or not self.is_targeted or self._needs_more_than_time(everything):
            return None
        if any(one.resources < one.count for one in own):
            return None
        first_at = min(at for one in pending if (at := self.next_try(one)) is not None)
        last_at = max(at for one in own if (at := self._tried_at(one, one.last_attempt_at)) is not None)
        items = sum(one.count for one in pending)
        return forecast(items, interval_ms, self.now, learned=True, not_before=first_at, last_at=last_at)

    def expected_of_run(self, cost: RunCost, *, single_items: bool) -> Forecast:
        """The cost and the end of a run that retries gaps, counted from the wait in force; the end can be unknown, too.

        `single_items`: whether each of its gaps names one item.
        """
        not_before = self.wait.until if self.wait else None
        found = forecast(cost.items, cost.interval_ms, self.now, learned=cost.learned, not_before=not_before)
        is_known = cost.learned and single_items and self.is_targeted and not self.waits.in_vain
        return found if is_known else replace(found, done_at=None)

    def pending(self, gaps: Iterable[GapGroup]) -> list[GapGroup]:
        """The gaps that the fleet retries by itself."""
        return [one for one in gaps if self.resolver(one) is Resolver.TIME]

    @property
    def is_targeted(self) -> bool:
        """Whether the connector can be asked for single items."""
        return self.manifest is not None and supported_scopes(self.manifest).resources

    def _needs_more_than_time(self, gaps: Iterable[GapGroup]) -> bool:
        """Whether all waits for the owner, nothing goes on, or tries have failed every time so far."""
        refused = any(known_reason(one.reason) in NEEDS_OWNER and self.resolver(one) is Resolver.OWNER for one in gaps)
        return refused or bool(self.view.asked_of_owner) or self.still is not None or self.waits.in_vain

    def _tried_at(self, gap: Gap, own: datetime | None) -> datetime | None:
        if self.resolver(gap) is not Resolver.TIME:
            return None
        return next_try(own, gap.reason, self.wait, self.waits.cooldown_until, self.now)

    def _is_upgraded(self, gap: Gap) -> bool:
        """Whether the version that it waits for is installed, and does not retry by itself."""
        return (
            self.manifest is not None
            and not self.manifest.recovery.supports_version_bumped_retry
            and satisfies(self.manifest.version, gap.connector_version_seen or "", gap.connector_version_required)
        )


def read(
    settings: Settings, connection: Connection, ids: Sequence[int] | None = None, now: datetime | None = None
) -> list[Outlook]:
    """The outlook of all connections by name, or of those with these ids; `now` None: the database's time."""
    at = now or reading.now(connection)
    waits = {one.connection_id: one for one in store.read(connection, ids)}
    return [_outlook(settings, view, waits[view.id], at) for view in connection_views.read(connection, ids)]


def _outlook(settings: Settings, view: ConnectionView, waits: Waits, now: datetime) -> Outlook:
    connector = registry.all_connectors().get(view.connector)
    manifest = connector.manifest if connector else None
    return Outlook(view, manifest, ceiling(settings, view.connector, manifest, view.min_interval_ms), waits, now)
