"""Prepares a connector's program for one run: command line, environment, the user that it runs as, and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from pdpp_worker.command.blob_server import BlobServer
from pdpp_worker.command.blob_store import FOLDER, BlobStore
from pdpp_worker.command.connector_user import Account, borrowed
from pdpp_worker.command.environment import command_line, environment_of
from pdpp_worker.command.lent_files import lent, take_back
from pdpp_worker.command.separation import Needs, Separation, separation
from pdpp_worker.command.unkept_blobs import UnkeptBlobs
from pdpp_worker.connector import Context, Start
from pdpp_worker.errors import ConfigurationError, UpstreamError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import get_settings


@dataclass(frozen=True)
class Program:
    """A program that is ready to be started in `folder`."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    secrets: Sequence[str]
    """The secrets in its environment."""
    account: Account | None = None
    """The user that it runs as; None: the fleet's own."""
    paths: Sequence[str] = ()
    """Absolute paths that this user is to reach."""
    is_offline: bool = False
    """Whether it has no network."""
    memory_bytes: int = 0
    """The most that it may have with all that it starts; 0: no limit."""
    unkept: UnkeptBlobs | None = None
    """The blobs that it wanted kept, and that were refused for room."""


@contextmanager
def prepared(manifest: Manifest, folder: Path, start: Start, context: Context) -> Iterator[Program]:
    """The program of a connector's manifest in `folder`, for as long as the block lasts.

    Raises:
        AuthExpired: a credential that is required is missing.
        UpstreamError: the program is not there, or cannot be run as the user that it is to be run as; or somebody else
            uses its files.
        ConfigurationError: one of its files cannot be opened.
    """
    files = context.stored.open_directory(_kept(manifest))
    environment, secrets = environment_of(manifest, start, context)
    command = command_line(manifest, folder, environment)
    with ExitStack() as stack:
        try:
            needs = Needs(manifest, folder, command, context.settings, files)
            decided = separation(get_settings(), needs, as_fleet_user=context.occasion.as_fleet_user)
            account = _account(stack, decided, context)
        except ConfigurationError as error:
            raise UpstreamError(str(error), reason="source_partition_failed") from None
        own: Mapping[str, str] = {}
        if account is not None:
            own = stack.enter_context(lent(files, account, kept=_kept(manifest)))
        unkept = UnkeptBlobs(start)
        blobs = stack.enter_context(_blobs(manifest, context, unkept, is_lent=account is not None))
        is_offline = manifest.name in get_settings().connectors_offline
        memory = get_settings().connector_memory_mb * 1024 * 1024
        every = {**environment, **own, **blobs}
        known = [*secrets, *blobs.values()]
        yield Program(command, folder, every, known, account, decided.paths, is_offline, memory, unkept)


def _account(stack: ExitStack, decided: Separation, context: Context) -> Account | None:
    if not decided.accounts:
        context.log.info("connector runs as the fleet's own user", since=decided.why_not)
        return None
    first = context.occasion.connection_id
    account = stack.enter_context(borrowed(decided.accounts, int(first) if first.isdecimal() else 0))
    lent_from = get_settings().data_dir / "files"
    if account.is_own and lent_from.is_dir():
        take_back(lent_from, account)
    return account


def _kept(manifest: Manifest) -> frozenset[str]:
    """The directory that the worker writes while the program runs."""
    return frozenset() if manifest.connector_key is None else frozenset({FOLDER})


@contextmanager
def _blobs(manifest: Manifest, context: Context, unkept: UnkeptBlobs, *, is_lent: bool) -> Iterator[Mapping[str, str]]:
    """Takes the run's blobs while the block lasts; a connector in our own form writes files itself."""
    if manifest.connector_key is None:
        yield {}
        return
    store = BlobStore(context.stored)
    server = BlobServer(
        store,
        unkept,
        connector_id=manifest.connector_key,
        connection_id=context.occasion.connection_id,
        streams=[one.name for one in manifest.streams],
    )
    with store.pinned() if is_lent else nullcontext(), server.serving():
        yield server.variables
