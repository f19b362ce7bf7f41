"""`pdpp-worker version`."""

from __future__ import annotations

from importlib import metadata

from pdpp_worker.cli.output import say


def version() -> None:
    """Show the version."""
    try:
        say(f"pdpp-worker {metadata.version('pdpp-worker')}")
    except metadata.PackageNotFoundError:
        say("pdpp-worker, from a checkout")
