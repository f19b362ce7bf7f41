"""Finds what an archive lacks: channels and threads that slackdump began, or had on its list, and did not finish.

slackdump reads a channel from its newest message down, and goes on from the newest message it has. So whatever is below
the point where a walk died is fetched by no later `resume` unless the channel is named to it: a finished later session
heals only if it read the channel whole.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from connectors.slack.archive import UNREADABLE, Archive
from connectors.slack.fields import ts_of
from connectors.slack.rows import NO_REPLIES

ENTITY = re.compile(r"[CDG][A-Z0-9]+(?::\d+\.\d+)?")
"""A channel, or a thread as `channel:ts`: a gap's resource, and how slackdump takes it on its command line."""

_WALKS = "SELECT CHANNEL_ID, SESSION_ID, max(FINAL) FROM CHUNK WHERE TYPE_ID = 0 GROUP BY CHANNEL_ID, SESSION_ID"
_LISTED = """
    SELECT n.ID, max(c.SESSION_ID), json_valid(CAST(n.DATA AS TEXT)),
        CASE WHEN json_valid(CAST(n.DATA AS TEXT)) THEN coalesce(json_extract(CAST(n.DATA AS TEXT), '$.is_member'), 0)
            OR coalesce(json_extract(CAST(n.DATA AS TEXT), '$.is_im'), 0)
            OR coalesce(json_extract(CAST(n.DATA AS TEXT), '$.is_mpim'), 0) END
    FROM CHANNEL n JOIN CHUNK c ON c.ID = n.CHUNK_ID WHERE c.TYPE_ID = 4 GROUP BY n.ID
"""
_THREADS = f"""
    WITH parents AS (
        SELECT m.CHANNEL_ID, m.ID, max(m.CHUNK_ID), m.LATEST_REPLY, c.SESSION_ID
        FROM MESSAGE m JOIN CHUNK c ON c.ID = m.CHUNK_ID WHERE c.TYPE_ID = 0 AND m.IS_PARENT
        GROUP BY m.CHANNEL_ID, m.ID
    ), fetched AS (
        SELECT m.CHANNEL_ID, m.PARENT_ID, max(m.ID) AS newest
        FROM MESSAGE m JOIN CHUNK c ON c.ID = m.CHUNK_ID WHERE c.TYPE_ID = 1 GROUP BY m.CHANNEL_ID, m.PARENT_ID
    )
    SELECT parents.CHANNEL_ID, parents.ID, parents.SESSION_ID FROM parents
    LEFT JOIN fetched ON fetched.CHANNEL_ID = parents.CHANNEL_ID AND fetched.PARENT_ID = parents.ID
    WHERE coalesce(parents.LATEST_REPLY, '') <> '{NO_REPLIES}' AND (fetched.newest IS NULL
        OR CAST(replace(parents.LATEST_REPLY, '.', '') AS INTEGER) > fetched.newest)
    ORDER BY parents.CHANNEL_ID, parents.ID
"""  # noqa: S608


@dataclass(frozen=True)
class Session:
    """One run of slackdump, as it wrote itself down."""

    id: int
    is_finished: bool
    mode: str | None
    arguments: frozenset[str]

    def reads_whole(self, channel: str) -> bool:
        """Whether it asked for all of a channel that it came to. Where it kept no arguments, that is taken for so."""
        if self.mode is None:
            return False
        return "resume" not in self.mode.lower() or channel in self.arguments or not self.arguments

    def lists(self, channel: str, *, is_member: bool) -> bool:
        """Whether it was to read a channel that stood on its list."""
        if f"^{channel}" in self.arguments or any(ENTITY.fullmatch(one) for one in self.arguments):
            return False
        # Of a channel that one is no member of, a finished session may have been refused the messages.
        return is_member or not (self.is_finished or "-member-only" in self.arguments)


@dataclass
class Completeness:
    """The missing parts of an archive."""

    unfinished: dict[str, int] = field(default_factory=dict)
    """Channel or thread (`ENTITY`) to the session that left it so."""
    finished: dict[str, int] = field(default_factory=dict)
    """Channel to the last session that read it whole."""
    outsiders: list[str] = field(default_factory=list)
    """Channels on the list that the owner is no member of, and of which nothing was fetched."""
    last_session: Session | None = None
    unknown: str | None = None
    """Why it is not known what is missing."""


def look(archive: Archive) -> Completeness:
    """Find everything that was begun or listed and is not there."""
    try:
        return _look(archive)
    except UNREADABLE as error:
        return Completeness(unknown=f"the archive does not say what it lacks: {error}")


def _look(archive: Archive) -> Completeness:
    sessions = {one.id: one for one in _sessions(archive)}
    found = Completeness(last_session=sessions[max(sessions)] if sessions else None)
    begun = _walks(archive)
    for channel, walks in begun.items():
        whole = [one for one in walks if walks[one] and (one == min(walks) or _reads_whole(sessions, one, channel))]
        found.finished[channel] = max(whole, default=0)
        broken = max((one for one in walks if not walks[one]), default=0)
        if broken > found.finished[channel]:
            found.unfinished[channel] = broken
    _look_at_list(archive, sessions, set(begun), found)
    for channel, parent, session in archive.database.execute(_THREADS):
        if channel not in found.unfinished:
            found.unfinished[f"{channel}:{ts_of(parent)}"] = session
    return found


def has_begun(archive: Archive, channel: str) -> bool:
    """Whether anything of a channel's messages was ever fetched, be it none."""
    query = "SELECT 1 FROM CHUNK WHERE CHANNEL_ID = ? AND TYPE_ID IN (0, 1) LIMIT 1"
    return archive.database.execute(query, (channel,)).fetchone() is not None


def _sessions(archive: Archive) -> list[Session]:
    columns = archive.schema.pick("SESSION", "ID", "FINISHED", "MODE", "ARGS")
    rows = archive.database.execute(f"SELECT {columns} FROM SESSION WHERE ID > 0 ORDER BY ID")  # noqa: S608
    return [
        Session(key, bool(end), mode and str(mode), frozenset(str(args or "").split("|")) - {""})
        for key, end, mode, args in rows
    ]


def _walks(archive: Archive) -> dict[str, dict[int, bool]]:
    """Channel to the sessions that read it, each with whether it came to the channel's end."""
    found: defaultdict[str, dict[int, bool]] = defaultdict(dict)
    for channel, session, is_final in archive.database.execute(_WALKS):
        found[str(channel)][session] = bool(is_final)
    return dict(found)


def _reads_whole(sessions: dict[int, Session], session: int, channel: str) -> bool:
    return session not in sessions or sessions[session].reads_whole(channel)


def _look_at_list(archive: Archive, sessions: dict[int, Session], begun: set[str], found: Completeness) -> None:
    for key, session, is_readable, is_member in archive.database.execute(_LISTED):
        channel = str(key)
        if channel in begun or session not in sessions:
            continue
        if sessions[session].lists(channel, is_member=bool(is_member) or not is_readable):
            found.unfinished[channel] = session
        elif not is_member:
            found.outsiders.append(channel)
