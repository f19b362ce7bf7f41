"""The workers that answer, and the queues that they take from."""

from __future__ import annotations

from pathlib import Path

from pdpp_worker.local import locks

START_THE_FLEET = "Start the fleet with: pdpp-worker up"
_ANSWER_S = 2.0


def starts_on_request(queue: str, data_dir: Path) -> bool:
    """Whether the fleet of this data directory runs, and starts a worker for the queue once there is work for it."""
    lock = data_dir / "fleet.lock"
    return queue == "local" and lock.exists() and locks.is_locked(lock)


def served_queues(timeout_s: float = _ANSWER_S) -> dict[str, list[str]]:
    """Queue to the workers that take from it, as far as they answer within `timeout_s` seconds.

    Raises:
        OSError, OperationalError: the broker cannot be reached.
    """
    from pdpp_worker.tasks.app import app

    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=timeout_s)
        answers = app.control.inspect(timeout=timeout_s, connection=connection).active_queues() or {}
    served: dict[str, list[str]] = {}
    for worker, queues in sorted(answers.items()):
        for queue in queues:
            served.setdefault(queue["name"], []).append(worker)
    return served
