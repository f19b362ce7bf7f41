"""Counts the work since the last STATE: it tells when the next one is due, and which details that accounts for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import ELOOP
from typing import Any

from pdpp_worker.connector import DetailCoverage, DetailGap, Reason

RECORDS_PER_STATE = 2_000
BYTES_PER_STATE = 8 * 1024 * 1024
FILES_PER_STRIDE = 5_000
"""With every so many files in the cursor, a STATE comes that much more seldom: its size stays a fixed share of the
work between two of them."""


@dataclass(slots=True)
class StreamCounts:
    """Counts and detail keys since the last STATE."""

    parent: str
    """The stream whose STATE covers the details."""
    files: int = 0
    """Files that the cursor speaks of."""
    records: int = 0
    bytes: int = 0
    _keys: dict[str, dict[str, bool]] = field(default_factory=dict)

    def count(self, size: int) -> bool:
        """Add one record or gap of so many bytes; whether a STATE is due now."""
        self.records += 1
        self.bytes += size
        return (self.records >= RECORDS_PER_STATE or self.bytes >= BYTES_PER_STATE) and self.is_due

    @property
    def is_due(self) -> bool:
        """Whether enough was done since the last STATE."""
        stride = 1 + self.files // FILES_PER_STRIDE
        return self.records >= RECORDS_PER_STATE * stride or self.bytes >= BYTES_PER_STATE * stride

    def read(self, stream: str, key: str) -> None:
        """A detail was read to its end."""
        self._keys.setdefault(stream, {})[key] = True

    def gap(self, stream: str, key: str, reason: Reason, error: str, locator: dict[str, Any]) -> DetailGap:
        """A detail could not be read."""
        self._keys.setdefault(stream, {})[key] = False
        return DetailGap(
            stream=stream,
            parent_stream=None if stream == self.parent else self.parent,
            record_key=key,
            reason=reason.value,
            detail_locator=locator,
            last_error=error,
        )

    def coverage(self) -> Iterator[DetailCoverage]:
        """The account of every stream; the counts start anew."""
        for stream, keys in self._keys.items():
            yield DetailCoverage(
                stream=stream,
                state_stream=self.parent,
                required_keys=list(keys),
                hydrated_keys=[key for key, is_read in keys.items() if is_read],
                gap_keys=[key for key, is_read in keys.items() if not is_read],
            )
        self.records, self.bytes, self._keys = 0, 0, {}


def describe_os_error(error: OSError) -> str:
    """The system's message, without a path."""
    if error.errno == ELOOP:
        return "a link, which is not followed; put the file itself there"
    return error.strerror or type(error).__name__
