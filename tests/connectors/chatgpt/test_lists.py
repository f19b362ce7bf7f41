"""The small streams: scanned whole, deletions by comparison, absent features, answers of the wrong shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import httpx
import pytest

from connectors.chatgpt.connector import collect
from connectors.chatgpt.lists import SMALL_STREAMS
from connectors.chatgpt.practice.options import Change
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.connector import Context, Gone, Message, Record, State
from tests.support.connectors import context, start, unpaced

from .conftest import ALL, TREES, Holder, gaps, online, skips

Provide = Callable[..., ProviderProcess]
SMALL = [stream.name for stream in SMALL_STREAMS]
PATHS = {
    "memories": "/memories",
    "projects": "/gizmos/snorlax/sidebar",
    "custom_gpts": "/gizmos/mine",
    "custom_instructions": "/user_system_messages",
    "shared_conversations": "/shared_conversations",
}


def answering(answers: Mapping[str, Any]) -> Context:
    """A context whose platform gives fixed answers by path: a response, JSON, or a function of the request."""

    def handle(request: httpx.Request) -> httpx.Response:
        answer = answers.get(request.url.path, httpx.Response(404))
        answer = answer(request) if callable(answer) else answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    http = unpaced(lambda: httpx.MockTransport(handle))
    return replace(context({"base_url": "https://platform.test"}, {"access_token": "t", "device_id": "d"}), http=http)


def memory(key: str) -> dict[str, Any]:
    return {"id": key, "content": f"about {key}", "created_at": "2024-01-01T00:00:00Z"}


def test_every_wrapper_of_a_gpt_is_opened(provide: Provide) -> None:
    holder = Holder(online(provide(3)))

    holder.run(["custom_gpts"])

    assert len(holder.held("custom_gpts")) == 23
    assert all(row["display_name"] and row["author_name"] == "Owner" for row in holder.held("custom_gpts").values())


def test_gpts_that_come_in_sections_are_told_from_their_section() -> None:
    gizmo = {"id": "g-1", "display": {"name": "Tea"}}
    section = {
        "info": {"id": "mine", "title": "Mine"},
        "list": {"items": [{"resource": {"gizmo": gizmo, "tools": [{"type": "browser"}], "files": [{"id": "f"}]}}]},
    }
    holder = Holder(answering({"/gizmos/mine": {"cuts": [section], "cursor": None}}))

    holder.run(["custom_gpts"])

    assert holder.held("custom_gpts").keys() == {"g-1"}
    row = holder.held("custom_gpts")["g-1"]
    assert (row["display_name"], row["tools"]) == ("Tea", ["browser"])
    assert row["extra"]["resource"]["files"] == [{"id": "f"}]


def test_all_fields_of_the_custom_instructions_are_kept() -> None:
    told = {"about_user_message": "", "enabled": True, "traits_model_message": "be brief", "disabled_tools": []}
    holder = Holder(answering({"/user_system_messages": told}))

    holder.run(["custom_instructions"])

    assert holder.held("custom_instructions")["user_custom_instructions"]["extra"] == {
        "traits_model_message": "be brief"
    }


def test_a_small_stream_is_scanned_once_a_run_however_many_slices_it_has(provide: Provide) -> None:
    provider = provide(30)
    holder = Holder(online(provider))

    holder.run(cut=100)
    holder.run()

    assert provider.stats().by_kind["memories"] == 1
    assert provider.stats().by_kind["shares"] <= 2


def test_what_is_gone_after_a_clean_scan_is_deleted(provide: Provide) -> None:
    provider = provide(130)
    holder = Holder(online(provider))
    holder.run(["shared_conversations"])
    before = holder.held("shared_conversations")
    deleted = provider.advance(Change(deleted=60)).deleted

    holder.send(start(["shared_conversations"], holder.state).model_copy(update={"run_id": "run-2"}))

    expected = {key for key, row in before.items() if row["conversation_id"] not in deleted}
    assert 0 < len(expected) < len(before)
    assert holder.held("shared_conversations").keys() == expected


def later(holder: Holder, run_id: str) -> list[Message]:
    """Another run over the memories."""
    return holder.send(start(["memories"], holder.state).model_copy(update={"run_id": run_id}))


def test_a_list_that_is_suddenly_empty_deletes_nothing_and_is_no_success() -> None:
    holder = Holder(answering({"/memories": {"memories": []}}), state={"memories": {"run_id": "run-0", "ids": ["m1"]}})

    for said in (later(holder, "run-1"), later(holder, "run-1")):
        assert not any(isinstance(one, Record) for one in said)
        assert skips(said)["memories"].reason == "upstream_error"


def test_a_list_that_is_empty_in_the_next_run_too_is_believed() -> None:
    holder = Holder(answering({"/memories": {"memories": []}}), state={"memories": {"run_id": "run-0", "ids": ["m1"]}})
    later(holder, "run-1")

    said = later(holder, "run-2")

    assert [(one.key, one.op, one.ground) for one in said if isinstance(one, Record)] == [("m1", "delete", "absent")]
    assert skips(said) == {}
    assert holder.state == {"memories": {"run_id": "run-2", "ids": [], "absent": ["m1"]}}


def test_what_is_absent_is_said_by_two_runs_and_no_more() -> None:
    held = {"run_id": "run-0", "ids": ["m1", "m2"]}
    holder = Holder(answering({"/memories": {"memories": [memory("m2")]}}), state={"memories": held})

    runs = [[one for one in later(holder, f"run-{n}") if isinstance(one, Record)] for n in (1, 2, 3)]
    said = [[one.key for one in run if one.op == "delete"] for run in runs]

    assert said == [["m1"], ["m1"], []]
    assert holder.state == {"memories": {"run_id": "run-3", "ids": ["m2"]}}


@pytest.mark.parametrize("stream", ["projects", "custom_gpts", "custom_instructions", "shared_conversations"])
def test_a_feature_that_the_account_does_not_have_is_an_empty_stream(stream: str) -> None:
    answers = {PATHS[stream]: httpx.Response(403), "/memories": {"memories": [memory("m1")]}}
    holder = Holder(answering(answers))

    said = holder.run([stream, "memories"])

    assert skips(said) == {}
    assert holder.held("memories").keys() == {"m1"}
    assert {one.stream for one in said if isinstance(one, State)} == {stream, "memories"}


def test_an_expired_sign_in_on_an_optional_endpoint_still_stops_everything() -> None:
    projects: dict[str, Any] = {"/gizmos/snorlax/sidebar": {"items": []}}
    holder = Holder(answering({"/gizmos/mine": httpx.Response(401), "/memories": {"memories": []}, **projects}))

    said = holder.run()

    assert {one.stream for one in skips(said).values()} == {*ALL} - {"memories", "projects"}
    assert {one.reason for one in skips(said).values()} == {"credentials_expired"}


@pytest.mark.parametrize("stream", SMALL)
def test_an_endpoint_that_is_gone_as_a_whole_is_a_failure_and_not_an_empty_stream(stream: str) -> None:
    said = Holder(answering({})).run([stream])

    assert skips(said)[stream].reason == "upstream_error"
    assert not any(isinstance(one, State) for one in said)


OBJECTS = [{"renamed": []}, {"memories": None, "items": None}]
ODD_ANSWERS = [(stream, answer) for stream in SMALL for answer in (None, "text", [], *OBJECTS)]
IS_EXPECTED = [("custom_instructions", answer) for answer in OBJECTS]


@pytest.mark.parametrize(("stream", "answer"), [case for case in ODD_ANSWERS if case not in IS_EXPECTED])
def test_an_answer_of_an_unknown_shape_is_never_an_empty_list(stream: str, answer: Any) -> None:
    body = httpx.Response(200, json=answer) if answer is not None else httpx.Response(200, content=b"null")

    said = Holder(answering({PATHS[stream]: body})).run([stream])

    assert skips(said)[stream].reason == "shape_changed"
    assert not any(isinstance(one, State) for one in said)


def test_an_item_without_an_id_spoils_the_scan_but_not_the_others() -> None:
    answers = {"/memories": {"memories": [memory("m1"), {"content": "whose?"}, memory("m2")]}}
    holder = Holder(answering(answers), state={"memories": {"run_id": "x", "ids": ["m0"]}})

    said = holder.run(["memories"])

    assert holder.held("memories").keys() == {"m1", "m2"}
    assert skips(said)["memories"].reason == "shape_changed"
    assert not any(isinstance(one, State) for one in said)


def test_a_list_of_gpts_that_goes_in_a_circle_ends() -> None:
    answers = {"/gizmos/mine": {"items": [{"id": "g-1"}], "cursor": "again"}}

    assert skips(Holder(answering(answers)).run(["custom_gpts"]))["custom_gpts"].reason == "shape_changed"


@pytest.mark.parametrize(
    "answer",
    [{"renamed": []}, {"items": None}, {"items": {}}, [], "text", 7],
)
def test_a_conversation_list_of_an_unknown_shape_is_never_an_empty_account(answer: Any) -> None:
    said = Holder(answering({"/conversations": answer})).run(TREES)

    assert {name: one.reason for name, one in skips(said).items()} == dict.fromkeys(TREES, "shape_changed")
    assert not any(isinstance(one, State) for one in said)


def test_an_account_that_is_suddenly_empty_is_no_success_until_the_next_walk_finds_the_same() -> None:
    listed = {"items": [{"id": "c1", "update_time": 5.0}], "total": 1}
    holder = Holder(answering({"/conversations": listed, "/conversation/c1": {"mapping": {}}}))
    holder.run(TREES)
    holder.context = answering({"/conversations": {"items": [], "total": 0}})

    first, second = holder.run(TREES), holder.run(TREES)

    assert skips(first)["conversations"].reason == "upstream_error"
    assert skips(second) == {}
    assert holder.held("conversations").keys() == {"c1"}


@pytest.mark.parametrize("detail", [{}, {"mapping": None}, {"mapping": []}, [], "text"])
def test_a_conversation_without_a_mapping_waits_for_a_newer_version(detail: Any) -> None:
    listed = {"items": [{"id": "c1", "update_time": 5.0, "title": "t"}]}

    said = Holder(answering({"/conversations": listed, "/conversation/c1": detail})).run(TREES)

    (gap,) = gaps(said)
    assert gap.detail_locator is not None
    assert (gap.reason, gap.detail_locator["item"]) == ("shape_changed", {"title": "t", "update_time": 5.0})


def test_an_empty_mapping_is_a_conversation_without_messages() -> None:
    listed = {"items": [{"id": "c1", "update_time": 5.0}]}
    holder = Holder(answering({"/conversations": listed, "/conversation/c1": {"mapping": {}}}))

    said = holder.run(TREES)

    assert skips(said) == {}
    assert holder.held("conversations")["c1"]["message_count_on_current_branch"] == 0


def test_list_items_without_a_usable_id_are_said_to_be_missing() -> None:
    listed = {"items": [{"title": "no id"}, None, {"id": "../me"}, {"id": "c1", "update_time": 5.0}]}
    holder = Holder(answering({"/conversations": listed, "/conversation/c1": {"mapping": {}}}))

    said = holder.run(TREES)

    assert skips(said)["conversations"].reason == "shape_changed"
    assert holder.held("conversations").keys() == {"c1"}


def test_conversations_alone_are_taken_from_the_list(provide: Provide) -> None:
    provider = provide(12)
    holder = Holder(online(provider))

    holder.run(["conversations"])

    assert len(holder.held("conversations")) == 12
    assert "detail" not in provider.stats().by_kind


def test_messages_asked_for_later_are_read_from_the_beginning(provide: Provide) -> None:
    provider = provide(12)
    holder = Holder(online(provider))
    holder.run(["conversations"])

    holder.run(TREES)

    assert len(provider.stats().details_by_id) == 12


def test_messages_without_their_conversations_are_refused() -> None:
    said = Holder(answering({})).run(["messages"])

    assert skips(said)["messages"].reason == "scope_not_supported"


def test_a_narrowed_scope_is_refused_and_not_broadened() -> None:
    request = start(["memories"])
    scope = request.scope.streams[0].model_copy(update={"resources": ["m1"]})
    narrowed = request.model_copy(update={"scope": request.scope.model_copy(update={"streams": [scope]})})

    said = list(collect(narrowed, answering({"/memories": {"memories": [memory("m1")]}})))

    assert [type(one).__name__ for one in said] == ["SkipResult"]
    assert skips(said)["memories"].reason == "scope_not_supported"


def test_a_redirect_without_end_is_the_platforms_error() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": str(request.url)})

    http = unpaced(lambda: httpx.MockTransport(handle))
    holder = Holder(replace(answering({}), http=http))

    assert skips(holder.run(["memories"]))["memories"].reason == "upstream_error"


def test_gone_is_what_404_becomes() -> None:
    with pytest.raises(Gone), answering({}).http(base_url="https://platform.test") as client:
        client.get("/nowhere")


@pytest.mark.parametrize("items", [[], [{"id": "g-1"}]])
def test_pages_that_bring_nothing_new_for_ever_come_to_an_end(items: list[Any]) -> None:
    cursors = count()
    holder = Holder(answering({PATHS["custom_gpts"]: lambda _: {"items": items, "cursor": f"c{next(cursors)}"}}))

    said = holder.run(["custom_gpts"])

    assert skips(said)["custom_gpts"].reason == "shape_changed"
    assert next(cursors) < 30


@pytest.mark.parametrize("total", [10**18, -1, "many", None])
def test_a_list_that_lies_about_its_length_is_read_all_the_same(total: Any) -> None:
    page = {"items": [{"id": "c1", "update_time": 1_700_000_000}], "total": total}
    detail = {"mapping": {"n": {"message": {"content": "hi"}}}}
    holder = Holder(answering({"/conversations": page, "/conversation/c1": detail}))

    assert skips(holder.run(TREES)) == {}
    assert set(holder.held("messages")) == {("c1", "n")}
