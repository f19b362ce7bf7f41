"""Asks a tap something before it is a connector: as a user of its own, as its runs will be, where there can be one."""

from __future__ import annotations

import json
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pdpp_worker.command.child import Child
from pdpp_worker.command.connector_user import borrowed
from pdpp_worker.command.lent_files import lent
from pdpp_worker.command.separation import Needs, Separation, separation
from pdpp_worker.errors import ConfigurationError, ProtocolViolation
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.singer.definition import COMMAND

DISCOVERY_S = 600.0
_LAST_WORDS = 64
"""Chunks of standard error that are kept."""


class Answer(NamedTuple):
    """The output of a tap, and its exit code; None: it did not end by itself."""

    output: bytes
    errors: bytes
    code: int | None


def ask(tap: str, config: Path | None, option: str, *, as_fleet_user: bool) -> Answer:
    """Run the tap with its configuration, if any, and one option.

    Raises:
        ConfigurationError: it cannot be run, or does not end in time; or no user of its own can read what it needs.
    """
    settings = get_settings()
    values = {} if config is None else read_config(config)
    with TemporaryDirectory(prefix="pdpp-tap-") as folder:
        needs = Needs(_described(tap), Path(tap).parent, [tap], values, Path(folder))
        decided = separation(settings, needs, as_fleet_user=as_fleet_user)
        if decided.accounts:
            return _apart(settings, needs, decided, None if config is None else values, option)
    try:
        asked = subprocess.run(
            [tap, *_given(config), option],
            capture_output=True,
            timeout=DISCOVERY_S,
            check=False,
            env=settings.platform_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{tap} {option} did not answer ({type(error).__name__}).") from None
    return Answer(asked.stdout, asked.stderr, asked.returncode)


def read_config(path: Path) -> dict[str, Any]:
    """Read a tap's configuration.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        config = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"The tap's configuration {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ConfigurationError(f"The tap's configuration {path} is not JSON.") from None
    if not isinstance(config, dict):
        raise ConfigurationError(f"The tap's configuration {path} is no JSON object.")
    return config


def _apart(
    settings: Settings, needs: Needs, decided: Separation, values: Mapping[str, Any] | None, option: str
) -> Answer:
    """Ask it as another user, who reads a copy of its configuration: the file itself may be its owner's alone."""
    copy = None
    if values is not None:
        copy = needs.files / "config.json"
        copy.touch(mode=0o600)
        copy.write_text(json.dumps(values), encoding="utf-8")
    errors: deque[bytes] = deque(maxlen=_LAST_WORDS)
    with borrowed(decided.accounts, 0) as account, lent(needs.files, account, kept=()) as own:
        child = Child(
            [*needs.command, *_given(copy), option],
            needs.folder,
            {**settings.platform_environment(), **own},
            check=_deadline(),
            log=errors.append,
            account=account,
            paths=decided.paths,
            memory_bytes=settings.connector_memory_mb * 1024 * 1024,
        )
        return _read(child, needs.command[0], option, errors)


def _read(child: Child, tap: str, option: str, errors: deque[bytes]) -> Answer:
    try:
        child.close_input()
        lines = list(child.lines())
        code = child.exit_code(DISCOVERY_S)
    except (TimeoutError, ProtocolViolation) as error:
        raise ConfigurationError(f"{tap} {option} did not answer ({type(error).__name__}).") from None
    finally:
        child.stop()
    return Answer(b"\n".join(line for line in lines if isinstance(line, bytes)), b"".join(errors), code)


def _deadline() -> Callable[[], None]:
    until = time.monotonic() + DISCOVERY_S

    def check() -> None:
        if time.monotonic() > until:
            raise TimeoutError

    return check


def _given(config: Path | None) -> list[str]:
    return [] if config is None else ["--config", str(config)]


def _described(tap: str) -> Manifest:
    """A manifest of no more than the program, as it will be run: there is none yet."""
    about = {"name": "tap", "version": "1.0", "title": Path(tap).name, "command": list(COMMAND)}
    return Manifest.model_validate({**about, "bindings": ["network"], "streams": [{"name": "records"}]})
