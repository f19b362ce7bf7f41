"""The members of an export: collected, declared or unknown, and never passed over in silence."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from connectors.chatgpt.connector import collect
from pdpp_worker.connector import BatchScope, DetailGapRecovered, GapToClose, Inventory, Record
from pdpp_worker.stored_files.file_store import FileStore
from pdpp_worker.stored_files.quota import Quota
from tests.support.connectors import context, start

from .conftest import TREES, Holder, gaps, members, online, skips, to_close
from .test_archive import conversation
from .test_lying_provider import T0, account, detail, item

SMALL = ["shared_conversations", "group_chats", "feedback", "canvases"]
STREAMS = [*TREES, "files", *SMALL]


def export(path: Path, **contents: Any) -> Path:
    """An export with one conversation and these members beside it, bytes or JSON."""
    given: Mapping[str, Any] = {"conversations.json": [conversation("c1")], **contents}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in given.items():
            archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


def reader(path: Path, **settings: Any) -> Holder:
    return Holder(context({"archive": str(path), **settings}, files=path.parent / "held"))


def with_files(*ids: str, **parts: Any) -> dict[str, Any]:
    attachments = [{"id": one, "name": f"{one}.pdf", "mime_type": "application/pdf", "size": 4} for one in ids]
    message = {"author": {"role": "user"}, "metadata": {"attachments": attachments}, **parts}
    return {"id": "c1", "mapping": {"n1": {"message": message}}}


def test_group_chats_feedback_and_canvases_are_collected(tmp_path: Path) -> None:
    path = export(
        tmp_path / "export.zip",
        **{
            "group_chats.json": {"chats": [{"id": "gc1", "messages": [{"text": "group words"}], "members": 3}]},
            "message_feedback.json": [{"id": "f1", "conversation_id": "c1", "rating": "thumbs_down", "tags": ["x"]}],
            "textdocs/td1.json": {"id": "td1", "content": "canvas text"},
        },
    )
    holder = reader(path)

    said = holder.run(STREAMS)

    assert skips(said) == {}
    assert holder.held("group_chats")["gc1"]["messages"] == [{"text": "group words"}]
    assert holder.held("group_chats")["gc1"]["extra"] == {"members": 3}
    assert holder.held("feedback")["f1"]["rating"] == "thumbs_down"
    assert holder.held("feedback")["f1"]["extra"] == {"tags": ["x"]}
    assert holder.held("canvases")["td1"]["content"] == "canvas text"


def test_every_member_is_in_the_inventory_of_every_run_and_the_unknown_ones_as_unknown(tmp_path: Path) -> None:
    unheard: dict[str, Any] = {f"memories_v2/{n}.json": {} for n in range(3)}
    files = {"file-1-a.pdf": b"%PDF", "dalle-generations/file-2-x.webp": b"RIFF", "notes.bin": b"1"}
    path = export(tmp_path / "export.zip", **{"user.json": {}, "chat.html": b"<html>", **files, **unheard})
    holder = reader(path)

    told = [members(holder.run(STREAMS)), members(holder.run(STREAMS))]

    assert told[0] == told[1]
    assert told[0]["memories_v2/*.json"] == ("unknown", 3)
    assert {name: one for name, (one, _) in told[0].items() if one != "unknown"} == {
        "conversations.json": "collected",
        "user.json": "declared",
        "chat.html": "declared",
        "*.pdf": "declared",
        "dalle-generations/*.webp": "declared",
        "*.bin": "declared",
    }


def test_the_members_count_what_a_listing_of_the_zip_counts(tmp_path: Path) -> None:
    beside = {"group_chats.json": {"chats": []}, "x/y/z.unheard": b"12", "file-1.png": b"123", "textdocs/1.json": {}}
    path = export(tmp_path / "export.zip", **beside)

    (said,) = (one for one in reader(path).run(STREAMS) if isinstance(one, Inventory))

    with zipfile.ZipFile(path) as archive:
        listed = archive.infolist()
    assert sum(one.count or 0 for one in said.members) == len(listed)
    assert sum(one.bytes or 0 for one in said.members) == sum(one.file_size for one in listed)


def test_the_gap_by_which_earlier_versions_named_members_is_closed(tmp_path: Path) -> None:
    scope = BatchScope(partition={"export_members": "not collected"})
    known = GapToClose(gap_id="7", stream="conversations", scope=scope, reason="export_not_wired")

    said = reader(export(tmp_path / "export.zip")).run(TREES, gaps=[known], recovery_only=True)

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["7"]


@pytest.mark.parametrize("stream", ["group_chats", "feedback", "canvases"])
def test_a_member_that_is_no_json_costs_its_own_stream_only(tmp_path: Path, stream: str) -> None:
    names = {"group_chats": "group_chats.json", "feedback": "message_feedback.json", "canvases": "textdocs/1.json"}
    path = export(tmp_path / "export.zip", **{names[stream]: b'[{"id": '})

    said = reader(path).run(STREAMS)

    assert {name: one.reason for name, one in skips(said).items()} == {stream: "parse_failed"}


def test_two_contents_under_one_id_are_two_records(tmp_path: Path) -> None:
    rows = [
        {"id": "f1", "rating": "thumbs_up"},
        {"id": "f1", "rating": "thumbs_down"},
        {"id": "f1", "rating": "thumbs_up"},
    ]
    holder = reader(export(tmp_path / "export.zip", **{"message_feedback.json": rows}))

    holder.run(STREAMS)

    assert sorted(row["rating"] for row in holder.held("feedback").values()) == ["thumbs_down", "thumbs_up"]


def test_the_bytes_of_files_that_messages_name_are_copied_once(tmp_path: Path) -> None:
    path = export(
        tmp_path / "export.zip",
        **{"conversations.json": [with_files("file-1", "file-3")], "file-1-report.pdf": b"%PDF", "file-2.png": b"x"},
    )
    holder = reader(path)

    said = holder.run(STREAMS)

    row, absent = holder.held("files")["c1", "n1", "file-1"], holder.held("files")["c1", "n1", "file-3"]
    assert row["sha256"] == sha256(b"%PDF").hexdigest()
    assert (tmp_path / "held" / row["path"]).read_bytes() == b"%PDF"
    assert (absent["name"], absent["path"]) == ("file-3.pdf", None)
    assert members(said)["*.pdf"] == ("collected", 1)
    assert members(said)["*.png"] == ("declared", 1)


def test_a_file_that_there_is_no_room_for_is_a_gap_until_there_is_and_keeps_nothing_else_out(tmp_path: Path) -> None:
    files = {f"file-{number}.pdf": b"x" * size for number, size in ((1, 2_000_000), (2, 10))}
    told = [with_files("file-1"), {**with_files("file-2"), "id": "c2"}]
    holder = reader(export(tmp_path / "export.zip", **{"conversations.json": told}, **files))
    root = tmp_path / "held"
    holder.context = replace(holder.context, stored=FileStore(root, quota=Quota(root, most_mb=1, free_mb=0)))

    found = gaps(holder.run(STREAMS))

    assert [(one.stream, one.record_key, one.reason) for one in found] == [("files", "c1", "storage_full")]
    assert [row["path"] is None for row in holder.held("files").values()] == [True, False]
    again = holder.run(STREAMS, gaps=to_close(found), recovery_only=True)
    assert [(one.gap_id, one.reason) for one in gaps(again)] == [("1", "storage_full")]
    holder.context = replace(holder.context, stored=FileStore(root))
    said = holder.run(STREAMS, gaps=to_close(found), recovery_only=True)
    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]
    assert all(row["path"] for row in holder.held("files").values())


def test_no_file_is_copied_where_the_owner_does_not_want_it(tmp_path: Path) -> None:
    path = export(tmp_path / "export.zip", **{"conversations.json": [with_files("file-1")], "file-1.pdf": b"%PDF"})
    holder = reader(path, keep_files=False)

    said = holder.run(STREAMS)

    assert holder.held("files")["c1", "n1", "file-1"]["path"] is None
    assert members(said)["*.pdf"][0] == "declared"
    assert not (tmp_path / "held").exists()


def test_a_file_that_an_export_brought_keeps_its_bytes_when_the_network_tells_of_it(tmp_path: Path) -> None:
    path = export(tmp_path / "export.zip", **{"conversations.json": [with_files("file-1")], "file-1.pdf": b"%PDF"})
    holder = reader(path)
    holder.run(STREAMS)
    brought = holder.held("files")["c1", "n1", "file-1"]
    platform = account([item("c1")], {"c1": {**with_files("file-1"), "update_time": T0}})
    holder.context = replace(platform, stored=FileStore(tmp_path / "held"))

    holder.run([*TREES, "files"])

    assert holder.held("files")["c1", "n1", "file-1"] == brought


def test_an_export_that_is_older_than_what_the_network_gave_takes_nothing_back(tmp_path: Path) -> None:
    holder = Holder(account([item("c1", T0 + 9), item("c2", T0)], {"c1": detail("c1", T0 + 9), "c2": detail("c2")}))
    holder.run(TREES)
    older = [{**detail("c1", nodes=1), "title": "old"}, detail("c3")]
    holder.context = context({"archive": str(export(tmp_path / "export.zip", **{"conversations.json": older}))})

    said = [one for one in holder.run(TREES) if isinstance(one, Record)]

    assert {str(one.key) for one in said if one.stream == "conversations"} == {"c3"}
    assert holder.held("conversations")["c1"]["title"] == "c1"


def test_a_tree_in_which_two_nodes_have_one_id_is_a_gap(tmp_path: Path) -> None:
    text = json.dumps([conversation("c1")])
    node = '{"message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["other"]}}}'
    doubled = text.replace('"mapping": {', '"mapping": {"n1": ' + node + ", ")
    path = export(tmp_path / "export.zip", **{"conversations.json": doubled.encode()})

    assert [one.record_key for one in gaps(reader(path).run(TREES))] == ["c1"]


def test_what_only_an_export_holds_is_a_miss_over_the_network() -> None:
    said = list(collect(start(["group_chats"]), account([], {})))

    assert [one.reason for one in skips(said).values()] == ["export_not_wired"]


def test_the_lists_of_an_account_and_what_is_not_asked_for_are_in_its_inventory(provide: Any) -> None:
    provider = provide(60)
    found = provider.account()
    holder = Holder(online(provider))

    first, second = members(holder.run()), members(holder.run())

    assert first["active"] == second["active"] == ("collected", len(found.listed()))
    assert first["archived"] == ("collected", len(found.listed(archived=True)))
    counts = [count for name, (_, count) in first.items() if "project:" in name]
    assert counts == [len(found.listed(project=number)) for number in (0, 1)]
    assert sum(count or 0 for _, count in first.values()) == len(found)
    assert first["temporary chats"][0] == "declared"
