"""Writes the adapter's messages as lines on standard output."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, BinaryIO

import orjson

from pdpp_worker.protocol.numbers import as_float, as_written

HEARTBEAT_S = 10.0
"""Least time between two heartbeats of a tap that only writes to its log, s."""

FLUSH_S = 1.0
"""Longest time that a row waits in the buffer, s."""


class MessageWriter:
    """Writes messages and counts the records. Used by the thread that reads the tap's log, too."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._written_at = time.monotonic()
        self._records = 0
        self._is_flushed = True
        threading.Thread(target=self._keep_flushing, daemon=True).start()

    def write(self, kind: str, **fields: Any) -> None:
        """Write one message."""
        line = _line({"type": kind, **fields})
        with self._lock:
            self._stream.write(line + b"\n")
            self._is_flushed = kind != "RECORD"
            if kind == "RECORD":
                self._records += 1
            else:
                self._stream.flush()
            self._written_at = time.monotonic()

    def _keep_flushing(self) -> None:
        """A tap may be slow and at work all the same: its rows must not wait until a buffer is full."""
        while True:
            time.sleep(FLUSH_S)
            with self._lock:
                if not self._is_flushed:
                    self._stream.flush()
                    self._is_flushed = True

    def can_be_whole(self, scope: dict[str, Any]) -> bool:
        """Whether a stream is asked for as a whole; a narrower scope, which no tap knows, is skipped with a reason."""
        narrowed = [part for part in ("resources", "time_range", "fields") if scope.get(part) is not None]
        if narrowed:
            text = f"a Singer tap cannot be narrowed by {', '.join(narrowed)}"
            self.skip(scope["name"], "scope_not_supported", "retry_on_connector_upgrade", text)
        return not narrowed

    def skip(self, stream: str, reason: str, kind: str, message: str) -> None:
        """Skip a stream as a whole."""
        whole: dict[str, Any] = {"partition": {}}
        self.write("SKIP_RESULT", stream=stream, reason=reason, message=message, scope=whole, recovery_hint=kind)

    def heartbeat(self) -> None:
        """Tell the runtime that the tap has written to its log."""
        if time.monotonic() - self._written_at >= HEARTBEAT_S:
            self.write("PROGRESS", message="the tap is at work")

    def done(self, status: str, error: dict[str, Any] | None = None) -> int:
        """Write the last message; returns the exit code that goes with it."""
        self.write("DONE", status=status, records_emitted=self._records, **({"error": error} if error else {}))
        return 0 if status == "succeeded" else 1


def _line(message: dict[str, Any]) -> bytes:
    """ASCII, so that whatever text the tap sent goes through; else with every digit of the numbers."""
    try:
        return json.dumps(message, ensure_ascii=True).encode()
    except TypeError:
        plain = json.dumps(message, ensure_ascii=True, default=as_float).encode()
    try:
        exact = orjson.dumps(message, default=as_written)
    except TypeError:
        return plain
    return plain if b"NaN" in plain or b"Infinity" in plain else exact
