"""The command line `pdpp-worker`."""

from pdpp_worker.cli.program import main

__all__ = ["main"]
