"""The Web API's methods. An answer counts only with `ok: true` and the expected shape; anything else is typed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import httpx

from connectors.slack.api_errors import failure_of
from connectors.slack.errors import CursorLost, NamelessError, NotOffered, Refused, ShortError
from connectors.slack.fields import integer, micros, text
from connectors.slack.rows import Obj
from pdpp_worker.connector import AuthExpired, Context, Gone, ShapeError, Throttled, UpstreamError
from pdpp_worker.connector.json_fields import table, tables

PAGE = 200
"""Items a page; Slack asks for no more than this."""
FILES_PAGE = 100
MAX_BARREN = 100
"""Pages in a row without anything new after which a list is taken to go on for ever; Slack leaves some empty, where a
filter passes nothing."""
LONGEST_REFUSAL_BYTES = 4096
KINDS = "public_channel,private_channel,mpim,im"

_METADATA = ("response_metadata", "paging", "channel_actions")
"""Parts of an answer that describe the answer."""
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


def api_of(client: httpx.Client, context: Context) -> Api:
    """The methods, for the workspace that the connection means."""
    return Api(client, text(context.settings.get("team_id")))


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


class Page(NamedTuple):
    """A page of a list."""

    items: list[Any]
    nameless: int
    """The number of its items that have nothing by which they could be kept."""
    cursor: str | None
    """The place of the next page; None on the last one."""
    hides: bool
    """Whether the plan's limit hides what lies below it; that is not gone."""


class Api:
    """Reads a workspace; every method raises ProviderError of one of its kinds."""

    def __init__(self, client: httpx.Client, team: str | None = None) -> None:
        """`team` is the id of the workspace that is meant, where the token is one of an organisation."""
        self._client = client
        self.others: dict[str, int] = {}
        """Lists in answers that this version does not know, and the most items that one had."""
        self._team = {"team_id": team} if team else {}

    def identity(self) -> Obj:
        """The signed-in user, and the workspace.

        Raises:
            AuthExpired: the token is one of another workspace than the one that is meant.
        """
        answer = self._call("auth.test")
        own, is_of_all = text(answer.get("team_id")) or "", answer.get("is_enterprise_install") is True
        if self._team and not is_of_all and own.startswith("T") and own != self._team["team_id"]:
            raise AuthExpired(f"the token is one of the workspace {own}, and team_id names another: set one of the two")
        return {**answer, **self._team}

    def users(self, place: str | None = None) -> Iterator[Page]:
        """Everybody in the workspace."""
        return self._pages("users.list", "members", _has_id, place, limit=PAGE, **self._team)

    def channels(self, place: str | None = None) -> Iterator[Page]:
        """Every conversation that the token may see."""
        asked = {"types": KINDS, "exclude_archived": "false", "limit": PAGE, **self._team}
        return self._pages("conversations.list", "channels", _has_id, place, **asked)

    def members(self, channel: str, place: str | None = None) -> Iterator[Page]:
        """The ids of a conversation's members."""
        return self._pages("conversations.members", "members", _is_id, place, channel=channel, limit=PAGE)

    def history(self, channel: str, latest: str | None, limit: int = PAGE) -> Iterator[Page]:
        """A conversation's messages below `latest` (exclusive; None: all), newest first.

        The lower end is the caller's to see: with `oldest` and no `latest`, Slack begins at the old end.
        """
        until = {"latest": latest, "inclusive": "false"} if latest is not None else {}
        return self._pages(
            "conversations.history", "messages", _has_time, None, channel=channel, limit=min(limit, PAGE), **until
        )

    def replies(self, channel: str, thread: str, place: str | None = None) -> Iterator[Page]:
        """A thread, oldest first; it begins with its parent."""
        return self._pages(
            "conversations.replies", "messages", _has_time, place, channel=channel, ts=thread, limit=PAGE
        )

    def around(self, method: str, channel: str, ts: str) -> list[Any]:
        """The message at a time and the one before it, as history or replies show them.

        Raises:
            Refused: the plan's limit hides what may be there.
        """
        more = {"ts": ts} if method == "conversations.replies" else {}
        answer = self._call(method, channel=channel, latest=ts, inclusive="true", limit=2, **more)
        if answer.get("is_limited") is True:
            raise Refused(f"{method} answered that the plan's limit hides older messages")
        return _array(answer, "messages", method)

    def list_of(self, method: str, name: str) -> Iterator[Page]:
        """A list of the owner's own: user groups, saved items or reminders."""
        more = {"include_users": "true", "include_disabled": "true", "include_count": "true"}
        asked = more if method == "usergroups.list" else {}
        return self._pages(method, name, _is_object, None, limit=PAGE, **asked, **self._team)

    def info(self, method: str, name: str, **parameters: str) -> Obj:
        """One object by its id: a person, a conversation or a file."""
        found = self._call(method, **parameters).get(name)
        if not isinstance(found, dict):
            raise ShapeError(f"{method} answered without {name}")
        return found

    def files(self, page: int) -> tuple[list[Any], int, int | None]:
        """A page of files, whatever these are; how many pages there are, and how many files if that is said."""
        answer = self._call("files.list", count=FILES_PAGE, page=page, **self._team)
        paging = table(answer.get("paging"))
        if not isinstance(paging.get("pages"), int):
            raise ShapeError("files.list does not say how many pages there are")
        return _array(answer, "files", "files.list"), paging["pages"], integer(paging.get("total"))

    def _pages(
        self, method: str, name: str, is_named: Callable[[Any], bool], place: str | None, **parameters: Any
    ) -> Iterator[Page]:
        """All pages from a place on."""
        cursors, before, barren = set[str](), list[Any](), 0
        while True:
            answer = self._call(method, **parameters, **({"cursor": place} if place else {}))
            items = _array(answer, name, method)
            barren = barren + 1 if items in ([], before) else 0
            named = own_items([one for one in items if is_named(one)])
            self._note_others(name, answer)
            place = _next_cursor(method, answer)
            yield Page(named, len(items) - len(named), place, answer.get("is_limited") is True)
            if place is None:
                return
            if place in cursors or barren > MAX_BARREN:
                raise ShortError(f"the pages of {method} go in a circle")
            cursors.add(place)
            before, parameters["limit"] = items, PAGE

    def _note_others(self, name: str, answer: Obj) -> None:
        for key, value in answer.items():
            if key not in (name, *_METADATA) and tables(value):
                self.others[key] = max(self.others.get(key, 0), len(value))

    def _call(self, method: str, **parameters: Any) -> Obj:
        try:
            response = self._client.get(f"/{method}", params=parameters)
        except Gone as error:
            # A status says nothing of a message or a channel: Slack's own word stands in the answer.
            raise NotOffered(f"{method} is not there", status=404) from error
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            raise UpstreamError(
                f"{method} answered with something that is not JSON", status=response.status_code
            ) from None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            raise ShapeError(f"{method} answered without `ok`")
        if not answer["ok"]:
            raise failure_of(method, answer)
        return answer


def resumed(read: Callable[[str | None], Iterator[Page]], place: Obj) -> Iterator[Page]:
    """Pages from where `place` says ("cursor"; empty: the beginning), which is moved on before each is handed out.

    Its "read" and "nameless" count the items so far. A cursor that Slack no longer knows begins the list anew.
    """
    try:
        yield from _moving(read(text(place.get("cursor"))), place)
    except CursorLost:
        if not place:
            raise
        place.clear()
        yield from _moving(read(None), place)


def _moving(pages: Iterator[Page], place: Obj) -> Iterator[Page]:
    for page in pages:
        place["cursor"] = page.cursor
        place["read"] = (integer(place.get("read")) or 0) + len(page.items)
        place["nameless"] = (integer(place.get("nameless")) or 0) + page.nameless
        yield page


def refuse_nameless(method: str, count: int) -> None:
    """Report items that were passed over.

    Raises:
        NamelessError: there were any.
    """
    if count:
        raise NamelessError(f"{method} answered with {count} items that have no id or time of their own")


def own_items(items: list[Any]) -> list[Any]:
    """The items, without those whose id another one of the same answer has with another content."""
    first: dict[str, Any] = {}
    keys = [text(one.get("id")) if isinstance(one, dict) else None for one in items]
    return [one for key, one in zip(keys, items, strict=True) if key is None or first.setdefault(key, one) == one]


def _is_object(item: Any) -> bool:
    return isinstance(item, dict)


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
        raise ShortError(f"{method} says that there is more, and not where")
    return cursor or None


def _array(answer: Obj, name: str, method: str) -> list[Any]:
    found = answer.get(name)
    if not isinstance(found, list):
        raise ShapeError(f"{method} answered without {name}")
    return found
