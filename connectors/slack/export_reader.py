"""Single things in exports, for known gaps. A thing that no export holds is not said to be absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from connectors.slack import export_kinds
from connectors.slack.errors import Refused
from connectors.slack.export_parts import Fact
from connectors.slack.export_records import MEMBER, ExportRecords
from connectors.slack.export_tree import Tree
from connectors.slack.fields import text
from connectors.slack.recovery import recover, try_gap
from connectors.slack.rest import Rest
from connectors.slack.rows import Obj
from connectors.slack.streams import CANVASES, CHANNEL_STATS, CHANNELS, FILES, USERS, RecordFactory
from pdpp_worker.connector import BatchScope, GapToClose, Message, ProviderError, ShapeError

_KINDS = ((USERS, "user"), (CHANNELS, "channel"), (CHANNEL_STATS, "channel"), (FILES, "file"), (CANVASES, "file"))


class ExportReader:
    """Reads in the exports, the newest first."""

    rest: Rest | None = None

    def __init__(self, trees: Iterable[Tree], factory: RecordFactory) -> None:
        self._trees = list(trees)[::-1]
        self._records = ExportRecords(factory, alone=True)

    def entity(self, entity: str, locator: Obj) -> Iterator[Message]:  # noqa: ARG002 - a reader's signature
        """All of a channel or thread, of the newest export that holds it whole."""
        channel, _, thread = entity.partition(":")

        def is_of(fact: Fact) -> bool:
            of_thread = not thread or thread in (fact.raw.get("ts"), fact.raw.get("thread_ts"))
            return fact.kind == "message" and fact.channel == channel and of_thread

        for tree in self._each():
            lacks = {fact.channel for fact in _facts(tree, channel) if fact.kind == "missing"}
            if lacks.isdisjoint({entity, channel}) and any(map(is_of, _facts(tree, channel))):
                yield from self._all(tree, is_of, channel)
                return
        raise Refused("no export holds it whole")

    def message(self, channel: str, ts: str) -> Iterator[Message]:
        """One message with what rides on it."""
        return self._newest(
            lambda fact: fact.kind == "message" and fact.channel == channel and fact.raw["ts"] == ts, channel
        )

    def thing(self, stream: str, key: str) -> Iterator[Message]:
        """One channel, person or file."""
        kind = dict(_KINDS)[stream]
        return self._newest(lambda fact: fact.kind == kind and fact.raw.get("id") == key)

    def members(self, channel: str, locator: Obj) -> Iterator[Message]:  # noqa: ARG002 - a reader's signature
        """The members of a channel."""
        return self._newest(lambda fact: fact.kind == "member" and fact.channel == channel)

    def file(self, name: str) -> Iterator[Message]:
        """All of a file, of every export that has one of that name."""
        found = [(tree, part) for tree in self._trees for part in export_kinds.parts(tree) if part.name == name]
        if not found:
            raise Refused(f"no export has {name} now")
        for tree, part in reversed(found):
            self._records.day = tree.time.date().isoformat()
            for fact in part.read():
                if fact.kind == "nameless":
                    raise ShapeError(f"items of {name} have no id or time of their own")
                yield from self._records.of(fact)
            tree.close()

    def _each(self) -> Iterator[Tree]:
        """The exports one after the other, so that one zip is open at a time."""
        for tree in self._trees:
            try:
                yield tree
            finally:
                tree.close()

    def _newest(self, is_meant: Callable[[Fact], bool], channel: str = "") -> Iterator[Message]:
        """The records of the facts that are meant, of the newest export that has any."""
        for tree in self._each():
            if any(map(is_meant, _facts(tree, channel))):
                yield from self._all(tree, is_meant, channel)
                return
        raise Refused("no export holds it")

    def _all(self, tree: Tree, is_meant: Callable[[Fact], bool], channel: str) -> Iterator[Message]:
        self._records.day = tree.time.date().isoformat()
        for fact in filter(is_meant, _facts(tree, channel)):
            yield from self._records.of(fact)


def _facts(tree: Tree, channel: str) -> Iterator[Fact]:
    """The facts of an export, or of its parts that are of one conversation; an unreadable file hides its own only."""
    for part in export_kinds.parts(tree):
        if part.channel == channel or not channel:
            try:
                yield from part.read()
            except ProviderError:
                continue


def recover_in(reader: ExportReader, gaps: Iterable[GapToClose]) -> Iterator[Message]:
    """Try gaps out of exports: those about a file of one, and any other."""
    for known in gaps:
        name = member_of(known)
        if name is None:
            yield from recover(reader, [known])
        else:
            yield from try_gap(known, name, reader.file(name), None)


def member_of(known: GapToClose) -> str | None:
    """The file of an export that a gap is about."""
    return text(known.scope.partition.get(MEMBER)) if isinstance(known.scope, BatchScope) else None
