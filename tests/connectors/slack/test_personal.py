"""The owner's own lists by the Web API: user groups, saved items, reminders, read positions."""

from __future__ import annotations

import pytest

from pdpp_worker.connector import Inventory, Message, Record, SourceMember, State
from tests.connectors.slack.account import Obj, said, stamp
from tests.connectors.slack.conftest import Holder, deleted, emitted, failing, skips
from tests.connectors.slack.provider import Slack

LACKING: Obj = {"ok": False, "error": "missing_scope", "needed": "stars:read"}


def star(at: int) -> Obj:
    """A saved message of C1."""
    return {"type": "message", "channel": "C1", "message": said(stamp(at)), "date_create": 1_767_225_600 + at}


def members(sent: list[Message]) -> dict[str, SourceMember]:
    """The members of the inventory."""
    return {one.name: one for message in sent if isinstance(message, Inventory) for one in message.members}


def test_saved_items_say_what_was_saved(slack: Slack, holder: Holder) -> None:
    slack.lists["items"] = [star(1), {"type": "file", "file": {"id": "F1"}}, {"type": "channel", "channel": "C2"}]

    holder.run(["stars"])

    held = holder.held("stars")
    assert set(held) == {f"message:C1:{stamp(1)}", "file:F1", "channel:C2"}
    assert held[f"message:C1:{stamp(1)}"]["message_id"] == f"C1:{stamp(1)}"
    assert held["file:F1"]["file_id"] == "F1"


def test_a_scope_that_is_missing_is_declared_and_holds_nothing_up(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(1))])
    slack.faults["stars.list"] = failing(LACKING)

    sent = holder.run()

    assert skips(sent) == {}
    told = members(sent)["stars.list"]
    assert (told.disposition, "stars:read" in str(told.reason)) == ("declared", True)
    assert members(sent)["reminders.list"].disposition == "collected"
    assert emitted(sent, "messages") == [f"C1:{stamp(1)}"]
    slack.faults.clear()
    slack.lists["items"] = [star(1)]
    assert members(holder.run())["stars.list"].disposition == "collected"


def test_an_item_that_is_gone_is_in_doubt_until_a_second_run_agrees(slack: Slack, holder: Holder) -> None:
    slack.lists["items"] = [star(1), star(2)]
    holder.run(["stars"])
    slack.lists["items"] = [star(1)]

    key = f"message:C1:{stamp(2)}"
    said_of = [deleted(holder.run(["stars"]), "stars") for _ in range(3)]

    assert said_of == [[key], [key], []]
    assert all(one.ground == "absent" for one in holder.sent if isinstance(one, Record) and one.op == "delete")


def test_a_list_without_anything_proves_nothing(slack: Slack, holder: Holder) -> None:
    slack.lists["reminders"] = [{"id": "Rm1", "text": "eat"}]
    holder.run(["reminders"])
    slack.lists["reminders"] = []

    assert deleted(holder.run(["reminders"]), "reminders") == []

    slack.lists["reminders"] = [{"id": "Rm2", "text": "sleep"}]
    assert deleted(holder.run(["reminders"]), "reminders") == ["Rm1"]


def test_read_positions_are_asked_for_in_turn(slack: Slack, holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.slack.personal.READ_A_RUN", 2)
    for at in range(3):
        slack.add(f"D{at}", [], is_im=True, last_read=stamp(at))

    first, second = (emitted(holder.run(["channels", "dm_read_states"]), "dm_read_states") for _ in range(2))

    assert (first, second) == (["D0", "D1"], ["D2", "D0"])
    assert holder.held("dm_read_states")["D2"]["last_read"] == stamp(2)


def test_the_inventory_names_what_is_left_out(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [])
    slack.add("C2", [], is_member=False)

    found = members(holder.run())

    assert (found["conversations.list"].disposition, found["conversations.list"].count) == ("collected", 1)
    assert (found["conversations of others"].disposition, found["conversations of others"].count) == ("declared", 1)
    assert found["bookmarks of channels"].disposition == "declared"


def test_the_inventory_of_a_later_slice_names_what_earlier_ones_read(slack: Slack, holder: Holder) -> None:
    slack.lists["items"] = [star(1)]
    slack.add("C1", [said(stamp(1))])
    said_before = holder.run()
    cut = next(at for at, one in enumerate(said_before) if isinstance(one, State) and one.stream == "dm_read_states")
    holder.state.clear()

    holder.run(cut=cut + 1)
    found = members(holder.run(same=True))

    assert (found["stars.list"].count, found["conversations.list"].count) == (1, 1)


def test_a_method_that_is_not_there_is_declared(slack: Slack, holder: Holder) -> None:
    slack.faults["usergroups.list"] = failing({"ok": False, "error": "unknown_method"})
    slack.faults["reminders.list"] = failing(404)

    sent = holder.run()

    assert skips(sent) == {}
    assert {members(sent)[name].disposition for name in ("usergroups.list", "reminders.list")} == {"declared"}
