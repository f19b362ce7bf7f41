"""Metrics of a process for Prometheus: counters and gauges by connection, never content."""

from __future__ import annotations

from contextlib import suppress

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
STUCK_THREADS = Gauge("pdpp_stuck_threads", "Threads of this worker whose connector does not come back.")


PORTS = 32
"""So many processes of one machine find a port of their own, from PDPP_METRICS_PORT on."""


def serve(address: str, port: int) -> int | None:
    """Answer at /metrics, on the first free port from `port` on; returns it.

    None: none is free, or the address is not this machine's. That is reported and not fatal: work goes on without.
    """
    for one in range(port, min(port + PORTS, 65536)):
        with suppress(OSError):
            start_http_server(one, addr=address)
            get_logger().info("metrics", address=address, port=one)
            return one
    get_logger().warning("no metrics: no port is free", address=address, port=port)
    return None
