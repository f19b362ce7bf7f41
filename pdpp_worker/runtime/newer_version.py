"""Leaves a run to the connector version that it belongs to, while workers with several versions are at work."""

from __future__ import annotations

from packaging.version import Version

from pdpp_worker import registry
from pdpp_worker.settings import Settings
from pdpp_worker.store import run_slices
from pdpp_worker.store.engine import Database

NEWER_PAUSE_S = 30.0


def leave_to_newer(settings: Settings, db: Database, claimed: run_slices.Slice) -> bool:
    """Leave a run to a worker with a newer version of its connector, if there may be one; returns whether it was left.

    A worker keeps the run if its own version is no older, or if no newer worker took it for several slices.
    """
    connector = registry.all_connectors().get(claimed.connection.connector)
    if connector is None:
        return False
    version = connector.manifest.version
    if Version(version) >= Version(claimed.version) or claimed.still_before >= settings.run_attempts:
        return False
    why = f"it waits for a worker with version {claimed.version} of the connector"
    with db.begin() as connection:
        run_slices.continue_later(
            connection, claimed.claim, NEWER_PAUSE_S, claimed.phase, {}, wait_reason=why, progressed=False
        )
    return True
