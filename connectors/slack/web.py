"""All streams over the Web API."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from connectors.slack.api import Api, refuse_nameless, resumed
from connectors.slack.conversations import Conversations, TooManyFailuresError
from connectors.slack.errors import NamelessError
from connectors.slack.fields import integer, strings
from connectors.slack.files import Files
from connectors.slack.gaps import stopped
from connectors.slack.memberships import Memberships
from connectors.slack.personal import LISTS, Personal
from connectors.slack.rows import Obj
from connectors.slack.streams import (
    ATTACHMENTS,
    CANVASES,
    CHANNEL_STATS,
    CHANNELS,
    FILES,
    MEMBERSHIPS,
    MESSAGES,
    REACTIONS,
    READ_STATES,
    USERS,
    WORKSPACE,
    RecordFactory,
)
from connectors.slack.web_inventory import other_lists, web_inventory
from pdpp_worker.connector import Context, Message, Phase, Progress, ProviderError, ShapeError, Start, State
from pdpp_worker.connector.json_fields import flag, table

_BYTES_OF_CHANNEL, _BYTES_OF_ID = 500, 20
"""The weight of a channel's record, and that of its id in the cursor."""


class Web:
    """Reads a workspace over the Web API for one slice."""

    def __init__(self, api: Api, identity: Obj, factory: RecordFactory, start: Start, context: Context) -> None:
        self._api = api
        self._identity = identity
        self._factory = factory
        self._start = start
        self._context = context
        self.conversations = Conversations(api, factory, context)
        self.personal = Personal(api, factory, start)
        listed = table(start.cursor(CHANNELS)) if self._is_done(CHANNELS) else {}
        self._talks = strings(listed.get("talks"))
        self._outside = integer(listed.get("outside")) or 0

    def phases(self) -> list[Phase]:
        """The forward walk, in order; each reads one stream and what rides on it."""
        all_phases = [
            Phase((WORKSPACE,), self._workspace),
            Phase((USERS,), self._users),
            Phase((CHANNELS, CHANNEL_STATS), self._channels),
            Phase((MEMBERSHIPS,), self._memberships),
            Phase((FILES, CANVASES), self._files),
            *(Phase((one.stream,), partial(self.personal.whole, one)) for one in LISTS),
            Phase((READ_STATES,), self._read_states),
            Phase((MESSAGES, ATTACHMENTS, REACTIONS), self._messages),
        ]
        wanted = self._factory.wanted
        asked = [Phase(tuple(one for one in streams if one in wanted), go) for streams, go in all_phases]
        guarded = [Phase(streams, self._guarded(streams, go)) for streams, go in asked if streams]
        return [*guarded, Phase((), self._inventory)]

    def _inventory(self) -> Iterator[Message]:
        listed = self._listed or table(table(self._start.cursor(CHANNELS)).get("ids"))
        others = (*self.personal.members(), *other_lists(self._api.others))
        yield web_inventory(len(listed), self._outside, others, self._factory.wanted)

    def _read_states(self) -> Iterator[Message]:
        self._known_channels()
        return self.personal.read_states(self._talks)

    def _guarded(
        self, streams: tuple[str, ...], go: Callable[[], Iterator[Message]]
    ) -> Callable[[], Iterator[Message]]:
        """The same, with its streams skipped after too many failures in a row."""

        def messages() -> Iterator[Message]:
            try:
                yield from go()
            except TooManyFailuresError as error:
                if isinstance(error.__cause__, ProviderError):
                    yield from stopped(streams, error.__cause__)

        return messages

    def _is_done(self, stream: str) -> bool:
        """Whether an earlier slice of this run has read the stream."""
        return table(self._start.cursor(stream)).get("run") == self._start.run_id

    def _workspace(self) -> Iterator[Message]:
        if self._is_done(WORKSPACE):
            return
        records = list(self._factory.workspace(self._identity))
        if not records:
            raise ShapeError("auth.test names no workspace")
        yield from records
        yield State(stream=WORKSPACE, cursor={"run": self._start.run_id})

    def _users(self) -> Iterator[Message]:
        place = self._place(USERS)
        if self._is_done(USERS):
            return
        for page in resumed(self._api.users, place):
            for raw in page.items:
                yield from self._factory.user(table(raw))
            yield Progress(stream=USERS, count=integer(place.get("read")))
            yield State(stream=USERS, cursor={"at": self._start.run_id, "place": dict(place)})
        refuse_nameless("users.list", integer(place.get("nameless")) or 0)
        yield State(stream=USERS, cursor={"run": self._start.run_id})

    def _place(self, stream: str) -> Obj:
        """How far an earlier slice of this run has come in a list."""
        cursor = table(self._start.cursor(stream))
        return dict(table(cursor.get("place"))) if cursor.get("at") == self._start.run_id else {}

    def _channels(self) -> Iterator[Message]:
        if self._is_done(CHANNELS):
            return
        day = self._context.now().date().isoformat()
        place = self._place(CHANNELS)
        met = self._met(place)
        ids, unsaved = met["ids"], 0
        for page in resumed(self._api.channels, place):
            ours = list(filter(self._is_ours, page.items))
            met["outside"] += len(page.items) - len(ours)
            for raw in ours:
                ids[raw["id"]] = integer(raw.get("num_members")) or 0
                met["talks"] += [raw["id"]] if _is_talk(raw) else []
                unsaved += _BYTES_OF_CHANNEL
                yield from self._factory.channel(raw, day)
            # The ids are all that was read so far: they are saved when they weigh no more than what came since.
            if unsaved >= _BYTES_OF_ID * len(ids):
                unsaved = 0
                yield from self._channel_state({"at": self._start.run_id, "place": dict(place), **met})
        self._listed, self._nameless = ids, integer(place.get("nameless")) or 0
        self._talks, self._outside = met["talks"], met["outside"]
        self._refuse_nameless()
        yield from self._channel_state({"run": self._start.run_id, **met})

    def _met(self, place: Obj) -> Obj:
        """The conversations that an earlier slice of this run met in the list, as the cursor keeps them."""
        kept = table(self._start.cursor(CHANNELS)) if place else {}
        talks, outside = strings(kept.get("talks")), integer(kept.get("outside")) or 0
        return {"ids": dict(table(kept.get("ids"))), "talks": talks, "outside": outside}

    def _channel_state(self, cursor: Obj) -> Iterator[State]:
        if CHANNELS in self._factory.wanted:
            yield State(stream=CHANNELS, cursor=cursor)

    def _is_ours(self, raw: Obj) -> bool:
        if not self._context.settings.get("member_only", True):
            return True
        return _is_talk(raw) or flag(raw.get("is_member")) is not False

    def _refuse_nameless(self) -> None:
        """Report channels of the list that cannot be named, now that the others are taken."""
        refuse_nameless("conversations.list", self._nameless)

    _listed: dict[str, int] | None = None
    _nameless = 0

    def _known_channels(self) -> dict[str, int]:
        """Channel to member count, from the list that this run has read."""
        if self._listed is None:
            if self._is_done(CHANNELS):
                return table(table(self._start.cursor(CHANNELS)).get("ids"))
            with suppress(NamelessError):
                deque(self._channels(), maxlen=0)
        return self._listed or {}

    def _memberships(self) -> Iterator[Message]:
        return Memberships(self._api, self._factory, self._start).walk(self._known_channels())

    def _files(self) -> Iterator[Message]:
        return iter(()) if self._is_done(FILES) else Files(self._api, self._factory, self._start).walk()

    def _messages(self) -> Iterator[Message]:
        yield from self.conversations.walk(self._start, list(self._known_channels()))
        self._refuse_nameless()


def _is_talk(raw: Obj) -> bool:
    """Whether a conversation is a direct message, of two or of several."""
    return raw.get("is_im") is True or raw.get("is_mpim") is True
