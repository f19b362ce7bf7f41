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

_PACKAGES = Path(__file__).resolve().parents[2]


def environment_of(manifest: Manifest, start: Start, context: Context) -> tuple[dict[str, str], list[str]]:
    """The command's environment, and the secrets in it.

    Raises:
        AuthExpired: a credential that is required is missing.
    """
    credentials = _credentials(manifest, context)
    variables = {
        **get_settings().platform_environment(),
        **{spec.env: _text(context.settings.get(name)) for name, spec in manifest.settings.items() if spec.env},
        **credentials,
        "PDPP_RUN_ID": start.run_id,
        "PDPP_FILES_DIR": str(context.files),
        "PDPP_PACING_MIN_INTERVAL_MS": f"{context.min_interval_ms:g}",
    }
    if manifest.command is not None and manifest.command[0] == PYTHON:
        variables["PYTHONPATH"] = str(_PACKAGES)
    return {name: value for name, value in variables.items() if value is not None}, list(credentials.values())


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
            found[credential.env or name] = context.secret(name).get_secret_value()
        except AuthExpired:
            if credential.required:
                raise
    return found


def _text(value: Any) -> str | None:
    """A setting as text; None where it has no value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
