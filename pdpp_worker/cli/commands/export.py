"""`pdpp-worker export`: the owner's records as a file."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer
from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.cli.formats import WRITERS, write_safe_csv
from pdpp_worker.cli.output import note
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.owner import lookup
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.session import open_session
from pdpp_worker.store.views import record_views, stream_views
from pdpp_worker.store.views.record_views import ExportedRecord


class Format(StrEnum):
    """Format of a file of records."""

    JSONL = "jsonl"
    CSV = "csv"


def export(
    name: Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection.")],
    stream: Annotated[str, typer.Argument(help="The stream.")],
    format_: Annotated[Format, typer.Option("--format", help="JSON lines are exact.")] = Format.JSONL,
    output: Annotated[Path | None, typer.Option(help="Write to this file.", dir_okay=False)] = None,
    safe: Annotated[bool, typer.Option("--safe", help="CSV for a spreadsheet: no cell is a formula.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Also what the source has deleted.")] = False,
) -> None:
    """Write the records of a stream to a file or to standard output."""
    if safe and format_ is not Format.CSV:
        raise ConfigurationError("--safe is for spreadsheets; give --format csv with it.")
    write = write_safe_csv if safe else WRITERS[format_]
    with open_session() as session, session.db.begin() as connection:
        row = lookup.find(connection, name)
        fields = _fields(connection, row, stream)
        found = _records(connection, row, stream, deleted=deleted)
        with _open(output) as out:
            count = write(out, found, fields)
    note(f"{count:,} records of {name}.{stream}.")


def _records(connection: Connection, row: ConnectionRow, stream: str, *, deleted: bool) -> Iterator[ExportedRecord]:
    """The records of a stream, stored or computed."""
    connector = registry.all_connectors().get(row.connector)
    view = connector.view(stream) if connector else None
    if view is not None:
        return stream_views.records(connection, row.id, view)
    return record_views.records(connection, row.id, stream, deleted=deleted)


def _fields(connection: Connection, row: ConnectionRow, stream: str) -> list[str]:
    """The top-level fields that the manifest declares; none where the connector is not installed any more.

    Raises:
        NotFoundError: neither does the connector declare the stream, nor is anything held of it.
    """
    connector = registry.all_connectors().get(row.connector)
    declared = connector.manifest.stream(stream) if connector else None
    if declared is not None:
        return list(declared.schema_.get("properties", {}))
    if record_views.has_stream(connection, row.id, stream):
        return []
    known = ", ".join(one.name for one in connector.manifest.supplied) if connector else "none is known"
    raise NotFoundError(f"{row.name} has no stream {stream!r}; known: {known}.")


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _open(path: Path | None) -> Iterator[TextIO]:
    """UTF-8 without any translation. A file appears under its name only when it is whole."""
    if path is None:
        out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
        try:
            yield out
            out.flush()
        finally:
            out.detach()
        return
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="", opener=_for_its_owner) as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        unfinished.unlink(missing_ok=True)
