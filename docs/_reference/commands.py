"""The pages of the command line: commands with their options, and exit codes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import typer.main

from docs._reference.markdown import code, table
from pdpp_worker.cli.program import app

_FAILED = (
    "It failed, and one sentence says why. `run`: the run failed or was cancelled. "
    "`doctor`, `connector check` and `connection check`: something is wrong."
)
_NOT_ALL = (
    "The run is partially completed: something is missing, and the fleet retries it. `connection check`: the account "
    "cannot be tried before its first run."
)
EXIT_CODES = {
    0: ("any", "It worked. Commands that read end with 0 whatever the answer is."),
    1: ("any", _FAILED),
    2: ("any", "The command or a setting is wrong, and you can correct it."),
    3: ("run, recover --watch, connection check", _NOT_ALL),
    130: ("any", "Ctrl-C."),
}
"""Exit code to the commands that end with it and its meaning."""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, in the order of the help."""
    yield from _below("", typer.main.get_command(app))


def _below(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _below(f"{prefix}{name} ", command)
        else:
            yield f"{prefix}{name}", command


def commands_page() -> str:
    """Every command with its arguments and options."""
    return "# Commands\n\n" + "\n".join(_command(name, command) for name, command in commands())


def _command(name: str, command: Any) -> str:
    words = " ".join(_argument(one) for one in command.params if one.param_type_name == "argument")
    rows = [
        (code(", ".join([*one.opts, *one.secondary_opts]) if one.param_type_name == "option" else _argument(one)),
         _value(one), one.help or "")
        for one in command.params
    ]  # fmt: skip
    usage = f"pdpp-worker {name} [OPTIONS] {words}".rstrip()
    text = f"## {name}\n\n{inspect.cleandoc(command.help or '')}\n\n```text\n{usage}\n```\n"
    return text + ("\n" + table(("argument or option", "value", ""), rows) if rows else "")


def _argument(one: Any) -> str:
    word = f"{(one.metavar or one.name).upper()}{'...' if one.nargs != 1 else ''}"
    return word if one.required else f"[{word}]"


def _value(one: Any) -> str:
    if getattr(one, "is_flag", False):
        return ""
    again = ", several times" if getattr(one, "multiple", False) else ""
    shown = one.default not in (None, "") and not callable(one.default)
    return f"{one.metavar or _kind(one)}{again}" + (f"; {code(_plain(one.default))}" if shown else "")


def _kind(one: Any) -> str:
    annotation = one.type_descriptor.annotation
    kind = (*get_args(annotation), annotation)[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(code(choice.value) for choice in kind)
    return {int: "number", float: "number", str: "text", Path: "path"}.get(kind, "text")


def _plain(value: object) -> object:
    """The value as it is typed."""
    return value.value if isinstance(value, Enum) else value


def exit_codes_page() -> str:
    """Every exit code of the program."""
    rows = [(code(number), commands, meaning) for number, (commands, meaning) in EXIT_CODES.items()]
    return "# Exit codes\n\n" + table(("code", "commands", "meaning"), rows)
