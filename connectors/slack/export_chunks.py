"""slackdump's chunk files (its archives before version 4): gzipped lines, one for each answer of Slack's.

A line says by its fields what it brought: m messages (of the thread whose parent is p), u people, ch channels, ci one
channel, cu a channel's members, f files, w the workspace, sm and sf results of a search; id is the channel, l marks the
last answer of a channel or thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from connectors.slack.errors import Unreadable
from connectors.slack.export_parts import Fact, Part, messages_of, named
from connectors.slack.export_tree import Tree
from connectors.slack.fields import decoded, integer, micros, text
from connectors.slack.rows import NO_REPLIES, Obj, is_placeholder
from connectors.slack.streams import CHANNELS, FILES, MEMBERSHIPS, MESSAGES, USERS, WORKSPACE
from pdpp_worker.connector.json_fields import array, table, tables

LONGEST_LINE = 16 * 1024 * 1024
"""Longest line that is read, bytes."""
_NAMED: dict[str, tuple[str, ...]] = {
    "workspace.json.gz": (WORKSPACE,),
    "users.json.gz": (USERS, WORKSPACE),
    "channels.json.gz": (CHANNELS, WORKSPACE),
    "search.json.gz": (MESSAGES, FILES),
}
_CONVERSATION = re.compile(r"([CDG][A-Z0-9]+)(?:-\d+\.\d+)?\.json\.gz")


def is_one(tree: Tree) -> bool:
    """Whether the files are chunk files."""
    return any(name in _NAMED or _CONVERSATION.fullmatch(name) for name in tree.members)


def is_known(name: str) -> bool:
    """Whether a file is one of the parts."""
    return name in _NAMED or _CONVERSATION.fullmatch(name) is not None


def parts(tree: Tree) -> Iterator[Part]:
    """The parts of a folder of chunk files: the workspace first."""
    for name, streams in _NAMED.items():
        if name in tree.members:
            yield Part(name, streams, partial(_read, tree, name))
    for name in sorted(tree.members):
        if of := _CONVERSATION.fullmatch(name):
            yield Part(name, (MESSAGES, CHANNELS, MEMBERSHIPS, FILES), partial(_read, tree, name), of[1])


def _read(tree: Tree, name: str) -> Iterator[Fact]:
    """All that a file says, then what it lacks."""
    book = _Book()
    for chunk in _lines(tree, name):
        book.note(chunk)
        yield from _facts(chunk)
    yield from book.missing()


def _lines(tree: Tree, name: str) -> Iterator[Obj]:
    """The objects of the lines; one that is no JSON is told once the others are given.

    Raises:
        Refused: the file is damaged, ends in the middle, or unpacks to far more than its bytes.
        Unreadable: a line is no JSON object, or endless.
    """
    bad = 0
    with tree.open(name, is_gzipped=True) as lines:
        while line := lines.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise Unreadable(f"{name} has a line of more than {LONGEST_LINE // 2**20} MiB")
            chunk = decoded(line)
            if isinstance(chunk, dict):
                yield chunk
            else:
                bad += bool(line.strip())
    if bad:
        raise Unreadable(f"{bad} lines of {name} are no JSON object")


def _facts(chunk: Obj) -> Iterator[Fact]:
    channel = text(chunk.get("id")) or ""
    if chunk.get("w"):
        yield Fact("workspace", "", table(chunk["w"]))
    yield from named("user", array(chunk.get("u")))
    yield from named("channel", [*array(chunk.get("ch")), *([chunk["ci"]] if chunk.get("ci") else [])])
    yield from (Fact("member", channel, {"id": one}) for one in array(chunk.get("cu")) if text(one))
    parent = table(chunk.get("p"))
    if chunk.get("m") is not None and parent and not is_placeholder(parent):
        yield from messages_of(channel, [parent])
    yield from messages_of(channel, array(chunk.get("m")))
    yield from named("file", [*array(chunk.get("f")), *array(chunk.get("sf"))])
    for raw in tables(chunk.get("sm")):
        of = text(table(raw.get("channel")).get("id"))
        is_whole = of is not None and micros(raw.get("ts")) is not None
        yield Fact("found", of or "", raw) if is_whole else Fact("nameless", "", {})


class _Book:
    """Keeps account of what a file began, and brought to its end."""

    def __init__(self) -> None:
        self._walks: dict[str, bool] = {}
        self._parents: dict[str, None] = {}
        self._read: set[str] = set()

    def note(self, chunk: Obj) -> None:
        """Note an answer with messages."""
        channel, is_last = text(chunk.get("id")), chunk.get("l") is True
        if channel is None or (not isinstance(chunk.get("m"), list) and "p" not in chunk):
            return
        thread = text(chunk.get("r")) or text(table(chunk.get("p")).get("thread_ts"))
        if thread is not None:
            self._read |= {f"{channel}:{thread}"} if is_last else set()
            return
        if integer(chunk.get("t")) not in (0, None):
            return
        self._walks[channel] = self._walks.get(channel, False) or is_last
        for raw in tables(chunk["m"]):
            has_replies = raw.get("reply_count") and raw.get("latest_reply") != NO_REPLIES
            if has_replies and raw.get("thread_ts") in (None, "", raw.get("ts")):
                self._parents[f"{channel}:{raw['ts']}"] = None

    def missing(self) -> Iterator[Fact]:
        """The channels and threads that were begun and not ended."""
        for channel, is_whole in self._walks.items():
            if not is_whole:
                yield Fact("missing", channel, {"why": "slackdump did not bring it to an end"})
        for entity in self._parents:
            channel = entity.partition(":")[0]
            if entity not in self._read and self._walks.get(channel):
                yield Fact("missing", entity, {"why": "slackdump did not read its replies"})
