"""Exports as a source: alone, or before the archive or the Web API, whose word counts where both speak.

Their place is kept in the cursor of one stream under "exports": {"with": the streams that were read, "of": {export:
{"run": the run that read it to its end}, or {"part": how many parts, "fact": how many facts of the next one}}}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.slack import export_kinds
from connectors.slack.archive import database_of
from connectors.slack.export_parts import Fact, Part
from connectors.slack.export_records import ExportRecords, export_gap, missing_gap
from connectors.slack.export_tree import Tree
from connectors.slack.fields import strings, text
from connectors.slack.rows import Obj
from connectors.slack.streams import CHANNELS, FILES, MEMBERSHIPS, MESSAGES, USERS, WORKSPACE, RecordFactory
from pdpp_worker.connector import (
    AuthExpired,
    Context,
    Message,
    ProviderError,
    ShapeError,
    SourceAccount,
    Start,
    State,
    account_named,
    reason_for,
)
from pdpp_worker.connector.json_fields import table

RECORDS_PER_STATE = 2_000
_KEEPERS = (MESSAGES, CHANNELS, USERS, FILES, WORKSPACE, MEMBERSHIPS)
"""Streams of which the first that is asked for keeps the place."""


class Exports:
    """Reads the exports of one connection for one slice."""

    def __init__(self, path: Path, factory: RecordFactory, start: Start, *, alone: bool) -> None:
        """`alone`: there is no other source, so that who is a member is taken from the exports too."""
        self.found = export_kinds.find(path)
        self.alone = alone
        self._records = ExportRecords(factory, alone=alone)
        self._start = start
        self._wanted = factory.wanted
        self.keeper = next((stream for stream in _KEEPERS if stream in factory.wanted), None)
        saved = table(table(start.cursor(self.keeper)).get("exports")) if self.keeper else {}
        is_enough = factory.wanted <= set(strings(saved.get("with")))
        before = table(saved.get("of")) if is_enough else {}
        self._places: dict[str, Obj] = {
            tree.identity: dict(table(before.get(tree.identity))) for tree in self.found.trees
        }

    @property
    def are_new(self) -> bool:
        """Whether one was read to its end in this run."""
        return any(place.get("run") == self._start.run_id for place in self._places.values())

    def close(self) -> None:
        """Leave the files."""
        for tree in self.found.trees:
            tree.close()

    def with_place(self, state: State) -> State:
        """A STATE of any source, with the place in the exports where its stream keeps that."""
        if state.stream != self.keeper:
            return state
        exports = {"with": sorted(self._wanted), "of": {key: dict(place) for key, place in self._places.items()}}
        return state.model_copy(update={"cursor": {**table(state.cursor), "exports": exports}})

    def walk(self) -> Iterator[Message]:
        """The records that were not read before, and the inventory."""
        for tree in self.found.trees:
            if "run" not in self._places[tree.identity]:
                yield from _account(tree)
                yield from self._tree(tree)
        if not self._start.recovery_only:
            yield from export_kinds.inventory(self.found, alone=self.alone)
        if self.alone:
            for stream in sorted(self._wanted & set(_KEEPERS)):
                yield self.with_place(State(stream=stream, cursor={"run": self._start.run_id}))

    def _tree(self, tree: Tree) -> Iterator[Message]:
        place = self._places[tree.identity]
        self._records.day = tree.time.date().isoformat()
        parts = export_kinds.parts(tree)
        for number in range(int(place.get("part", 0)), len(parts)):
            yield from self._part(parts[number], place)
            place |= {"part": number + 1, "fact": 0}
            yield from self._state(0)
        tree.close()
        place.clear()
        place["run"] = self._start.run_id
        yield from self._state(RECORDS_PER_STATE)

    _unsaved = 0

    def _state(self, records: int) -> Iterator[State]:
        """A STATE, where enough has come since the last."""
        self._unsaved += records
        if self._unsaved >= RECORDS_PER_STATE and self.keeper is not None:
            self._unsaved = 0
            cursor = {name: one for name, one in table(self._start.cursor(self.keeper)).items() if name != "exports"}
            yield self.with_place(State(stream=self.keeper, cursor=cursor))

    def _part(self, part: Part, place: Obj) -> Iterator[Message]:
        """The records of a part from its place on, and a gap where some of it cannot be read."""
        done, nameless = int(place.get("fact", 0)), 0
        try:
            for number, fact in enumerate(part.read(), start=1):
                nameless += fact.kind == "nameless"
                if number > done:
                    yield from self._fact(fact)
                    place["fact"] = number
                    yield from self._state(0)
            if nameless:
                raise ShapeError(f"{nameless} items have no id or time of their own")
        except ProviderError as error:
            stream = next((one for one in part.streams if one in self._wanted), None)
            if stream is not None:
                yield export_gap(stream, part.name, reason_for(error), f"{part.name}: {error}")

    def _fact(self, fact: Fact) -> Iterator[Message]:
        if fact.kind == "missing":
            if MESSAGES in self._wanted:
                yield missing_gap(fact)
            return
        for record in self._records.of(fact):
            self._unsaved += 1
            yield record


@contextmanager
def opened_exports(context: Context, factory: RecordFactory, start: Start) -> Iterator[Exports | None]:
    """The exports that the settings name; None where they name none. They are alone without an archive and a token."""
    named, archive = text(context.settings.get("export")), text(context.settings.get("archive"))
    if named is None and archive is not None and _is_export(archive):
        # slackdump's archives before version 4 are chunk files.
        named, archive = archive, None
    if named is None:
        yield None
        return
    is_alone = archive is None and (context.settings.get("archive") is not None or not has_token(context))
    exports = Exports(Path(named), factory, start, alone=is_alone)
    try:
        yield exports
    finally:
        exports.close()


def _is_export(archive: str) -> bool:
    """Whether an export lies where an archive is expected."""
    path = Path(archive)
    return path.exists() and not database_of(archive).is_file() and bool(export_kinds.find(path).trees)


def has_token(context: Context) -> bool:
    """Whether the connection has a token."""
    try:
        context.secret("token")
    except AuthExpired:
        return False
    return True


def _account(tree: Tree) -> Iterator[SourceAccount]:
    """The workspace of an export: as it says, or else that of most of its people."""
    teams: Counter[str] = Counter()
    for part in export_kinds.parts(tree):
        if WORKSPACE in part.streams or part.name == "users.json":
            try:
                for fact in part.read():
                    if fact.kind == "workspace" and (team := text(fact.raw.get("team_id"))):
                        yield account_named(team, text(fact.raw.get("team")))
                        return
                    teams.update(filter(None, [text(fact.raw.get("team_id")) if fact.kind == "user" else None]))
            except ProviderError:
                continue  # It is a gap when it is read.
    if teams:
        yield account_named(teams.most_common(1)[0][0])
