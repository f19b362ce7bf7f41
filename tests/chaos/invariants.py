"""The invariants of an episode at rest, read from the tables and from the source, not from the program's views."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.chaos.notes import STREAM
from tests.chaos.world import World
from tests.support.fleet import ROOT, environment
from tests.support.waiting import PATIENCE_S

_HELD = (
    "SELECT key, data - 'extra' AS data FROM records WHERE connection_id = %s AND stream = %s AND deleted_at IS NULL"
)
_GAPS = "SELECT stream, scope::text, status FROM gaps WHERE connection_id = %s AND status <> 'recovered'"
_STRANDED = """
    SELECT run.id, run.status FROM runs AS run LEFT JOIN leases AS lease ON lease.connection_id = run.connection_id
    WHERE run.ended_at IS NULL AND run.status = 'running' AND run.not_before <= clock_timestamp()
        AND (lease.run_id <> run.id OR lease.expires_at < clock_timestamp() - interval '30 seconds')
"""


def violations(world: World) -> list[str]:
    """A sentence for each thing that is wrong."""
    return [
        *(row["what"] for row in world.rows("SELECT what FROM chaos.violations ORDER BY at")),
        *(f"run {row['id']} is {row['status']}, nobody works on it" for row in world.rows(_STRANDED)),
        *_of_sources(world),
        *_verdicts(world),
    ]


def _of_sources(world: World) -> Iterator[str]:
    """The records against the source, content and all; and the gaps that are left."""
    for connection_id, notes in world.notes.items():
        held = {row["key"]: row["data"] for row in world.rows(_HELD, connection_id, STREAM)}
        truth = notes.truth
        yield from (f"{key} is missing" for key in truth.keys() - held.keys())
        yield from (f"{key} is held and was never there" for key in held.keys() - truth.keys())
        yield from (f"{key} is {held[key]}, not {one}" for key, one in truth.items() if held.get(key, one) != one)
        for gap in world.rows(_GAPS, connection_id):
            yield f"a gap of {gap['stream']} {gap['scope']} is {gap['status']}"


def _verdicts(world: World) -> Iterator[str]:
    """The words of the program itself: whoever holds everything is complete."""
    for one in _coverage(world):
        if one["verdict"] != "complete":
            yield f"{one['connection']} {one['stream']} is {one['verdict']} with everything held: {one['because']}"


def _coverage(world: World) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "pdpp_worker", "coverage", "--json"],
        env={**environment(world.settings), "PDPP_CONNECTORS_DIR": str(world.directory / "own")},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
