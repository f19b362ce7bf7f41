"""Signs the account in: with an access token that was given, or with one that the platform gives for a session.

The session is that of the browser profile, or a session cookie. A token that is refused on the way is renewed once.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote, urljoin

import httpx

from connectors.chatgpt.errors import OtherAccountError
from connectors.chatgpt.jsonbytes import BrokenJsonError, decode
from pdpp_worker.connector import AuthExpired, Context, ShapeError, UpstreamError
from pdpp_worker.connector.json_fields import table, text

T = TypeVar("T")

UNAUTHORIZED = 401
SESSION_COOKIE = "__Secure-next-auth.session-token"
DEVICE_COOKIE = "oai-did"
AUTH_CLAIM, PROFILE_CLAIM = "https://api.openai.com/auth", "https://api.openai.com/profile"
"""Where an access token names its user."""
JWT_PARTS = 3
WORKSPACE_HEADER = "chatgpt-account-id"
SIGNED_OUT = "nobody is signed in; sign in with: pdpp-worker connection login NAME"

_EMBEDDED = re.compile(r'<script[^<>]*\bid="(?:client-bootstrap|__NEXT_DATA__)"[^<>]*>(.*?)(?:</script>|\Z)', re.DOTALL)


class Session:
    """Sends requests as the account's owner. All methods raise ProviderError.

    Raises:
        AuthExpired: there is nothing to sign in with, or nobody is signed in.
    """

    def __init__(self, context: Context) -> None:
        self._secret = context.secret
        self._base_url = str(context.settings["base_url"])
        self._in_browser = context.settings.get("reach") == "browser"
        self._renewed = False
        self.account: str | None = None
        """The id of the user, where the session or the token tells it."""
        self.account_label: str | None = None
        self.workspace: str | None = None
        """The workspace that the token is for, where the token tells it."""
        self._client = context.http(base_url=self._base_url, headers={"accept": "*/*", "oai-language": "en-US"})
        try:
            self._sign_in()
        except BaseException:
            self.close()
            raise

    def get(self, path: str, workspace: str | None = None, **parameters: Any) -> bytes:
        """The body of the answer to a GET, in the session's own workspace or in another one of the user's."""
        headers = _of_workspace(workspace)
        return _content(f"GET {path}", self._signed(lambda: self._client.get(path, params=parameters, headers=headers)))

    def post(self, path: str, body: dict[str, Any], workspace: str | None = None) -> bytes:
        """The body of the answer to a POST of a JSON object."""
        headers = _of_workspace(workspace)
        return _content(f"POST {path}", self._signed(lambda: self._client.post(path, json=body, headers=headers)))

    def close(self) -> None:
        """Let go of the client."""
        self._client.close()

    def _sign_in(self) -> None:
        cookie = None if self._in_browser else self._optional("session_token")
        self._trades = self._in_browser or cookie is not None
        if cookie is not None:
            self._client.cookies.set(SESSION_COOKIE, cookie)
        given = None if self._in_browser else self._optional("access_token")
        if not self._trades and given is None:
            raise AuthExpired("neither the credential access_token nor session_token is set; set one, or reach=browser")
        self._use(given or self._traded())
        device = self._optional("device_id")
        if device is not None:
            self._client.headers["oai-device-id"] = device

    def _optional(self, name: str) -> str | None:
        try:
            return self._secret(name).get_secret_value()
        except AuthExpired:
            return None

    def _note_account(self, user: dict[str, Any]) -> None:
        told = text(user.get("id")) or self.account
        if self.account not in (None, told):
            raise OtherAccountError("the session is now that of another account; sign in as the one before")
        self.account = told
        self.account_label = text(user.get("email")) or self.account_label

    def _use(self, token: str) -> None:
        claims = _claims(token)
        profile = table(claims.get(PROFILE_CLAIM))
        told = table(claims.get(AUTH_CLAIM))
        self._note_account({"id": told.get("user_id"), "email": profile.get("email")})
        self.workspace = text(told.get("chatgpt_account_id"))
        self._client.headers["authorization"] = f"Bearer {token}"

    def _traded(self) -> str:
        """The access token of the session. The page tells it where the session's own endpoint does not."""
        self._client.headers.pop("authorization", None)
        response = self._client.get(urljoin(self._base_url, "/api/auth/session"))
        label = "GET /api/auth/session"
        session: Any = parsed(label, _content(label, response))
        if not table(session).get("user"):
            raise AuthExpired(SIGNED_OUT)
        self._note_device(response)
        self._note_account(table(table(session).get("user")))
        token = _token(session) or self._embedded_token()
        if token is None:
            raise ShapeError("the session has no access token")
        return token

    def _embedded_token(self) -> str | None:
        page = self._client.get(urljoin(self._base_url, "/"))
        return next(filter(None, map(_token_in, _EMBEDDED.findall(page.text))), None)

    def _note_device(self, response: httpx.Response) -> None:
        cookies = response.extensions.get("cookies", self._client.cookies)
        device = cookies.get(DEVICE_COOKIE)
        if device is not None:
            self._client.headers["oai-device-id"] = unquote(device)

    def _signed(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        try:
            return send()
        except AuthExpired as error:
            if error.status != UNAUTHORIZED or not self._renewed_token():
                raise
        return send()

    def _renewed_token(self) -> bool:
        """Whether another token than the refused one was had; asked once."""
        if self._renewed or not self._trades:
            return False
        self._renewed = True
        before = self._client.headers["authorization"]
        self._use(self._traded())
        return self._client.headers["authorization"] != before


def _of_workspace(workspace: str | None) -> dict[str, str]:
    return {} if workspace is None else {WORKSPACE_HEADER: workspace}


def _content(label: str, response: httpx.Response) -> bytes:
    if not response.is_success:
        raise UpstreamError(f"{label} answered {response.status_code}", status=response.status_code)
    return response.content


def parsed(label: str, raw: bytes, parse: Callable[[bytes], T] = decode) -> T:
    """An answer, read by `parse`.

    Raises:
        UpstreamError: it is no JSON.
    """
    try:
        return parse(raw)
    except BrokenJsonError:
        raise UpstreamError(f"{label} answered with something that is not JSON") from None


def _claims(token: str) -> dict[str, Any]:
    """The claims of an access token that is a JSON Web Token; it is the platform's to check the signature."""
    parts = token.split(".")
    try:
        return table(json.loads(urlsafe_b64decode(parts[1] + "==="))) if len(parts) == JWT_PARTS else {}
    except (ValueError, RecursionError):
        return {}


def _token_in(embedded: str) -> str | None:
    try:
        data = table(json.loads(embedded))
    except (ValueError, RecursionError):
        return None
    page = table(table(data.get("props")).get("pageProps"))
    return _token(data) or _token(page)


def _token(session: Any) -> str | None:
    """The first token that is there, in any of the places where it has been."""
    holders = (table(session), table(table(session).get("session")))
    found = (text(holder.get(name)) for holder in holders for name in ("accessToken", "access_token"))
    return next(filter(None, found), None)
