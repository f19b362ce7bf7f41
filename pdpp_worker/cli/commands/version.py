"""`pdpp-worker version`."""

from __future__ import annotations

from importlib import metadata

from pdpp_worker.cli.output import say


def version() -> None:
    """Show the version."""
    say(told())


def told() -> str:
    """The version in words."""
    try:
        return f"pdpp-worker {metadata.version('pdpp-worker')}"
    except metadata.PackageNotFoundError:
        return "pdpp-worker, from a checkout"
