"""The numbers of the whole fleet, from the views `fleet_…` of the database; the same with any number of workers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class FleetNumber:
    """A metric, and the view whose rows are its samples."""

    metric: str
    about: str
    view: str
    value: str
    """The column with the value."""
    labels: tuple[str, ...] = ()
    """The columns with the labels."""


NUMBERS = (
    FleetNumber(
        "pdpp_runs", "Active runs: due, working or waiting for a reason.", "fleet_runs", "runs", ("queue", "state")
    ),
    FleetNumber(
        "pdpp_oldest_run_seconds",
        "Seconds for which the oldest due run waits.",
        "fleet_runs",
        "oldest_s",
        ("queue", "state"),
    ),
    FleetNumber("pdpp_workers", "Workers that are at work, by their queue.", "fleet_workers", "workers", ("queue",)),
    FleetNumber("pdpp_waiting_runs", "Runs that wait, by the reason.", "fleet_waits", "runs", ("reason",)),
    FleetNumber("pdpp_due_gaps", "Gaps that may be tried now; at most 10,000.", "fleet_gaps", "gaps", ("connection",)),
    FleetNumber("pdpp_leases", "Leases of active runs: live or expired.", "fleet_leases", "leases", ("state",)),
    FleetNumber("pdpp_standstills", "Connections that stand still.", "fleet_standstills", "connections", ("cause",)),
    FleetNumber(
        "pdpp_oldest_eligible_untouched_seconds",
        "Seconds that work which may go on has not been touched.",
        "fleet_untouched",
        "untouched_s",
        ("connection",),
    ),
    FleetNumber(
        "pdpp_threads_given_up", "Threads that got stuck within the last hour.", "fleet_stuck_threads", "threads"
    ),
)

Samples = list[tuple[tuple[str, ...], float]]
"""Values of labels, and the value."""


def read(connection: Connection) -> list[tuple[FleetNumber, Samples]]:
    """All numbers as they are now."""
    return [(number, _samples(connection, number)) for number in NUMBERS]


def _samples(connection: Connection, number: FleetNumber) -> Samples:
    columns = ", ".join((*number.labels, number.value))
    rows = connection.execute(text(f"SELECT {columns} FROM {number.view} ORDER BY {columns}"))
    return [(tuple(str(label) for label in row[:-1]), float(row[-1])) for row in rows]
