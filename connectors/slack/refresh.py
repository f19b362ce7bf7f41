"""Brings the archive up to date by slackdump, and says what is still missing in it.

The cursor of messages has, beside the position: "run", the run that has done it; "reported", the channels
and threads that stand in a gap, each with the session that left it so and when that was seen; and "failed", why the
archive as a whole is not complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors.slack.accounts import account_of
from connectors.slack.archive import FILE_NAME, database_of, open_archive, reason_of
from connectors.slack.completeness import ENTITY, Completeness, look
from connectors.slack.errors import ArchiveError
from connectors.slack.fields import text
from connectors.slack.ingest import is_of
from connectors.slack.rows import Obj
from connectors.slack.slackdump import SLOWEST_MS, Slackdump, find, reading, size
from connectors.slack.slackdump_exit import Exit
from connectors.slack.streams import MESSAGES
from pdpp_worker.connector import (
    AuthExpired,
    BatchScope,
    Context,
    GapToClose,
    Message,
    Progress,
    Reason,
    SkipResult,
    Start,
    skip,
)
from pdpp_worker.connector.json_fields import table

PAUSE = timedelta(minutes=10)
"""slackdump has tried a part many times before it gives up."""
LEFT_OUT = timedelta(days=1)
"""So long a channel that failed is left out of the refreshing, so that it does not keep the others from being read."""


@dataclass(frozen=True)
class Source:
    """The archive's location, and the settings for bringing it up to date."""

    database: Path
    program: str | None
    member_only: bool
    lookback_days: int
    stall_s: float

    @classmethod
    def of(cls, context: Context) -> Source:
        """The connection's archive; the program is None where it is not to be run, or not there."""
        values = context.settings
        database = database_of(str(values["archive"]))
        runs = bool(values.get("run_slackdump", True)) and database.name == FILE_NAME
        return cls(
            database=database,
            program=find(str(values.get("slackdump") or "slackdump")) if runs else None,
            member_only=bool(values.get("member_only", True)),
            lookback_days=max(0, int(values.get("lookback_days", 7))),
            stall_s=max(0.1, float(values.get("stall_s", 3600))),
        )

    def slackdump(self, context: Context) -> Slackdump | None:
        """The program, signed in as the connection is, or as its own login is."""
        if self.program is None:
            return None
        secrets = [_secret(context, name) for name in ("token", "cookie")]
        return Slackdump(self.program, self.database.parent, self.stall_s, *secrets)

    def look(self) -> Completeness:
        """The missing parts of the archive; none are known of one that is not there."""
        if not self.database.is_file():
            return Completeness()
        with reading(self.database.parent), open_archive(self.database) as archive:
            return look(archive)

    def is_read_by(self, cursor: Obj) -> bool:
        """Whether a cursor speaks of the archive that is there now."""
        if not self.database.is_file():
            return False
        with reading(self.database.parent), open_archive(self.database) as archive:
            return is_of(cursor, archive)

    def account(self) -> Iterator[Message]:
        """The workspace that the archive is of, where it says so."""
        with reading(self.database.parent), open_archive(self.database) as archive:
            for raw in archive.newest_workspace():
                yield from account_of(raw)

    @property
    def has_messages(self) -> bool:
        """Whether there is anything to go on from."""
        if not self.database.is_file():
            return False
        with reading(self.database.parent), open_archive(self.database) as archive:
            return archive.holds("MESSAGE")


def refresh(source: Source, start: Start, context: Context, cursor: Obj) -> Iterator[Message]:
    """Run slackdump if it is there, then open a gap for every channel and thread that the archive lacks.

    `cursor` is brought up to date; the caller commits it.

    Raises:
        ArchiveError: there is nothing to read.
    """
    ended: Exit | None = None
    if (program := source.slackdump(context)) is not None:
        yield from warn_of_pace(context)
        for _ in _work(source, program, start, context, cursor):
            yield Progress(stream=MESSAGES, message=f"slackdump is at work: {size(program.directory):,} bytes so far")
        ended = program.result
    elif not source.database.is_file():
        raise ArchiveError(f"the archive has no {source.database.name}, and slackdump is not installed to make it")
    if ended is not None and not ended.is_clean and not source.database.is_file():
        raise ArchiveError(str(ended), ended.reason)
    yield from report(source.look(), ended, start, context, cursor)


def warn_of_pace(context: Context) -> Iterator[Progress]:
    """Warn where slackdump cannot keep to the owner's rate ceiling: its limits know no slower pace than Slack's."""
    if context.min_interval_ms > SLOWEST_MS:
        text = (
            f"slackdump cannot be held to your ceiling of {context.min_interval_ms:g} ms between requests: it asks for "
            f"messages every {SLOWEST_MS:g} ms; with run_slackdump=no it is not run, with a token and no archive the "
            "ceiling holds"
        )
        context.log.warning("rate_ceiling_not_kept", why=text)
        yield Progress(stream=MESSAGES, message=text)


def _work(source: Source, program: Slackdump, start: Start, context: Context, cursor: Obj) -> Iterator[None]:
    if not source.has_messages:
        return program.archive(member_only=source.member_only)
    lacks = source.look()
    due = due_entities(start)
    left_out = {
        entity
        for entity, seen in table(cursor.get("reported")).items()
        if entity not in due and context.now().timestamp() - seen["at"] < LEFT_OUT.total_seconds()
    }
    named = sorted((lacks.unfinished.keys() | due) - left_out)
    outsiders = lacks.outsiders if source.member_only else []
    excluded = [f"^{entity}" for entity in (*sorted(left_out), *outsiders) if entity not in named]
    return program.resume([*named, *excluded], lookback_days=source.lookback_days)


def report(
    lacks: Completeness, ended: Exit | None, start: Start, context: Context, cursor: Obj
) -> Iterator[SkipResult]:
    """A gap for every part that is missing and was not reported of the same session before; those that are due are
    left to who tries them."""
    reported = dict(table(cursor.get("reported")))
    session = lacks.last_session.id if lacks.last_session is not None else 0
    is_clean = ended.is_clean if ended is not None else lacks.last_session is None or lacks.last_session.is_finished
    reason = Reason.SOURCE_PARTITION_FAILED if ended is None else ended.reason
    why = "slackdump did not bring it to an end" if ended is None or ended.is_clean else str(ended)
    due = due_entities(start)
    missing = _missing(lacks, ended, session)
    healed = {entity for entity, seen in reported.items() if entity not in missing and _is_healed(entity, seen, lacks)}
    reported = {entity: seen for entity, seen in reported.items() if entity not in healed}
    for entity, left_by in missing.items():
        if table(reported.get(entity)).get("session") != left_by:
            reported[entity] = {"session": left_by, "at": int(context.now().timestamp())}
            if entity not in due:
                yield gap(entity, reason, why, context)
    # Where nothing points to the part that is missing, or nothing at all could be done, all of it is in doubt.
    in_doubt = not is_clean and not any(one["session"] == session for one in reported.values())
    cannot_go_on = not is_clean and reason is Reason.CREDENTIALS_EXPIRED
    cursor |= {"run": start.run_id, "reported": reported}
    cursor["failed"] = [reason.value, why] if in_doubt or cannot_go_on else None
    if lacks.unknown is not None:
        cursor["failed"] = [reason_of(lacks.unknown).value, lacks.unknown]


def _is_healed(entity: str, seen: Obj, lacks: Completeness) -> bool:
    """Whether a later session has read it: a thread that was missing is not any more, a channel was read whole."""
    return ":" in entity or lacks.finished.get(entity, 0) > seen["session"]


def _missing(lacks: Completeness, ended: Exit | None, session: int) -> dict[str, int]:
    """Channel or thread to the session that left it unfinished; the part that a last error names among them."""
    if ended is None or ended.is_clean or ended.failed_part is None:
        return lacks.unfinished
    part = ended.failed_part
    return {**lacks.unfinished, part.partition(":")[0] if part.partition(":")[0] in lacks.unfinished else part: session}


def gap(entity: str, reason: Reason, why: str, context: Context) -> SkipResult:
    """A channel or thread that is not there whole."""
    scope = BatchScope(partition=partition(entity))
    return skip(MESSAGES, reason, scope, why, retry_after=context.now() + PAUSE)


def partition(entity: str) -> dict[str, Any]:
    """The partition by which a gap names a channel, or a thread of one."""
    channel, _, thread = entity.partition(":")
    return {"channel_id": channel, **({"thread_ts": thread} if thread else {})}


def entity_of(known: GapToClose) -> str | None:
    """The channel or thread that a gap is about, as slackdump writes it; None for a gap of another kind."""
    if known.stream != MESSAGES or not isinstance(known.scope, BatchScope):
        return None
    channel, thread = (text(known.scope.partition.get(name)) for name in ("channel_id", "thread_ts"))
    entity = f"{channel}:{thread}" if thread else str(channel)
    return entity if ENTITY.fullmatch(entity) else None


def due_entities(start: Start) -> set[str]:
    """The channels and threads that are to be tried now."""
    return {entity for known in start.detail_gaps if (entity := entity_of(known)) is not None}


def _secret(context: Context, name: str) -> str | None:
    try:
        return context.secret(name).get_secret_value()
    except AuthExpired:
        return None
