"""The state of a slice that waits for the turn of a request: a worker that stops ends many of them at once."""

from __future__ import annotations

from pdpp_worker.runtime.collector import Collector
from pdpp_worker.runtime.open_slice import OpenSlice
from pdpp_worker.runtime.permits import holds_process
from pdpp_worker.store.run_parked import Parked


def park(opened: OpenSlice, collector: Collector) -> Parked | None:
    """Close the pacer of a slice whose thread waits; None: it has something to commit, or a process to close first.

    Raises:
        PacerUnavailableError: Redis cannot be reached.
    """
    if not collector.is_clean or holds_process(opened.manifest, opened.claimed.connection.settings):
        return None
    requests = opened.limits.requests
    if requests.sent:
        opened.pacer.close()
    progressed = opened.limits.time.progressed or requests.answered > 0
    return Parked(opened.claimed.claim, progressed, opened.rate.state() if requests.sent else None)
