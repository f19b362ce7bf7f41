"""Intervals between two requests: the owner's ceiling, the paced interval, and that at which gaps are asked for."""

from __future__ import annotations

import math
from typing import NamedTuple

from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import Settings


class Ceiling(NamedTuple):
    """The least time between two requests, ms (None: unknown), and who set it."""

    min_interval_ms: float | None
    source: str


def ceiling(settings: Settings, connector: str, manifest: Manifest | None, own_ms: float | None) -> Ceiling:
    """The rate ceiling of a connection: its own, else the environment's, else its connector's (None: not installed).

    Raises:
        ConfigurationError: the variable of the environment is not a positive number of milliseconds.
    """
    if own_ms is not None:
        return Ceiling(own_ms, "this connection")
    from_environment = settings.pacing_min_interval_ms(connector, math.inf)
    if from_environment < math.inf:
        return Ceiling(from_environment, settings.ceiling_variable(connector))
    if manifest is None:
        return Ceiling(None, "the connector is not installed")
    return Ceiling(manifest.pacing.min_interval_ms, "the connector's default")


def cold_start_ms(settings: Settings, manifest: Manifest) -> float:
    """The first interval where no rate was learned, ms: the environment's, else the connector's, else the usual."""
    own = manifest.pacing.cold_start_ms
    is_set = "pacing_cold_start_ms" in settings.model_fields_set
    return settings.pacing_cold_start_ms if own is None or is_set else own


def paced_interval_ms(learned_ms: float, ceiling_ms: float | None) -> float:
    """The interval at which requests go out, ms: the learned one, but never below the ceiling."""
    return max(learned_ms, ceiling_ms or 0.0)


def recovery_interval_ms(interval_ms: float, ceiling_ms: float | None, manifest: Manifest | None) -> float:
    """The interval at which gaps are asked for, ms: the longest of this one, the ceiling and the connector's hint."""
    hint_ms = manifest.recovery.min_interval_ms if manifest is not None else 0.0
    return max(paced_interval_ms(interval_ms, ceiling_ms), hint_ms)
