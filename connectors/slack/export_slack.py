"""The export that Slack makes for owners of a workspace, and slackdump's export and dump, which look alike.

channels.json, groups.json, dms.json, mpims.json name the conversations, users.json the people; each conversation has a
folder, by its name or its id, with a file for each day. A dump has a file for each conversation instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from connectors.slack.completeness import ENTITY
from connectors.slack.errors import Unreadable
from connectors.slack.export_parts import Fact, Part, messages_of, named, objects, short_threads
from connectors.slack.export_tree import Tree
from connectors.slack.fields import decoded, text
from connectors.slack.rows import Obj
from connectors.slack.streams import CANVASES, CHANNEL_STATS, CHANNELS, FILES, MEMBERSHIPS, MESSAGES, USERS
from pdpp_worker.connector import ProviderError
from pdpp_worker.connector.json_fields import table, tables

LISTS: dict[str, Obj] = {
    "channels.json": {"is_channel": True},
    "groups.json": {"is_group": True, "is_private": True},
    "mpims.json": {"is_mpim": True, "is_private": True},
    "dms.json": {"is_im": True, "is_private": True},
}
"""Lists of conversations, and what each says of all of its own."""
PEOPLE = ("users.json", "org_users.json")
OBJECTS = {"canvases.json": CANVASES, "lists.json": FILES}
"""Lists of files of a kind."""
_DAY = re.compile(r"([^/]+)/\d{4}-\d\d-\d\d\.json")
_DUMP = re.compile(r"([CDG][A-Z0-9]+)(?:-\d+\.\d+)?\.json")


def is_one(tree: Tree) -> bool:
    """Whether the files are those of an export or dump."""
    return any(name in tree.members for name in (*LISTS, *PEOPLE)) or any(map(_DUMP.fullmatch, tree.members))


def parts(tree: Tree) -> Iterator[Part]:
    """The parts of an export: lists, then each conversation day by day."""
    for name in PEOPLE:
        if name in tree.members:
            yield Part(name, (USERS,), partial(_list, tree, name, "user", {}))
    for name, more in LISTS.items():
        if name in tree.members:
            yield Part(name, (CHANNELS, CHANNEL_STATS, MEMBERSHIPS), partial(_list, tree, name, "channel", more))
    for name, stream in OBJECTS.items():
        if name in tree.members:
            more = {"filetype": "quip"} if stream == CANVASES else {}
            yield Part(name, (stream,), partial(_list, tree, name, "file", more))
    for folder, channel in sorted(folders(tree).items()):
        days = sorted(name for name in tree.members if name.startswith(f"{folder}/") and _DAY.fullmatch(name))
        yield from (Part(name, (MESSAGES,), partial(_day, tree, name, channel), channel) for name in days)
        yield Part(f"{folder}/", (), partial(_threads, tree, days, channel), channel)
    for name in sorted(tree.members):
        if dump := _DUMP.fullmatch(name):
            yield Part(name, (MESSAGES, CHANNELS), partial(_dump, tree, name, dump[1]), dump[1])


def folders(tree: Tree) -> dict[str, str]:
    """Folder to the conversation whose messages lie in it."""
    names = {found[1] for name in tree.members if (found := _DAY.fullmatch(name))}
    known: dict[str, str] = {}
    for name in LISTS:
        try:
            listed = objects(tree, name) if name in tree.members else []
        except ProviderError:
            continue  # It is a gap of its own; folders that bear an id can be read all the same.
        for raw in tables(listed):
            if (key := text(raw.get("id"))) is not None:
                known |= {key: key, text(raw.get("name")) or key: key}
    return {one: key for one in names if (key := known.get(one) or (one if ENTITY.fullmatch(one) else None))}


def is_known(name: str, found: dict[str, str]) -> bool:
    """Whether a file is one of the parts; `found` are the folders."""
    day = _DAY.fullmatch(name)
    is_listed = name in LISTS or name in PEOPLE or name in OBJECTS
    return is_listed or bool(_DUMP.fullmatch(name)) or (day is not None and day[1] in found)


def _list(tree: Tree, name: str, kind: str, more: Obj) -> Iterator[Fact]:
    return named(kind, objects(tree, name), **more)


def _day(tree: Tree, name: str, channel: str) -> Iterator[Fact]:
    return messages_of(channel, objects(tree, name))


def _threads(tree: Tree, days: list[str], channel: str) -> Iterator[Fact]:
    def messages() -> Iterator[Obj]:
        for name in days:
            try:
                yield from tables(objects(tree, name))
            except ProviderError:
                return  # The day is a gap of its own.

    return short_threads(channel, messages())


def _dump(tree: Tree, name: str, channel: str) -> Iterator[Fact]:
    """One conversation of slackdump's dump: replies stand within their parents."""
    found = decoded(tree.read(name))
    if not isinstance(table(found).get("messages"), list):
        raise Unreadable(f"{name} has no messages")
    if text(found.get("name")):
        yield Fact("channel", channel, {"id": channel, "name": found["name"]})
    for raw in found["messages"]:
        replies = table(raw).get("slackdump_thread_replies")
        alone = {key: value for key, value in table(raw).items() if key != "slackdump_thread_replies"}
        yield from messages_of(channel, [alone, *(replies if isinstance(replies, list) else [])])
