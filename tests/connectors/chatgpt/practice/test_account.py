"""The account is a function of its options, and holds what real accounts hold."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.archive import export_archive
from connectors.chatgpt.practice.options import Change, ProviderOptions
from connectors.chatgpt.practice.rendering import details, list_item
from connectors.chatgpt.practice.state import load_account, save_account

Node = dict[str, Any]


def nodes(account: Account) -> list[Node]:
    return [node for one in account for node in details(one)["mapping"].values()]


def by_awkwardness(account: Account, kind: str) -> dict[str, Any]:
    return next(details(one) for one in account if one.awkward == kind)


def test_same_seed_same_account() -> None:
    first, second, other = Account(7, 60), Account(7, 60), Account(8, 60)

    assert [details(one) for one in first] == [details(one) for one in second]
    assert {one.id for one in first}.isdisjoint(one.id for one in other)


def test_list_is_sorted_by_update_time_and_contains_ties() -> None:
    times = [one.update_time for one in Account(7, 200)]

    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 200 - 5


def test_trees_are_connected(account: Account) -> None:
    for one in account:
        mapping = details(one)["mapping"]
        for node_id, node in mapping.items():
            assert all(mapping[child]["parent"] == node_id for child in node["children"])
            if one.awkward != "rootless" and node["parent"]:
                assert node_id in mapping[node["parent"]]["children"]


def test_current_node_ends_a_branch(account: Account) -> None:
    for one in account:
        detail = details(one)
        if detail["current_node"] is not None:
            assert detail["mapping"][detail["current_node"]]["children"] == []


def test_there_are_branches_tool_calls_and_attachments(account: Account) -> None:
    messages = [node["message"] for node in nodes(account) if node["message"]]

    assert any(len(node["children"]) > 1 for node in nodes(account))
    assert {message["author"]["role"] for message in messages} == {"system", "user", "assistant", "tool"}
    assert any(message["recipient"] == "python" for message in messages)
    assert any("attachments" in message["metadata"] for message in messages)
    assert any("tool_calls" in message["metadata"] for message in messages)


def test_content_types_are_those_of_the_platform(account: Account) -> None:
    assert {node["message"]["content"]["content_type"] for node in nodes(account) if node["message"]} == {
        "text",
        "multimodal_text",
        "code",
        "thoughts",
        "reasoning_recap",
        "tether_browsing_display",
        "tether_quote",
        "execution_output",
        "model_editable_context",
        "user_editable_context",
        "system_error",
        "interactive_widget",
    }


@pytest.mark.parametrize(
    ("kind", "escape"),
    [("nul", r"\u0000"), ("lone_surrogate", r"half a pair \ud83d and"), ("line_separator", r"\u2028")],
)
def test_awkward_texts_travel_as_escapes(account: Account, kind: str, escape: str) -> None:
    assert escape in json.dumps(by_awkwardness(account, kind)["mapping"])


def test_awkward_shapes(account: Account) -> None:
    assert by_awkwardness(account, "empty")["mapping"] == {}
    assert by_awkwardness(account, "untitled")["title"] is None
    assert len(by_awkwardness(account, "long_title")["title"]) > 500
    assert all(node["message"] for node in by_awkwardness(account, "rootless")["mapping"].values())
    assert by_awkwardness(account, "unknown_time")["create_time"] == 0
    assert any(
        len(json.dumps(details(one))) > 1_048_576 for one in account if one.awkward == "very_long" and one.index < 37
    )


def test_times_are_numbers_in_some_places_and_text_in_others(account: Account) -> None:
    for render in (list_item, details):
        assert {type(render(one)["update_time"]) for one in account} == {float, str}


def test_expected_names_every_node_with_a_message(account: Account) -> None:
    expected = {one.conversation_id: one.message_ids for one in account.expected()}

    assert len(expected) == len(account)
    for one in account:
        said = [node_id for node_id, node in details(one)["mapping"].items() if node["message"]]
        assert list(expected[one.id]) == said


def test_advance_updates_adds_and_deletes() -> None:
    account = Account(7, 100)
    before = {one.conversation_id: one for one in account.expected()}
    newest = max(one.update_time for one in account)

    advanced = account.advance(Change(updates=5, new=3, deleted=2, seed=1))

    after = {one.conversation_id: one for one in account.expected()}
    assert set(after) == set(before) - set(advanced.deleted) | set(advanced.new)
    assert {one.id for one in account.page(0, 8)} == {*advanced.updated, *advanced.new}
    for touched in advanced.updated:
        assert after[touched].update_time > newest
        assert after[touched].message_ids[: len(before[touched].message_ids)] == before[touched].message_ids
        assert len(after[touched].message_ids) > len(before[touched].message_ids)
    for same in set(before) - set(advanced.updated) - set(advanced.deleted):
        assert after[same] == before[same]


def test_advance_beyond_the_account_is_refused_and_changes_nothing() -> None:
    account = Account(7, 3)

    with pytest.raises(ValueError, match="3 conversations"):
        account.advance(Change(updates=2, deleted=2))

    assert (len(account), account.changes) == (3, [])


def test_state_brings_the_same_account_back(tmp_path: Path) -> None:
    options = ProviderOptions(conversations=40, state=tmp_path / "state.json")
    account = load_account(options)
    account.advance(Change(updates=3, new=2, deleted=1, seed=5))
    account.advance(Change(updates=3, new=2, deleted=1, seed=6))

    save_account(account, tmp_path / "state.json")

    assert [details(one) for one in load_account(options)] == [details(one) for one in account]


def test_state_of_another_account_is_refused(tmp_path: Path) -> None:
    save_account(Account(7, 5), tmp_path / "state.json")

    with pytest.raises(ValueError, match="seed 7 and 5 conversations"):
        load_account(ProviderOptions(seed=8, conversations=5, state=tmp_path / "state.json"))


def test_archive_holds_the_same_conversations(tmp_path: Path, account: Account) -> None:
    options = ProviderOptions(seed=7, conversations=150)

    export_archive(options, tmp_path / "export.zip")

    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        exported = json.loads(archive.read("conversations.json"))
    assert exported == [{"id": one.id, **details(one)} for one in account]
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]


def test_archive_of_an_empty_account_is_an_empty_array(tmp_path: Path) -> None:
    export_archive(ProviderOptions(conversations=0), tmp_path / "export.zip")

    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        assert json.loads(archive.read("conversations.json")) == []
