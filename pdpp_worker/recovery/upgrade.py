"""The upgrade sweep: a newer version of a connector retries gaps that an older one could not read.

It proves itself first: a canary of a few gaps, and the rest only if the canary healed any. A gap that the new version
cannot read either waits for the next one.
"""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter

from packaging.version import InvalidVersion, Version
from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.isolation import each
from pdpp_worker.recovery.sweep import start_runs
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import due as due_gaps
from pdpp_worker.store.gaps import upgrades
from pdpp_worker.store.gaps.upgrades import Waiting
from pdpp_worker.store.runs import DueRun

CANARY = 20


def satisfies(installed: str, seen: str, required: str | None, opened_for: str | None = None) -> bool:
    """Whether the installed version may try a gap again.

    It is newer than the last that met it, and no older than the one that fixes it or was let try it already.
    """
    try:
        least = max(Version(required or installed), Version(opened_for or installed))
        return Version(installed) > Version(seen) and Version(installed) >= least
    except InvalidVersion:
        return False


def sweep_upgrade(settings: Settings, db: Database) -> list[DueRun]:
    """Let gaps be tried that the installed versions may fix; returns the queued runs."""

    def open_(connection_id: int, version: str, met: list[Waiting]) -> int | None:
        return connection_id if _open(db, connection_id, version, met) else None

    eligible = _eligible(db).items()
    found = each("cannot be opened", eligible, lambda one: open_(*one[0], one[1]), name=itemgetter(0))
    opened = {connection_id for connection_id in found if connection_id is not None}
    if not opened:
        return []
    with db.begin() as connection:
        due = due_gaps.due_connections(connection, len(opened), sorted(opened))
    return start_runs(settings, db, due, "upgrade")


def _eligible(db: Database) -> dict[tuple[int, str], list[Waiting]]:
    """(connection, installed version) to what waits there for a version that the installed one satisfies."""
    found: defaultdict[tuple[int, str], list[Waiting]] = defaultdict(list)
    with db.begin() as connection:
        waiting = upgrades.waiting(connection)
    for one in waiting:
        connector = registry.all_connectors().get(one.connector)
        if connector is None or not connector.manifest.recovery.supports_version_bumped_retry:
            continue
        if satisfies(connector.manifest.version, one.seen, one.required, one.opened_for):
            found[one.connection_id, connector.manifest.version].append(one)
    return found


def _open(db: Database, connection_id: int, version: str, met: list[Waiting]) -> int:
    """A canary that a walk has begun by itself, meeting some of the gaps again, is filled up."""

    def open_(connection: Connection) -> int:
        tried, healed = upgrades.trial(connection, connection_id, version, CANARY)
        if tried >= CANARY and not healed:
            return 0
        return upgrades.open_trial(connection, connection_id, version, met, CANARY)

    return db.transact(open_)
