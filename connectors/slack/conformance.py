"""The practice account of this connector: a local server with the methods of the Web API, for a small workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from connectors.slack.practice.living import open_living_account
from pdpp_worker.conformance.account import Fault, Key, PracticeAccount, RecordGroup, Request
from pdpp_worker.conformance.planting import Counted, Plant, Planted
from pdpp_worker.conformance.server import serving

__all__ = ["open_account", "open_living_account"]

_TOKEN = "xoxp-practice-token"  # noqa: S105 - opens a made-up workspace on loopback
_OWNER, _OTHER = "U0OWNER", "U0OTHER"
_CHANNELS = ("C0GARDEN", "C0HOUSE", "C0MUSIC", "C0TRAINS")
_TALK = {"id": "D0OTHER", "is_im": True, "user": _OTHER, "created": 1_767_225_600, "last_read": "1767225600.000100"}
_BEGIN = 1_767_225_600
Obj = dict[str, Any]
_LISTS = {"messages", "channels", "members", "files", "usergroups", "items", "reminders"}
"""Lists of items in answers."""
_HOLOGRAMS = [{"id": "H1"}, {"id": "H2"}]
_TWIN = "the second of two"


class Workspace(PracticeAccount):
    """A made-up workspace: four channels, threads, reactions, a link's preview, two files."""

    faults = frozenset({Fault.FAILING, Fault.REFUSED, Fault.SIGNED_OUT})
    can_change = True
    plants = frozenset({Plant.FIELD, Plant.MEMBER, Plant.TOTAL, Plant.TWIN})
    counted = (
        Counted("messages", "reaction_count", "reactions", "message_id"),
        Counted("messages", "attachment_count", "message_attachments", "message_id"),
    )

    def __init__(self, day: str) -> None:
        self.secrets = {"token": _TOKEN}
        self._day = day
        self._log: list[Request] = []
        self._broken: dict[str, Fault] = {}
        self._is_signed_out = False
        self._planted: Plant | None = None
        self._messages = {channel: [_said(number) for number in range(4)] for channel in _CHANNELS}
        self._replies = {channel: self._begin_thread(channel) for channel in _CHANNELS}
        first = self._messages[_CHANNELS[0]][0]
        first["reactions"] = [{"name": "seedling", "users": [_OWNER, _OTHER], "count": 2}]
        first["attachments"] = [{"title": "Roses", "title_link": "https://example.com/roses"}]

    def expected_records(self) -> Sequence[RecordGroup]:
        """Every message with what rides on it, and the small streams."""
        return [group for channel in _CHANNELS for group in self._in_channel(channel)] + [
            RecordGroup("workspace", frozenset({"T0WORK"})),
            RecordGroup("users", frozenset({_OWNER, _OTHER})),
            RecordGroup("channels", frozenset({*_CHANNELS, "D0OTHER"})),
            RecordGroup("dm_read_states", frozenset({"D0OTHER"})),
            RecordGroup("channel_stats", frozenset(f"{channel}:{self._day}" for channel in _CHANNELS)),
            RecordGroup(
                "channel_memberships",
                frozenset(f"{one}:{user}" for one in (*_CHANNELS, "D0OTHER") for user in (_OWNER, _OTHER)),
            ),
            RecordGroup("user_groups", frozenset({"S0TEAM"})),
            RecordGroup("stars", frozenset({"channel:C0MUSIC"})),
            RecordGroup("reminders", frozenset({"Rm0WATER"})),
            RecordGroup("files", frozenset({"F0SEEDS"})),
            RecordGroup("canvases", frozenset({"F0PLAN"})),
        ]

    def requests(self) -> Sequence[Request]:
        """The methods that were called."""
        return self._log

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:
        """Let the history of channels, or the sign-in, fail."""
        self._is_signed_out = fault is Fault.SIGNED_OUT
        self._broken = dict.fromkeys(resources, fault)

    def restore(self) -> None:
        """All is well again."""
        self._is_signed_out, self._broken, self._planted = False, {}, None

    def plant(self, plant: Plant) -> Planted:
        """Let items have a new field, answers a new list, a thread too high a count, or two messages one time."""
        self._planted = plant
        fields = tuple(f"planted in {name}" for name in sorted(_LISTS))
        marks = {Plant.FIELD: fields, Plant.MEMBER: ("holograms",), Plant.TWIN: ("No. 0", _TWIN)}
        count = len(_HOLOGRAMS) if plant is Plant.MEMBER else None
        return Planted(marks.get(plant, ()), frozenset({"messages"}), count)

    def change(self) -> None:
        """A message is written, another is edited."""
        self._messages["C0HOUSE"].append(_said(9))
        self._messages["C0HOUSE"][3] |= {"text": "edited", "edited": {"ts": f"{_BEGIN + 20}.000000", "user": _OWNER}}

    def answer(self, target: str, authorization: str | None) -> tuple[int, Obj]:
        """Status and body for a request."""
        parts = urlsplit(target)
        method, parameters = parts.path.removeprefix("/"), dict(parse_qsl(parts.query))
        channel = parameters.get("channel", "")
        if method != "auth.test":
            self._log.append(Request(f"{method} {channel}".strip(), frozenset(filter(None, [channel]))))
        if self._is_signed_out or authorization != f"Bearer {_TOKEN}":
            return 200, {"ok": False, "error": "invalid_auth"}
        fault = self._broken.get(channel) if method == "conversations.history" else None
        if fault is not None:
            return (503 if fault is Fault.FAILING else 429), {}
        answer = self._methods().get(method)
        if answer is None:
            return 200, {"ok": False, "error": "unknown_method"}
        return 200, {"ok": True, **self._with_plant(answer(parameters))}

    def _with_plant(self, body: Obj) -> Obj:
        if self._planted is Plant.MEMBER and "members" in body:
            return body | {"holograms": _HOLOGRAMS}
        if self._planted is Plant.FIELD:
            return body | {name: [_grown(one, name) for one in body[name]] for name in _LISTS & body.keys()}
        messages = body.get("messages", [])
        if self._planted is Plant.TOTAL:
            more = [one | ({"reply_count": 3} if "reply_count" in one else {}) for one in messages]
            return body | ({"messages": more} if more else {})
        twins = [one | {"text": _TWIN} for one in messages if one["text"] == "No. 0"]
        return body | {"messages": [*messages, *twins]} if self._planted is Plant.TWIN and messages else body

    def _methods(self) -> dict[str, Callable[[Obj], Obj]]:
        return {
            "auth.test": lambda _: {
                "team": "Work",
                "team_id": "T0WORK",
                "user_id": _OWNER,
                "url": "https://work.example/",
            },
            "users.list": lambda _: {"members": [_person(_OWNER), _person(_OTHER)]},
            "conversations.list": lambda _: {"channels": [*(_channel(one) for one in _CHANNELS), _TALK]},
            "conversations.info": lambda _: {"channel": _TALK},
            "conversations.members": lambda _: {"members": [_OWNER, _OTHER]},
            "conversations.history": self._history,
            "conversations.replies": self._thread,
            "usergroups.list": lambda _: {"usergroups": [{"id": "S0TEAM", "handle": "team", "users": [_OWNER]}]},
            "stars.list": lambda _: {"items": [{"type": "channel", "channel": "C0MUSIC"}]},
            "reminders.list": lambda _: {"reminders": [{"id": "Rm0WATER", "text": "water the roses"}]},
            "files.list": lambda _: {"files": [_file("F0SEEDS"), _file("F0PLAN", "quip")], "paging": {"pages": 1}},
        }

    def _history(self, parameters: Obj) -> Obj:
        oldest, latest = float(parameters.get("oldest", 0)), float(parameters.get("latest", "inf"))
        found = [one for one in self._messages.get(parameters["channel"], []) if oldest < float(one["ts"]) < latest]
        return {"messages": sorted(found, key=lambda one: str(one["ts"]), reverse=True), "has_more": False}

    def _thread(self, parameters: Obj) -> Obj:
        channel, ts = parameters["channel"], parameters["ts"]
        parent = [one for one in self._messages[channel] if one["ts"] == ts]
        return {"messages": parent + self._replies[channel], "has_more": False}

    def _begin_thread(self, channel: str) -> list[Obj]:
        parent = self._messages[channel][2]
        reply = _said(5) | {"thread_ts": parent["ts"], "parent_user_id": _OWNER}
        parent |= {"thread_ts": parent["ts"], "reply_count": 1, "latest_reply": reply["ts"]}
        return [reply]

    def _in_channel(self, channel: str) -> Iterator[RecordGroup]:
        riders: dict[str, set[Key]] = {"messages": set(), "message_attachments": set(), "reactions": set()}
        for one in self._messages[channel] + self._replies[channel]:
            key = f"{channel}:{one['ts']}"
            riders["messages"].add(key)
            riders["message_attachments"] |= {f"{key}:att:{at}" for at, _ in enumerate(one.get("attachments", []))}
            users = [(each["name"], user) for each in one.get("reactions", []) for user in each["users"]]
            riders["reactions"] |= {f"{key}:{emoji}:{user}" for emoji, user in users}
        for stream, keys in riders.items():
            yield RecordGroup(stream, frozenset(keys), channel)


def _grown(item: Any, name: str) -> Any:
    """An item of a list with a field that Slack never sent; members of a channel are plain ids."""
    return item | {"hologram": f"planted in {name}"} if isinstance(item, dict) else item


def _said(number: int) -> Obj:
    return {"type": "message", "ts": f"{_BEGIN + number}.000100", "user": _OWNER, "text": f"No. {number}"}


def _person(key: str) -> Obj:
    return {"id": key, "team_id": "T0WORK", "name": key.lower(), "deleted": False, "profile": {"real_name": key}}


def _channel(key: str) -> Obj:
    return {"id": key, "name": key.lower(), "is_channel": True, "is_member": True, "num_members": 2, "created": _BEGIN}


def _file(key: str, kind: str = "text") -> Obj:
    return {"id": key, "name": key, "filetype": kind, "mode": "hosted", "size": 12, "created": _BEGIN}


@contextmanager
def open_account() -> Iterator[PracticeAccount]:
    """The workspace, while its server runs."""
    workspace = Workspace(datetime.now(UTC).date().isoformat())
    with serving(workspace.answer) as url:
        workspace.settings = {"base_url": url}
        yield workspace
