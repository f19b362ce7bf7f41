"""Opens the window in which the owner signs in: a plain browser on the connection's profile."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from pdpp_worker.browser import launch, profile
from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.local.parent_death import with_parent_death_signal
from pdpp_worker.settings import Settings
from pdpp_worker.store.connections import ConnectionRow

_PROFILE_S = 90.0
"""Longest wait for a slice that uses the profile, s."""


def program_with_window(settings: Settings) -> Path:
    """The browser's program, where it can open a window.

    Raises:
        ConfigurationError: there is no browser, or no display.
    """
    program = launch.executable(settings)
    if not settings.has_display():
        raise ConfigurationError(
            "A window is needed to sign in, and there is no display. Run this in a desktop session, or over ssh -X."
        )
    return program


def sign_in(program: Path, settings: Settings, row: ConnectionRow, url: str) -> None:
    """Open the connection's profile at a page, and wait until the owner has closed the browser.

    Raises:
        PdppError: the browser failed, or the profile stays in use.
    """
    directory = profile.profile_dir(settings, row)
    sandbox = [] if launch.is_sandboxed() else ["--no-sandbox"]
    command = [str(program), f"--user-data-dir={directory}", *launch.FLAGS, *sandbox, url]
    try:
        with profile.opened(directory, timeout_s=_PROFILE_S, settings=settings):
            done = subprocess.run(
                with_parent_death_signal(command, signal.SIGTERM),
                env=settings.browser_environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
            )
    except TimeoutError as error:
        raise PdppError(f"{row.name} cannot be signed in to now: {error}.") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise PdppError(f"The browser {program} ended with status {done.returncode}: {said[-1]}")
