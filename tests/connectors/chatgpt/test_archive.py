"""The official export: the same records as from the network, resumable, and honest about what it cannot give."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.chatgpt.gaps import NAMELESS
from connectors.chatgpt.practice.archive import export_archive
from connectors.chatgpt.practice.options import ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.connector import (
    BatchScope,
    Budget,
    DetailCoverage,
    DetailGapRecovered,
    GapToClose,
    Inventory,
    Record,
    ResourceScope,
    SourceAccount,
)
from tests.support.connectors import context

from .conftest import MANIFEST, TREES, Holder, gaps, online, skips, to_close

OPTIONS = ProviderOptions(conversations=40)
SHARES = "shared_conversations"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "export.zip"
    export_archive(OPTIONS, path)
    return path


def reader(path: Path) -> Holder:
    """A holder with neither a network nor credentials."""
    return Holder(context({"archive": str(path)}))


def zipped(path: Path, content: bytes, member: str = "conversations.json") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return path


def conversation(key: Any, **fields: Any) -> dict[str, Any]:
    message = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["hello"]}}
    return {"id": key, "mapping": {"n1": {"message": message}}, **fields}


def test_the_export_gives_the_same_records_as_the_network(
    export: Path, provide: Callable[..., ProviderProcess]
) -> None:
    network = Holder(online(provide(OPTIONS.conversations)))
    network.run(TREES)
    archive = reader(export)

    archive.run(TREES)

    assert archive.held("messages") == network.held("messages")
    assert archive.held("conversations") == network.held("conversations")


def test_the_same_export_twice_is_nothing_to_do(export: Path) -> None:
    holder = reader(export)
    holder.run(TREES)

    assert [type(one) for one in holder.run(TREES)] == [Inventory]


def test_a_touched_export_is_read_again(export: Path, tmp_path: Path) -> None:
    copy = zipped(tmp_path / "export.zip", json.dumps([conversation("c1")]).encode())
    holder = reader(copy)
    holder.run(TREES)
    os.utime(copy, ns=(1, 1))

    assert any(isinstance(one, Record) for one in holder.run(TREES))


def test_an_import_cut_anywhere_goes_on_where_it_was(export: Path) -> None:
    whole = reader(export)
    total = len(whole.run(TREES))
    for cut in range(1, total, 97):
        holder = reader(export)
        holder.run(TREES, cut=cut)
        holder.run(TREES)
        assert holder.held("messages") == whole.held("messages")
        assert len(holder.sent) < total + 200


def test_numbered_parts_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ab/conversations-001.json", json.dumps([conversation("c2")]))
        archive.writestr("ab/conversations-000.json", json.dumps([conversation("c1")]))
        archive.writestr("ab/shared_conversations.json", json.dumps([conversation("other")]))
    holder = reader(path)

    holder.run(TREES)

    assert list(holder.held("conversations")) == ["c1", "c2"]


def test_a_broken_conversation_is_a_gap_and_the_others_are_read(tmp_path: Path) -> None:
    content = [conversation("c1"), {"id": "c2", "title": "no tree"}, "not an object", conversation("c4")]
    holder = reader(zipped(tmp_path / "export.zip", json.dumps(content).encode()))

    said = holder.run(TREES)

    assert [(one.record_key, one.reason) for one in gaps(said)] == [("c2", "shape_changed")]
    assert skips(said)["conversations"].scope == BatchScope(partition=NAMELESS)
    assert {key for key, _ in holder.held("messages")} == {"c1", "c4"}
    assert [one.hydrated_keys for one in said if isinstance(one, DetailCoverage)] == [["c1"], [], ["c4"]]


def test_two_contents_of_one_time_under_one_id_are_a_gap_and_the_same_bytes_are_one(tmp_path: Path) -> None:
    first, other = conversation("c1"), conversation("c1", title="other")
    holder = reader(zipped(tmp_path / "export.zip", json.dumps([first, first, other, first]).encode()))

    said = holder.run(TREES)

    assert "1 conversations of the export" in skips(said)["conversations"].message
    assert holder.held("conversations")["c1"]["title"] != "other"


def test_a_newer_version_finds_its_gaps_in_the_export(tmp_path: Path) -> None:
    broken = [conversation("c1"), {"id": "c2"}, conversation("c3")]
    path = tmp_path / "export.zip"
    holder = reader(zipped(path, json.dumps(broken).encode()))
    missing = to_close(gaps(holder.run(TREES)))
    state = dict(holder.state)
    zipped(path, json.dumps([conversation("c1"), conversation("c2"), conversation("c3")]).encode())

    said = holder.run(TREES, gaps=missing, recovery_only=True, budget=Budget(items=1))

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]
    assert {one.key for one in said if isinstance(one, Record) and one.stream == "conversations"} == {"c2"}
    assert holder.state == state


def test_a_conversation_that_is_still_broken_stays_a_gap(tmp_path: Path) -> None:
    holder = reader(zipped(tmp_path / "export.zip", json.dumps([{"id": "c1"}, "odd"]).encode()))
    missing = to_close(gaps(holder.run(TREES)))

    said = holder.run(TREES, gaps=missing, recovery_only=True)

    assert [(one.record_key, one.gap_id) for one in gaps(said)] == [("c1", "1")]


def test_an_export_that_ends_too_early_says_so_and_keeps_what_was_read(tmp_path: Path) -> None:
    content = json.dumps([conversation("c1"), conversation("c2")]).encode()[:-20]
    holder = reader(zipped(tmp_path / "export.zip", content))

    said = holder.run(TREES)

    assert holder.held("conversations").keys() == {"c1"}
    assert {one.stream: one.reason for one in skips(said).values()} == dict.fromkeys(TREES, "parse_failed")
    assert holder.run(TREES, cut=None)[:-2] == []


@pytest.mark.parametrize("content", [b"not a zip", b""])
def test_a_file_that_is_no_zip_is_said_to_be_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(content)

    assert {one.reason for one in skips(reader(path).run(TREES)).values()} == {"source_partition_failed"}


def test_a_damaged_zip_is_said_to_be_unreadable(export: Path, tmp_path: Path) -> None:
    damaged = bytearray(export.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 64] = bytes(64)
    path = tmp_path / "export.zip"
    path.write_bytes(damaged)

    assert {one.reason for one in skips(reader(path).run(TREES)).values()} <= {
        "source_partition_failed",
        "parse_failed",
    }
    assert skips(reader(path).run(TREES)).keys() == set(TREES)


def test_a_missing_file_and_a_foreign_zip_are_said_to_be_so(tmp_path: Path) -> None:
    foreign = zipped(tmp_path / "foreign.zip", b"[]", member="notes.json")

    for path in (tmp_path / "absent.zip", foreign):
        said = reader(path).run(TREES)
        assert {one.stream: one.reason for one in skips(said).values()} == dict.fromkeys(
            TREES, "source_partition_failed"
        )
        assert all(str(tmp_path) not in one.message for one in skips(said).values())


def test_what_no_export_holds_is_out_of_the_scope_of_its_connection(export: Path) -> None:
    supplied = [stream.name for stream in MANIFEST.supplied_to({"archive": str(export)})]

    small = ["shared_conversations", "group_chats", "feedback", "canvases"]
    assert supplied == ["conversations", "messages", "files", *small]
    holder = reader(export)
    assert skips(holder.run(supplied)) == {}
    assert [type(one) for one in holder.run(supplied)] == [Inventory]


def test_a_stream_that_is_asked_for_all_the_same_is_a_miss(export: Path) -> None:
    said = reader(export).run()

    lacking = ["memories", "projects", "custom_gpts", "custom_instructions"]
    assert {one.stream: one.reason for one in skips(said).values()} == dict.fromkeys(lacking, "export_not_wired")


def test_shared_links_are_read_from_the_export(export: Path, provide: Callable[..., ProviderProcess]) -> None:
    network = Holder(online(provide(OPTIONS.conversations)))
    network.run([SHARES])
    archive = reader(export)

    archive.run([*TREES, SHARES])

    told = ("id", "conversation_id", "title", "anonymous", "share_url")
    assert archive.held(SHARES)
    assert [{name: row[name] for name in told} for row in archive.held(SHARES).values()] == [
        {name: row[name] for name in told} for row in network.held(SHARES).values()
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [('[{"title": "no id"}]', "shape_changed"), ("[{", "parse_failed")],
)
def test_shared_links_that_cannot_be_read_are_a_miss(tmp_path: Path, content: str, reason: str) -> None:
    path = zipped(tmp_path / "export.zip", json.dumps([conversation("c1")]).encode())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("shared_conversations.json", content)
    holder = reader(path)

    said = holder.run([*TREES, SHARES])

    assert {name: one.reason for name, one in skips(said).items()} == {SHARES: reason}
    assert holder.held("conversations").keys() == {"c1"}


def test_an_export_without_shared_links_lacks_nothing(tmp_path: Path) -> None:
    holder = reader(zipped(tmp_path / "export.zip", json.dumps([conversation("c1")]).encode()))

    assert skips(holder.run([*TREES, SHARES])) == {}
    assert [type(one) for one in holder.run([*TREES, SHARES])] == [Inventory]


def test_an_export_may_be_an_unpacked_folder_a_bare_file_or_an_object_around_its_list(tmp_path: Path) -> None:
    content = json.dumps([conversation("c1")])
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / "conversations.json").write_text(content)
    (tmp_path / "bare.json").write_text("\ufeff" + content)
    wrapped = zipped(tmp_path / "wrapped.zip", f'{{"conversations": {content}}}'.encode())

    for path in (folder, folder / "conversations.json", tmp_path / "bare.json", wrapped):
        holder = reader(path)
        said = holder.run([*TREES, SHARES])
        assert skips(said) == {}
        assert holder.held("conversations").keys() == {"c1"}
        assert [type(one) for one in holder.run([*TREES, SHARES])] == [Inventory]


def test_the_export_names_its_account_before_anything(tmp_path: Path) -> None:
    path = zipped(tmp_path / "export.zip", json.dumps([conversation("c1")]).encode())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("user.json", '{"id": "user-1", "email": "owner@example.com"}')

    said = reader(path).run(TREES)

    assert said[0] == SourceAccount(identity="user-1", label="owner@example.com")


def test_an_older_export_takes_nothing_back_and_adds_what_the_newer_one_lacks(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    newer = conversation("c1", update_time=1_700_000_500, title="new")
    holder = reader(zipped(path, json.dumps([newer]).encode()))
    holder.run(TREES)
    older = conversation("c1", update_time=1_700_000_000, title="old")
    zipped(path, json.dumps([older, conversation("c2", update_time=1_600_000_000)]).encode())

    said = holder.run(TREES)

    assert {one.key for one in said if isinstance(one, Record) and one.stream == "conversations"} == {"c2"}
    assert holder.held("conversations")["c1"]["title"] == "new"


def test_items_without_an_id_are_named_until_an_export_comes_without_them(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    holder = reader(zipped(path, json.dumps([conversation("c1"), "odd"]).encode()))
    first, second = holder.run(TREES), holder.run(TREES)
    zipped(path, json.dumps([conversation("c1"), conversation("c2")]).encode())

    third = holder.run(TREES)

    assert skips(first)["conversations"].scope == skips(second)["conversations"].scope == BatchScope(partition=NAMELESS)
    assert skips(third) == {}


def test_a_gap_by_number_of_an_earlier_version_is_closed(tmp_path: Path) -> None:
    known = GapToClose(gap_id="7", stream="messages", scope=ResourceScope(resource_id="#1"), reason="shape_changed")
    holder = reader(zipped(tmp_path / "export.zip", json.dumps([conversation("c1")]).encode()))

    said = holder.run(TREES, gaps=[known], recovery_only=True)

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["7"]


def test_a_gap_that_the_export_does_not_hold_stays_and_keeps_no_other_from_its_turn(tmp_path: Path) -> None:
    scopes = [ResourceScope(resource_id=key) for key in ("absent", "c1")]
    known = [
        GapToClose(gap_id=str(n), stream="messages", scope=scope, reason="shape_changed")
        for n, scope in enumerate(scopes)
    ]
    holder = reader(zipped(tmp_path / "export.zip", json.dumps([conversation("c1")]).encode()))

    said = holder.run(TREES, gaps=known, recovery_only=True, budget=Budget(items=1))

    assert [one.gap_id for one in gaps(said)] == ["0"]
    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]


def test_awkward_text_is_kept_and_ids_are_bounded(tmp_path: Path) -> None:
    words = "half \ud83d pair \x00 end"
    content = [conversation("c1", title=words), conversation("x" * 500)]
    holder = reader(zipped(tmp_path / "export.zip", json.dumps(content).encode()))

    said = holder.run(TREES)

    assert holder.held("conversations")["c1"]["title"] == words
    assert skips(said)["conversations"].scope == BatchScope(partition=NAMELESS)
