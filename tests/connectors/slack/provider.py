"""A practice provider: Slack's Web API for a small workspace, over HTTP on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.connectors.slack.account import OWNER, TEAM, Obj, number

TOKEN = "xoxp-practice"
PAGE = 3
"""Items a page, whatever limit is asked for."""


class Slack:
    """The workspace and its fault switches."""

    def __init__(self) -> None:
        self.channels: dict[str, Obj] = {}
        self.messages: dict[str, list[Obj]] = {}
        self.users: list[Obj] = []
        self.files: list[Obj] = []
        self.members: dict[str, list[str]] = {}
        self.lists: dict[str, list[Obj]] = {"usergroups": [], "items": [], "reminders": []}
        """The owner's own lists, by the field of the answer that holds them."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.token = TOKEN
        self.faults: dict[str, Callable[[dict[str, str]], Obj | int | None]] = {}
        """Method to what it answers instead: an error's object, a status, or None for the real answer."""
        self.says_total = False
        """Whether the list of files says how many there are."""
        self.url = ""

    def add(self, key: str, messages: list[Obj], **more: Any) -> None:
        """A channel with its messages."""
        self.channels[key] = {"id": key, "name": key.lower(), "is_channel": True, "is_member": True, **more}
        self.messages[key] = messages

    def called(self, method: str, **parameters: str) -> int:
        """The number of calls of a method with these parameters among others."""
        return sum(one == method and parameters.items() <= given.items() for one, given in self.asked)

    def answer(self, method: str, asked: dict[str, str], authorization: str) -> Obj | int:
        """The answer of a method, or a status."""
        if method != "auth.test":
            self.asked.append((method, asked))  # All but the sign-in.
        if authorization != f"Bearer {self.token}":
            return {"ok": False, "error": "invalid_auth"}
        fault = self.faults[method](asked) if method in self.faults else None
        if fault is not None:
            return fault
        found: Obj = getattr(self, "_" + method.replace(".", "_"))(asked)
        return found if "error" in found else {"ok": True, **found}

    def _auth_test(self, _: dict[str, str]) -> Obj:
        return {"url": "https://work.example/", "team": "Work", "user": "owner", "team_id": TEAM, "user_id": OWNER}

    def _users_list(self, asked: dict[str, str]) -> Obj:
        return _page("members", self.users, asked)

    def _conversations_list(self, asked: dict[str, str]) -> Obj:
        return _page("channels", list(self.channels.values()), asked)

    def _conversations_members(self, asked: dict[str, str]) -> Obj:
        return _page("members", self.members.get(asked["channel"], []), asked)

    def _conversations_info(self, asked: dict[str, str]) -> Obj:
        return {"channel": self.channels[asked["channel"]]}

    def _conversations_history(self, asked: dict[str, str]) -> Obj:
        if asked["channel"] not in self.channels:
            return {"ok": False, "error": "channel_not_found"}
        is_listed = [one for one in self.messages[asked["channel"]] if one.get("thread_ts") in (None, one["ts"])]
        newest_first = sorted(_between(is_listed, asked), key=lambda one: number(one["ts"]), reverse=True)
        return _page("messages", newest_first, asked)

    def _conversations_replies(self, asked: dict[str, str]) -> Obj:
        found = [
            one for one in self.messages.get(asked["channel"], []) if asked["ts"] in (one["ts"], one.get("thread_ts"))
        ]
        return _page("messages", found, asked) if found else {"ok": False, "error": "thread_not_found"}

    def _usergroups_list(self, _: dict[str, str]) -> Obj:
        return {"usergroups": self.lists["usergroups"]}

    def _stars_list(self, asked: dict[str, str]) -> Obj:
        return _page("items", self.lists["items"], asked)

    def _reminders_list(self, _: dict[str, str]) -> Obj:
        return {"reminders": self.lists["reminders"]}

    def _files_list(self, asked: dict[str, str]) -> Obj:
        page = int(asked["page"])
        pages = -(-len(self.files) // PAGE)
        paging = {"page": page, "pages": pages, **({"total": len(self.files)} if self.says_total else {})}
        return {"files": self.files[(page - 1) * PAGE : page * PAGE], "paging": paging}


def _between(messages: list[Obj], asked: dict[str, str]) -> list[Obj]:
    oldest = number(asked.get("oldest", "0"))
    latest = number(asked["latest"]) if "latest" in asked else 10**18
    if asked.get("inclusive") == "true":
        return [one for one in messages if oldest <= number(one["ts"]) <= latest]
    return [one for one in messages if oldest < number(one["ts"]) < latest]


def _page(name: str, items: list[Any], asked: dict[str, str]) -> Obj:
    first = int(asked.get("cursor", "0"))
    following = first + PAGE
    cursor = str(following) if following < len(items) else ""
    return {name: items[first:following], "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


@contextmanager
def serving() -> Iterator[Slack]:
    """The provider, while it listens."""
    slack = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            slack.headers.append(dict(self.headers.items()))
            method = parts.path.rpartition("/")[2]
            found = slack.answer(method, dict(parse_qsl(parts.query)), self.headers.get("authorization", ""))
            status, body = (found, {"ok": False}) if isinstance(found, int) else (200, found)
            content = json.dumps(body).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "30")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    slack.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield slack
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
