"""The lists of an account beside its own two: of projects, and of other workspaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectors.chatgpt.practice.options import Change
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.connector import BatchScope, Context, DetailGapRecovered, ShapeError, SkipResult

from .conftest import TREES, Holder, assert_whole, gaps, online, skips, to_close
from .test_lists import answering
from .test_lying_provider import detail, item

Provide = Callable[..., ProviderProcess]
SIDEBAR, WORKSPACES = "/gizmos/snorlax/sidebar", "/accounts/check/v4-2023-04-27"


def project(key: str, items: list[dict[str, Any]], **conversations: Any) -> dict[str, Any]:
    gizmo = {"id": key, "display": {"name": key}, "instructions": "be kind"}
    files = [{"file_id": "file_1", "name": "plan.pdf", "type": "application/pdf", "size": 7, "location": "fs"}]
    return {"gizmo": {"gizmo": gizmo, "files": files}, "conversations": {"items": items, **conversations}}


def workspaces(*keys: str, **fields: Any) -> dict[str, Any]:
    def of(key: str) -> dict[str, Any]:
        return {"account": {"account_id": key, "name": key, **(fields if key != "own" else {})}}

    return {"accounts": {**{key: of(key) for key in keys}, "default": of("own")}}


def by_workspace(answers: dict[str | None, Any]) -> Callable[[httpx.Request], Any]:
    return lambda request: answers[request.headers.get("chatgpt-account-id")]


def lists(*keys: str) -> dict[str, Any]:
    return {"items": [item(key) for key in keys], "total": len(keys)}


def account(keys: str, **others: Any) -> Context:
    """A platform that has these conversations, one a letter, and answers as the others say."""
    return answering({**{f"/conversation/{key}": detail(key) for key in keys}, **others})


def partitions(said: list[Any]) -> list[Any]:
    return [one.scope.partition for one in said if isinstance(one, SkipResult) and isinstance(one.scope, BatchScope)]


def test_conversations_of_projects_and_of_other_workspaces_are_read(provide: Provide) -> None:
    provider = provide(100)
    holder = Holder(online(provider))

    said = holder.run([*TREES, "projects"])

    account = provider.account()
    held = holder.held("conversations")
    assert_whole(holder, account)
    assert skips(said) == {}
    assert {row["gizmo_id"] for key, row in held.items() if key in {one.id for one in account.listed(project=0)}} == {
        next(key for key, row in holder.held("projects").items() if row["name"] == "Project 0")
    }
    assert all(held[one.id]["workspace_id"] for one in account.listed(team=True))


def test_a_project_keeps_its_instructions_and_files_and_the_rest_of_what_is_sent() -> None:
    holder = Holder(answering({SIDEBAR: {"items": [project("g-p-1", [])]}}))

    holder.run(["projects"])

    row = holder.held("projects")["g-p-1"]
    assert (row["name"], row["instructions"]) == ("g-p-1", "be kind")
    told = {"id": "file_1", "name": "plan.pdf", "mime_type": "application/pdf", "size_bytes": 7, "location": "fs"}
    assert row["files"] == [told]
    assert row["extra"]["gizmo"]["gizmo"]["display"] == {"name": "g-p-1"}


def test_what_is_new_in_a_project_or_workspace_is_found_by_the_next_walk(provide: Provide) -> None:
    provider = provide(100)
    holder = Holder(online(provider))
    holder.run(TREES)
    provider.advance(Change(updates=20, new=20))

    holder.run(TREES)

    assert_whole(holder, provider.account())
    assert max(provider.stats().details_by_id.values()) == 2


@pytest.mark.parametrize("cut", [300, 900, 1400])
def test_a_walk_cut_in_any_list_goes_on_there(provide: Provide, cut: int) -> None:
    provider = provide(60)
    holder = Holder(online(provider))
    holder.run(TREES, cut=cut)

    holder.run(TREES)

    assert_whole(holder, provider.account())


def test_a_project_of_more_conversations_than_a_page_is_read_by_its_cursor() -> None:
    pages = {"0": {"items": [item("a"), item("b")], "cursor": "2"}, "2": {"items": [item("c")], "cursor": None}}
    answers: dict[str, Any] = {
        "/conversations": lists(),
        SIDEBAR: {"items": [project("g-p-1", [])], "cursor": None},
        "/gizmos/g-p-1/conversations": lambda request: pages[request.url.params["cursor"]],
    }
    answers[SIDEBAR]["items"][0].pop("conversations")
    holder = Holder(account("abc", **answers))

    said = holder.run(TREES)

    assert skips(said) == {}
    assert {row["gizmo_id"] for row in holder.held("conversations").values()} == {"g-p-1"}
    assert holder.held("conversations").keys() == {"a", "b", "c"}


def test_a_list_by_cursor_that_goes_in_a_circle_ends_and_is_a_gap() -> None:
    circle = {"items": [item("a")], "cursor": "again"}
    given = project("g-p-1", [item("a")], cursor="again")
    answers = {"/conversations": lists(), SIDEBAR: {"items": [given]}, "/gizmos/g-p-1/conversations": circle}
    holder = Holder(account("a", **answers))

    said = holder.run(TREES)

    assert partitions(said) == [{"list": "project:g-p-1"}]
    assert holder.held("conversations").keys() == {"a"}


def test_a_list_that_fails_keeps_no_other_list_out_and_is_closed_by_a_walk_that_reads_it() -> None:
    good = {
        "/conversations": by_workspace({None: lists("a"), "own": lists("a"), "team": lists("b")}),
        SIDEBAR: {"items": [project("g-p-1", [item("c")], cursor="more")]},
        "/gizmos/g-p-1/conversations": {"items": [item("d")], "cursor": None},
        WORKSPACES: workspaces("own", "team"),
    }
    holder = Holder(account("abcd", **{**good, "/gizmos/g-p-1/conversations": httpx.Response(503)}))
    missing = [one for one in holder.run(TREES) if isinstance(one, SkipResult)]
    known = to_close([_gap_of(one) for one in missing])
    holder.context = account("abcd", **good)

    said = holder.run(TREES, gaps=known, recovery_only=True)

    assert {one.scope.partition["list"] for one in missing if isinstance(one.scope, BatchScope)} == {
        "project:g-p-1",
        "team/project:g-p-1",
    }
    assert holder.held("conversations").keys() == {"a", "b", "c", "d"}
    assert len([one for one in said if isinstance(one, DetailGapRecovered)]) == len(known)


def _gap_of(one: SkipResult) -> Any:
    return one.model_copy(update={"detail_locator": None})


def test_a_workspace_that_refuses_waits_for_the_owner_and_keeps_no_other_list_out() -> None:
    answers = {
        "/conversations": by_workspace({None: lists("a"), "team": httpx.Response(403)}),
        SIDEBAR: {"items": []},
        WORKSPACES: workspaces("own", "team"),
    }
    holder = Holder(account("a", **answers))

    said = holder.run(TREES)

    assert partitions(said) == [{"list": "team/active"}, {"list": "team/archived"}]
    assert {one.reason for one in said if isinstance(one, SkipResult)} == {"source_partition_failed"}
    assert holder.held("conversations").keys() == {"a"}


def test_a_conversation_of_another_workspace_is_asked_for_there_again() -> None:
    answers = {
        "/conversations": by_workspace({None: lists("a"), "team": lists("b")}),
        "/conversation/b": by_workspace({None: httpx.Response(404), "team": httpx.Response(503)}),
        SIDEBAR: {"items": []},
        WORKSPACES: workspaces("own", "team"),
    }
    holder = Holder(account("a", **answers))
    missing = to_close(gaps(holder.run(TREES)))
    healthy = {**answers, "/conversation/b": by_workspace({None: httpx.Response(404), "team": detail("b")})}
    holder.context = account("a", **healthy)

    said = holder.run(TREES, gaps=missing, recovery_only=True)

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]
    assert holder.held("conversations")["b"]["workspace_id"] == "team"


def test_a_list_of_the_team_that_is_really_the_own_one_spoils_nothing() -> None:
    good = {
        "/conversations": by_workspace({None: lists("a"), "team": lists()}),
        "/conversation/a": by_workspace({None: detail("a"), "team": httpx.Response(404)}),
        SIDEBAR: {"items": []},
        WORKSPACES: workspaces("own", "team"),
    }
    holder = Holder(account("", **good))
    holder.run(TREES)
    holder.context = account("", **{**good, "/conversations": by_workspace({None: lists("a"), "team": lists("a")})})

    said = holder.run(TREES)

    assert gaps(said) == []
    assert holder.held("conversations")["a"]["workspace_id"] is None


def test_a_conversation_that_a_wrong_list_named_is_recovered_from_the_own_workspace() -> None:
    answers = {
        "/conversations": by_workspace({None: lists(), "team": lists("a")}),
        "/conversation/a": by_workspace({None: detail("a"), "team": httpx.Response(404)}),
        SIDEBAR: {"items": []},
        WORKSPACES: workspaces("own", "team"),
    }
    holder = Holder(account("", **answers))
    missing = to_close(gaps(holder.run(TREES)))

    said = holder.run(TREES, gaps=missing, recovery_only=True)

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]
    assert holder.held("conversations")["a"]["workspace_id"] is None


def test_a_workspace_that_is_deactivated_is_not_asked() -> None:
    answers = {
        "/conversations": by_workspace({None: lists("a")}),
        SIDEBAR: {"items": []},
        WORKSPACES: workspaces("own", "team", is_deactivated=True),
    }

    assert skips(Holder(account("a", **answers)).run(TREES)) == {}


@pytest.mark.parametrize("refusal", [403, 404])
def test_a_platform_without_projects_or_workspaces_lacks_nothing(refusal: int) -> None:
    answers = {SIDEBAR: httpx.Response(refusal), WORKSPACES: httpx.Response(refusal)}
    holder = Holder(account("a", **{"/conversations": lists("a"), **answers}))

    assert skips(holder.run(TREES)) == {}
    assert holder.held("conversations").keys() == {"a"}


@pytest.mark.parametrize(("path", "name"), [(SIDEBAR, "projects"), (WORKSPACES, "workspaces")])
@pytest.mark.parametrize("failure", [httpx.Response(404), httpx.Response(503)])
def test_projects_or_workspaces_that_are_suddenly_not_named_are_a_gap(
    path: str, name: str, failure: httpx.Response
) -> None:
    good = {
        "/conversations": by_workspace({None: lists("a"), "own": lists("a"), "team": lists("b")}),
        SIDEBAR: by_workspace({None: {"items": [project("g-p-1", [item("c")])]}, "team": {"items": []}}),
        WORKSPACES: workspaces("own", "team"),
    }
    holder = Holder(account("abc", **good))
    holder.run(TREES)
    holder.context = account("abc", **{**good, path: failure})

    said = holder.run(TREES)

    assert {"list": name} in partitions(said)
    holder.context = account("abc", **good)
    assert not [one for one in holder.run(TREES) if getattr(one, "stream", None) == "messages"]


def test_a_conversation_that_moves_into_a_project_is_read_again_and_not_doubled() -> None:
    before = {"/conversations": by_workspace({None: lists("a", "b")}), SIDEBAR: {"items": [project("g-p-1", [])]}}
    after = {
        "/conversations": by_workspace({None: lists("a")}),
        SIDEBAR: {"items": [project("g-p-1", [item("b")])]},
    }
    holder = Holder(account("ab", **before))
    holder.run(TREES)
    holder.context = account("ab", **after)

    holder.run(TREES)

    assert holder.held("conversations").keys() == {"a", "b"}
    assert holder.held("conversations")["b"]["gizmo_id"] == "g-p-1"


def test_an_answer_that_names_no_workspaces_has_changed_its_shape() -> None:
    holder = Holder(account("a", **{"/conversations": lists("a"), SIDEBAR: {"items": []}, WORKSPACES: {"users": []}}))

    said = holder.run(TREES)

    assert [one.reason for one in said if isinstance(one, SkipResult)] == [ShapeError.reason]
