"""A small workspace that lives: people write, edit, delete, come and go while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pdpp_worker.conformance.account import LivingAccount, RecordGroup
from pdpp_worker.conformance.server import serving

TOKEN = "xoxp-practice-token"  # noqa: S105 - opens a made-up workspace on loopback
PAGE = 3
"""Items a page, whatever is asked for."""
_CHANNELS = ("C0GARDEN", "C0HOUSE", "C0MUSIC")
_USERS = ("U0OWNER", "U0ADA", "U0BEA", "U0CLEO")
_MESSAGES = 5
_FILES = 4
Obj = dict[str, Any]
Keys = dict[str, set[str]]


class LivingWorkspace(LivingAccount):
    """Channels with messages of the last days, threads, reactions, members and files."""

    def __init__(self, owner: int) -> None:
        self.secrets = {"token": TOKEN}
        self._team = f"T{owner}WORK"
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        self._begin, self._clock = int(noon.timestamp()) - 3 * 86_400, 0
        self.members = {channel: list(_USERS[:3]) for channel in _CHANNELS}
        self.files = [_file(f"F{owner}{number}", "quip" if number == 0 else "text") for number in range(_FILES)]
        self.messages: dict[str, dict[str, Obj]] = {channel: {} for channel in _CHANNELS}
        """Channel and ts to message, replies among them."""
        self.personal = _personal(owner)
        """The owner's own lists by their names in answers."""
        self._away: list[tuple[str, Obj]] = []
        self._kept: Keys = {"files": set(), "canvases": set(), "channel_memberships": set(), "messages": set()}
        for channel in _CHANNELS:
            for number in range(_MESSAGES):
                self._put(channel, f"{owner} says No. {number}")
            self._reply(channel, min(self.messages[channel]))
        self.events = {
            "a message is written": self._write,
            "a message arrives late": self._write_late,
            "a message is edited": self._edit,
            "a message is deleted": self._delete,
            "a message is back": self._restore,
            "somebody replies": self._write_reply,
            "somebody reacts, or takes it back": self._react,
            "somebody joins or leaves": self._join,
            "a file comes or goes": self._share,
            "a reminder comes or goes": self._remind,
        }

    # What happens

    def _write(self, rng: Random) -> None:
        self._put(rng.choice(_CHANNELS), f"said {rng.random()}")

    def _write_late(self, rng: Random) -> None:
        channel = rng.choice(_CHANNELS)
        beside = float(rng.choice(sorted(self.messages[channel])))
        ts = f"{beside - rng.choice((0.000001, 1, 1700)):.6f}"
        if ts not in self.messages[channel]:
            self._put(channel, "late", ts)

    def _edit(self, rng: Random) -> None:
        _, one = self._listed(rng)
        one |= {"text": f"edited {rng.random()}", "edited": {"ts": self._tick(), "user": _USERS[0]}}

    def _delete(self, rng: Random) -> None:
        channel, one = self._any(rng)
        if one.get("reply_count") or len(self.messages[channel]) < 3:
            return
        del self.messages[channel][one["ts"]]
        if "parent_user_id" in one:
            self._kept["messages"].add(f"{channel}:{one['ts']}")
        self._away.append((channel, one))
        self._count(channel, one.get("thread_ts"))

    def _restore(self, rng: Random) -> None:
        if not self._away:
            return
        channel, one = self._away.pop(rng.randrange(len(self._away)))
        parent = one.get("thread_ts", one["ts"])
        if parent == one["ts"] or parent in self.messages[channel]:
            self.messages[channel][one["ts"]] = one
            self._count(channel, one.get("thread_ts"))

    def _write_reply(self, rng: Random) -> None:
        channel, one = self._any(rng)
        self._reply(channel, str(one.get("thread_ts", one["ts"])))

    def _react(self, rng: Random) -> None:
        _, one = self._listed(rng)
        users = ["U0ADA"] if one.get("reactions") is None else rng.sample(_USERS, rng.randint(0, 3))
        one["reactions"] = [{"name": "seedling", "users": users, "count": len(users)}] if users else []

    def _join(self, rng: Random) -> None:
        channel, user = rng.choice(_CHANNELS), rng.choice(_USERS)
        if user not in self.members[channel]:
            self.members[channel].append(user)
        elif len(self.members[channel]) > 1:
            self.members[channel].remove(user)
            self._kept["channel_memberships"].add(f"{channel}:{user}")

    def _share(self, rng: Random) -> None:
        if len(self.files) > 2 and rng.random() < 0.5:
            gone = self.files.pop(rng.randrange(len(self.files)))
            self._kept[_stream_of(gone)].add(gone["id"])
        else:
            self.files.insert(0, _file(f"F{self._tick()}"))

    def _remind(self, rng: Random) -> None:
        held = self.personal["reminders"]
        if len(held) > 2 and rng.random() < 0.5:
            held.pop(rng.randrange(len(held)))
        else:
            held.append({"id": f"Rm{self._tick()}", "text": "eat"})

    def _any(self, rng: Random) -> tuple[str, Obj]:
        channel = rng.choice(_CHANNELS)
        return channel, self.messages[channel][rng.choice(sorted(self.messages[channel]))]

    def _listed(self, rng: Random) -> tuple[str, Obj]:
        """A message that is no reply: of these alone changes are seen."""
        channel = rng.choice(_CHANNELS)
        listed = [ts for ts, one in sorted(self.messages[channel].items()) if "parent_user_id" not in one]
        return channel, self.messages[channel][rng.choice(listed)]

    def _put(self, channel: str, text: str, ts: str | None = None, **more: Any) -> Obj:
        ts = ts or self._tick()
        one = {"type": "message", "ts": ts, "user": _USERS[0], "text": text, **more}
        self.messages[channel][ts] = one
        return one

    def _reply(self, channel: str, parent: str) -> None:
        self._put(channel, "a reply", thread_ts=parent, parent_user_id=_USERS[0])
        self._count(channel, parent)

    def _count(self, channel: str, parent: str | None) -> None:
        """Bring what a parent says of its replies up to date."""
        one = self.messages[channel].get(parent or "")
        if one is None or parent is None:
            return
        replies = [each["ts"] for each in self._thread(channel, parent)[1:]]
        one |= {"thread_ts": parent, "reply_count": len(replies), "latest_reply": max(replies, default=parent)}

    def _thread(self, channel: str, parent: str) -> list[Obj]:
        return [self.messages[channel][ts] for ts in sorted(self.messages[channel]) if self._is_in(channel, ts, parent)]

    def _is_in(self, channel: str, ts: str, parent: str) -> bool:
        return parent in (ts, self.messages[channel][ts].get("thread_ts"))

    def _tick(self) -> str:
        self._clock += 1
        return f"{self._begin + 600 * self._clock}.000100"

    # What is there

    def expected_records(self) -> Sequence[RecordGroup]:
        """Everything that stands in the workspace now."""
        keys: Keys = {
            "workspace": {self._team},
            "users": set(_USERS),
            "channels": set(_CHANNELS),
            "channel_stats": {f"{channel}:{self.today}" for channel in _CHANNELS},
            "channel_memberships": {f"{channel}:{user}" for channel in _CHANNELS for user in self.members[channel]},
            "files": set(),
            "canvases": set(),
            "messages": set(),
            "reactions": set(),
            "user_groups": {one["id"] for one in self.personal["usergroups"]},
            "stars": {f"channel:{one['channel']}" for one in self.personal["items"]},
            "reminders": {one["id"] for one in self.personal["reminders"]},
        }
        for one in self.files:
            keys[_stream_of(one)].add(one["id"])
        for channel, said in self.messages.items():
            keys["messages"] |= {f"{channel}:{ts}" for ts in said}
            keys["reactions"] |= {
                f"{channel}:{ts}:{each['name']}:{user}"
                for ts, one in said.items()
                for each in one.get("reactions", ())
                for user in each["users"]
            }
        return [RecordGroup(stream, frozenset(found)) for stream, found in keys.items()]

    def may_be_held(self) -> Sequence[RecordGroup]:
        """Counts of days before, and files, memberships and replies that are gone: the connector keeps them."""
        days = {str(self.today - timedelta(days=number)) for number in range(1, 4)}
        counts = {f"{channel}:{day}" for channel in _CHANNELS for day in days}
        kept = self._kept | {"channel_stats": counts}
        return [RecordGroup(stream, frozenset(found)) for stream, found in kept.items()]

    def answer(self, target: str, authorization: str | None) -> tuple[int, Obj]:
        """Status and body for a request."""
        parts = urlsplit(target)
        if authorization != f"Bearer {TOKEN}":
            return 200, {"ok": False, "error": "invalid_auth"}
        asked = dict(parse_qsl(parts.query))
        answer = getattr(self, "_" + parts.path.removeprefix("/").replace(".", "_"), None)
        return (200, {"ok": True, **answer(asked)}) if answer else (200, {"ok": False, "error": "unknown_method"})

    def _auth_test(self, _: Obj) -> Obj:
        return {"team": "Work", "team_id": self._team, "user_id": _USERS[0], "url": "https://work.example/"}

    def _users_list(self, asked: Obj) -> Obj:
        people = [{"id": one, "team_id": self._team, "name": one.lower(), "deleted": False} for one in _USERS]
        return _page("members", people, asked)

    def _conversations_list(self, asked: Obj) -> Obj:
        listed = [
            {"id": one, "name": one.lower(), "is_channel": True, "is_member": True, "num_members": len(members)}
            for one, members in self.members.items()
        ]
        return _page("channels", listed, asked)

    def _conversations_members(self, asked: Obj) -> Obj:
        return _page("members", self.members[asked["channel"]], asked)

    def _conversations_history(self, asked: Obj) -> Obj:
        said = self.messages[asked["channel"]]
        latest, oldest = asked.get("latest", "9"), asked.get("oldest", "0")
        listed = [one for one in said.values() if one.get("thread_ts") in (None, one["ts"])]
        inside = [one for one in listed if oldest < one["ts"] < latest]
        return _page("messages", sorted(inside, key=lambda one: str(one["ts"]), reverse=True), asked)

    def _conversations_replies(self, asked: Obj) -> Obj:
        found = self._thread(asked["channel"], asked["ts"])
        if found:
            return _page("messages", found, asked)
        return {"ok": False, "error": "thread_not_found"}

    def _usergroups_list(self, _: Obj) -> Obj:
        return {"usergroups": self.personal["usergroups"]}

    def _stars_list(self, asked: Obj) -> Obj:
        return _page("items", self.personal["items"], asked)

    def _reminders_list(self, _: Obj) -> Obj:
        return {"reminders": self.personal["reminders"]}

    def _files_info(self, asked: Obj) -> Obj:
        found = [one for one in self.files if one["id"] == asked["file"]]
        return {"file": found[0]} if found else {"ok": False, "error": "file_deleted"}

    def _files_list(self, asked: Obj) -> Obj:
        page, pages = int(asked["page"]), -(-len(self.files) // PAGE)
        shown = self.files[(page - 1) * PAGE : page * PAGE]
        return {"files": shown, "paging": {"page": page, "pages": pages, "total": len(self.files)}}


def _personal(owner: int) -> dict[str, list[Obj]]:
    return {
        "usergroups": [{"id": f"S{owner}{number}", "users": list(_USERS[:2])} for number in range(2)],
        "items": [{"type": "channel", "channel": channel} for channel in _CHANNELS],
        "reminders": [{"id": f"Rm{owner}{number}", "text": "water the roses"} for number in range(3)],
    }


def _page(name: str, items: Sequence[Any], asked: Obj) -> Obj:
    first = int(asked.get("cursor", "0"))
    cursor = str(first + PAGE) if first + PAGE < len(items) else ""
    return {name: items[first : first + PAGE], "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


def _file(key: str, kind: str = "text") -> Obj:
    return {"id": key, "name": key, "filetype": kind, "mode": "hosted", "size": 12}


def _stream_of(file: Obj) -> str:
    return "canvases" if file["filetype"] == "quip" else "files"


@contextmanager
def open_living_account(owner: int) -> Iterator[LivingAccount]:
    """The workspace of an owner, while its server runs."""
    workspace = LivingWorkspace(owner)
    with serving(workspace.answer) as url:
        workspace.settings = {"base_url": url}
        yield workspace
