"""Settings, rate ceiling and directory of one connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdpp_worker.pacing.intervals import ceiling, cold_start_ms
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.manifest_parts import SettingSpec
from pdpp_worker.settings import Settings
from pdpp_worker.store.connections import ConnectionRow


def with_defaults(specs: Mapping[str, SettingSpec], given: Mapping[str, Any]) -> dict[str, Any]:
    """A connection's settings with the manifest's defaults; paths have their `~` expanded, an empty one stays empty."""
    values = {name: given.get(name, spec.default) for name, spec in specs.items()}
    for name, spec in specs.items():
        if spec.type in ("path", "file") and values[name]:  # an empty path would be the worker's own directory
            values[name] = str(Path(values[name]).expanduser())
    return values


def ceiling_ms(settings: Settings, manifest: Manifest, row: ConnectionRow) -> float:
    """The owner's rate ceiling of a connection, ms between requests: its own, else the connector's."""
    return ceiling(settings, manifest.name, manifest, row.min_interval_ms).min_interval_ms or 0.0


def cold_lanes(settings: Settings, manifest: Manifest, row: ConnectionRow) -> Lanes:
    """The rate model of a connection that has learned nothing yet."""
    limit = manifest.pacing.daily_bytes_of(with_defaults(manifest.settings, row.settings))
    return Lanes(
        ceiling_ms(settings, manifest, row),
        cold_start_ms(settings, manifest),
        daily_bytes=None if limit is None else limit.most,
    )
