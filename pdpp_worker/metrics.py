"""Metrics of a worker for Prometheus: counters and gauges by connection, never content."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, start_http_server

from pdpp_worker.logs import get_logger

_LABEL = ["connection"]

ADMITTED = Counter("pdpp_requests_admitted", "Requests that were sent.", _LABEL)
WAITED_MS = Counter("pdpp_pacing_waited_ms", "Milliseconds that requests waited for their turn.", _LABEL)
THROTTLED = Counter("pdpp_requests_throttled", "Requests that the provider refused for the rate.", _LABEL)
RETRY_AFTER_S = Counter("pdpp_retry_after_seconds", "Seconds that the provider asked to wait.", _LABEL)
RETRIED = Counter("pdpp_requests_retried", "Requests that were sent again after a failure of the provider.", _LABEL)
INTERVAL_MS = Gauge("pdpp_pacing_interval_ms", "Milliseconds between two requests, as learned.", _LABEL)
CEILING_MS = Gauge("pdpp_pacing_ceiling_ms", "The owner's least milliseconds between two requests.", _LABEL)
CIRCUIT_OPEN = Gauge("pdpp_circuit_open", "1 while nothing is sent because the provider refuses in a row.", _LABEL)
UNTOUCHED_S = Gauge(
    "pdpp_oldest_eligible_untouched_seconds", "Seconds that work which may go on has not been touched.", _LABEL
)

STUCK_THREADS = Gauge("pdpp_stuck_threads", "Threads of this worker whose connector does not come back.")


def serve(port: int) -> None:
    """Answer on loopback at /metrics; a port that is taken is reported and not fatal: work goes on without."""
    try:
        start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        get_logger().warning("no metrics", port=port, error=str(error))
