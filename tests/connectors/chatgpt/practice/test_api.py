"""The endpoints, over sockets."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.process import ProviderProcess
from connectors.chatgpt.practice.rendering import details, list_item
from connectors.chatgpt.practice.sign_in import DEVICE_COOKIE, SESSION_COOKIE


def test_list_walks_the_whole_account(client: httpx.Client, account: Account) -> None:
    pages = [
        client.get("/conversations", params={"offset": offset, "limit": 100, "order": "updated"}).json()
        for offset in (0, 100, 200)
    ]

    listed = account.listed(archived=False)
    assert [len(page["items"]) for page in pages] == [100, 15, 0]
    assert [item for page in pages for item in page["items"]] == [list_item(one) for one in listed]
    assert {page["total"] for page in pages} == {115}
    assert uuid.UUID(pages[0]["items"][0]["id"]).version == 4


def test_archived_conversations_are_a_list_of_their_own(client: httpx.Client, account: Account) -> None:
    page = client.get("/conversations", params={"is_archived": "true"}).json()

    assert page["items"] == [list_item(one) for one in account.listed(archived=True)]
    assert all(item["is_archived"] for item in page["items"])


def test_projects_come_with_their_latest_conversations_and_go_on_by_cursor(
    client: httpx.Client, account: Account
) -> None:
    item = client.get("/gizmos/snorlax/sidebar", params={"conversations_per_gizmo": 5}).json()["items"][1]
    first, rest = item["conversations"], f"/gizmos/{item['gizmo']['gizmo']['id']}/conversations"

    after = client.get(rest, params={"cursor": first["cursor"], "limit": 50}).json()

    listed = [list_item(one) for one in account.listed(project=1)]
    assert (first["items"], after["items"], after["cursor"]) == (listed[:5], listed[5:], None)


def test_the_workspace_of_the_team_is_shown_to_those_who_name_it(client: httpx.Client, account: Account) -> None:
    told = client.get("/accounts/check/v4-2023-04-27").json()
    own, team = told["account_ordering"]
    (listed,) = [client.get("/conversations", headers={"chatgpt-account-id": team}).json()["items"]]

    assert told["accounts"]["default"]["account"]["account_id"] == own
    assert listed == [list_item(one) for one in account.listed(team=True)]
    assert client.get(f"/conversation/{listed[0]['id']}").status_code == 404
    assert client.get("/conversations", headers={"chatgpt-account-id": "another"}).status_code == 403


def test_list_limit_is_capped(client: httpx.Client) -> None:
    page = client.get("/conversations", params={"offset": 3, "limit": 1000}).json()

    assert (page["limit"], page["offset"], len(page["items"])) == (100, 3, 100)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "offset=-1", "offset=%ff", "offset=" + "9" * 5000, "order=random"]
)
def test_list_refuses_what_it_does_not_know(client: httpx.Client, query: str) -> None:
    assert client.get(f"/conversations?{query}").status_code == 422


def test_detail_is_the_whole_tree(client: httpx.Client, account: Account) -> None:
    for one in account.listed()[:60]:
        assert client.get(f"/conversation/{one.id}").json() == details(one)


def test_unknown_conversation_is_404_with_a_detail(client: httpx.Client) -> None:
    answer = client.get(f"/conversation/{uuid.UUID(int=1)}")

    assert answer.status_code == 404
    assert answer.json()["detail"]["code"] == "conversation_not_found"


def test_batch_is_a_bare_array_that_leaves_some_out(client: httpx.Client, account: Account) -> None:
    kept = next(one for one in account if one.in_batches)
    omitted = next(one for one in account if not one.in_batches)

    answer = client.post("/conversations/batch", json={"conversation_ids": [kept.id, omitted.id, "unknown"]})

    assert answer.json() == [{"id": kept.id, **details(kept)}]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"conversation_ids": "x"}', b'{"conversation_ids": [1]}'])
def test_batch_refuses_a_malformed_body(client: httpx.Client, body: bytes) -> None:
    assert client.post("/conversations/batch", content=body).status_code == 422


def test_batch_refuses_more_than_ten(client: httpx.Client) -> None:
    answer = client.post("/conversations/batch", json={"conversation_ids": ["x"] * 11})

    assert answer.status_code == 422


def test_memories_come_when_asked_for(client: httpx.Client) -> None:
    assert client.get("/memories").json()["memories"] == []
    entries = client.get("/memories", params={"include_memory_entries": "true"}).json()["memories"]
    assert len({entry["id"] for entry in entries}) == len(entries) > 0


def test_gizmos_come_in_pages_and_in_five_wrappers(client: httpx.Client) -> None:
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/gizmos/mine", params={"limit": 100, "cursor": cursor}).json()
        items += page["items"]
        cursor = page["cursor"]

    assert len(items) == 23
    assert {next(iter(item)) for item in items} == {"resource", "gizmo", "info", "id"}


@pytest.mark.parametrize("cursor", ["-5", "ff", "no"])
def test_gizmos_refuse_a_foreign_cursor(client: httpx.Client, cursor: str) -> None:
    assert client.get("/gizmos/mine", params={"cursor": cursor}).status_code == 422


def test_instructions_are_one_object(client: httpx.Client) -> None:
    instructions = client.get("/user_system_messages").json()

    assert instructions["enabled"] is True
    assert instructions["about_user_message"]


def test_shares_belong_to_conversations(client: httpx.Client, account: Account) -> None:
    page = client.get("/shared_conversations", params={"offset": 0, "limit": 100, "order": "created"}).json()

    assert page["total"] == len(page["items"]) == 6
    assert all(account.find(item["conversation_id"]) for item in page["items"])


def test_wrong_token_is_401_json(client: httpx.Client, provider: ProviderProcess) -> None:
    answer = client.get("/conversations", headers={"Authorization": "Bearer other"})

    assert answer.status_code == 401
    assert "detail" in answer.json()


def test_odd_requests_are_answered_and_logged(client: httpx.Client, provider: ProviderProcess) -> None:
    seen = provider.stats().requests

    assert client.get("/nothing").status_code == 404
    assert client.delete("/conversations").status_code == 405
    assert client.get("/conversation/%ff%fe").status_code == 404

    logged = [(entry.kind, entry.status) for entry in provider.log(seen)]
    assert logged == [("other", 404), ("list", 405), ("detail", 404)]


def test_session_trades_the_cookie_for_the_token(provider: ProviderProcess) -> None:
    url = f"{provider.url}/api/auth/session"

    owner = httpx.get(url, cookies={SESSION_COOKIE: provider.options.session_token})
    stranger = httpx.get(url, cookies={DEVICE_COOKIE: "known"})

    assert owner.json()["accessToken"] == provider.options.token
    assert owner.json()["user"]
    assert DEVICE_COOKIE in owner.cookies
    assert stranger.json() == {}
    assert DEVICE_COOKIE not in stranger.cookies


def test_a_new_token_ends_the_old_one(client: httpx.Client, provider: ProviderProcess) -> None:
    provider.set_token("fresh")

    session = httpx.get(f"{provider.url}/api/auth/session", cookies={SESSION_COOKIE: provider.options.session_token})
    fresh = session.json()["accessToken"]

    assert client.get("/conversations").status_code == 401
    assert client.get("/conversations", headers={"Authorization": f"Bearer {fresh}"}).status_code == 200
