"""Cron lines as they are stored: fields, and the time zone by whose clock they are read."""

from __future__ import annotations

import re
from typing import NamedTuple

_ZONED = re.compile(r"\s*(?:CRON_)?TZ=(\S*)\s+(.*)", re.DOTALL)
UTC_NAME = "UTC"


class CronLine(NamedTuple):
    """A cron line in its two parts: fields or a name, and the time zone whose clock they are read by."""

    fields: str
    zone: str = UTC_NAME

    def __str__(self) -> str:
        return self.fields if self.zone == UTC_NAME else f"CRON_TZ={self.zone} {self.fields}"

    @classmethod
    def of(cls, line: str) -> CronLine:
        """The parts of a line as it is stored: `CRON_TZ=Europe/Berlin 30 4 * * *`, or fields alone for UTC."""
        zoned = _ZONED.fullmatch(line)
        return cls(line) if zoned is None else cls(zoned[2], zoned[1])
