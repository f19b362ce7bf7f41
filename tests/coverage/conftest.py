"""The program in this process, and one connection of a scripted connector."""

from tests.cli.conftest import cli, scenario

__all__ = ["cli", "scenario"]
