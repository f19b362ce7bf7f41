"""`pdpp-worker export`: the owner's records as files."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer
from sqlalchemy import Connection

from pdpp_worker.cli.output import note
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.inert import escaped
from pdpp_worker.owner import exporting
from pdpp_worker.owner.exporting import ExportedStream
from pdpp_worker.owner.session import open_session
from pdpp_worker.store.views.reading import take_snapshot
from pdpp_worker.tabular import text_files


class Format(StrEnum):
    """Format of a file of records."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    SQLITE = "sqlite"


_TEXT = (Format.JSONL, Format.CSV)
_Write = Callable[[Connection, ExportedStream, Path | None], int]


def export(
    name: Annotated[str | None, typer.Argument(metavar="[CONNECTION]", help="The connection; none: all.")] = None,
    stream: Annotated[str | None, typer.Argument(help="The stream; none: all of them.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="JSON lines are exact.")] = Format.JSONL,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file; several streams: into this directory.")
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless/--readable", help="JSON lines exactly as held, or such as every reader takes.")
    ] = True,
    safe: Annotated[bool, typer.Option("--safe", help="CSV for a spreadsheet: no cell is a formula.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Also what the source has deleted.")] = False,
) -> None:
    """Write the records of a stream, of a connection or of all connections to files, or one stream to the output."""
    _check(format_, lossless=lossless, safe=safe)
    write = _writer(format_, lossless=lossless, safe=safe, deleted=deleted)
    with open_session() as session, session.db.begin() as connection:
        take_snapshot(connection)
        found = exporting.streams(connection, name, stream)
        for one, path in _places(found, format_, output, several=stream is None or name is None):
            count = write(connection, one, path)
            note(f"{count:,} records of {one.row.name}.{one.stream}.")


def _check(format_: Format, *, lossless: bool, safe: bool) -> None:
    if safe and format_ is not Format.CSV:
        raise ConfigurationError("--safe is for spreadsheets; give --format csv with it.")
    if not lossless and format_ is not Format.JSONL:
        raise ConfigurationError("--readable is for JSON lines; every other format is readable.")


def _places(
    found: list[ExportedStream], format_: Format, output: Path | None, *, several: bool
) -> Iterator[tuple[ExportedStream, Path | None]]:
    """Each stream with the file that it goes into; None: standard output."""
    if format_ is Format.SQLITE and output is not None:
        with _unfinished(output) as path:
            yield from ((one, path) for one in found)
    elif not several:
        if output is None and format_ not in _TEXT:
            raise ConfigurationError(f"{format_} goes to a file; give it with --output.")
        yield found[0], output
    elif output is None:
        raise ConfigurationError("Several streams need a place: give --output DIRECTORY, or for sqlite a file.")
    else:
        _make(output)
        yield from ((one, output / f"{one.row.name}.{one.stream}.{format_}") for one in found)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be made: {error.strerror}.") from None


def _writer(format_: Format, *, lossless: bool, safe: bool, deleted: bool) -> _Write:
    match format_:
        case Format.PARQUET:
            return lambda connection, one, path: _write_parquet(connection, one, path, deleted=deleted)
        case Format.SQLITE:
            return lambda connection, one, path: _write_sqlite(connection, one, path, deleted=deleted)
    write = _line_writer(format_, lossless=lossless, safe=safe)

    def write_text(connection: Connection, one: ExportedStream, path: Path | None) -> int:
        with _open(path) as out:
            return write(out, one.records(connection, deleted=deleted), one.fields)

    return write_text


def _line_writer(format_: Format, *, lossless: bool, safe: bool) -> text_files.Writer:
    if format_ is Format.CSV:
        return text_files.write_safe_csv if safe else text_files.write_csv
    return text_files.write_jsonl if lossless else text_files.write_readable_jsonl


def _write_parquet(connection: Connection, one: ExportedStream, path: Path | None, *, deleted: bool) -> int:
    assert path is not None  # noqa: S101 - only text goes to standard output
    try:
        from pdpp_worker.tabular.parquet_file import write_parquet
    except ModuleNotFoundError:
        raise ConfigurationError("Parquet files need pyarrow: pip install 'pdpp-worker[parquet]'.") from None
    with _unfinished(path) as unfinished:
        return write_parquet(unfinished, one.table(exporting.names_of([one])), one.records(connection, deleted=deleted))


def _write_sqlite(connection: Connection, one: ExportedStream, path: Path | None, *, deleted: bool) -> int:
    from pdpp_worker.tabular.sqlite_file import write_sqlite

    if path is None:
        raise ConfigurationError("sqlite goes to a file; give it with --output.")
    return write_sqlite(path, one.table(exporting.names_of([one])), one.records(connection, deleted=deleted))


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Terminal(io.TextIOWrapper):
    def write(self, text: str, /) -> int:
        return super().write(escaped(text))


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """UTF-8 without any translation, but that a terminal is not steered."""
    kind = _Terminal if sys.stdout.isatty() else io.TextIOWrapper
    out = kind(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        yield out
        out.flush()
    finally:
        out.detach()


@contextmanager
def _open(path: Path | None) -> Iterator[TextIO]:
    """UTF-8 without any translation; None: standard output."""
    if path is None:
        with standard_output() as out:
            yield out
        return
    with _unfinished(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """An empty file of the owner's alone, which gets its name only when it is whole."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        open(unfinished, "x", opener=_for_its_owner).close()
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        unfinished.unlink(missing_ok=True)
