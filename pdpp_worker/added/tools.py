"""The programs that a connector needs beside its own: whether they are on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pdpp_worker.command.child import Child
from pdpp_worker.command.connector_user import Account, NoOtherUserError, accounts, borrowed
from pdpp_worker.errors import ConfigurationError, ProtocolViolation
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
    """Whether it shows that it is there, as its connector looks for it: a manifest chooses what is run here too."""
    program = (get_settings().variable(tool.env) if tool.env else None) or tool.executable
    try:
        found = accounts(get_settings())
    except NoOtherUserError:
        return True  # nothing is run here, as in a console in a container: its runs will tell
    if found:
        there = shutil.which(program)
        with borrowed(found, 0) as account:
            return there is not None and _exit_code([there, *tool.arguments], account) == tool.exit_code
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


def _exit_code(command: list[str], account: Account) -> int | None:
    """The exit code of a command that runs as this user; None: it did not end in time."""
    until = time.monotonic() + TIMEOUT_S

    def check() -> None:
        if time.monotonic() > until:
            raise TimeoutError

    paths = sorted({command[0], str(Path(command[0]).resolve())})
    environment = get_settings().platform_environment()
    one = Child(command, Path(os.sep), environment, check=check, log=lambda _: None, account=account, paths=paths)
    try:
        one.close_input()
        for _ in one.lines():
            continue
        return one.exit_code(TIMEOUT_S)
    except (TimeoutError, ProtocolViolation):
        return None
    finally:
        one.stop()
