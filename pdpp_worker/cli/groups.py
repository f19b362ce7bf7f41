"""Groups of commands."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, ClassVar

import typer.main
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


class LooksFirst(Group):
    """A group whose commands that change something are imported when one of them, or the list, is asked for."""

    changes: ClassVar[str]
    """Name of the module whose `app` has them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _LooksFirst(self.commands, self.changes)


class _LooksFirst(MutableMapping[str, Any]):
    """Name to command; those of a module are added once a name is not among the others."""

    def __init__(self, looking: MutableMapping[str, Any], changes: str) -> None:
        self._known = looking
        self._changes: str | None = changes

    def __getitem__(self, name: str) -> Any:
        return self._known[name] if name in self._known else self._all()[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._known[name] = command

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> MutableMapping[str, Any]:
        if self._changes is not None:
            self._known.update(typer.main.get_group(import_module(self._changes).app).commands)
            self._changes = None
        return self._known
