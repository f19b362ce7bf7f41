"""The lists of the Web API: what is gone from them, how they are gone on with, and for which workspace."""

from __future__ import annotations

import pytest

from connectors.slack import files
from pdpp_worker.connector import Inventory, Reason, SourceAccount
from tests.connectors.slack.account import file, said, stamp, user
from tests.connectors.slack.conftest import Holder, failing, skips
from tests.connectors.slack.provider import Slack


def test_a_file_that_is_on_the_list_no_longer_is_deleted_by_its_own_word_only(slack: Slack, holder: Holder) -> None:
    slack.files = [*(file(f"F{at}") for at in range(4)), file("Q1", mode="quip"), file("Q2", mode="quip")]
    words = {"F0": "file_deleted", "F1": "file_not_found", "Q1": "file_deleted"}
    slack.faults["files.info"] = lambda asked: {"ok": False, "error": words[asked["file"]]}
    holder.run(["files", "canvases"])
    assert slack.called("files.info") == 0
    slack.files = [one for one in slack.files if one["id"] not in words]

    holder.run(["files", "canvases"])

    assert (set(holder.held("files")), set(holder.held("canvases"))) == ({"F1", "F2", "F3"}, {"Q2"})
    holder.run(["files", "canvases"])
    assert slack.called("files.info") == 3, "it is asked for once"


def test_a_list_of_files_that_was_cut_in_one_run_loses_none_that_go_before_the_next(
    slack: Slack, holder: Holder
) -> None:
    slack.files = [file(f"F{at}") for at in range(7)]
    slack.faults["files.info"] = failing({"ok": False, "error": "file_deleted"})
    holder.run(["files"])
    holder.run(["files"], cut=5)
    del slack.files[0], slack.files[-1]

    holder.run(["files"])

    assert set(holder.held("files")) == {f"F{at}" for at in range(1, 6)}


def test_files_that_are_gone_are_asked_for_by_and_by(
    slack: Slack, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ASKED_A_RUN", 2)
    slack.files = [file(f"F{at}") for at in range(6)]
    slack.faults["files.info"] = failing({"ok": False, "error": "file_deleted"})
    holder.run(["files"])
    del slack.files[:5]

    left = []
    for _ in range(3):
        holder.run(["files"])
        left.append(len(holder.held("files")))

    assert left == [4, 2, 1]


def test_a_list_of_channels_that_is_always_cut_comes_to_its_end(slack: Slack, holder: Holder) -> None:
    for at in range(10):
        slack.add(f"C{at}", [])

    for at in range(8):
        sent = holder.run(["channels"], cut=5, same=at > 0)

    assert (len(holder.held("channels")), skips(sent)) == (10, {})
    assert set(holder.state["channels"]["ids"]) == {f"C{at}" for at in range(10)}


def test_a_token_of_an_organisation_is_told_the_workspace(slack: Slack, holder: Holder) -> None:
    slack.users, slack.files = [user("W1")], [file("F1")]
    slack.add("C1", [said(stamp(1))])
    slack.faults["auth.test"] = failing(
        {"ok": True, "team_id": "E1", "enterprise_id": "E1", "is_enterprise_install": True}
    )
    lists = ("users.list", "conversations.list", "files.list")
    for method in lists:
        slack.faults[method] = lambda asked: None if "team_id" in asked else {"ok": False, "error": "missing_argument"}

    told = skips(holder.run())["channels"]
    assert (told.reason, "set team_id" in told.message) == (Reason.CREDENTIALS_EXPIRED, True)

    holder.context.settings["team_id"] = "T7"  # type: ignore[index]
    sent = holder.run()

    assert skips(sent) == {}
    assert [slack.called(method, team_id="T7") for method in lists] == [1, 1, 1]
    assert [one.identity for one in sent if isinstance(one, SourceAccount)] == ["T7"]
    assert (set(holder.held("users")), set(holder.held("workspace"))) == ({"W1"}, {"E1", "T7"})


def test_a_token_of_another_workspace_than_the_one_that_is_meant_waits_for_the_owner(
    slack: Slack, holder: Holder
) -> None:
    holder.context.settings["team_id"] = "T7"  # type: ignore[index]

    sent = holder.run()

    assert {one.reason for one in skips(sent).values()} == {Reason.CREDENTIALS_EXPIRED}
    assert slack.asked == []


def test_another_person_under_one_id_is_named(slack: Slack, holder: Holder) -> None:
    slack.users = [user("U1"), user("U1", deleted=True), user("U2")]

    sent = holder.run(["users"])

    assert "1 items that have no id or time of their own" in skips(sent)["users"].message
    assert set(holder.held("users")) == {"U1", "U2"}
    assert holder.held("users")["U1"]["deleted"] is False


def test_fewer_files_than_the_list_counts_are_not_all_of_them(slack: Slack, holder: Holder) -> None:
    slack.files = [file("F1")]
    slack.faults["files.list"] = lambda _: {"ok": True, "files": slack.files, "paging": {"pages": 1, "total": 3}}

    assert "1 of 3 files" in skips(holder.run(["files"]))["files"].message


def test_a_list_that_an_answer_holds_besides_is_unknown(slack: Slack, holder: Holder) -> None:
    people = {"ok": True, "members": [user("U1")], "guests": [user("U2"), user("U3")], "response_metadata": {}}
    slack.faults["users.list"] = lambda _: people

    (told,) = (one for one in holder.run(["users"]) if isinstance(one, Inventory))

    assert [(one.name, one.count) for one in told.members if one.disposition == "unknown"] == [("guests", 2)]


def test_a_file_that_cannot_be_asked_for_holds_nothing_up(slack: Slack, holder: Holder) -> None:
    slack.files = [file("F1"), file("F2")]
    holder.run(["files"])
    del slack.files[0]
    slack.faults["files.info"] = failing({"ok": False, "error": "internal_error"})

    assert skips(holder.run(["files"])) == {}
    slack.faults["files.info"] = failing({"ok": False, "error": "file_deleted"})
    holder.run(["files"])

    assert set(holder.held("files")) == {"F2"}
