"""Take up a run for one slice: claim it, let the slice work, and give up a run that no worker can bring to an end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from redis import Redis

from pdpp_worker.errors import (
    LeaseLostError,
)
from pdpp_worker.isolation import reason as why
from pdpp_worker.logs import get_logger
from pdpp_worker.runtime import removed_files
from pdpp_worker.runtime.belonging import NEWER_PAUSE_S, left_to_newer
from pdpp_worker.runtime.context import Answerer, nobody
from pdpp_worker.runtime.giving_up import NOTHING_IN_SCOPE, give_up, why_given_up
from pdpp_worker.runtime.guard import Guard
from pdpp_worker.runtime.one_slice import OneSlice, SliceResult
from pdpp_worker.settings import Settings
from pdpp_worker.store import runs
from pdpp_worker.store.engine import Database

__all__ = ["SliceResult", "run_slice"]


def run_slice(
    settings: Settings,
    db: Database,
    redis: Redis,
    run_id: int,
    *,
    stopping: Callable[[], bool],
    answerer: Answerer = nobody,
) -> SliceResult | None:
    """Execute one slice of a run; None when there is nothing to do (a doorbell that rang twice).

    `stopping` says that the worker is shutting down; the slice then ends at the next message. `answerer` answers what a
    connector asks its owner.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}"
    claimed = db.transact(lambda connection: runs.claim_slice(connection, run_id, holder, settings.lease_s))
    if claimed is None:
        return None
    guard = Guard(db, claimed.claim, slice_s=settings.slice_s, silence_s=settings.silence_s, stopping=stopping)
    try:
        with guard:
            if left_to_newer(settings, db, claimed):
                return SliceResult(claimed.connection.connector, None, NEWER_PAUSE_S)
            return _work(settings, db, redis, claimed, guard, answerer)
    except LeaseLostError:
        get_logger().warning("lease lost", run=run_id)
        return None
    finally:
        removed_files.remove(settings, db)


def _work(
    settings: Settings, db: Database, redis: Redis, claimed: runs.Slice, guard: Guard, answerer: Answerer
) -> SliceResult:
    if not claimed.streams:
        return SliceResult(claimed.connection.connector, give_up(db, claimed, NOTHING_IN_SCOPE))
    try:
        begun = OneSlice(settings, db, redis, claimed, guard, answerer)
    except LeaseLostError:
        raise
    except Exception as error:
        if why_given_up(claimed, settings.run_attempts) is None:
            raise
        return SliceResult(claimed.connection.connector, give_up(db, claimed, why(error)))
    return begun.work()
