"""Signing in: a token, a session that is traded for one, and what happens when either is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from connectors.chatgpt.practice.options import FaultOptions
from connectors.chatgpt.practice.process import ProviderProcess
from connectors.chatgpt.session import SIGNED_OUT, Session
from pdpp_worker.connector import AuthExpired, Context, ProviderError
from tests.support.connectors import context, unpaced

from .conftest import TREES, Holder, assert_whole, expected, online, skips

Provide = Callable[..., ProviderProcess]
BASE_URL = "https://chat.test/backend-api"


class Platform:
    """Answers without a network: the session as the test says, and everything else to one token only."""

    def __init__(self, session: Any, page: str = "", accepted: str = "good", **cookies: str) -> None:
        self.session, self.page, self.accepted, self.cookies = session, page, accepted, cookies
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path == "/api/auth/session":
            return httpx.Response(200, content=json.dumps(self.session), extensions={"cookies": self.cookies})
        if request.url.path == "/":
            return httpx.Response(200, text=self.page)
        if request.headers["authorization"] != f"Bearer {self.accepted}":
            return httpx.Response(401)
        return httpx.Response(200, json={"items": []})


def within(platform: Platform, reach: str = "browser", **secrets: str) -> Context:
    http = unpaced(lambda: httpx.MockTransport(platform))
    return replace(context({"base_url": BASE_URL, "reach": reach}, secrets), http=http)


@pytest.mark.parametrize(
    "told", [{"accessToken": "good"}, {"access_token": "good"}, {"session": {"accessToken": "good"}}]
)
def test_the_access_token_is_had_from_the_session_of_the_page(told: dict[str, Any]) -> None:
    platform = Platform({"user": {"id": "u"}, **told}, **{"oai-did": "a%2Db"})

    Session(within(platform)).get("/conversations")

    session, asked = platform.asked
    assert "authorization" not in session.headers
    assert asked.headers["authorization"] == "Bearer good"
    assert asked.headers["oai-device-id"] == "a-b"


@pytest.mark.parametrize(
    "embedded",
    [
        '<script id="client-bootstrap" type="application/json">{"session": {"accessToken": "good"}}</script>',
        '<script type="application/json" id="__NEXT_DATA__">{"props": {"pageProps": {"session": {"accessToken": "good"}}}}</script>',  # noqa: E501
    ],
)
def test_a_token_that_only_the_page_tells_is_found_there(embedded: str) -> None:
    platform = Platform({"user": {"id": "u"}}, page=f"<html><script>1</script>{embedded}</html>")

    assert json.loads(Session(within(platform)).get("/conversations")) == {"items": []}


@pytest.mark.parametrize("session", [{}, None, {"user": None, "accessToken": "good"}])
def test_a_session_of_nobody_is_signed_out(session: Any) -> None:
    with pytest.raises(AuthExpired, match="connection login") as caught:
        Session(within(Platform(session)))

    assert str(caught.value) == SIGNED_OUT


@pytest.mark.parametrize("page", ["", '<script id="client-bootstrap">not json</script>'])
def test_a_session_without_a_token_has_changed_its_shape(page: str) -> None:
    with pytest.raises(ProviderError) as caught:
        Session(within(Platform({"user": {"id": "u"}}, page=page)))

    assert caught.value.reason == "shape_changed"


def test_a_token_that_is_refused_on_the_way_is_renewed_once() -> None:
    platform = Platform({"user": {"id": "u"}, "accessToken": "good"})
    session = Session(within(platform))
    platform.accepted = "better"
    platform.session = {"user": {"id": "u"}, "accessToken": "better"}

    assert json.loads(session.get("/conversations")) == {"items": []}

    platform.accepted = "best"
    with pytest.raises(AuthExpired):
        session.get("/conversations")
    assert [one.url.path for one in platform.asked].count("/api/auth/session") == 2


def test_a_renewal_that_brings_the_same_token_is_not_tried_with() -> None:
    platform = Platform({"user": {"id": "u"}, "accessToken": "good"})
    session = Session(within(platform))
    platform.accepted = "another"

    with pytest.raises(AuthExpired):
        session.get("/conversations")

    assert [one.url.path.rpartition("/")[2] for one in platform.asked] == ["session", "conversations", "session"]


def test_a_given_token_comes_first_and_the_session_cookie_renews_it() -> None:
    platform = Platform({"user": {"id": "u"}, "accessToken": "good"})

    Session(within(platform, "http", access_token="old", session_token="cookie")).get("/conversations")

    assert [one.headers.get("authorization") for one in platform.asked] == ["Bearer old", None, "Bearer good"]


def test_a_session_cookie_is_enough_to_collect(provide: Provide) -> None:
    provider = provide(12)
    holder = Holder(online(provider, session_token=provider.options.session_token))

    holder.run(TREES)

    assert_whole(holder, expected(provider))
    assert [one.kind for one in provider.log()][:2] == ["session", "list"]


def test_a_stale_session_cookie_stops_every_request_and_says_what_to_do(provide: Provide) -> None:
    provider = provide(3)

    said = Holder(online(provider, session_token="stale")).run(TREES)

    assert {one.reason for one in skips(said).values()} == {"credentials_expired"}
    assert provider.stats().requests == 1


@pytest.mark.parametrize(
    ("faults", "reason"),
    [({"maintenance_share": 1.0}, "upstream_error"), ({"error_share": 1.0}, "upstream_error")],
)
def test_a_session_that_cannot_be_asked_is_a_miss_of_every_stream(
    provide: Provide, faults: dict[str, Any], reason: str
) -> None:
    provider = provide(3)
    provider.set_faults(FaultOptions(**faults))

    said = Holder(online(provider, session_token=provider.options.session_token)).run(TREES)

    assert {name: one.reason for name, one in skips(said).items()} == dict.fromkeys(TREES, reason)


def test_nothing_secret_is_said(provide: Provide) -> None:
    provider = provide(3, faults={"token_requests": 2})

    said = Holder(online(provider, session_token=provider.options.session_token)).run()

    text = json.dumps([one.model_dump() for one in said], default=str)
    assert provider.options.token not in text
    assert provider.options.session_token not in text
