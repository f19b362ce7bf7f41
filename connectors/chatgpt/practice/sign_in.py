"""The pages and answers by which a browser signs in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.chatgpt.practice.answers import HOME_PAGE, SIGN_IN_PAGE, Answer, html_answer, json_answer
from connectors.chatgpt.practice.endpoint import Endpoint
from pdpp_worker.conformance.seeding import named_uuid

SESSION_COOKIE = "__Secure-next-auth.session-token"
DEVICE_COOKIE = "oai-did"


class Session(Endpoint):
    """The session of the signed-in user, with the access token; an empty object when nobody is signed in."""

    kind = "session"

    def produce(self) -> Answer:
        """Trade the session cookie for the access token, and give the browser a device id."""
        headers = {}
        if self.get_cookie(DEVICE_COOKIE) is None:
            device = named_uuid(self.backend.options.seed, "device")
            headers["Set-Cookie"] = f"{DEVICE_COOKIE}={device}; Path=/"
        if self.get_cookie(SESSION_COOKIE) != self.backend.options.session_token:
            return json_answer({}, headers)
        seed = self.backend.options.seed
        session = {
            "user": {"id": f"user-{named_uuid(seed, 'user')}", "name": "Owner", "email": "owner@example.com"},
            "expires": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
            "accessToken": self.backend.token,
            "authProvider": "auth0",
        }
        return json_answer(session, headers)


class SignIn(Endpoint):
    """The page on which the owner signs in."""

    kind = "login"

    def produce(self) -> Answer:
        """A page with one button."""
        return html_answer(SIGN_IN_PAGE)


class SignedIn(Endpoint):
    """Signs in, as the page's button does."""

    kind = "login"
    method = "POST"

    def produce(self) -> Answer:
        """Give the browser a session for a month, and show it the home page."""
        session = f"{SESSION_COOKIE}={self.backend.options.session_token}"
        cookie = f"{session}; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax"
        return Answer(302, b"", headers={"Location": "/", "Set-Cookie": cookie})


class Home(Endpoint):
    """The page of the web application."""

    kind = "home"

    def produce(self) -> Answer:
        """A page that asks for nothing further."""
        return html_answer(HOME_PAGE)
