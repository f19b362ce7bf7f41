"""Types of settings, with the bounds of what they may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

DAY_S = 86_400.0
Period = Annotated[float, Field(ge=0.1, le=30 * DAY_S)]
"""Between two looks of beat: shorter ones flood the broker, longer ones cannot be reckoned with."""
Seconds = Annotated[float, Field(ge=0.001, le=365 * DAY_S)]
Milliseconds = Annotated[float, Field(ge=0.001, le=1000 * DAY_S)]
Threads = Annotated[int, Field(ge=1, le=10_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Megabytes = Annotated[int, Field(ge=0, le=1_000_000_000)]
