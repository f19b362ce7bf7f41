"""One workspace, out of slackdump's archive or over the Web API."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.slack.account_check import check
from connectors.slack.accounts import account_of
from connectors.slack.api import api_of, open_client
from connectors.slack.archive import open_archive
from connectors.slack.archive_reader import ArchiveReader
from connectors.slack.archive_walk import not_read, read_archive
from connectors.slack.errors import ArchiveError
from connectors.slack.export_reader import ExportReader, member_of, recover_in
from connectors.slack.exports import Exports, has_token, opened_exports
from connectors.slack.ingest import Ingest
from connectors.slack.online_reader import OnlineReader
from connectors.slack.recovery import leave_open, recover
from connectors.slack.refresh import Source, due_entities, refresh, warn_of_pace
from connectors.slack.slackdump import reading
from connectors.slack.streams import (
    MESSAGES,
    PARENT,
    RecordFactory,
)
from connectors.slack.web import Web
from pdpp_worker.connector import (
    WHOLE_STREAM,
    AuthExpired,
    Context,
    Message,
    NeedsOwner,
    Phase,
    Progress,
    ProviderError,
    Reason,
    Start,
    State,
    narrowed_streams,
    refuse,
    run_phases,
    skip,
    skip_for,
)
from pdpp_worker.connector.json_fields import table

__all__ = ["check", "collect"]


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Close the known gaps, then read what is new or changed."""
    refused = {} if start.recovery_only else _not_supported(start)
    wanted = frozenset(scope.name for scope in start.scope.streams if scope.name not in refused)
    factory = RecordFactory(wanted, context.now)
    with opened_exports(context, factory, start) as exports:
        yield from _sources(start, context, factory, exports)
    # No position is kept after the word that a stream failed, nor one of the stream that it rides on.
    yield from refuse(refused)


def _sources(start: Start, context: Context, factory: RecordFactory, exports: Exports | None) -> Iterator[Message]:
    """The exports, then the archive or the Web API, whose word is the newer one."""
    if exports is None:
        yield from _live(start, context, factory)
        return
    own = [known for known in start.detail_gaps if exports.alone or member_of(known) is not None]
    due = own[: start.budget.items]
    yield from recover_in(ExportReader(exports.found.trees, factory), due)
    if not start.recovery_only:
        yield from exports.walk()
    if exports.alone:
        return
    rest = start.model_copy(update={"detail_gaps": [known for known in start.detail_gaps if known not in own]})
    if exports.are_new:
        # What the archive says of people, channels and files is newer, and is read again over what an export said.
        rest = rest.model_copy(update={"state": {MESSAGES: rest.cursor(MESSAGES)}})
    for message in _live(rest, context, factory):
        yield exports.with_place(message) if isinstance(message, State) else message


def _live(start: Start, context: Context, factory: RecordFactory) -> Iterator[Message]:
    if context.settings.get("archive"):
        return _Offline(start, context, factory).collect()
    return _collect_online(start, context, factory, walks=not start.recovery_only)


def _retry_online(start: Start, context: Context, factory: RecordFactory) -> Iterator[Message]:
    """Close gaps by the Web API beside a walk of another kind, which goes on whatever becomes of them."""
    due = start.detail_gaps[: start.budget.items]
    try:
        with open_client(context) as client:
            yield from recover(OnlineReader(api_of(client, context), factory), due)
    except NeedsOwner as error:
        yield from leave_open(error, due)


def _collect_online(start: Start, context: Context, factory: RecordFactory, *, walks: bool) -> Iterator[Message]:
    try:
        client = open_client(context)
    except AuthExpired as error:
        text = f"{error}; or set `archive` to a directory of slackdump's"
        yield from (skip(stream, Reason.CREDENTIALS_EXPIRED, WHOLE_STREAM, text) for stream in sorted(factory.wanted))
        return
    with client:
        api = api_of(client, context)
        due = start.detail_gaps[: start.budget.items]
        try:
            identity = api.identity()
        except ProviderError as error:
            if walks or isinstance(error, NeedsOwner):
                yield from (skip_for(error, stream) for stream in sorted(factory.wanted))
            else:
                yield from leave_open(error, due)
            return
        yield from account_of(identity)
        web = Web(api, identity, factory, start, context)
        phases = [Phase((), lambda: recover(OnlineReader(api, factory), due)), *(web.phases() if walks else [])]
        yield from run_phases(phases, otherwise=sorted(factory.wanted))


class _Offline:
    """The archive of slackdump as the source of one slice."""

    def __init__(self, start: Start, context: Context, factory: RecordFactory) -> None:
        self._start = start
        self._context = context
        self._factory = factory
        self._source = Source.of(context)
        self._program = self._source.slackdump(context)

    def collect(self) -> Iterator[Message]:
        """Bring the archive up to date, close gaps out of it, and read on; or only close gaps."""
        try:
            if self._start.recovery_only:
                yield from self._recover()
            else:
                yield from self._forward()
        except ArchiveError as error:
            if not self._start.recovery_only:
                yield from not_read(error, self._factory)

    def _recover(self) -> Iterator[Message]:
        if has_token(self._context):
            yield from _collect_online(self._start, self._context, self._factory, walks=False)
            return
        # What the archive holds whole by now needs no asking.
        entities = sorted(due_entities(self._start) & self._source.look().unfinished.keys())
        if self._program is not None and entities:
            yield from warn_of_pace(self._context)
            for _ in self._program.archive(entities, member_only=False):
                yield Progress(stream=MESSAGES, message=f"slackdump reads {len(entities)} channels and threads again")
        yield from self._resolve()

    def _forward(self) -> Iterator[Message]:
        cursor = dict(table(self._start.cursor(MESSAGES)))
        if not self._source.is_read_by(cursor):
            cursor.pop("reported", None)  # They were missing in another archive.
        if MESSAGES in self._factory.wanted and cursor.get("run") != self._start.run_id:
            yield from refresh(self._source, self._start, self._context, cursor)
            yield from self._source.account()
            yield State(stream=MESSAGES, cursor=dict(cursor))
        else:
            yield from self._source.account()
        if self._program is None and has_token(self._context) and self._start.detail_gaps:
            yield from _retry_online(self._start, self._context, self._factory)
        elif self._start.detail_gaps:
            yield from self._resolve()
        yield from read_archive(self._source.database, self._start, self._factory, cursor, self._context)

    def _resolve(self) -> Iterator[Message]:
        """Close what is due out of the archive as it is now."""
        result = self._program.result if self._program is not None else None
        why = "slackdump did not bring it to an end" if result is None or result.is_clean else str(result)
        lacks = self._source.look()
        with reading(self._source.database.parent), open_archive(self._source.database) as archive:
            ingest = Ingest(archive, self._factory, self._start)
            reader = ArchiveReader(archive, ingest, self._factory, lacks, why)
            yield from recover(reader, self._start.detail_gaps[: self._start.budget.items])


def _not_supported(start: Start) -> dict[str, str]:
    """Streams that are asked for in a way that cannot be honoured, and why."""
    narrowed = narrowed_streams(start)
    asked = {scope.name for scope in start.scope.streams} - narrowed.keys()
    alone = {
        stream: f"It is collected with {parent}; ask for both."
        for stream, parent in PARENT.items()
        if stream in asked and parent not in asked
    }
    return {**narrowed, **alone}
