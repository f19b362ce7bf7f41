"""Exports as a source: Slack's own and slackdump's, alone and beside an archive or the Web API."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker.connector import BatchScope, GapToClose, Inventory, Message, SkipResult, SourceAccount, State
from tests.connectors.slack.account import OWNER, TEAM, Obj, archived, channel, file, said, stamp, thread, user
from tests.connectors.slack.conftest import Holder, connection, emitted, gaps, recovered, settings, skips
from tests.connectors.slack.exported import chunks, conversation, export, listed, zipped
from tests.connectors.slack.provider import TOKEN, Slack
from tests.support.connectors import context

DAY = 86_400
TALK = [said(stamp(0), "first"), *thread(stamp(DAY), stamp(DAY + 1), stamp(2 * DAY))]


def holder_of(path: Path, **more: Any) -> Holder:
    """A connection that has the export alone."""
    return Holder(context(settings(export=str(path), **more)))


def members(sent: list[Message]) -> dict[str, tuple[str, int | None]]:
    """Member of the inventory to its disposition and count."""
    found = (member for one in sent if isinstance(one, Inventory) for member in one.members)
    return {one.name: (one.disposition, one.count) for one in found}


def known(told: SkipResult) -> GapToClose:
    """A gap as START hands it back, numbered 7."""
    assert told.scope is not None
    return GapToClose(gap_id="7", stream=told.stream, scope=told.scope, reason=told.reason, detail_locator=told.detail)


def told_of(sent: list[Message], **partition: str) -> SkipResult:
    """The gap about a part."""
    return next(
        one for one in sent if isinstance(one, SkipResult) and one.scope == BatchScope(partition=dict(partition))
    )


def test_slacks_export_is_read_under_the_keys_of_the_web_api(tmp_path: Path) -> None:
    raw = said(stamp(5), files=[file("F1")], reactions=[{"name": "tada", "users": ["U1"], "count": 1}])
    path = export(
        tmp_path / "export",
        {"C1=general": [*TALK, raw]},
        dms=[{"id": "D1", "created": 1, "members": [OWNER, "U0OTHER"]}],
        groups=[listed("G1", "secret", OWNER)],
        mpims=[listed("G2", "mpdm-owner--other-1", OWNER, "U0OTHER")],
        canvases=[{"id": "F2", "title": "Plan"}],
    )
    (path / "D1").mkdir()
    (path / "D1" / "2026-01-01.json").write_text(json.dumps([said(stamp(9))]))
    holder = holder_of(path)

    sent = holder.run()

    assert (gaps(sent), skips(sent)) == ({}, {})
    assert [one.identity for one in sent if isinstance(one, SourceAccount)] == [TEAM]
    assert set(holder.held("messages")) == {f"C1:{one['ts']}" for one in [*TALK, raw]} | {f"D1:{stamp(9)}"}
    assert set(holder.held("channels")) == {"C1", "D1", "G1", "G2"}
    assert (holder.held("channels")["D1"]["is_im"], holder.held("channels")["G2"]["is_mpim"]) == (True, True)
    assert set(holder.held("channel_memberships")) >= {f"D1:{OWNER}", "D1:U0OTHER", f"C1:{OWNER}"}
    assert set(holder.held("users")) == {OWNER, "U0OTHER"}
    assert (set(holder.held("files")), set(holder.held("canvases"))) == ({"F1"}, {"F2"})
    assert set(holder.held("reactions")) == {f"C1:{stamp(5)}:tada:U1"}
    assert {one.stream for one in sent if isinstance(one, State)} >= {"messages", "users", "channels", "files"}


@pytest.mark.parametrize("prefix", ["", "Work Slack export Jan 1 2026/"])
def test_a_zip_says_the_same_as_its_folder(tmp_path: Path, prefix: str) -> None:
    path = zipped(export(tmp_path / "export", {"C1=general": TALK}), tmp_path / "export.zip", prefix)
    holder = holder_of(path)

    assert gaps(holder.run()) == {}

    assert set(holder.held("messages")) == {f"C1:{one['ts']}" for one in TALK}
    assert set(holder.held("users")) == {OWNER, "U0OTHER"}


def test_an_export_is_read_once_wherever_it_lies(tmp_path: Path) -> None:
    path = zipped(export(tmp_path / "export", {"C1": TALK}), tmp_path / "export.zip")
    holder = holder_of(path)
    holder.run()

    moved = path.rename(tmp_path / "moved.zip")
    holder.context.settings["export"] = str(moved)  # type: ignore[index]

    assert emitted(holder.run(), "messages") == []


def test_a_folder_may_hold_several_exports(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    zipped(export(tmp_path / "one", {"C1": TALK[:1]}), tmp_path / "in" / "one.zip")
    export(tmp_path / "in" / "two", {"C1": TALK})
    (tmp_path / "in" / "notes.txt").write_text("buy milk")
    holder = holder_of(tmp_path / "in")

    sent = holder.run()

    assert set(holder.held("messages")) == {f"C1:{one['ts']}" for one in TALK}
    assert [name for name, (kind, _) in members(sent).items() if kind == "unknown" and "notes.txt" in name]


@pytest.mark.parametrize("cut", [1, 3, 6, 9, 14])
def test_a_walk_that_is_cut_anywhere_is_gone_on_with(tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.slack.exports.RECORDS_PER_STATE", 2)
    path = export(tmp_path / "export", {f"C{at}": [said(stamp(at + 10 * n)) for n in range(5)] for at in range(3)})
    holder = holder_of(path)

    holder.run(cut=cut)
    sent = holder.run(same=True)

    assert len(holder.held("messages")) == 15
    assert len(emitted(sent, "messages")) <= 15


def test_a_day_that_is_no_json_is_a_gap_until_it_is(tmp_path: Path) -> None:
    path = export(tmp_path / "export", {"C1=general": TALK})
    day = path / "general" / "2026-01-02.json"
    content = day.read_text()
    day.write_text(content[:40])
    holder = holder_of(path)

    told = told_of(holder.run(), export_member="general/2026-01-02.json")

    assert told.reason == "parse_failed"
    assert f"C1:{stamp(0)}" in holder.held("messages")
    assert recovered(holder.run(gaps=[known(told)], recovery_only=True)) == []
    day.write_text(content)
    assert recovered(holder.run(gaps=[known(told)], recovery_only=True)) == ["7"]
    assert set(holder.held("messages")) == {f"C1:{one['ts']}" for one in TALK}


@pytest.mark.parametrize("odd", ['"\\ud800"', "9" * 400])
def test_a_value_that_few_decoders_read_costs_no_other_message(tmp_path: Path, odd: str) -> None:
    path = export(tmp_path / "export", {"C1=general": TALK[:1]})
    day = path / "general" / "2026-01-01.json"
    day.write_text(day.read_text().replace("]", f', {{"type": "message", "ts": "{stamp(1)}", "x": {odd}}}]', 1))
    holder = holder_of(path)

    holder.run()

    assert f"C1:{stamp(0)}" in holder.held("messages")


def test_items_without_a_time_are_named_and_cost_no_other(tmp_path: Path) -> None:
    path = export(tmp_path / "export", {"C1=general": TALK[:1]})
    (path / "general" / "2026-01-01.json").write_text(json.dumps([TALK[0], {"text": "when?"}, 5]))
    holder = holder_of(path)

    told = told_of(holder.run(), export_member="general/2026-01-01.json")

    assert "2 items have no id or time of their own" in told.message
    assert set(holder.held("messages")) == {f"C1:{stamp(0)}"}


def test_a_thread_that_holds_fewer_replies_than_its_parent_counts_is_a_gap(tmp_path: Path) -> None:
    path = export(tmp_path / "export", {"C1": TALK[:-1]})
    holder = holder_of(path)

    told = told_of(holder.run(), channel_id="C1", thread_ts=stamp(DAY))

    assert "1 of 2 replies" in told.message
    assert recovered(holder.run(gaps=[known(told)], recovery_only=True)) == []
    export(tmp_path / "export", {"C1": TALK})
    assert recovered(holder.run(gaps=[known(told)], recovery_only=True)) == ["7"]


def test_logged_edits_and_deletions_of_an_export_are_taken_over(tmp_path: Path) -> None:
    first, second = said(stamp(1), "draft"), said(stamp(1), "final", edited={"ts": stamp(2), "user": OWNER})
    log = [
        {"type": "message", "subtype": "message_changed", "ts": stamp(2), "message": second, "previous_message": first},
        {"type": "message", "subtype": "message_deleted", "ts": stamp(4), "previous_message": said(stamp(3), "oops")},
    ]
    holder = holder_of(export(tmp_path / "export", {"C1": log}))

    holder.run()

    assert list(holder.held("messages")) == [f"C1:{stamp(1)}"]
    held = holder.held("messages")[f"C1:{stamp(1)}"]
    assert (held["text"], [one["text"] for one in held["earlier_texts"]]) == ("final", ["draft"])


def test_what_an_export_holds_besides_is_named(tmp_path: Path) -> None:
    path = export(tmp_path / "export", {"C1=general": TALK}, integration_logs=[{"a": 1}], huddle_transcripts=[{}, {}])
    (path / "__uploads" / "F1").mkdir(parents=True)
    (path / "__uploads" / "F1" / "a.png").write_bytes(b"png")
    (path / "FC:F1:Notes").mkdir()
    for day in (1, 2):
        (path / "FC:F1:Notes" / f"2026-01-0{day}.json").write_text("[]")

    found = members(holder_of(path).run())

    assert found["channels.json"] == ("collected", 1)
    assert found["days of conversations"] == ("collected", 3)
    assert found["integration_logs.json"] == ("declared", 1)
    assert found["files that were shared"] == ("declared", 1)
    assert found["huddle_transcripts.json"] == ("unknown", 1)
    assert found["FC:F1:Notes/*.json"] == ("unknown", 2)


def test_what_no_export_holds_is_named_where_it_is_the_only_source(tmp_path: Path) -> None:
    path = export(tmp_path / "export", {"C1=general": TALK})

    found = members(holder_of(path).run())

    never = ("saved items", "user groups", "reminders", "how far direct messages were read")
    assert [found[name] for name in never] == [("declared", None)] * 4


def test_chunk_files_are_read_under_the_same_keys(tmp_path: Path) -> None:
    search = {
        "type": "message",
        "ts": stamp(77),
        "text": "found",
        "channel": {"id": "C9", "name": "nine"},
        "user": "U1",
    }
    path = chunks(
        tmp_path / "chunks",
        workspace=[{"t": 6, "w": {"team_id": TEAM, "team": "Work", "user_id": OWNER}}],
        users=[{"t": 3, "u": [user(OWNER)]}, {"t": 3, "u": [user("U0OTHER")]}],
        channels=[{"t": 4, "ch": [channel("C1", num_members=2), channel("C2")]}],
        C1=[*conversation("C1", TALK), {"t": 7, "id": "C1", "cu": [OWNER]}, {"t": 2, "id": "C1", "f": [file("F1")]}],
        search=[{"t": 10, "sm": [search], "sf": [file("F2")]}],
    )
    holder = holder_of(path)

    sent = holder.run()

    assert (gaps(sent), skips(sent)) == ({}, {})
    assert [one.identity for one in sent if isinstance(one, SourceAccount)] == [TEAM]
    assert set(holder.held("messages")) == {f"C1:{one['ts']}" for one in TALK} | {f"C9:{stamp(77)}"}
    assert set(holder.held("channels")) == {"C1", "C2"}
    assert set(holder.held("files")) == {"F1", "F2"}
    assert set(holder.held("channel_memberships")) == {f"C1:{OWNER}"}
    assert set(holder.held("workspace")) == {TEAM}


def test_what_chunk_files_began_and_did_not_end_is_a_gap(tmp_path: Path) -> None:
    lines = [one for one in conversation("C1", TALK) if one["t"] != 1]
    path = chunks(tmp_path / "chunks", C1=lines, C2=conversation("C2", [said(stamp(3))], last=False))
    whole = (path / "C1.json.gz").read_bytes()
    (path / "C3.json.gz").write_bytes(whole[:-20])

    sent = holder_of(path).run()

    assert set(gaps(sent)) == {f"C1/{stamp(DAY)}", "C2", "C3.json.gz"}


def test_a_line_that_is_no_json_costs_no_other(tmp_path: Path) -> None:
    path = chunks(tmp_path / "chunks", C1=conversation("C1", TALK[:1]))
    content = gzip.decompress((path / "C1.json.gz").read_bytes())
    (path / "C1.json.gz").write_bytes(gzip.compress(b"{broken\n" + content))
    holder = holder_of(path)

    sent = holder.run()

    assert set(gaps(sent)) == {"C1.json.gz"}
    assert set(holder.held("messages")) == {f"C1:{stamp(0)}"}


def test_the_dump_of_slackdump_is_read_with_its_replies(tmp_path: Path) -> None:
    parent, *replies = thread(stamp(DAY), stamp(DAY + 1))
    dump = {"channel_id": "C1", "name": "general", "messages": [{**parent, "slackdump_thread_replies": replies}]}
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "C1.json").write_text(json.dumps(dump))
    holder = holder_of(tmp_path / "dump")

    holder.run()

    assert set(holder.held("messages")) == {f"C1:{stamp(DAY)}", f"C1:{stamp(DAY + 1)}"}


def edited(text: str, at: int) -> Obj:
    """A message that was edited."""
    return said(stamp(1), text, edited={"ts": stamp(at), "user": OWNER})


def test_one_connection_is_fed_by_an_export_and_the_web_api(tmp_path: Path, slack: Slack) -> None:
    slack.users = [user(OWNER, profile={"real_name": "New name"})]
    slack.add("C1", [edited("newest", 9), said(stamp(50))])
    path = export(tmp_path / "export", {"C1": [edited("older", 5), said(stamp(-400 * DAY), "hidden by the plan")]})
    holder = Holder(connection(slack, token=TOKEN))
    holder.context.settings["export"] = str(path)  # type: ignore[index]

    sent = holder.run()

    assert skips(sent) == {}
    assert {key: one["text"] for key, one in holder.held("messages").items()} == {
        f"C1:{stamp(1)}": "newest",
        f"C1:{stamp(50)}": "hello",
        f"C1:{stamp(-400 * DAY)}": "hidden by the plan",
    }
    assert holder.held("users")[OWNER]["real_name"] == "New name"
    assert holder.held("channel_memberships") == {}
    slack.asked.clear()
    assert emitted(holder.run(), "messages").count(f"C1:{stamp(-400 * DAY)}") == 0
    assert holder.state["messages"]["channels"], "the place of the Web API is kept beside that of the export"


def test_one_connection_is_fed_by_an_export_and_an_archive(tmp_path: Path, directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": [said(stamp(1), "in both")]}).close()
    on_disk.run()
    path = export(tmp_path / "export", {"C1=an-older-name": [said(stamp(1), "in both"), said(stamp(2))]})
    on_disk.context.settings["export"] = str(path)  # type: ignore[index]

    on_disk.run()

    assert set(on_disk.held("messages")) == {f"C1:{stamp(1)}", f"C1:{stamp(2)}"}
    assert on_disk.held("channels")["C1"]["name"] == "c1", "the archive's word is the newer one"
    assert emitted(on_disk.run(), "channels") == []


def test_an_older_copy_bears_an_older_revision(tmp_path: Path) -> None:
    copies = [said(stamp(1)), edited("older", 5), edited("newer", 9), said(stamp(1), subtype="tombstone")]
    revisions = []
    for number, copy in enumerate(copies):
        holder = holder_of(export(tmp_path / str(number), {"C1": [copy]}))
        holder.run()
        revisions.append(holder.held("messages")[f"C1:{stamp(1)}"]["revision"])

    assert revisions == sorted(set(revisions))


def test_a_long_file_is_gone_on_with_in_its_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.slack.exports.RECORDS_PER_STATE", 2)
    holder = holder_of(export(tmp_path / "export", {"C1": [said(stamp(at)) for at in range(20)]}))
    states = [at for at, one in enumerate(holder.run()) if isinstance(one, State)]
    holder.state.clear()

    holder.run(cut=states[-8] + 1)
    sent = holder.run(same=True)

    assert len(holder.held("messages")) == 20
    assert 0 < len(emitted(sent, "messages")) < 15


def test_an_export_that_is_not_there_leaves_nothing_complete(tmp_path: Path) -> None:
    sent = holder_of(tmp_path / "nothing").run()

    assert [kind for kind, _ in members(sent).values()] == ["unknown"]


def test_another_content_under_one_id_is_named_and_the_same_one_collapses(tmp_path: Path) -> None:
    path = export(tmp_path / "export", {"C1=general": TALK[:1]})
    twice = [said(stamp(1), "one"), said(stamp(1), "one"), said(stamp(2), "two"), said(stamp(2), "another")]
    (path / "general" / "2026-01-01.json").write_text(json.dumps(twice))
    (path / "users.json").write_text(json.dumps([user("U1"), user("U1", deleted=True)]))
    holder = holder_of(path)

    found = gaps(holder.run())

    assert "1 items" in found["general/2026-01-01.json"].error
    assert "1 items" in found["users.json"].error
    assert holder.held("messages")[f"C1:{stamp(2)}"]["text"] == "two"
    assert holder.held("users")["U1"]["deleted"] is False


def test_a_name_that_is_no_text_costs_nothing_else(tmp_path: Path) -> None:
    path = export(tmp_path / "export", {"C1=general": TALK[:1]})
    Path(os.fsdecode(os.fsencode(path) + b"/general/\xff.json")).write_text("[]")

    sent = holder_of(path).run()

    assert gaps(sent) == {}
    assert [kind for name, (kind, _) in members(sent).items() if name == "general/*.json"] == ["unknown"]


def test_chunk_files_may_lie_where_an_archive_is_expected(tmp_path: Path) -> None:
    path = chunks(tmp_path / "chunks", C1=conversation("C1", TALK))
    holder = Holder(context(settings(archive=str(path), run_slackdump=False)))

    assert skips(holder.run()) == {}

    assert set(holder.held("messages")) == {f"C1:{one['ts']}" for one in TALK}


def test_a_folder_without_an_export_leaves_nothing_complete(tmp_path: Path) -> None:
    assert [kind for kind, _ in members(holder_of(tmp_path).run()).values()] == ["unknown"]


def test_what_is_too_large_is_a_gap_and_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.slack.export_tree.LONGEST_MEMBER", 400)
    monkeypatch.setattr("connectors.slack.export_chunks.LONGEST_LINE", 400)
    long = [said(stamp(1), "x" * 1_000)]
    whole = holder_of(zipped(export(tmp_path / "export", {"C1": long, "C2": TALK[:1]}), tmp_path / "export.zip"))
    lines = holder_of(chunks(tmp_path / "chunks", C1=conversation("C1", long), C2=conversation("C2", TALK[:1])))

    assert set(gaps(whole.run())) == {"c1/2026-01-01.json"}
    assert set(gaps(lines.run())) == {"C1.json.gz"}
    assert set(whole.held("messages")) == set(lines.held("messages")) == {f"C2:{stamp(0)}"}
