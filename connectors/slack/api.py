"""The Web API's methods. An answer counts only with `ok: true` and the expected shape; anything else is typed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus

import httpx

from connectors.slack.errors import NamelessError, Refused, ScopeMissing
from connectors.slack.fields import micros, text
from connectors.slack.rows import Obj
from pdpp_worker.connector import AuthExpired, Context, Gone, ProviderError, ShapeError, Throttled, UpstreamError
from pdpp_worker.connector.json_fields import table

PAGE = 200
"""Items a page; Slack asks for no more than this."""
FILES_PAGE = 100
MAX_BARREN = 100
"""Pages in a row without anything new after which a list is taken to go on for ever; Slack leaves some empty, where a
filter passes nothing."""
LONGEST_REFUSAL_BYTES = 4096
KINDS = "public_channel,private_channel,mpim,im"

_SIGNED_OUT = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "token_revoked",
        "token_expired",
        "account_inactive",
        "user_removed_from_team",
        "two_factor_setup_required",
    }
)
_SCOPE = frozenset(
    {
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "ekm_access_denied",
        "team_access_not_granted",
    }
)
_GONE = frozenset(
    {
        "channel_not_found",
        "thread_not_found",
        "message_not_found",
        "user_not_found",
        "file_not_found",
        "file_deleted",
    }
)
_REFUSED = frozenset(
    {
        "not_in_channel",
        "access_denied",
        "channel_is_limited_access",
        "restricted_action",
        "method_not_supported_for_channel_type",
    }
)
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"


def open_client(context: Context) -> httpx.Client:
    """A client that is signed in with the connection's token, and with the cookie where there is one.

    Raises:
        AuthExpired: no token is set.
    """
    headers = {"authorization": f"Bearer {context.secret('token').get_secret_value()}"}
    try:
        cookie = context.secret("cookie").get_secret_value()
    except AuthExpired:
        pass
    else:
        # As the web client sends them; the second cookie says when the first was made.
        headers["cookie"] = f"d={escaped(cookie)}; d-s={int(time.time()) - 10}"
        headers["user-agent"] = _BROWSER
    base_url = str(context.settings["base_url"]).rstrip("/")
    return context.http(base_url=base_url, headers=headers, judge=rate_refusal)


def rate_refusal(response: httpx.Response) -> Throttled | None:
    """The refusal for the rate that an answer 200 can hold; the client reads when to come back."""
    if len(response.content) > LONGEST_REFUSAL_BYTES:
        return None
    try:
        code = table(response.json()).get("error")
    except (ValueError, RecursionError):
        return None
    if code not in ("ratelimited", "rate_limited"):
        return None
    method = response.request.url.path.rpartition("/")[2]
    return Throttled(f"{method} answered {code}")


def escaped(cookie: str) -> str:
    """The cookie's value as it goes over the wire: escaped once, however it was copied out of the browser."""
    is_escaped = cookie.isascii() and all(part.isalnum() or part in "-_.~%" for part in cookie)
    return cookie if is_escaped else quote_plus(cookie, safe="-_.~")


class Api:
    """Reads a workspace; every method raises ProviderError of one of its kinds."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.hides = False
        """Whether the plan's limit hides what lies below the last page; it is not gone."""

    def identity(self) -> Obj:
        """The signed-in user, and the workspace."""
        return self._call("auth.test")

    def users(self) -> Iterator[Obj]:
        """Everybody in the workspace."""
        return self._items("users.list", "members", _has_id, limit=PAGE)

    def channels(self) -> Iterator[Obj]:
        """Every conversation that the token may see."""
        return self._items("conversations.list", "channels", _has_id, types=KINDS, exclude_archived="false", limit=PAGE)

    def members(self, channel: str) -> Iterator[str]:
        """The ids of a conversation's members."""
        return self._items("conversations.members", "members", _is_id, channel=channel, limit=PAGE)

    def history(self, channel: str, oldest: str, latest: str | None) -> Iterator[list[Obj]]:
        """Pages of a conversation's messages between two `ts`, both exclusive, newest first."""
        until = {"latest": latest} if latest is not None else {}
        parameters = {"channel": channel, "oldest": oldest, "inclusive": "false", "limit": PAGE}
        return self._pages("conversations.history", "messages", _has_time, **parameters, **until)

    def replies(self, channel: str, thread: str) -> Iterator[list[Obj]]:
        """Pages of a thread, oldest first; each begins with its parent."""
        return self._pages("conversations.replies", "messages", _has_time, channel=channel, ts=thread, limit=PAGE)

    def message(self, channel: str, ts: str) -> Obj | None:
        """One message, a reply too; None when there is none at that time."""
        parameters = {"channel": channel, "oldest": ts, "latest": ts, "inclusive": "true", "limit": 1}
        for method, more in (("conversations.history", {}), ("conversations.replies", {"ts": ts})):
            try:
                answer = self._call(method, **parameters, **more)
            except Gone:
                continue
            for one in _array(answer, "messages", method):
                if isinstance(one, dict) and one.get("ts") == ts:
                    return one
        return None

    def info(self, method: str, name: str, **parameters: str) -> Obj:
        """One object by its id: a person, a conversation or a file."""
        found = self._call(method, **parameters).get(name)
        if not isinstance(found, dict):
            raise ShapeError(f"{method} answered without {name}")
        return found

    def files(self, page: int) -> tuple[list[Any], int]:
        """A page of files, whatever these are, and how many pages there are."""
        answer = self._call("files.list", count=FILES_PAGE, page=page)
        pages = table(answer.get("paging")).get("pages")
        if not isinstance(pages, int):
            raise ShapeError("files.list does not say how many pages there are")
        return _array(answer, "files", "files.list"), pages

    def _items(self, method: str, name: str, is_named: Callable[[Any], bool], **parameters: Any) -> Iterator[Any]:
        for page in self._pages(method, name, is_named, **parameters):
            yield from page

    def _pages(self, method: str, name: str, is_named: Callable[[Any], bool], **parameters: Any) -> Iterator[list[Any]]:
        """All pages; that items had no name by which to keep them is said when the others are taken."""
        cursors, before = set[str](), list[Any]()
        nameless = barren = 0
        while True:
            answer = self._call(method, **parameters)
            items = _array(answer, name, method)
            barren = barren + 1 if items in ([], before) else 0
            named = [one for one in items if is_named(one)]
            nameless += len(items) - len(named)
            self.hides = answer.get("is_limited") is True
            yield named
            cursor = _next_cursor(method, answer)
            if cursor is None:
                break
            if cursor in cursors or barren > MAX_BARREN:
                raise ShapeError(f"the pages of {method} go in a circle")
            cursors.add(cursor)
            before, parameters["cursor"] = items, cursor
        refuse_nameless(method, nameless)

    def _call(self, method: str, **parameters: Any) -> Obj:
        response = self._client.get(f"/{method}", params=parameters)
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            raise UpstreamError(
                f"{method} answered with something that is not JSON", status=response.status_code
            ) from None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            raise ShapeError(f"{method} answered without `ok`")
        if not answer["ok"]:
            raise _failure(method, answer)
        return answer


def _failure(method: str, answer: Obj) -> ProviderError:
    code = text(answer.get("error")) or "unknown_error"
    said = f"{method} answered {code}"
    if code in _SIGNED_OUT:
        return AuthExpired(f"{said}: renew the token (and, for an xoxc token, the cookie)")
    if code in _SCOPE:
        needed = text(answer.get("needed")) or "another kind of token"
        return ScopeMissing(f"{said}: the token needs {needed}; grant it and set the new token")
    if code in _GONE:
        return Gone(said)
    return Refused(said) if code in _REFUSED else UpstreamError(said)


def refuse_nameless(method: str, count: int) -> None:
    """Report items that were passed over.

    Raises:
        NamelessError: there were any.
    """
    if count:
        raise NamelessError(f"{method} answered with {count} items that have no id or time")


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and _is_id(item.get("id"))


def _has_time(item: Any) -> bool:
    return isinstance(item, dict) and micros(item.get("ts")) is not None


def _is_id(item: Any) -> bool:
    return text(item) is not None


def _next_cursor(method: str, answer: Obj) -> str | None:
    cursor = table(answer.get("response_metadata")).get("next_cursor")
    if not isinstance(cursor, str | None):
        raise ShapeError(f"{method} answered with a cursor that is none")
    if not cursor and answer.get("has_more") is True:
        raise ShapeError(f"{method} says that there is more, and not where")
    return cursor or None


def _array(answer: Obj, name: str, method: str) -> list[Any]:
    found = answer.get(name)
    if not isinstance(found, list):
        raise ShapeError(f"{method} answered without {name}")
    return found
