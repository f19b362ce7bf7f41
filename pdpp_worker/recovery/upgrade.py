"""The upgrade sweep: a newer version of a connector retries gaps that an older one could not read.

It proves itself first: a canary of a few gaps, and the rest only if the canary healed any. A gap that the new version
cannot read either waits for the next one.
"""

from __future__ import annotations

from operator import itemgetter

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.isolation import each
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.recovery.policy import satisfies
from pdpp_worker.recovery.sweep import known_streams, start_runs
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import due as due_gaps
from pdpp_worker.store.gaps import upgrades
from pdpp_worker.store.gaps.upgrades import Waiting
from pdpp_worker.store.runs import DueRun

CANARY = 20


def sweep_upgrade(settings: Settings, db: Database) -> list[DueRun]:
    """Let gaps be tried that the installed versions may fix; returns the queued runs."""

    def open_(connection_id: int, manifest: Manifest, met: list[Waiting]) -> int | None:
        return connection_id if _open(db, connection_id, manifest, met) else None

    found = each("cannot be opened", _eligible(db), lambda one: open_(*one), name=itemgetter(0))
    opened = {connection_id for connection_id in found if connection_id is not None}
    if not opened:
        return []
    with db.begin() as connection:
        due = due_gaps.due_connections(connection, len(opened), sorted(opened), known=known_streams())
    return start_runs(settings, db, due, "upgrade")


def _eligible(db: Database) -> list[tuple[int, Manifest, list[Waiting]]]:
    """Connections, the installed manifest of each, and what waits there for a version that it satisfies.

    A stream that the installed version does not know waits for one that does.
    """
    found: dict[int, tuple[int, Manifest, list[Waiting]]] = {}
    with db.begin() as connection:
        waiting = upgrades.waiting(connection)
    for one in waiting:
        connector = registry.all_connectors().get(one.connector)
        if connector is None or not connector.manifest.recovery.supports_version_bumped_retry:
            continue
        manifest = connector.manifest
        if manifest.stream(one.stream) and satisfies(manifest.version, one.seen, one.required, one.opened_for):
            found.setdefault(one.connection_id, (one.connection_id, manifest, []))[2].append(one)
    return list(found.values())


def _open(db: Database, connection_id: int, manifest: Manifest, met: list[Waiting]) -> int:
    """A canary that a walk has begun by itself, meeting some of the gaps again, is filled up."""

    version, streams = manifest.version, [one.name for one in manifest.streams]

    def open_(connection: Connection) -> int:
        tried, healed = upgrades.trial(connection, connection_id, version, CANARY, streams)
        if tried >= CANARY and not healed:
            return 0
        return upgrades.open_trial(connection, connection_id, version, met, CANARY, streams)

    return db.transact(open_)
