"""The Web API as a source, against a practice server."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest

from connectors.slack import api
from connectors.slack.api import escaped
from pdpp_worker.connector import BatchScope, GapToClose, Reason, State
from tests.connectors.slack.account import Obj, file, said, stamp, thread, user
from tests.connectors.slack.conftest import ALL, Holder, connection, emitted, failing, gaps, recovered, skips
from tests.connectors.slack.provider import TOKEN, Slack

DAY = 86_400
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REACTION = [{"name": "tada", "users": ["U1"], "count": 1}]


def answered(body: Any, **headers: str) -> httpx.Response:
    """An answer of one method; underscores in the names of headers are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx.Request("GET", "https://slack.com/api/conversations.history")
    return httpx.Response(200, json=body, headers=named, request=request)


def known(scope: BatchScope, **locator: str) -> GapToClose:
    """A gap, numbered 7."""
    return GapToClose(gap_id="7", stream="messages", scope=scope, reason="rate_limited", detail_locator=locator or None)


def test_every_stream_is_read_through_all_pages(slack: Slack, holder: Holder) -> None:
    slack.users = [user(f"U{at}") for at in range(7)]
    slack.files = [*(file(f"F{at}") for at in range(4)), file("Q1", mode="quip")]
    slack.members["C1"] = [f"U{at}" for at in range(5)]
    slack.add("C1", [said(stamp(at)) for at in range(8)] + thread(stamp(20), *(stamp(30 + at) for at in range(5))))
    slack.messages["C1"][0] |= {"reactions": REACTION, "attachments": [{"title": "A link"}]}
    slack.channels["C1"]["num_members"] = 5
    slack.add("C9", [said(stamp(1))], is_member=False)
    slack.add("D1", [], is_im=True, last_read=stamp(3), num_members=0)
    slack.lists["usergroups"] = [{"id": "S1", "handle": "team", "users": ["U1"], "user_count": 1}]
    slack.lists["items"] = [{"type": "message", "channel": "C1", "message": said(stamp(at))} for at in range(4)]
    slack.lists["reminders"] = [{"id": "Rm1", "text": "eat", "time": 1_767_225_700, "complete_ts": 0}]

    assert skips(holder.run()) == {}

    counts = {stream: len(holder.held(stream)) for stream in ALL}
    assert counts == {
        "workspace": 1,
        "users": 7,
        "channels": 2,
        "channel_stats": 1,
        "channel_memberships": 5,
        "messages": 14,
        "message_attachments": 1,
        "reactions": 1,
        "files": 4,
        "canvases": 1,
        "user_groups": 1,
        "stars": 4,
        "reminders": 1,
        "dm_read_states": 1,
    }


def test_a_second_run_goes_down_to_the_mutable_window_and_no_further(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at * DAY)) for at in range(30)])
    holder.run()
    slack.messages["C1"].append(said(stamp(30 * DAY)))

    sent = holder.run()

    assert emitted(sent, "messages") == [f"C1:{stamp(at * DAY)}" for at in range(30, 22, -1)]


def test_an_edit_and_what_was_taken_back_within_the_window_are_seen(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(1)), said(stamp(2), reactions=REACTION), said(stamp(3))])
    holder.run()
    del slack.messages["C1"][0]
    slack.messages["C1"][0] = said(stamp(2), "edited", edited={"ts": stamp(9), "user": "U1"})

    holder.run()

    assert {key: row["text"] for key, row in holder.held("messages").items()} == {
        f"C1:{stamp(2)}": "edited",
        f"C1:{stamp(3)}": "hello",
    }
    assert holder.held("reactions") == {}


def test_a_thread_is_read_again_only_when_its_replies_have_changed(slack: Slack, holder: Holder) -> None:
    slack.add("C1", thread(stamp(1), stamp(2)))
    holder.run()
    holder.run()
    assert slack.called("conversations.replies") == 1

    slack.messages["C1"] = thread(stamp(1), stamp(2), stamp(3))
    holder.run()

    assert slack.called("conversations.replies") == 2
    assert len(holder.held("messages")) == 3


@pytest.mark.parametrize("cut", [1, 8, 12, 15, 19, 24, 31])
def test_a_walk_that_is_cut_anywhere_is_gone_on_with(slack: Slack, holder: Holder, cut: int) -> None:
    slack.users = [user("U1")]
    for key in ("C1", "C2"):
        slack.add(key, [said(stamp(at), reactions=REACTION) for at in range(8)])

    holder.run(cut=cut)
    holder.run(same=True)
    holder.run()

    assert len(holder.held("messages")) == 16
    assert len(holder.held("reactions")) == 16


def test_one_conversation_that_is_refused_is_a_gap_and_the_others_go_on(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(1))])
    slack.add("C2", [said(stamp(1))])
    slack.faults["conversations.history"] = failing({"ok": False, "error": "not_in_channel"}, channel="C1")

    sent = holder.run()

    assert {name: told.reason for name, told in gaps(sent).items()} == {"C1": Reason.SOURCE_PARTITION_FAILED}
    assert set(holder.held("messages")) == {f"C2:{stamp(1)}"}


def test_a_gap_of_a_conversation_is_fetched_by_itself(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at)) for at in range(8)])
    slack.add("C2", [said(stamp(1))])
    slack.faults["conversations.history"] = failing(429, channel="C1", cursor="3")
    told = gaps(holder.run())["C1"]
    assert (told.reason, told.retry_after is not None) == (Reason.RATE_LIMITED, True)
    slack.faults.clear()
    slack.asked.clear()

    sent = holder.run(gaps=[told.known], recovery_only=True)

    assert {method for method, _ in slack.asked} == {"conversations.history"}
    assert {asked["channel"] for _, asked in slack.asked} == {"C1"}
    assert (recovered(sent), len(holder.held("messages"))) == (["7"], 9)
    assert emitted(sent, "messages") == [f"C1:{stamp(at)}" for at in range(4, -1, -1)]
    assert not any(isinstance(one, State) for one in sent)


def test_a_thread_that_fails_is_a_gap_of_its_own_and_is_fetched_by_itself(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [*thread(stamp(1), stamp(2)), said(stamp(5))])
    slack.faults["conversations.replies"] = failing(500)
    told = gaps(holder.run())[f"C1/{stamp(1)}"]
    assert told.reason == Reason.UPSTREAM_ERROR
    slack.faults.clear()
    slack.asked.clear()

    sent = holder.run(gaps=[told.known], recovery_only=True)

    assert [method for method, _ in slack.asked] == ["conversations.replies"]
    assert recovered(sent) == ["7"]
    assert set(holder.held("messages")) == {f"C1:{stamp(at)}" for at in (1, 2, 5)}


def test_what_may_be_only_out_of_sight_is_not_said_to_be_absent(slack: Slack, holder: Holder) -> None:
    sent = holder.run(gaps=[known(BatchScope(partition={"channel_id": "C404"}))], recovery_only=True)

    assert (recovered(sent), [told.gap_id for told in gaps(sent).values()]) == ([], ["7"])


def test_what_fails_again_stays_a_gap(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [])
    slack.faults["conversations.history"] = failing({"ok": False, "error": "internal_error"})

    sent = holder.run(gaps=[known(BatchScope(partition={"channel_id": "C1"}))], recovery_only=True)

    assert [told.gap_id for told in gaps(sent).values()] == ["7"]


def test_the_walk_stops_where_the_platform_refuses_one_after_the_other(slack: Slack, holder: Holder) -> None:
    for at in range(9):
        slack.add(f"C{at}", [said(stamp(1))])
    slack.faults["conversations.history"] = failing({"ok": False, "error": "ratelimited"})

    sent = holder.run()

    assert slack.called("conversations.history") == 3
    assert skips(sent)["messages"].reason == Reason.UPSTREAM_PRESSURE
    assert set(skips(sent)) == {"messages", "message_attachments", "reactions"}
    slack.faults.clear()
    assert skips(holder.run()) == {}
    assert len(holder.held("messages")) == 9


@pytest.mark.parametrize("error", ["invalid_auth", "token_expired", "account_inactive"])
def test_a_token_that_is_no_longer_accepted_ends_the_asking(slack: Slack, holder: Holder, error: str) -> None:
    slack.add("C1", [said(stamp(1))])
    slack.faults["conversations.list"] = failing({"ok": False, "error": error})

    sent = holder.run()

    assert slack.asked[-1][0] == "conversations.list"
    assert skips(sent)["messages"].reason == Reason.CREDENTIALS_EXPIRED
    assert "users" not in skips(sent)


def test_a_scope_that_is_missing_is_named_and_costs_its_stream_only(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(1))])
    slack.faults["users.list"] = failing({"ok": False, "error": "missing_scope", "needed": "users:read"})

    sent = holder.run()

    assert set(skips(sent)) == {"users"}
    assert "users:read" in skips(sent)["users"].message
    assert len(holder.held("messages")) == 1


@pytest.mark.parametrize("answer", [{}, {"ok": True}, {"ok": True, "messages": None}, {"ok": "yes", "messages": []}])
def test_an_answer_of_another_shape_is_never_an_empty_conversation(slack: Slack, holder: Holder, answer: Obj) -> None:
    slack.add("C1", [said(stamp(1))])
    slack.faults["conversations.history"] = failing(answer)

    assert gaps(holder.run())["C1"].reason == Reason.SHAPE_CHANGED


def test_without_a_token_it_is_said_what_to_do(slack: Slack) -> None:
    sent = Holder(connection(slack)).run()

    assert set(skips(sent)) == set(ALL)
    assert "archive" in skips(sent)["messages"].message


def test_the_cookie_goes_along_escaped_once(slack: Slack) -> None:
    Holder(connection(slack, token=TOKEN, cookie="xoxd-a/b+c=")).run()

    assert "d=xoxd-a%2Fb%2Bc%3D; d-s=" in slack.headers[0]["cookie"]
    assert escaped("xoxd-a%2Fb%2Bc%3D") == "xoxd-a%2Fb%2Bc%3D"
    assert escaped("a b%") == "a+b%25"


def test_a_narrowed_scope_is_refused_and_not_broadened(slack: Slack, holder: Holder) -> None:
    assert skips(holder.run(["reactions"]))["reactions"].reason == Reason.SCOPE_NOT_SUPPORTED
    assert slack.called("conversations.history") == 0


@pytest.mark.parametrize("nameless", [{"id": 5}, None])
@pytest.mark.parametrize("stream", ["users", "channels", "files"])
def test_an_item_without_a_name_is_told_and_the_others_are_taken(
    slack: Slack, holder: Holder, stream: str, nameless: Any
) -> None:
    slack.users, slack.files = [user("U1")], [file("F1")]
    slack.add("C1", [said(stamp(1))])
    {"users": slack.users, "files": slack.files}.get(stream, []).insert(0, nameless)
    if stream == "channels":
        slack.channels["nameless"] = nameless

    sent = holder.run()

    assert skips(sent)[stream].reason == Reason.SHAPE_CHANGED
    assert {key: len(holder.held(key)) for key in ("users", "channels", "files", "messages")} == {
        "users": 1,
        "channels": 1,
        "files": 1,
        "messages": 1,
    }


@pytest.mark.parametrize("nameless", [{"ts": 1.5}, None])
def test_a_message_without_a_time_leaves_a_gap_and_the_others_are_taken(
    slack: Slack, holder: Holder, nameless: Any
) -> None:
    slack.add("C1", [said(stamp(1))])
    slack.faults["conversations.history"] = failing({"ok": True, "messages": [nameless, said(stamp(1))]})

    sent = holder.run()

    assert gaps(sent)["C1"].reason == Reason.SHAPE_CHANGED
    assert emitted(sent, "messages") == [f"C1:{stamp(1)}"]


def test_a_thread_that_is_answered_with_nothing_is_a_gap(slack: Slack, holder: Holder) -> None:
    slack.add("C1", thread(stamp(1), stamp(2)))
    slack.faults["conversations.replies"] = failing({"ok": True, "messages": []})

    assert gaps(holder.run())[f"C1/{stamp(1)}"].reason == Reason.SOURCE_PARTITION_FAILED


def test_a_cursor_that_is_none_does_not_pass_for_the_end(slack: Slack, holder: Holder) -> None:
    answer = {"ok": True, "members": [user("U1")], "response_metadata": {"next_cursor": 5}}
    slack.faults["users.list"] = failing(answer)

    assert skips(holder.run())["users"].reason == Reason.SHAPE_CHANGED


def test_a_scope_that_one_kind_of_conversation_needs_costs_no_other(slack: Slack, holder: Holder) -> None:
    for at in range(5):
        slack.add(f"D{at}", [said(stamp(1))], is_im=True)
    slack.add("C1", [said(stamp(1))])
    error = {"ok": False, "error": "missing_scope", "needed": "im:history"}
    slack.faults["conversations.history"] = lambda asked: error if asked["channel"].startswith("D") else None

    sent = holder.run()

    assert {name: told.reason for name, told in gaps(sent).items()} == {
        f"D{at}": Reason.CREDENTIALS_EXPIRED for at in range(5)
    }
    assert skips(sent) == {}
    assert set(holder.held("messages")) == {f"C1:{stamp(1)}"}


def test_conversations_that_fail_in_every_run_do_not_keep_the_others_from_being_read(
    slack: Slack, holder: Holder
) -> None:
    for at in range(5):
        slack.add(f"C{at}", [said(stamp(1))])
    error = {"ok": False, "error": "internal_error"}
    slack.faults["conversations.history"] = lambda asked: error if asked["channel"] < "C3" else None
    holder.run()

    sent = holder.run()

    assert set(holder.held("messages")) == {f"C3:{stamp(1)}", f"C4:{stamp(1)}"}
    assert gaps(sent).keys() == {"C0", "C1", "C2"}


def test_members_that_cannot_be_read_are_a_gap_of_their_conversation(slack: Slack, holder: Holder) -> None:
    for at in range(5):
        slack.add(f"C{at}", [], num_members=1)
        slack.members[f"C{at}"] = ["U1"]
    error = {"ok": False, "error": "internal_error"}
    slack.faults["conversations.members"] = lambda asked: error if asked["channel"] < "C3" else None
    first = holder.run()

    second = holder.run()

    assert skips(first).keys() == {"channel_memberships"}
    assert set(holder.held("channel_memberships")) == {"C3:U1", "C4:U1"}
    assert gaps(second).keys() == {"C0", "C1", "C2"}


@pytest.mark.parametrize("members", [[], [user("U1")]])
def test_pages_that_bring_nothing_new_for_ever_come_to_an_end(
    slack: Slack, holder: Holder, monkeypatch: pytest.MonkeyPatch, members: list[Obj]
) -> None:
    monkeypatch.setattr(api, "MAX_BARREN", 5)
    cursors = count()

    def page(_: Obj) -> Obj:
        return {"ok": True, "members": members, "response_metadata": {"next_cursor": f"c{next(cursors)}"}}

    slack.faults["users.list"] = page

    assert skips(holder.run())["users"].reason == Reason.SOURCE_PARTITION_FAILED
    assert slack.called("users.list") < 10


def test_a_list_of_files_that_lies_about_its_pages_comes_to_an_end(slack: Slack, holder: Holder) -> None:
    lie = {"paging": {"pages": 10**9}}
    slack.faults["files.list"] = lambda asked: {
        "ok": True,
        "files": [file("F1")] if asked["page"] == "1" else [],
        **lie,
    }

    sent = holder.run()

    assert skips(sent)["files"].reason == Reason.SHAPE_CHANGED
    assert set(holder.held("files")) == {"F1"}
    assert slack.called("files.list") == 2


def test_what_the_plan_hides_is_not_deleted(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [said(stamp(at)) for at in (1, 2, 3)])
    holder.run()
    visible = [said(stamp(3)), said(stamp(4))]
    slack.faults["conversations.history"] = lambda _: {"ok": True, "messages": visible[::-1], "is_limited": True}

    holder.run()

    assert set(holder.held("messages")) == {f"C1:{stamp(at)}" for at in (1, 2, 3, 4)}


def test_times_that_are_written_with_a_point_are_kept(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [], created=1_767_000_000.0)

    holder.run()

    assert holder.held("channels")["C1"]["created"] == 1_767_000_000


@pytest.mark.parametrize("code", ["ratelimited", "rate_limited"])
def test_a_refusal_for_the_rate_is_told_before_the_answer_counts(code: str) -> None:
    told = api.rate_refusal(answered({"ok": False, "error": code}, retry_after="30"))

    assert told is not None
    assert "conversations.history" in str(told)


@pytest.mark.parametrize("body", [{"ok": True, "messages": [{"text": "ratelimited"}]}, {"ok": False, "error": "x"}, []])
def test_no_other_answer_is_a_refusal_for_the_rate(body: Any) -> None:
    assert api.rate_refusal(answered(body)) is None
