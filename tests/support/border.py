"""The border between tests that need servers or processes and those that need neither.

A test is beyond the border when it uses a fixture that starts one, or says so with `@pytest.mark.process`. Any other
test that starts a process fails, so the border cannot drift. The child of a reader of foreign bytes is none: it is part
of reading, and takes a tenth of a second once.
"""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

from pdpp_worker.confined import parser_process

STARTING_FIXTURES = frozenset(
    {
        "servers",  # PostgreSQL and Valkey
        "shared_data_dir",  # embedded servers of their own
        "shared_provider",
        "provide",
        "provider",
        "dovecots",
        "browser",
        "made",  # connectors that `connector new` writes, run as programs
    }
)
_STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"})

_watched: list[str] = []
"""The test that may start no process; empty: none is watched."""
_started: list[str] = []


def mark(items: list[pytest.Item]) -> None:
    """Mark the tests that a fixture carries beyond the border."""
    for item in items:
        if STARTING_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.process)


def watch(item: pytest.Item) -> Generator[None]:
    """Fail a test on this side of the border that starts a process."""
    _started.clear()
    if item.get_closest_marker("process") is None:
        _watched.append(item.nodeid)
    try:
        yield
    finally:
        _watched.clear()
    if _started:
        pytest.fail(f"starts a process ({_started[0]}) without the marker `process`; see tests/support/border.py")


def _notice(event: str, arguments: tuple[object, ...]) -> None:
    if _watched and event in _STARTS and not _is_reader(arguments):
        _started.append(f"{event} {arguments[0] if arguments else ''}")


def _is_reader(arguments: tuple[object, ...]) -> bool:
    command = arguments[1] if len(arguments) > 1 else ()
    return isinstance(command, list) and parser_process.__name__ in command


sys.addaudithook(_notice)
