"""Single things by the Web API, for known gaps. A thing that Slack merely does not show is not said to be absent."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.slack import rows
from connectors.slack.api import Api, refuse_nameless, resumed
from connectors.slack.errors import OutOfSight, ShortError
from connectors.slack.fields import integer, micros, text, ts_of
from connectors.slack.gaps import part_gap
from connectors.slack.history import Section, downward
from connectors.slack.position import BEGINNING
from connectors.slack.rest import LIMITED_PAGE, PausedError, Rest
from connectors.slack.rows import Obj
from connectors.slack.streams import CANVASES, CHANNEL_STATS, CHANNELS, FILES, USERS, RecordFactory
from connectors.slack.threads import Threads
from pdpp_worker.connector import Gone, Message, NeedsOwner, ProviderError, Record, ShapeError, Throttled
from pdpp_worker.connector.json_fields import table


class OnlineReader:
    """Reads through the Web API."""

    _METHODS = (
        (USERS, ("users.info", "user", "user")),
        (CHANNELS, ("conversations.info", "channel", "channel")),
        (CHANNEL_STATS, ("conversations.info", "channel", "channel")),
        (FILES, ("files.info", "file", "file")),
        (CANVASES, ("files.info", "file", "file")),
    )

    def __init__(self, api: Api, factory: RecordFactory) -> None:
        self._api = api
        self._factory = factory
        self._threads = Threads(api, factory)
        self.rest = Rest(factory.now)

    def entity(self, entity: str, locator: Obj) -> Iterator[Message]:
        """All of a thread, or of a channel between the times that its gap names."""
        channel, _, thread = entity.partition(":")
        self.rest.begin()
        if thread:
            return self._thread(channel, thread, dict(table(locator.get("place"))))
        return self._span(channel, micros(locator.get("oldest")) or 0, text(locator.get("latest")))

    def _thread(self, channel: str, parent: str, place: Obj) -> Iterator[Message]:
        def checkpoint(items: int) -> Iterator[Message]:
            if place.get("cursor"):
                partition = {"channel_id": channel, "thread_ts": parent, "from": place["read"]}
                self.rest.note(partition, {"place": dict(place)}, items)
            return iter(())

        return self._threads.whole(channel, parent, place, checkpoint)

    def message(self, channel: str, ts: str) -> Iterator[Message]:
        """One message with what rides on it.

        Raises:
            Gone: history shows what stood before it and not it, and it is no reply either.
            OutOfSight: nothing is shown of it.
        """
        shown = self._shown("conversations.history", channel, ts)
        found = next((one for one in shown if one.get("ts") == ts), None)
        if found is None:
            found = next((one for one in self._replies(channel, ts) if one.get("ts") == ts), None)
        if found is not None:
            yield from self._factory.message(channel, ts, found)
        elif shown:
            raise Gone(f"no message at {ts}; the one before it is there")
        else:
            raise OutOfSight(f"Slack shows nothing at {ts} and before")

    def thing(self, stream: str, key: str) -> Iterator[Message]:
        """One channel, person or file."""
        method, name, parameter = dict(self._METHODS)[stream]
        raw = self._api.info(method, name, **{parameter: key})
        if raw.get("id") != key:
            raise ShapeError(f"{method} answered with another {name} than it was asked for")
        if raw.get("mode") == "hidden_by_limit":
            raise OutOfSight(f"{method} answered that the plan's limit hides it")
        yield from emit(self._factory, stream, raw, self._factory.now().date().isoformat())

    def members(self, channel: str, locator: Obj) -> Iterator[Message]:
        """The members of a channel.

        Raises:
            ShortError: they are fewer than Slack counts.
        """
        place: Obj = {}
        for page in resumed(lambda cursor: self._api.members(channel, cursor), place):
            yield from (self._factory.membership(channel, user) for user in page.items)
        refuse_nameless("conversations.members", integer(place.get("nameless")) or 0)
        read = integer(place.get("read")) or 0
        if read < (integer(locator.get("counted")) or 1) and read < self._counted(channel):
            raise ShortError(f"conversations.members named {read}, fewer than Slack counts")

    def _counted(self, channel: str) -> int:
        raw = self._api.info("conversations.info", "channel", channel=channel, include_num_members="true")
        return max(1, integer(raw.get("num_members")) or 0)

    def _span(self, channel: str, low: int, latest: str | None) -> Iterator[Message]:
        """All messages between two times with their threads; one thread that fails is a gap of its own."""
        is_empty = True
        for section in downward(self._api, channel, latest, low):
            for raw in section.messages:
                is_empty = False
                yield from self._factory.message(channel, raw["ts"], raw)
                if rows.thread_mark(raw) is not None:
                    yield from self._thread_or_gap(channel, raw["ts"], section)
            is_empty = is_empty and not section.has_floor
            if section.has_more and section.mark is not None:
                left = {"oldest": ts_of(low) if low else BEGINNING, "latest": section.mark}
                self.rest.note({"channel_id": channel, "latest": section.mark}, left, section.size)
        if is_empty and (low or latest):
            raise ShortError("Slack shows none of the messages that were there")

    def _thread_or_gap(self, channel: str, parent: str, section: Section) -> Iterator[Message]:
        try:
            if section.has_more and section.size == LIMITED_PAGE:
                raise PausedError("the thread is read in another slice")
            yield from self._threads.whole(channel, parent, {})
        except (NeedsOwner, Throttled):
            raise
        except ProviderError as error:
            yield part_gap({"channel_id": channel, "thread_ts": parent}, error)

    def _shown(self, method: str, channel: str, ts: str) -> list[Obj]:
        return [table(one) for one in self._api.around(method, channel, ts) if isinstance(one, dict)]

    def _replies(self, channel: str, ts: str) -> list[Obj]:
        """The thread of a reply, as far as it shows the reply."""
        try:
            return self._shown("conversations.replies", channel, ts)
        except OutOfSight as error:
            if "thread_not_found" not in str(error):
                raise
            return []


def emit(factory: RecordFactory, stream: str, raw: Obj, day: str) -> Iterator[Record]:
    """The records of one channel, person or file."""
    if stream == USERS:
        return factory.user(raw)
    return factory.channel(raw, day) if stream in (CHANNELS, CHANNEL_STATS) else factory.file(raw)
