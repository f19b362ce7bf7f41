"""Finds the browser's program, and the flags that it is started with."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import Settings

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_MAC_PROGRAM = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")

FLAGS = (
    # The browser asks for nothing by itself: what goes out is what the pacing admitted.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    # A cookie for the time of a session outlives the window: the profile is closed between two slices.
    "--restore-last-session",
    # The profile's cookies are readable in a sign-in window and without a desktop alike.
    "--password-store=basic",
    "--use-mock-keychain",
)


def executable(settings: Settings) -> Path:
    """The browser's program.

    Raises:
        ConfigurationError: there is none.
    """
    if settings.browser is not None:
        found = shutil.which(settings.browser)
        if found is None:
            raise ConfigurationError(f"PDPP_BROWSER is {settings.browser!r}, which is no program that can be run.")
        return Path(found)
    on_path = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if on_path is not None:
        return Path(on_path)
    if _MAC_PROGRAM.exists():
        return _MAC_PROGRAM
    raise ConfigurationError(
        "No browser was found. Install Chromium or Chrome (on Debian: apt install chromium), or set PDPP_BROWSER to "
        "the path of one."
    )


def require(settings: Settings) -> Path:
    """The browser's program, where it can be driven.

    Raises:
        ConfigurationError: the browser or its driver is missing.
    """
    if find_spec("playwright") is None:
        raise ConfigurationError(
            "A connection that goes through the browser needs the package playwright; install pdpp-worker[browser]."
        )
    return executable(settings)


def is_sandboxed() -> bool:
    """Chromium refuses to run as root unless its sandbox is switched off; for everybody else it stays on."""
    return os.geteuid() != 0
