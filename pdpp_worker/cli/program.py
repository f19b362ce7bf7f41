"""The program: its commands, and how its failures end."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any

import typer
import typer.core
import typer.main
from typer.core import TyperGroup

from pdpp_worker import privileges
from pdpp_worker.cli.commands import PANELS
from pdpp_worker.errors import ConfigurationError, PdppError

HELP = {name: line for commands in PANELS.values() for name, line in commands.items()}
"""Name of each command to the line about it."""


class _Commands(MutableMapping[str, Any]):
    """Name to command, imported when it is first asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(HELP)

    def __len__(self) -> int:
        return len(HELP)


class _Program(TyperGroup):
    """Commands that are imported when they are run; their expected failures end in one sentence."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()

    def list_commands(self, _: Any) -> list[str]:
        return list(HELP)

    def format_commands(self, _: Any, formatter: Any) -> None:
        width = max(map(len, HELP))
        for heading, commands in PANELS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        options = super(TyperGroup, self).shell_complete(ctx, incomplete)
        item = typer.core.CompletionItem  # type: ignore[attr-defined]
        return [*(item(name, help=line) for name, line in HELP.items() if name.startswith(incomplete)), *options]

    def invoke(self, ctx: Any) -> Any:
        with _failures_in_one_sentence():
            return super().invoke(ctx)


@contextmanager
def _failures_in_one_sentence() -> Iterator[None]:
    """End an expected failure with exit code 2 where the owner can correct the call, 1 otherwise."""
    try:
        yield
    except PdppError as error:
        _fail(str(error), 2 if isinstance(error, ConfigurationError) else 1)
    except (KeyboardInterrupt, typer.Abort):
        raise typer.Exit(130) from None
    except Exception as error:
        if (why := _database_failure(error)) is not None:
            _fail(f"PostgreSQL did not answer: {why}. See: pdpp-worker doctor", 1)
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            _fail(_system_failure(error), 1)
        raise


def _fail(sentence: str, code: int) -> None:
    from pdpp_worker.cli.output import note

    note(sentence)
    raise typer.Exit(code) from None


def _database_failure(error: Exception) -> str | None:
    """The words of PostgreSQL, where that is the failure; it can be only where its client was imported."""
    if "psycopg" not in sys.modules:
        return None
    from pdpp_worker.owner.looking import why_unanswered

    return why_unanswered(error)


def _system_failure(error: OSError) -> str:
    """The refusal of this machine: a directory is not there, a disk is full."""
    at = f"{error.filename}: " if error.filename is not None else ""
    return f"Not done: {at}{error.strerror or error}."


def _load(name: str) -> Any:
    """Import a command or a group; KeyError: there is none of that name."""
    if name not in HELP:
        raise KeyError(name)
    module = _imported(f"pdpp_worker.cli.commands.{name}")
    made = typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        made.add_typer(module.app, name=name)
    else:
        made.command(name)(getattr(module, name))
    return typer.main.get_group(made).commands[name]


def _imported(name: str) -> ModuleType:
    """Import a module with all that it needs, and let no search for garbage look at it, then or at the end."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


app = typer.Typer(
    cls=_Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        from pdpp_worker.cli.commands import version

        version.version()
        raise typer.Exit


@app.callback()
def program(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_tell_version)
    ] = False,
) -> None:
    """Collects your own data from the platforms you use, says what is missing and why, and retries it."""


def main() -> None:
    """Run the program and end the process."""
    privileges.protect()
    for stream in (sys.stdout, sys.stderr):
        # Characters that this terminal's encoding lacks are shown as escapes, and are no reason to fail.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    app(prog_name="pdpp-worker")
