"""Groups of commands."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_WHOLE = 1_000
"""Longer than any line about a command."""


class Group(TyperGroup):
    """A group whose list of commands shows every line whole."""

    def format_commands(self, _: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(_WHOLE)) for name, one in self.commands.items()])


class ListsByName(Group):
    """A group whose command `list` need not be written before a name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["list", *args]
        return super().parse_args(ctx, args)
