"""A platform that lies, shifts, repeats and falls silent: nothing is lost or falsely deleted, and misses are said.

Each test is named after the kind of its fault.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from connectors.chatgpt.gaps import NAMELESS
from connectors.chatgpt.practice.options import FaultOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.connector import (
    BatchScope,
    Context,
    DetailGapRecovered,
    GapToClose,
    Message,
    Record,
    ResourceScope,
    SourceAccount,
    State,
)
from tests.support.connectors import start

from .conftest import ALL, TREES, Holder, assert_whole, expected, gaps, online, skips, to_close
from .test_lists import answering, memory

Provide = Callable[..., ProviderProcess]
T0 = 1_700_000_000


def detail(key: str, time: float = T0, nodes: int = 2, **fields: Any) -> dict[str, Any]:
    """A conversation of a line of messages."""
    names = [f"{key}-{n}" for n in range(nodes)]
    message = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["hi"]}, "create_time": time}
    mapping = {
        name: {"parent": before, "children": [after] if after else [], "message": message}
        for before, name, after in zip([None, *names], names, [*names[1:], None], strict=False)
    }
    return {"id": key, "title": key, "update_time": time, "current_node": names[-1], "mapping": mapping, **fields}


def item(key: str, time: float = T0) -> dict[str, Any]:
    return {"id": key, "title": key, "update_time": time}


def account(items: list[dict[str, Any]], details: dict[str, Any], **others: Any) -> Context:
    """A platform that lists these, and answers with these details by id."""
    paths = {f"/conversation/{key}": found for key, found in details.items()}
    return answering({"/conversations": {"items": items, "total": len(items)}, **paths, **others})


def deletions(said: list[Message]) -> list[Any]:
    return [one.key for one in said if isinstance(one, Record) and one.op == "delete"]


def absent_by_code(code: str | None) -> httpx.Response:
    return httpx.Response(404, json={"detail": {"message": "Can't load it", "code": code}})


@pytest.mark.parametrize(
    "lie", [{"list_order": "shuffled"}, {"list_order": "stray"}, {"list_page": 28}, {"list_page": 3}]
)
def test_a_list_in_another_order_or_in_shorter_pages_is_read_whole_once(provide: Provide, lie: dict[str, Any]) -> None:
    provider = provide(60, faults=lie)
    holder = Holder(online(provider))

    said = holder.run(TREES)

    assert_whole(holder, expected(provider))
    assert skips(said) == {}
    assert set(provider.stats().details_by_id.values()) == {1}


@pytest.mark.parametrize("lie", [{"list_repeats": True}, {"list_surplus": 50}, {"list_misses": True}])
def test_a_list_that_contradicts_itself_is_a_gap_until_it_no_longer_does(provide: Provide, lie: dict[str, Any]) -> None:
    provider = provide(150, faults=lie)
    holder = Holder(online(provider))

    said = [holder.run(TREES), holder.run(TREES)]
    provider.set_faults(FaultOptions())
    healed = holder.run(TREES)

    assert all(isinstance(skips(one)["conversations"].scope, BatchScope) for one in said)
    assert skips(healed) == {}
    assert_whole(holder, expected(provider))


def test_archived_conversations_are_read_and_one_list_that_fails_keeps_the_other_not_out() -> None:
    def listing(request: httpx.Request) -> Any:
        if request.url.params.get("is_archived") == "true":
            return httpx.Response(500)
        return {"items": [item("a")], "total": 1}

    holder = Holder(account([], {"a": detail("a")}, **{"/conversations": listing}))

    said = holder.run(TREES)

    assert holder.held("conversations").keys() == {"a"}
    assert skips(said)["conversations"].scope == BatchScope(partition={"list": "archived"})


def test_a_conversation_that_is_archived_later_is_read_again_and_not_doubled() -> None:
    holder = Holder(account([item("a")], {"a": detail("a")}))
    holder.run(TREES)
    moved = item("a") | {"is_archived": True}
    holder.context = account([moved], {"a": detail("a", is_archived=True)})

    holder.run(TREES)

    assert holder.held("conversations")["a"]["is_archived"] is True


@pytest.mark.parametrize("code", ["conversation_inaccessible", None])
def test_a_404_that_does_not_say_deleted_is_a_gap_and_the_lists_row_is_kept(code: str | None) -> None:
    holder = Holder(account([item("b", T0 + 1), item("a")], {"b": detail("b", T0 + 1), "a": absent_by_code(code)}))

    said = holder.run(TREES)

    assert deletions(said) == []
    assert [(one.record_key, one.reason) for one in gaps(said)] == [("a", "upstream_error")]
    assert holder.held("conversations")["a"]["title"] == "a"


def test_a_code_that_says_deleted_deletes_once_others_can_be_read() -> None:
    gone = absent_by_code("conversation_not_found")
    holder = Holder(
        account([item("c", T0 + 2), item("b", T0 + 1), item("a")], {"c": gone, "b": detail("b"), "a": gone})
    )

    said = holder.run(TREES)

    assert deletions(said) == ["a"]
    assert [one.record_key for one in gaps(said)] == ["c"]
    recovered = holder.run(TREES, gaps=to_close(gaps(said))[:1], recovery_only=True)
    assert deletions(recovered) == ["c"]


def test_a_conversation_that_was_deleted_and_comes_back_is_read_again() -> None:
    listed = [item("b", T0 + 1), item("a")]
    holder = Holder(account(listed, {"b": detail("b", T0 + 1), "a": absent_by_code("conversation_not_found")}))
    holder.run(TREES)
    holder.context = account(listed, {"b": detail("b", T0 + 1), "a": detail("a")})

    holder.run(TREES)

    assert holder.held("conversations").keys() == {"a", "b"}


def test_an_answer_that_is_another_conversation_is_a_gap() -> None:
    holder = Holder(account([item("a")], {"a": detail("b")}))

    said = holder.run(TREES)

    assert [(one.record_key, one.reason) for one in gaps(said)] == [("a", "upstream_error")]
    assert holder.held("messages") == {}


def test_an_answer_that_is_older_than_its_list_stays_a_gap_until_the_newer_one_comes() -> None:
    holder = Holder(account([item("a")], {"a": detail("a")}))
    holder.run(TREES)
    holder.context = account([item("a", T0 + 500)], {"a": detail("a")})
    missing = to_close(gaps(holder.run(TREES)))
    still = holder.run(TREES, gaps=missing, recovery_only=True)
    holder.context = account([item("a", T0 + 500)], {"a": detail("a", T0 + 500, nodes=4)})

    said = holder.run(TREES, gaps=missing, recovery_only=True)

    assert len(missing) == len(gaps(still)) == 1
    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]
    assert len(holder.held("messages")) == 4


def test_an_answer_that_is_half_a_second_older_than_its_list_is_not_whole_where_both_tell_finer_times() -> None:
    holder = Holder(account([item("a", T0 + 0.75)], {"a": detail("a", T0 + 0.25)}))

    assert [one.record_key for one in gaps(holder.run(TREES))] == ["a"]


@pytest.mark.parametrize(("unit", "later"), [(1, 100), (60, 350), (3600, 3800), (86_400, 86_600)])
def test_an_update_that_the_list_dates_alike_is_read_by_the_next_walk(unit: int, later: int) -> None:
    listed = T0 // 86_400 * 86_400 + unit
    holder = Holder(account([item("a", listed)], {"a": detail("a", listed + 0.1)}))
    holder.context = replace(holder.context, now=lambda: datetime.fromtimestamp(listed + 0.2, UTC))
    holder.run(TREES)
    holder.context = account([item("a", listed)], {"a": detail("a", listed + 0.3, nodes=4)})
    holder.context = replace(holder.context, now=lambda: datetime.fromtimestamp(listed + later, UTC))

    holder.run(TREES)

    assert len(holder.held("messages")) == 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"current_node": "n"}, "upstream_error"),
        ({"messages": [{}]}, "shape_changed"),
        ({"page_info": {"has_previous_page": True}}, "shape_changed"),
    ],
)
def test_an_empty_tree_beside_signs_of_messages_is_a_gap(fields: dict[str, Any], reason: str) -> None:
    holder = Holder(account([item("a")], {"a": {"id": "a", "mapping": {}, **fields}}))

    assert [one.reason for one in gaps(holder.run(TREES))] == [reason]


def test_a_tree_that_names_a_child_that_is_absent_is_held_and_is_a_gap() -> None:
    broken = detail("a", nodes=3)
    del broken["mapping"]["a-1"]
    holder = Holder(account([item("a")], {"a": broken}))

    said = holder.run(TREES)

    assert [one.reason for one in gaps(said)] == ["upstream_error"]
    assert holder.held("messages").keys() == {("a", "a-0"), ("a", "a-2")}


def test_a_current_node_that_does_not_exist_gives_way_to_the_newest_leaf() -> None:
    holder = Holder(account([item("a")], {"a": detail("a", current_node="nowhere")}))

    holder.run(TREES)

    row = holder.held("conversations")["a"]
    assert (row["current_node"], row["message_count_on_current_branch"]) == ("a-1", 2)
    assert row["extra"]["current_node"] == "nowhere"
    assert all(one["on_current_branch"] for one in holder.held("messages").values())


def test_a_gap_about_a_message_is_not_closed_by_a_conversation_without_it() -> None:
    scope = ResourceScope(resource_id=json.dumps(["a", "lost"], separators=(",", ":")))
    known = GapToClose(gap_id="1", stream="messages", scope=scope, reason="record_rejected")
    holder = Holder(account([item("a")], {"a": detail("a")}))

    said = holder.run(TREES, gaps=[known], recovery_only=True)

    assert not any(isinstance(one, DetailGapRecovered) for one in said)
    assert [one.gap_id for one in gaps(said)] == ["1"]


def test_gaps_that_always_fail_keep_no_other_from_its_turn() -> None:
    keys = [f"k{n}" for n in range(9)]
    failing = dict.fromkeys(keys, httpx.Response(500))
    holder = Holder(account([], {**failing, "k8": detail("k8")}))
    known = [
        GapToClose(gap_id=key, stream="messages", scope=ResourceScope(resource_id=key), reason="upstream_error")
        for key in keys
    ]

    said = holder.run(TREES, gaps=known, recovery_only=True)

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["k8"]


def test_a_list_as_an_id_costs_the_batch_nothing() -> None:
    given = [{"id": [], "mapping": {}}, detail("a")]
    holder = Holder(account([item("a")], {}, **{"/conversations/batch": given}))
    holder.context.settings["batch"] = True  # type: ignore[index]

    holder.run(TREES)

    assert len(holder.held("messages")) == 2


def test_an_item_without_a_usable_id_is_named_in_every_run_until_it_has_one() -> None:
    holder = Holder(account([item("a"), {"title": "whose?"}], {"a": detail("a")}))
    said = [holder.run(TREES), holder.run(TREES)]
    holder.context = account([item("a"), item("b")], {"a": detail("a"), "b": detail("b")})

    healed = holder.run(TREES)

    assert [skips(one)["conversations"].scope for one in said] == [BatchScope(partition=NAMELESS)] * 2
    assert skips(healed) == {}
    assert holder.held("conversations").keys() == {"a", "b"}


@pytest.mark.parametrize("stream", ["memories", "custom_gpts", "shared_conversations"])
@pytest.mark.parametrize("lie", [{"total": 40}, {"has_more": True}])
def test_a_short_list_whose_own_words_deny_that_it_is_whole_deletes_nothing(stream: str, lie: dict[str, Any]) -> None:
    path = {"memories": "/memories", "custom_gpts": "/gizmos/mine", "shared_conversations": "/shared_conversations"}
    state = {stream: {"run_id": "before", "ids": ["m1", "m2"]}}
    holder = Holder(answering({path[stream]: {"items": [memory("m1")], **lie}}), state=state)

    said = holder.run([stream])

    assert deletions(said) == []
    assert skips(said)[stream].reason == "upstream_error"
    assert not any(isinstance(one, State) for one in said)


def test_the_list_of_another_account_stops_everything_before_anything_is_touched() -> None:
    holder = Holder(account([item("a")], {"a": detail("a")}, **{"/memories": {"memories": [memory("m1")]}}))
    holder.run([*TREES, "memories"])
    known = [GapToClose(gap_id="1", stream="messages", scope=ResourceScope(resource_id="a"), reason="upstream_error")]
    others = {"/memories": {"memories": [memory("m2")]}}
    holder.context = account([item("b", T0 + 9)], {"b": detail("b", T0 + 9)}, **others)

    said = holder.send(start([*TREES, "memories"], holder.state, gaps=known))

    assert {one.reason for one in skips(said).values()} == {"another_account"}
    assert not any(isinstance(one, Record | State | DetailGapRecovered) for one in said)


def token(user: str) -> str:
    """An access token as the platform makes them."""
    claims = json.dumps({"https://api.openai.com/auth": {"user_id": user}}).encode()
    return f"head.{urlsafe_b64encode(claims).decode().rstrip('=')}.signature"


def test_the_account_is_named_before_anything_by_its_token(provide: Provide) -> None:
    provider = provide(3, token=token("user-1"))

    said = Holder(online(provider)).run()

    assert said[0] == SourceAccount(identity="user-1")


def test_the_account_is_named_by_its_session(provide: Provide) -> None:
    provider = provide(3)

    said = Holder(online(provider, session_token=provider.options.session_token)).run(ALL)

    assert isinstance(said[0], SourceAccount)
    assert said[0].label == "owner@example.com"


def test_equal_update_times_cost_a_cursor_no_more_than_others() -> None:
    items = [item(f"c{n:03}") for n in range(300)]
    found = {one["id"]: detail(one["id"], nodes=1) for one in items}

    def page(request: httpx.Request) -> Any:
        offset = int(request.url.params["offset"])
        return {"items": items[offset : offset + 100], "total": len(items)}

    said = Holder(account([], found, **{"/conversations": page})).run(TREES)

    written = sum(len(json.dumps(one.cursor)) for one in said if isinstance(one, State))
    assert written < 3000 * len(items)
