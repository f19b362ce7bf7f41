"""The transient sweep: gaps whose time has come become recovery runs, one for each connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.dispatch import full_scope
from pdpp_worker.isolation import each
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.recovery.cost import state_cost
from pdpp_worker.recovery.policy import supported_scopes
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, leases, runs
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import by_owner
from pdpp_worker.store.gaps import due as due_gaps
from pdpp_worker.store.gaps.due import DueConnection
from pdpp_worker.store.gaps.selection import GapFilter
from pdpp_worker.store.runs import DueRun

PAGE = 500
EVERYTHING = GapFilter()
UNLIMITED = Budget()


def sweep_transient(settings: Settings, db: Database) -> list[DueRun]:
    """Queue a run for every connection that has due gaps and no run of its own; returns the queued runs."""
    with db.begin() as connection:
        due = due_gaps.due_connections(connection, PAGE, known=known_streams())
    return start_runs(settings, db, due, "sweep")


def recover(
    settings: Settings,
    db: Database,
    connection_ids: Sequence[int],
    selection: GapFilter = EVERYTHING,
    budget: Budget = UNLIMITED,
    on_due: Callable[[Connection, int, int], None] = lambda *_: None,
) -> list[DueRun]:
    """Make gaps of these connections due now, and queue the runs that go back for them.

    Gaps that were given up after many attempts are tried again too: somebody asked. None that waits for another
    version is. A budget of items makes so many of each connection due and no more. `on_due` is called in the same
    transaction with a connection's id and the number of its gaps that were not due before.
    """
    if not connection_ids:
        return []

    def make_due(connection: Connection) -> list[DueConnection]:
        leases.lock(connection, connection_ids)
        for connection_id in connection_ids:
            on_due(connection, connection_id, by_owner.make_due(connection, [connection_id], selection, budget.items))
        return due_gaps.due_connections(
            connection, len(connection_ids), connection_ids, selection, asked=True, known=known_streams()
        )

    return start_runs(settings, db, db.transact(make_due), "manual", selection, budget)


def known_streams() -> dict[str, list[str]]:
    """The streams of each installed connector: a gap of another one is left to a version that knows its stream."""
    return {
        name: [stream.name for stream in connector.manifest.streams]
        for name, connector in registry.all_connectors().items()
    }


def start_runs(
    settings: Settings,
    db: Database,
    due: Sequence[DueConnection],
    trigger: str,
    selection: GapFilter = EVERYTHING,
    budget: Budget = UNLIMITED,
) -> list[DueRun]:
    """Queue the runs that go back for due gaps; returns the queued runs.

    A connection that has a run already gets no other one.
    """
    started = each(
        "cannot be recovered",
        due,
        lambda one: _start_run(settings, db, one, trigger, selection, budget),
        name=attrgetter("connection_id"),
    )
    return [run for run in started if run is not None]


def _start_run(
    settings: Settings, db: Database, due: DueConnection, trigger: str, selection: GapFilter, budget: Budget
) -> DueRun | None:
    connector = registry.get(due.connector)
    targeted = _is_targeted(connector, due)

    def create(connection: Connection) -> tuple[int, bool]:
        leases.lock(connection, [due.connection_id])
        row = connections.by_id(connection, due.connection_id)
        return runs.create(
            connection,
            due.connection_id,
            kind="recovery" if targeted else "forward",
            trigger=trigger,
            # All streams: a record of any of them may be the proof that a selected gap is closed.
            streams=full_scope(connector, row.settings),
            version=connector.manifest.version,
            selection=selection if targeted else EVERYTHING,
            budget=budget.model_dump(exclude_none=True),
            cost=state_cost(settings, connection, row, connector.manifest, selection, budget.items),
        )

    run_id, created = db.transact(create)
    return DueRun(run_id, due.connector) if created else None


def _is_targeted(connector: registry.Connector, due: DueConnection) -> bool:
    """Whether all that is due can be asked for by itself; a connector that is asked for anything else walks."""
    forms = supported_scopes(connector.manifest)
    return not due.streams and (forms.resources or not due.resources) and (forms.batches or not due.batches)
