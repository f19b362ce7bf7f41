"""Output of commands: tables for people, tab-separated lines for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdpp_worker.inert import escaped, one_line

if TYPE_CHECKING:  # what goes to a pipe is written without it
    from rich.console import Console
    from rich.table import Table

_BETWEEN = 2
"""Spaces between two columns."""
PROSE_WIDTH = 80
"""Columns of text that is meant to be read."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error, without any markup of its own."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def say(*lines: str) -> None:
    """Print sentences."""
    for line in lines:
        typer.echo(one_line(line))


def note(line: str) -> None:
    """Print a sentence to standard error."""
    typer.echo(one_line(line), err=True)


def wrap(text: str, *, width: int = PROSE_WIDTH, indent: int = 0) -> list[str]:
    """Prose as lines of at most `width` columns; a long word, such as a command's argument, stays whole."""
    margin = " " * indent
    return textwrap.wrap(
        one_line(text),
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def prose(text: str, *, width: int) -> str:
    """Prose for a cell: in lines of at most `width` columns on a terminal, in one line in a pipe."""
    return "\n".join(wrap(text, width=width)) if sys.stdout.isatty() else one_line(text)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
    header: bool = True,
) -> None:
    """Print rows of text under their columns: as `make_table` on a terminal, else separated by tabs."""
    if sys.stdout.isatty():
        table = make_table(columns, rows, right=right, whole=whole)
        table.show_header = header
        console().print(table)
    else:
        _print_lines([columns, *rows] if header else rows)


def said_once(name: str, index: int) -> str:
    """A name that several rows share: on a terminal in the first of them, in a pipe in each."""
    return "" if index and sys.stdout.isatty() else name


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Print facts, one a line."""
    if not sys.stdout.isatty():
        _print_lines(rows)
        return
    table = make_table(("", ""), rows)
    table.show_header = False
    console().print(table)


def fitting(
    columns: Sequence[str], rows: Sequence[Sequence[str]], leave_out: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Columns and rows without the first ones to `leave_out`, as far as a terminal is too narrow for all of them."""
    widths = [max(len(cell) for cell in column) + _BETWEEN for column in zip(columns, *rows, strict=True)]
    wide, gone = dict(zip(columns, widths, strict=True)), set[str]()
    for name in leave_out if sys.stdout.isatty() else ():
        if sum(wide.values()) - _BETWEEN > console().width:
            gone.add(name)
            wide.pop(name)
    shown = [place for place, name in enumerate(columns) if name not in gone]
    return [columns[place] for place in shown], [[row[place] for place in shown] for row in rows]


def _print_lines(rows: Iterable[Sequence[str]]) -> None:
    """Print a row a line, its cells separated by tabs; the lines of a cell by semicolons."""
    for row in rows:
        typer.echo("\t".join("; ".join(map(one_line, cell.split("\n"))) for cell in row))


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = (), whole: Sequence[str] = ()
) -> Table:
    """A table without a frame. Columns in `right` are numbers; those and `whole` are kept on one line, others go on."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _BETWEEN, 0, 0))
    for column in columns:
        kept = column in right or column in whole
        table.add_column(
            one_line(column), justify="right" if column in right else "left", overflow="fold", no_wrap=kept
        )
    for row in rows:
        table.add_row(*(Text("\n".join(one_line(line) for line in cell.split("\n"))) for cell in row))
    return table


def print_json(value: Any) -> None:
    """Print one JSON document."""
    typer.echo(_json(value, indent=2))


def print_json_line(value: Any) -> None:
    """Print one line of JSON lines."""
    typer.echo(_json(value))


def _json(value: Any, indent: int | None = None) -> str:
    from pdpp_worker.coverage.documents import plain  # which knows every view, where most output needs none

    return escaped(json.dumps(value, default=plain, indent=indent))
