"""Opens a slice: plans it, and makes what its connector works with."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from redis import Redis
from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.confined.beside import beside
from pdpp_worker.connector import Context
from pdpp_worker.connector.author_context import Closes
from pdpp_worker.pacing.counts import RequestCounts
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.recovery.policy import carries_gaps, retry_policy, supported_scopes
from pdpp_worker.runtime.command_handler import handler_for
from pdpp_worker.runtime.handler import MessageHandler
from pdpp_worker.runtime.heartbeat import Heartbeat
from pdpp_worker.runtime.limits import SliceLimits
from pdpp_worker.runtime.opened_ahead import OpenedAhead, handed_over
from pdpp_worker.runtime.pace import make_pacer
from pdpp_worker.runtime.permits import holds_process
from pdpp_worker.runtime.plan import Plan, plan_slice
from pdpp_worker.runtime.rate_keeper import RateKeeper, rate_keeper
from pdpp_worker.runtime.rules import forms_of
from pdpp_worker.runtime.slice_context import Answerer, make_context
from pdpp_worker.runtime.time_limits import TimeLimits
from pdpp_worker.secrets import Redactor
from pdpp_worker.settings import Settings
from pdpp_worker.store import run_slices
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps.backlog import Backlog
from pdpp_worker.store.gaps.missing_names import missing_names
from pdpp_worker.store.gaps.retry_policy import RetryPolicy
from pdpp_worker.store.gaps.selection import ScopeKinds

MAX_FAILURES = 10
"""Failed requests in a row after which a run leaves its gaps to a later time, and walks."""

PARKED_SLICES = 15
"""A slice that mostly waits lasts as long as so many slices that work: what it has listed is not asked for again, and
what the owner changes is heard of within a quarter of an hour."""


@dataclass(frozen=True)
class OpenSlice:
    """One slice, ready to work."""

    settings: Settings
    db: Database
    claimed: run_slices.Slice
    connector: registry.Connector
    redactor: Redactor
    policy: RetryPolicy
    backlog: Backlog
    plan: Plan
    handler: MessageHandler
    limits: SliceLimits
    rate: RateKeeper
    pacer: Pacer
    context: Context
    clients: ExitStack
    """Closes the HTTP clients and the browser, and keeps what was learned of the rate."""
    begun_at: float = field(default_factory=time.monotonic)
    """Monotonic, s."""

    @property
    def manifest(self) -> Manifest:
        """The connector's manifest."""
        return self.connector.manifest


def open_slice(
    settings: Settings,
    db: Database,
    redis: Redis,
    claimed: run_slices.Slice,
    *,
    heartbeat: Heartbeat,
    stopping: Callable[[], bool],
    answerer: Answerer,
    ahead: OpenedAhead | None = None,
) -> OpenSlice:
    """Plan the slice and make its limits, its pacer and the connector's context; `ahead` is for the connector.

    Raises:
        LeaseLostError: another worker holds the connection.
        PdppError: the connector is not installed, or the slice cannot be set up.
    """
    connector = registry.get(claimed.connection.connector)
    manifest, redactor, clients = connector.manifest, Redactor(), ExitStack()
    scopes = ScopeKinds(resources=True, batches=True) if carries_gaps(manifest) else supported_scopes(manifest)
    known = [scope["name"] for scope in claimed.streams if manifest.stream(scope["name"])]
    backlog = Backlog(claimed.claim, scopes, claimed.selection, manifest.version, known)
    plan, missing = _plan(db, settings, claimed, manifest, backlog)
    handler = handler_for(manifest, plan.start, redactor, missing)
    rate = rate_keeper(settings, db, claimed, manifest, emit=handler.note)
    limits = _limits(settings, claimed, manifest, plan, rate, heartbeat, stopping)
    pacer = make_pacer(redis, claimed, manifest, rate, limits, clients, walks=plan.phase == "walk")
    context = make_context(
        settings, manifest, claimed, pacer, redactor, clients, limits, answerer, retries_gaps=plan.phase != "walk"
    )
    context = _completed(context, plan, manifest, rate, handed_over(ahead, claimed.connection, pacer))
    return OpenSlice(
        settings,
        db,
        claimed,
        connector,
        redactor,
        retry_policy(settings),
        backlog,
        plan,
        handler,
        limits,
        rate,
        pacer,
        context,
        clients,
    )


def _completed(
    context: Context, plan: Plan, manifest: Manifest, rate: RateKeeper, opened_ahead: Callable[[], Closes | None]
) -> Context:
    """The context with what is known once the slice is planned."""
    forms = forms_of(plan.start.scope.streams, manifest.streams)
    apart = partial(beside, context.check, forms)
    return replace(context, received=rate.received, opened_ahead=opened_ahead, beside=apart)


def _plan(
    db: Database, settings: Settings, claimed: run_slices.Slice, manifest: Manifest, backlog: Backlog
) -> tuple[Plan, dict[str, Container[str]]]:
    """The plan, and what is missing in the streams that have open gaps; only gaps to try have to be written of."""
    names = [scope["name"] for scope in claimed.streams]

    def plan(connection: Connection) -> tuple[Plan, dict[str, Container[str]]]:
        run_slices.begin_slice(connection, claimed.claim, manifest.version)
        planned = plan_slice(connection, settings, claimed, manifest, backlog)
        if not planned.start.detail_gaps:
            run_slices.durable_later(connection)
        return planned, missing_names(connection, claimed.connection.id, names)

    with db.glance() as connection:
        is_known = manifest.version == claimed.version
        if is_known and not missing_names(connection, claimed.connection.id, names):
            return plan_slice(connection, settings, claimed, manifest, None), {}
    return db.transact(plan)


def _longest_s(settings: Settings, claimed: run_slices.Slice, manifest: Manifest, plan: Plan) -> float:
    """How long a slice may last with its parked waits, s: long only where a wait holds nothing but a thread.

    Slices that retry gaps end soon, so that they make room for a walk that is due.
    """
    waits_cheaply = manifest.queue == "collect" and not holds_process(manifest, claimed.connection.settings)
    return settings.slice_s * (PARKED_SLICES if waits_cheaply and plan.phase == "walk" else 1)


def _limits(
    settings: Settings,
    claimed: run_slices.Slice,
    manifest: Manifest,
    plan: Plan,
    rate: RateKeeper,
    heartbeat: Heartbeat,
    stopping: Callable[[], bool],
) -> SliceLimits:
    walk_follows = plan.phase == "recover" and claimed.kind == "forward"
    return SliceLimits(
        heartbeat,
        TimeLimits(settings.slice_s, plan.budget.seconds, longest_s=_longest_s(settings, claimed, manifest, plan)),
        RequestCounts(),
        max_requests=plan.budget.requests,
        has_failed_enough=lambda: walk_follows and rate.lanes.failed_in_a_row >= MAX_FAILURES,
        stopping=stopping,
    )
