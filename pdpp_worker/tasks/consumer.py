"""The part of a worker that hears the broker: a loss of it, at any instant, is waited out."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.exceptions import OperationalError

RETRY_S = 5.0
"""The longest time between two attempts to connect, s, however long the broker is away."""

# Said at each loss of the broker, though the setting that it speaks of is set.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """Celery's own, which would end the worker when the broker goes away while the worker starts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What kombu makes of a lost connection while it publishes, as in the greeting of the other workers.
        self.connection_errors: tuple[type[Exception], ...] = (*self.conninfo.connection_errors, OperationalError)

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long it takes."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=RETRY_S)
        return super().ensure_connected(conn)
