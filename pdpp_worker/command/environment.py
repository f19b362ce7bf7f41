"""Makes the environment of a command: a few variables of the platform, and those that its manifest names."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdpp_worker.connector import AuthExpired, Context, Start
from pdpp_worker.errors import UpstreamError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import get_settings

PYTHON = "{python}"
"""In a command: the worker's own interpreter, which can import `pdpp_worker`."""

_TRIGGER_KINDS = {"schedule": "scheduled", "sweep": "retry", "upgrade": "retry", "manual": "scheduled"}
"""A run by hand that nobody watches is one of the schedule: only a watched one may ask its owner for anything."""

PACKAGES = Path(__file__).resolve().parents[2]
"""The directory from which this package is imported."""


def environment_of(manifest: Manifest, start: Start, context: Context) -> tuple[dict[str, str], list[str]]:
    """The command's environment, and the secrets in it.

    Raises:
        AuthExpired: a credential that is required is missing.
    """
    credentials = _credentials(manifest, context)
    given = {name: _text(context.settings.get(name)) for name in manifest.settings}
    variables = {
        **get_settings().platform_environment(),
        **{one: given[name] for name, spec in manifest.settings.items() for one in spec.variables},
        **credentials,
        **_browser_variables(manifest, context),
        **_run_variables(manifest, start, context),
    }
    if manifest.command is not None and manifest.command[0] == PYTHON:
        variables["PYTHONPATH"] = str(PACKAGES)
    return {name: value for name, value in variables.items() if value is not None}, list(credentials.values())


def _run_variables(manifest: Manifest, start: Start, context: Context) -> dict[str, str]:
    """The variables about the run. Without a trigger kind a command would believe that an owner watches it."""
    occasion = context.occasion
    return {
        "PDPP_CONNECTOR_ID": manifest.connector_key or manifest.name,
        "PDPP_CONNECTOR_INSTANCE_ID": occasion.connection_id,
        "PDPP_RUN_ID": start.run_id,
        "PDPP_RUN_TRIGGER_KIND": "manual" if occasion.attended else _TRIGGER_KINDS[occasion.trigger],
        "PDPP_RUN_AUTOMATION_MODE": "assisted" if occasion.attended else "unattended",
        "PDPP_FILES_DIR": str(context.files),
        "PDPP_CONNECTOR_ARTIFACT_ROOT": str(context.files),
        "PDPP_PACING_MIN_INTERVAL_MS": f"{context.min_interval_ms:g}",
    }


def _browser_variables(manifest: Manifest, context: Context) -> dict[str, str]:
    """The variables for a browser of the command's own: a profile of the connection's, and the owner's screen."""
    if "browser" not in manifest.bindings:
        return {}
    settings = get_settings()
    return {
        **settings.own_browser_environment(),
        "PDPP_BROWSER_PROFILE_ROOT": str(context.files / "browser"),
        "PDPP_BROWSER_HEADLESS": "0" if context.occasion.attended and settings.has_display() else "1",
    }


def command_line(manifest: Manifest, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """The command with its program found: in the manifest's folder if its name has a slash, else in the PATH.

    Raises:
        UpstreamError: there is no such program on this machine.
    """
    program, *arguments = manifest.command or []
    if program == PYTHON:
        return [sys.executable, *arguments]
    found = str(folder / program) if os.sep in program else shutil.which(program, path=environment.get("PATH"))
    if found is None or not os.access(found, os.X_OK):
        text = f"the program {program} of the connector {manifest.name} is not on this machine, or cannot be executed"
        raise UpstreamError(text, reason="source_partition_failed")
    return [found, *arguments]


def _credentials(manifest: Manifest, context: Context) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, credential in manifest.credentials.items():
        try:
            value = context.secret(name).get_secret_value()
        except AuthExpired:
            if credential.required:
                raise
            continue
        found.update(dict.fromkeys(credential.variables or [name], value))
    return found


def _text(value: Any) -> str | None:
    """A setting as text; None where it has no value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
