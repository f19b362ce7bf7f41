"""The Web API when its answers are short, empty, shifted, disordered or contradict each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdpp_worker.connector import BatchScope, GapToClose, Reason, Record, ResourceScope, SourceAccount, State
from tests.connectors.slack.account import TEAM, Obj, file, number, said, stamp, thread, user
from tests.connectors.slack.conftest import Holder, deleted, emitted, failing, gaps, recovered, skips
from tests.connectors.slack.provider import Slack, _between

DAY = 86_400


def message_gap(ts: str) -> GapToClose:
    """A message of C1 that was rejected, numbered 7."""
    scope = ResourceScope(resource_id=f"C1:{ts}")
    return GapToClose(gap_id="7", stream="messages", scope=scope, reason="record_rejected")


def test_an_empty_answer_deletes_nothing(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(8)])
    holder.run()
    slack.faults["conversations.history"] = lambda _: {"ok": True, "messages": [], "has_more": False}

    assert deleted(holder.run(), "messages") == []


def test_a_message_that_is_not_met_again_is_doubted_in_two_runs_and_then_forgotten(
    slack: Slack, holder: Holder
) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(3)])
    holder.run()
    del slack.messages["C1"][1]

    said_in = [holder.run() for _ in range(3)]

    assert [deleted(sent, "messages") for sent in said_in] == [[f"C1:{stamp(1)}"], [f"C1:{stamp(1)}"], []]
    grounds = {one.ground for sent in said_in for one in sent if isinstance(one, Record) and one.op == "delete"}
    assert grounds == {"absent"}


def test_a_doubt_is_looked_into_again_though_the_window_has_moved_on(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(3)])
    holder.run()
    del slack.messages["C1"][1]
    holder.run()
    slack.messages["C1"].append(said(stamp(30 * DAY)))

    assert deleted(holder.run(), "messages") == [f"C1:{stamp(1)}"]


def test_the_last_messages_are_deleted_once_an_older_one_is_shown(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(0)), said(stamp(30 * DAY))])
    holder.run()
    del slack.messages["C1"][1]

    assert deleted(holder.run(), "messages") == [f"C1:{stamp(30 * DAY)}"]


def test_pages_that_begin_at_the_old_end_when_only_oldest_is_given_lose_and_delete_nothing(
    slack: Slack, holder: Holder
) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(8)])
    holder.run()

    def forward(asked: Obj) -> Obj | None:
        listed = sorted(_between(slack.messages[asked["channel"]], asked), key=lambda one: number(one["ts"]))
        if number(asked.get("oldest", "0")) == 0 or "latest" in asked:
            return None
        first = int(asked.get("cursor", "0"))
        cursor = str(first + 3) if first + 3 < len(listed) else ""
        page = listed[first : first + 3][::-1]
        return {"ok": True, "messages": page, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}

    slack.faults["conversations.history"] = forward
    slack.messages["C1"] += [said(stamp(100 + at)) for at in range(8)]
    for cut in range(1, 9):
        holder.run(["messages"], cut=cut)

    assert deleted(holder.run(["messages"]), "messages") == []
    assert len(holder.held("messages")) == 16


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 1, 2)])
def test_a_page_that_is_not_newest_first_is_a_gap(slack: Slack, holder: Holder, order: tuple[int, ...]) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(3)])
    shuffled = [said(stamp(at)) for at in order]
    slack.faults["conversations.history"] = failing({"ok": True, "messages": shuffled, "has_more": False})

    sent = holder.run()

    assert gaps(sent)["C1"].reason == Reason.SOURCE_PARTITION_FAILED
    assert len(holder.held("messages")) == 3
    known = gaps(sent)["C1"].known
    assert recovered(holder.run(gaps=[known], recovery_only=True)) == []
    slack.faults.clear()
    assert recovered(holder.run(gaps=[known], recovery_only=True)) == ["7"]


def test_one_bad_old_page_keeps_no_new_message_out(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(9)])
    slack.faults["conversations.history"] = lambda asked: (
        500 if asked.get("cursor") == "3" or asked.get("latest") == stamp(6) else None
    )
    known = gaps(holder.run(["messages"]))["C1"].known
    for day in (1, 2, 3):
        slack.messages["C1"].append(said(stamp(day * DAY)))
        holder.run(["messages"])
    assert f"C1:{stamp(3 * DAY)}" in holder.held("messages")

    slack.faults.clear()
    assert recovered(holder.run(["messages"], gaps=[known], recovery_only=True)) == ["7"]
    assert len(holder.held("messages")) == 12


def test_a_second_hole_widens_the_first_ones_gap(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at * DAY)) for at in range(9)])
    slack.faults["conversations.history"] = failing(500, cursor="3")
    holder.run(["messages"])
    slack.messages["C1"] += [said(stamp(at * DAY)) for at in range(30, 39)]

    second = gaps(holder.run(["messages"]))["C1"]

    assert second.locator == {"oldest": "0", "latest": stamp(36 * DAY)}


def test_three_bad_threads_keep_no_other_conversation_out(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [one for at in range(5) for one in thread(stamp(at * 10), stamp(at * 10 + 1))])
    slack.add("C2", [said(stamp(5))])
    slack.faults["conversations.replies"] = failing(500)

    sent = holder.run(["messages"])

    assert f"C2:{stamp(5)}" in holder.held("messages")
    assert gaps(sent).keys() == {f"C1/{stamp(at * 10)}" for at in range(5)}
    assert slack.called("conversations.replies") == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": False, "error": "thread_not_found"},
        {"ok": True, "messages": thread(stamp(1), *(stamp(2 + at) for at in range(6)))[:1], "has_more": False},
    ],
)
def test_a_thread_with_fewer_replies_than_it_counts_is_a_gap(slack: Slack, holder: Holder, answer: Obj) -> None:
    slack.add("C1", thread(stamp(1), *(stamp(2 + at) for at in range(6))))
    slack.faults["conversations.replies"] = failing(answer)

    assert gaps(holder.run()).keys() == {f"C1/{stamp(1)}"}


def test_of_a_reaction_whose_users_are_listed_in_part_none_is_deleted(slack: Slack, holder: Holder) -> None:
    users = [f"U{at}" for at in range(6)]
    slack.add("C1", [said(stamp(1), reactions=[{"name": "tada", "users": users[:4], "count": 4}])])
    holder.run()
    slack.messages["C1"][0]["reactions"] = [{"name": "tada", "users": [users[5], users[0]], "count": 6}]
    assert deleted(holder.run(), "reactions") == []

    slack.messages["C1"][0]["reactions"] = [{"name": "tada", "users": users[:1], "count": 1}]
    holder.run()

    assert set(holder.held("reactions")) == {f"C1:{stamp(1)}:tada:U0"}


def test_the_gap_of_a_nameless_item_holds_its_place(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(5)])
    holder.run(["messages"])
    nameless = {"type": "message", "text": "when?"}
    page = [said(stamp(60)), nameless, *(said(stamp(at)) for at in (4, 3, 2, 1, 0))]
    slack.faults["conversations.history"] = lambda asked: (
        None if asked.get("latest") else {"ok": True, "messages": page, "has_more": False}
    )
    known = gaps(holder.run(["messages"]))["C1"].known

    assert recovered(holder.run(["messages"], gaps=[known], recovery_only=True)) == []


def test_a_gap_of_messages_that_were_there_is_not_closed_by_an_empty_answer(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(8)])
    slack.faults["conversations.history"] = failing(500, cursor="3")
    known = gaps(holder.run())["C1"].known
    slack.faults["conversations.history"] = failing({"ok": True, "messages": [], "has_more": False})

    assert recovered(holder.run(gaps=[known], recovery_only=True)) == []


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": False, "error": "channel_not_found"},
        {"ok": True, "messages": [], "has_more": False},
        {"ok": True, "messages": [], "has_more": False, "is_limited": True},
    ],
)
def test_a_message_that_is_merely_not_shown_is_not_absent(slack: Slack, holder: Holder, answer: Obj) -> None:
    slack.add("C1", [said(stamp(1))])
    slack.faults |= dict.fromkeys(("conversations.history", "conversations.replies"), failing(answer))

    assert recovered(holder.run(gaps=[message_gap(stamp(1))], recovery_only=True)) == []


def test_a_message_is_absent_where_the_one_before_it_is_shown(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(1))])

    assert recovered(holder.run(gaps=[message_gap(stamp(2))], recovery_only=True)) == ["7"]


def test_a_listed_conversation_that_is_said_not_to_be_there_stays_a_gap(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(1))])
    slack.faults["conversations.history"] = failing({"ok": False, "error": "channel_not_found"})
    known = gaps(holder.run())["C1"].known

    assert recovered(holder.run(gaps=[known], recovery_only=True)) == []


def test_a_message_of_the_future_ends_no_conversation(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(1)), said("99999999999.000000")])
    holder.run()
    slack.messages["C1"].append(said(stamp(10 * DAY)))

    holder.run()

    assert f"C1:{stamp(10 * DAY)}" in holder.held("messages")


def test_members_that_changed_places_are_seen(slack: Slack, holder: Holder) -> None:
    slack.members["C1"] = ["U1", "U2"]
    slack.add("C1", [], num_members=2)
    holder.run()
    slack.members["C1"] = ["U1", "U3"]

    holder.run()

    assert "C1:U3" in holder.held("channel_memberships")


def test_members_below_their_count_are_a_gap_until_the_count_agrees(slack: Slack, holder: Holder) -> None:
    slack.members["C1"] = ["U1"]
    slack.add("C1", [], num_members=500)
    told = gaps(holder.run())["C1"]
    known = told.known.model_copy(update={"stream": "channel_memberships"})

    assert told.reason == Reason.SOURCE_PARTITION_FAILED
    assert recovered(holder.run(gaps=[known], recovery_only=True)) == []
    slack.channels["C1"]["num_members"] = 1
    assert recovered(holder.run(gaps=[known], recovery_only=True)) == ["7"]


def test_a_list_of_files_that_is_cut_is_gone_on_with(slack: Slack, holder: Holder) -> None:
    slack.files = [file(f"F{at}") for at in range(10)]
    holder.run(["files"], cut=7)
    assert holder.state["files"]["page"] == 2

    holder.run(["files"], same=True)

    assert len(holder.held("files")) == 10


@pytest.mark.parametrize("left", [{"page": 3}, {"at": "run-0", "page": 3, "pass": 1}])
def test_a_place_in_a_list_that_another_run_left_counts_for_nothing(slack: Slack, holder: Holder, left: Obj) -> None:
    slack.files = [file(f"F{at}") for at in range(10)]
    holder.state = {"files": left}

    holder.run(["files"])

    assert len(holder.held("files")) == 10


@pytest.mark.parametrize("says_total", [True, False])
def test_a_list_of_files_that_shifts_while_it_is_walked_is_walked_again(
    slack: Slack, holder: Holder, says_total: bool
) -> None:
    slack.files = [file(f"F{at}") for at in range(9)]
    slack.says_total = says_total

    def shift(asked: Obj) -> None:
        if asked["page"] == "2" and len(slack.files) == 9:
            del slack.files[0]

    slack.faults["files.list"] = shift

    holder.run(["files"])

    assert "F3" in holder.held("files")


def test_a_list_of_files_that_is_always_cut_comes_to_its_end(slack: Slack, holder: Holder) -> None:
    slack.files = [file(f"F{at}") for at in range(10)]

    for at in range(12):
        sent = holder.run(["files"], cut=7, same=at > 0)

    assert (len(holder.held("files")), skips(sent)) == (10, {})
    assert set(holder.state["files"]) == {"run", "known"}


def test_a_stream_that_is_added_gets_what_its_parent_has_read_before(slack: Slack, holder: Holder) -> None:
    reaction = [{"name": "tada", "users": ["U1"], "count": 1}]
    slack.add("C1", [said(stamp(0), reactions=reaction), said(stamp(30 * DAY))])
    holder.run(["messages"])

    holder.run(["messages", "reactions"])

    assert set(holder.held("reactions")) == {f"C1:{stamp(0)}:tada:U1"}
    assert f"C1:{stamp(0)}" not in emitted(holder.run(["messages", "reactions"]), "messages")


@pytest.mark.parametrize("recovery_only", [True, False])
def test_the_workspace_is_named_before_anything_else(slack: Slack, holder: Holder, recovery_only: bool) -> None:
    slack.add("C1", [said(stamp(1))])

    sent = holder.run(gaps=[message_gap(stamp(1))], recovery_only=recovery_only)

    assert sent[0] == SourceAccount(identity=TEAM, label="Work")


@pytest.mark.parametrize("stream", ["users", "channel_memberships", "messages"])
def test_a_list_longer_than_a_slice_comes_to_its_end(slack: Slack, holder: Holder, stream: str) -> None:
    slack.users = [user(f"U{at}") for at in range(30)]
    slack.members["C1"] = [f"U{at}" for at in range(30)]
    slack.add("C1", thread(stamp(1), *(stamp(2 + at) for at in range(29))), num_members=30)

    for at in range(20):
        holder.run([stream], cut=15, same=at > 0)

    assert len(holder.held(stream)) == 30


def test_a_place_that_the_platform_no_longer_knows_begins_the_list_anew(slack: Slack, holder: Holder) -> None:
    slack.users = [user(f"U{at}") for at in range(9)]
    holder.run(["users"], cut=8)
    slack.faults["users.list"] = failing({"ok": False, "error": "invalid_cursor"}, cursor="3")
    slack.users.insert(0, user("U100"))
    del slack.faults["users.list"]
    lost = iter([{"ok": False, "error": "invalid_cursor"}])
    slack.faults["users.list"] = lambda _: next(lost, None)

    assert skips(holder.run(["users"], same=True)) == {}
    assert len(holder.held("users")) == 10


def test_the_cursor_weighs_no_more_than_what_it_covers(slack: Slack, holder: Holder, monkeypatch: Any) -> None:
    monkeypatch.setattr("connectors.slack.conversations.SEEN_IN_ALL", 100)
    monkeypatch.setattr("connectors.slack.conversations.SEEN_AT_LEAST", 5)
    for at in range(30):
        slack.add(f"C{at}", [said(stamp(second)) for second in range(40)])
    holder.run(["messages"])

    sent = holder.run(["messages"])

    sizes = [len(json.dumps(one.cursor)) for one in sent if isinstance(one, State)]
    assert max(sizes) < 30 * (5 * 40 + 200)
    assert sum(sizes) < 1_000 * len(emitted(sent, "messages"))


def test_a_gap_of_an_empty_conversation_is_closed_as_absent(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [])
    slack.faults["conversations.history"] = failing(500)
    known = gaps(holder.run())["C1"].known
    slack.faults.clear()

    assert recovered(holder.run(gaps=[known], recovery_only=True)) == ["7"]


def test_a_thread_that_fails_leaves_the_gap_of_its_conversation_to_be_closed(slack: Slack, holder: Holder) -> None:
    slack.add("C1", thread(stamp(1), stamp(2)))
    slack.faults["conversations.replies"] = failing(500)
    scope = BatchScope(partition={"channel_id": "C1"})
    known = GapToClose(gap_id="7", stream="messages", scope=scope, reason="rate_limited")

    sent = holder.run(gaps=[known], recovery_only=True)

    assert (recovered(sent), list(gaps(sent))) == (["7"], [f"C1/{stamp(1)}"])
