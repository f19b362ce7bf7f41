"""`pdpp-worker demo`: a practice account, collected while one watches."""

from __future__ import annotations

import typer


def demo() -> None:
    """Collect a practice account from a provider on this machine, and watch."""
    from pdpp_worker.demo.run import main  # needs the practice provider

    raise typer.Exit(main())
