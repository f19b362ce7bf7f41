"""The programs that a connector needs beside its own: whether they are on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.manifest_parts import ExternalTool
from pdpp_worker.settings import get_settings

TIMEOUT_S = 10.0


def missing_tools(manifest: Manifest) -> Iterator[str]:
    """A sentence for each tool that is not there, and how it is installed."""
    for tool in manifest.tools:
        if not _is_there(tool):
            hint = f" ({tool.hint})" if tool.hint else ""
            yield f"{manifest.name} needs {tool.executable}, which is not on this machine{hint}."


def check_tools(manifest: Manifest) -> None:
    """Refuse a connector whose tools are not there.

    Raises:
        ConfigurationError: naming them.
    """
    if missing := list(missing_tools(manifest)):
        raise ConfigurationError(" ".join(missing))


def _is_there(tool: ExternalTool) -> bool:
    """Whether it shows that it is there, as its connector looks for it."""
    program = (get_settings().variable(tool.env) if tool.env else None) or tool.executable
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            [program, *tool.arguments],
            env=get_settings().platform_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
        return done.returncode == tool.exit_code
    return False
