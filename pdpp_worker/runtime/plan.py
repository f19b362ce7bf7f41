"""Plans a slice: its phase, its budget, and the START that its connector gets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import Budget, GapToClose, Start, StartScope
from pdpp_worker.protocol.scope import StreamScope
from pdpp_worker.protocol.unplaced import is_unplaced
from pdpp_worker.recovery.policy import carries_gaps
from pdpp_worker.runtime.remaining_budget import Phase, RemainingBudget, clamp
from pdpp_worker.settings import Settings
from pdpp_worker.store import run_slices, runs
from pdpp_worker.store.batch import Walk
from pdpp_worker.store.gaps.backlog import Backlog

GAPS_PER_SLICE = 1000


@dataclass(frozen=True)
class Plan:
    """One slice, before it begins."""

    phase: Phase
    budget: RemainingBudget
    start: Start
    from_scratch: set[str]
    """Streams that the run walks without a cursor, of their own or of the streams that keep their position."""
    walk: Walk


def plan_slice(
    connection: Connection, settings: Settings, claimed: run_slices.Slice, manifest: Manifest, backlog: Backlog | None
) -> Plan:
    """Choose the phase, lease the gaps to try, and make START; `backlog` is None where no gap is open.

    Raises:
        ConfigurationError: the connector knows none of the streams.
    """
    budget_s = _budget_s(connection, settings, claimed, manifest)
    phase, left, due = _choose(connection, settings, claimed, manifest, backlog, budget_s)
    known = [scope for scope in claimed.streams if manifest.stream(scope["name"])]
    if claimed.streams and not known:
        raise ConfigurationError(f"Version {manifest.version} of {manifest.name} knows no stream that is asked for.")
    names = {scope["name"] for scope in known}
    kept_by = _kept_by(manifest, names)
    left_out = _left_out(manifest, names, due) if phase == "walk" else set()
    committed = _usable_state(claimed, kept_by, runs.committed_state(connection, claimed.connection.id))
    state = {name: cursor for name, cursor in committed.items() if name not in left_out}
    start = Start(
        run_id=str(claimed.claim.run_id),
        collection_mode=claimed.mode,  # type: ignore[arg-type]
        scope=StartScope(streams=[StreamScope.model_validate(scope) for scope in known]),
        state=state or None,
        bindings={binding: {} for binding in manifest.bindings},
        detail_gaps=due,
        recovery_only=phase != "walk",
        budget=left.as_budget,
    )
    walk = Walk(sorted(names), frozenset(kept_by.keys() - state.keys()), _keepers_of_parents(manifest))
    return Plan(phase, left, start, _cursorless(claimed, manifest, names, left_out), walk)


def _budget_s(connection: Connection, settings: Settings, claimed: run_slices.Slice, manifest: Manifest) -> float:
    """The working time of a run, s: by the settings, or more where the last run needed more.

    Without that a connector that commits its checkpoints only at its end would begin anew for ever.
    """
    if manifest.checkpoint_commit == "incremental" or claimed.kind != "forward":
        return settings.run_budget_s
    needed = runs.needed_budget_s(connection, claimed.connection.id)
    return settings.run_budget_s if needed is None else max(settings.run_budget_s, needed)


def _choose(
    connection: Connection,
    settings: Settings,
    claimed: run_slices.Slice,
    manifest: Manifest,
    backlog: Backlog | None,
    budget_s: float,
) -> tuple[Phase, RemainingBudget, list[GapToClose]]:
    """Choose the phase. A run begins with its walk if it is a full one, no gap is due, or gaps have no budget left.

    A connector that cannot be asked for gaps by themselves is handed them with its walk.
    """
    budget = clamp(Budget.model_validate(claimed.budget), budget_s)
    whole = RemainingBudget(budget, claimed.spent)
    if carries_gaps(manifest) and claimed.mode != "full_refresh":
        return "walk", whole, _lease(connection, backlog, whole)
    if claimed.phase == "walk" or claimed.mode == "full_refresh":
        return "walk", whole, []
    if claimed.phase == "drain" or claimed.kind == "recovery":
        return claimed.phase, whole, _lease(connection, backlog, whole)
    share = RemainingBudget(budget, claimed.spent, settings.recovery_share)
    due = _lease(connection, backlog, share)
    return ("recover", share, due) if due else ("walk", whole, [])


def _lease(connection: Connection, backlog: Backlog | None, left: RemainingBudget) -> list[GapToClose]:
    if backlog is None or left.is_spent:
        return []
    return backlog.lease(connection, min(GAPS_PER_SLICE, left.items or GAPS_PER_SLICE))


def _cursorless(claimed: run_slices.Slice, manifest: Manifest, names: set[str], left_out: set[str]) -> set[str]:
    if claimed.mode == "full_refresh":
        return names
    known = set(claimed.carried["cursors"]) - left_out
    return {
        stream.name
        for stream in manifest.streams
        if stream.name in names and not any(one in known for one in manifest.keepers(stream.name))
    }


def _left_out(manifest: Manifest, names: set[str], due: list[GapToClose]) -> set[str]:
    """The cursors that lie beyond a due gap of which nothing says where it is: without them the walk comes past it."""
    streams = {gap.stream for gap in due if gap.stream in names and is_unplaced(gap.scope)}
    return {keeper for stream in streams for keeper in manifest.keepers(stream)}


def _kept_by(manifest: Manifest, names: set[str]) -> dict[str, set[str]]:
    """Checkpoint stream to the streams of the walk whose place it keeps."""
    found: dict[str, set[str]] = {}
    for name in names:
        for keeper in manifest.keepers(name):
            found.setdefault(keeper, set()).add(name)
    return found


def _keepers_of_parents(manifest: Manifest) -> dict[str, list[str]]:
    """Stream on which others hang to the streams that keep its place."""
    return {parent: manifest.keepers(parent) for stream in manifest.streams for parent in stream.parents}


def _usable_state(
    claimed: run_slices.Slice, kept_by: Mapping[str, set[str]], state: dict[str, runs.Checkpoint]
) -> dict[str, Any]:
    """The committed cursors; a full refresh uses only those of its own slices.

    A cursor that does not speak for a stream which hangs on it is not used: the walk gets the old items of that one.
    """
    own, fresh = claimed.claim.run_id, claimed.mode == "full_refresh"
    return {
        name: json.loads(held.cursor)
        for name, held in state.items()
        if (held.run_id == own or not fresh) and (held.covers is None or kept_by.get(name, set()).issubset(held.covers))
    }
