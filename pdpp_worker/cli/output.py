"""Output of commands: plain tables for people, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pdpp_worker.coverage.documents import plain

PIPE_WIDTH = 100
"""Columns of a table that does not go to a terminal."""
PROSE_WIDTH = 80
"""Columns of text that is meant to be read."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error, without any markup of its own."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def say(*lines: str) -> None:
    """Print sentences."""
    for line in lines:
        console().print(_one_line(line), soft_wrap=True)


def note(line: str) -> None:
    """Print a sentence to standard error."""
    console(stderr=True).print(_one_line(line), soft_wrap=True)


def wrap(text: str, *, width: int = PROSE_WIDTH, indent: int = 0) -> list[str]:
    """Prose as lines of at most `width` columns; a long word, such as a command's argument, stays whole."""
    margin = " " * indent
    return textwrap.wrap(
        _one_line(text),
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = (), whole: Sequence[str] = ()
) -> None:
    """Print rows of text under their columns; see `make_table`."""
    console().print(make_table(columns, rows, right=right, whole=whole))


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Print facts, one a line."""
    table = make_table(("", ""), rows)
    table.show_header = False
    console().print(table)


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = (), whole: Sequence[str] = ()
) -> Table:
    """A table without a frame. Columns in `right` are numbers; those and `whole` are kept on one line, others go on."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        kept = column in right or column in whole
        table.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=kept)
    for row in rows:
        table.add_row(*(Text("\n".join(_one_line(line) for line in cell.split("\n"))) for cell in row))
    return table


def print_json(value: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, default=plain, indent=2))


def print_json_line(value: Any) -> None:
    """Print one line of JSON lines."""
    typer.echo(json.dumps(value, default=plain))


def _one_line(text: str) -> str:
    """Text as one line without control characters, which could steer a terminal."""
    return _CONTROL.sub("�", text.replace("\n", " "))
