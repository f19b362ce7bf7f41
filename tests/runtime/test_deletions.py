"""A deletion needs proof: the provider's word, or two whole walks that agree, and the owner's word where it is many."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pdpp_worker.connector import (
    BatchScope,
    Context,
    DetailGap,
    Message,
    Reason,
    Record,
    Start,
    UpstreamError,
    skip,
)
from tests.support.backlog import TARGETED
from tests.support.scripted import NOW, Scenario, manifest, record, state

FAMILY = (
    "chats",
    {
        "name": "messages",
        "parent_streams": ["chats"],
        "coverage_strategy": "parent_detail_accounting",
        "belongs_to": {"chats": "chat"},
    },
    {
        "name": "files",
        "parent_streams": ["messages"],
        "coverage_strategy": "parent_detail_accounting",
        "belongs_to": {"messages": "message"},
    },
)


def absent(key: str, stream: str = "items", **data: object) -> Record:
    """A deletion, since a whole listing did not hold the record."""
    fields = {"id": key, **data}
    return Record(stream=stream, key=key, data=fields, emitted_at=NOW, op="delete", ground="absent")


def stated(key: str, stream: str = "items", **data: object) -> Record:
    """A deletion that the provider names."""
    return Record(stream=stream, key=key, data={"id": key, **data}, emitted_at=NOW, op="delete")


def doubts(scenario: Scenario) -> dict[str, str]:
    """Key to state."""
    return {row["key"]: row["state"] for row in scenario.rows("SELECT key, state FROM deletion_doubts")}


def run(scenario: Scenario, *messages: Message) -> None:
    """One walk that sends these."""
    scenario.send(*messages)
    scenario.run()


def numbered(count: int) -> list[Record]:
    return [record(f"n{number:03}") for number in range(count)]


def test_what_one_walk_does_not_find_is_a_doubt_and_no_deletion(scenario: Scenario) -> None:
    run(scenario, record("a"), record("b"), state(1))

    run(scenario, record("a"), absent("b"), state(2))

    assert scenario.held().keys() == {"a", "b"}
    assert doubts(scenario) == {"b": "doubted"}


def test_what_a_second_walk_does_not_find_either_is_deleted(scenario: Scenario) -> None:
    run(scenario, record("a"), record("b"), state(1))

    run(scenario, absent("b"), state(2))
    run(scenario, absent("b"), state(3))

    assert scenario.held().keys() == {"a"}
    assert doubts(scenario) == {}


def test_two_batches_of_one_walk_are_one_walk(scenario: Scenario) -> None:
    scenario.settings = scenario.settings.model_copy(update={"batch_records": 1})
    run(scenario, record("a"), record("b"), state(1))

    run(scenario, absent("b"), state(2), absent("b"), state(3))

    assert scenario.held().keys() == {"a", "b"}


def test_a_record_in_between_clears_the_doubt(scenario: Scenario) -> None:
    run(scenario, record("a"), record("b"), state(1))

    run(scenario, absent("b"), state(2))
    run(scenario, record("b"), state(3))
    run(scenario, absent("b"), state(4))

    assert scenario.held().keys() == {"a", "b"}


def test_a_walk_that_says_nothing_of_a_doubt_neither_deletes_nor_clears_it(scenario: Scenario) -> None:
    run(scenario, record("a"), record("b"), state(1))
    run(scenario, absent("b"), state(2))

    run(scenario, record("a"), state(3))

    assert (set(scenario.held()), doubts(scenario)) == ({"a", "b"}, {"b": "doubted"})


def test_what_was_deleted_as_absent_comes_back_whole(scenario: Scenario) -> None:
    run(scenario, record("a"), record("b", text="kept"), state(1))
    run(scenario, absent("b"), state(2))
    run(scenario, absent("b"), state(3))

    run(scenario, record("b", text="kept"), state(4))

    assert scenario.held()["b"] == {"id": "b", "text": "kept"}


def test_a_stated_deletion_applies_at_once_and_ends_a_doubt(scenario: Scenario) -> None:
    run(scenario, record("a"), record("b"), state(1))
    run(scenario, absent("b"), state(2))

    run(scenario, stated("b"), state(3))

    assert (set(scenario.held()), doubts(scenario)) == ({"a"}, {})


@pytest.mark.parametrize("deletion", [stated, absent])
def test_a_deletion_of_an_older_version_deletes_nothing(scenario: Scenario, deletion: Callable[..., Record]) -> None:
    scenario.manifest = manifest({"name": "items", "cursor_field": "at"})
    run(scenario, record("a", at=5), record("b", at=5), state(1))

    for cursor in (2, 3, 4):
        run(scenario, deletion("b", at=4), state(cursor))

    assert scenario.held().keys() == {"a", "b"}


def test_what_is_reported_as_missing_is_not_deleted_as_absent(scenario: Scenario) -> None:
    run(scenario, record("a"), record("b"), state(1))

    for cursor in (2, 3):
        run(scenario, DetailGap(stream="items", record_key="b", reason="parse_failed"), absent("b"), state(cursor))

    assert scenario.held().keys() == {"a", "b"}


@pytest.mark.parametrize("missed", ["a part", "the end"])
def test_a_walk_that_missed_a_part_of_the_stream_agrees_to_nothing(scenario: Scenario, missed: str) -> None:
    run(scenario, record("a"), record("b"), state(1))
    run(scenario, absent("b"), state(2))

    def walk(_: Start, __: Context) -> Iterator[Message]:
        yield absent("b")
        if missed == "a part":
            yield skip("items", Reason.UPSTREAM_ERROR, BatchScope(partition={"page": 2}))
            return
        raise UpstreamError("answered 503")

    scenario.install(walk)
    scenario.run()

    assert scenario.held().keys() == {"a", "b"}


def test_a_run_that_only_retries_gaps_shows_no_absence(scenario: Scenario) -> None:
    scenario.manifest = manifest(recovery=TARGETED)
    run(scenario, record("a"), record("b"), DetailGap(stream="items", record_key="c", reason="timed_out"), state(1))
    scenario.elapse()

    scenario.install(lambda start, _: iter([absent("b")] if start.recovery_only else [absent("b"), state(2)]))
    scenario.run()

    assert (set(scenario.held()), doubts(scenario)) == ({"a", "b"}, {"b": "doubted"})


def test_a_mass_deletion_waits_for_the_owner(scenario: Scenario) -> None:
    run(scenario, *numbered(100), state(1))

    for cursor in (2, 3, 4):
        run(scenario, *(absent(f"n{number:03}") for number in range(30)), state(cursor))

    assert len(scenario.held()) == 100
    assert set(doubts(scenario).values()) == {"waiting"}
    events = scenario.rows("SELECT data FROM events WHERE type = 'deletions_wait'")
    assert [one["data"] for one in events] == [{"count": 30, "held": 100}]


def test_what_is_absent_after_the_brake_waits_too(scenario: Scenario) -> None:
    run(scenario, *numbered(100), state(1))
    for cursor in (2, 3):
        run(scenario, *(absent(f"n{number:03}") for number in range(30)), state(cursor))

    for cursor in (4, 5):
        run(scenario, absent("n099"), state(cursor))

    assert len(scenario.held()) == 100


def test_a_record_that_comes_takes_its_deletion_off_the_owner(scenario: Scenario) -> None:
    run(scenario, *numbered(100), state(1))
    for cursor in (2, 3):
        run(scenario, *(absent(f"n{number:03}") for number in range(30)), state(cursor))

    run(scenario, *numbered(30), state(4))

    assert doubts(scenario) == {}


def test_an_absence_proves_no_gap_away(scenario: Scenario) -> None:
    run(scenario, record("a"), DetailGap(stream="items", record_key="b", reason="parse_failed"), state(1))

    run(scenario, absent("b"), state(2))

    assert [gap["status"] for gap in scenario.gaps()] == ["open"]


class TestParents:
    """A deletion of a parent reaches what belongs to it, and its return undoes exactly that."""

    @pytest.fixture
    def family(self, scenario: Scenario) -> Scenario:
        """Two chats; one message of the first is deleted by itself."""
        scenario.manifest = manifest(*FAMILY)
        run(
            scenario,
            *(record(chat, "chats") for chat in ("c1", "c2")),
            *(record(f"{chat}-{n}", "messages", chat=chat) for chat in ("c1", "c2") for n in (1, 2)),
            *(record(f"f-{chat}", "files", message=f"{chat}-1") for chat in ("c1", "c2")),
            state(1, "chats"),
        )
        run(scenario, stated("c1-2", "messages"), state(2, "chats"))
        return scenario

    def all_held(self, scenario: Scenario) -> set[str]:
        return {key for stream in ("chats", "messages", "files") for key in scenario.held(stream)}

    def test_a_stated_deletion_reaches_children_of_children(self, family: Scenario) -> None:
        run(family, stated("c1", "chats"), state(3, "chats"))

        assert self.all_held(family) == {"c2", "c2-1", "c2-2", "f-c2"}

    def test_an_absent_one_reaches_them_when_it_is_proved(self, family: Scenario) -> None:
        run(family, absent("c1", "chats"), state(3, "chats"))
        assert "f-c1" in self.all_held(family)

        run(family, absent("c1", "chats"), state(4, "chats"))

        assert self.all_held(family) == {"c2", "c2-1", "c2-2", "f-c2"}

    def test_a_return_brings_back_what_went_with_it_and_nothing_else(self, family: Scenario) -> None:
        run(family, stated("c1", "chats"), state(3, "chats"))

        run(family, record("c1", "chats"), state(4, "chats"))

        assert self.all_held(family) == {"c1", "c1-1", "f-c1", "c2", "c2-1", "c2-2", "f-c2"}

    def test_a_child_that_comes_by_itself_is_here_and_stays(self, family: Scenario) -> None:
        run(family, stated("c1", "chats"), state(3, "chats"))

        run(family, record("c1-1", "messages", chat="c1"), state(4, "chats"))

        assert "c1-1" in self.all_held(family)
