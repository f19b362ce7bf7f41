"""The end of a run as its last slice knows it; and that end in the transaction of the last batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from pdpp_worker.recovery.policy import carried_wait_s, carries_gaps
from pdpp_worker.runtime.collector import Collector
from pdpp_worker.runtime.next_step import EndRun, Finished, HowItEnded
from pdpp_worker.runtime.open_slice import OpenSlice
from pdpp_worker.store.batch import Batch
from pdpp_worker.store.effects import GapReport
from pdpp_worker.store.run_end import Remaining, RunEnd, is_whole, misses_anything, write_end
from pdpp_worker.store.run_status import RunStatus


class EndWithBatch:
    """Ends a run with the last batch of its walk, where nothing is missing; else the end is decided after the batch."""

    def __init__(self, opened: OpenSlice, collector: Collector) -> None:
        self._opened, self._collector = opened, collector
        self._claim, self._streams = opened.claimed.claim, stream_names(opened)
        self._how: RunEnd | None = None
        self._cancelled = False
        self.status: RunStatus | None = None
        """The run's; None: it has not ended with the batch."""

    def begin(self, connection: Connection, batch: Batch, *, cancelled: bool) -> bool:
        """Lock the schedule, and ask whether anything is missing; returns whether all of the source was seen."""
        self.forget()
        self._cancelled = cancelled
        misses = misses_anything(connection, self._claim) or any(isinstance(one, GapReport) for one in batch.effects)
        if misses:
            return False
        self._how = run_end(self._opened, self._collector, EndRun(ended_well=True))
        return not cancelled and is_whole(self._streams, self._how)

    def end(self, connection: Connection) -> None:
        """Write the end, if nothing is missing."""
        if self._how is not None:
            given = self._claim, self._streams, self._how
            self.status = write_end(connection, *given, cancelled=self._cancelled, misses=False, with_batch=True)

    def forget(self) -> None:
        """Note that the transaction failed, or begins anew: the run has not ended."""
        self._how, self.status = None, None


def end_with_batch(opened: OpenSlice, collector: Collector, how: HowItEnded) -> EndWithBatch | None:
    """The end of a run whose connector came to the end of a walk and retried no gap; None: it is decided later.

    Nothing else can follow such a walk where nothing is missing.
    """
    is_walk = isinstance(how, Finished) and opened.plan.phase == "walk" and not opened.handler.assigned
    return EndWithBatch(opened, collector) if is_walk else None


def stream_names(opened: OpenSlice) -> list[str]:
    """The streams of the run."""
    return [scope["name"] for scope in opened.claimed.streams]


def walk_of(opened: OpenSlice) -> Mapping[str, Any]:
    """How the walk ended, in this slice or an earlier one."""
    handler = opened.handler
    own = {
        "failed_streams": handler.failed_streams,
        "checkpoint_errors": handler.checkpoints.errors,
        "continued": handler.continued,
        "run_notes": handler.run_notes,
    }
    walk: Mapping[str, Any] = opened.claimed.carried.get("walk", own)
    return walk


def run_end(opened: OpenSlice, collector: Collector, step: EndRun) -> RunEnd:
    """How the run ends by this step."""
    streams = stream_names(opened)
    claimed, manifest, walk = opened.claimed, opened.manifest, walk_of(opened)
    refused, keepers = walk["checkpoint_errors"].keys(), opened.handler.checkpoints.keepers
    wait_s = carried_wait_s(manifest) if carries_gaps(manifest) else None
    return RunEnd(
        walked=claimed.kind == "forward",
        for_gaps=claimed.kind == "recovery" or claimed.trigger in ("sweep", "upgrade"),
        ended_well=step.ended_well,
        cancelled=step.cancelled,
        out_of_budget=step.out_of_budget,
        insufficient_s=claimed.spent.seconds + collector.spent.seconds if step.needs_more_time else None,
        failed_streams={**walk["failed_streams"], **_unknown_streams(opened, streams)},
        checkpoint_errors=walk["checkpoint_errors"],
        continued=walk.get("continued", {}),
        run_notes=walk.get("run_notes", ()),
        remaining=Remaining(
            manifest.version, opened.policy, opened.backlog, opened.handler.unresolved, step.gaps.transient, wait_s
        ),
        from_scratch=opened.plan.from_scratch,
        tried_gaps=bool(claimed.spent.items or opened.handler.assigned),
        session_local=[one.name for one in manifest.streams if one.cursor_semantic == "session_local"],
        refused_checkpoints=[name for name in streams if not refused.isdisjoint(keepers(name))],
        children=manifest.children,
        error=step.error or claimed.carried.get("recovery_error"),
    )


def _unknown_streams(opened: OpenSlice, streams: list[str]) -> dict[str, str]:
    """Streams of the run that this version of the connector does not have."""
    known = {scope.name for scope in opened.plan.start.scope.streams}
    why = f"version {opened.manifest.version} does not know it"
    return {name: why for name in streams if name not in known}
