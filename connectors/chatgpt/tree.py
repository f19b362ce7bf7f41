"""One conversation as the platform gave it: its fields, and a tree of nodes. A large tree is decoded node by node."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from connectors.chatgpt.fields import millis
from connectors.chatgpt.jsonbytes import BrokenJsonError, begin, decode, has_each_name_once, member, members, pairs
from pdpp_worker.connector.json_fields import strings, table
from pdpp_worker.connector.lazily import lazy

MAPPING = "mapping"
AT_ONCE_BYTES = 4_000_000
"""A conversation up to here is decoded at once, which takes a few times its size in memory."""


class Conversation:
    """A conversation's JSON; whatever else the JSON may be, it has no fields and is not whole.

    Raises:
        BrokenJsonError: it is no JSON, in one of its nodes perhaps; once it is made, every part can be read.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw.removeprefix(BOM_UTF8)
        self._nodes: Mapping[str, Any] = {}
        """Nodes by their names: as they were decoded, or where they lie."""
        self._parents: dict[str, Any] = {}
        self._children: dict[str, list[str]] = {}
        self._times: dict[str, Any] = {}
        self._roles: dict[str, Any] = {}
        self._speaking: set[str] = set()
        self.repeated = 0
        """Nodes under an id that another node, with another content, has too."""
        self.is_whole = False
        """Whether it has a tree."""
        at_once = self._read_at_once()
        self.fields: dict[str, Any] = self._read() if at_once is None else at_once

    @lazy
    def branch(self) -> frozenset[str]:
        """The nodes from the current one up to the root: the branch that the owner sees."""
        path: dict[str, None] = {}
        node: Any = self.current_node
        while isinstance(node, str) and node in self._nodes and node not in path:
            path[node] = None
            node = self._parents[node]
        return frozenset(path)

    @lazy
    def current_node(self) -> str | None:
        """The node that ends the visible branch. Where the one that is told does not exist, that is the newest leaf."""
        told = self.fields.get("current_node")
        if not isinstance(told, str) or told in self._nodes:
            return told if isinstance(told, str) else None
        leaves = [name for name in self._nodes if not any(child in self._nodes for child in self._children[name])]
        return max(leaves, key=lambda name: millis(self._times[name]) or 0, default=None)

    @property
    def is_empty(self) -> bool:
        """Whether its tree has no node."""
        return not self._nodes

    @property
    def absent_nodes(self) -> list[str]:
        """Nodes that others name as their children or parents and that are not there; the root alone may lack."""
        children = {child for children in self._children.values() for child in children if child not in self._nodes}
        above = self._absent_parents
        return sorted(children if self._lacks_root else children | above)

    @property
    def begins_in_the_middle(self) -> bool:
        """Whether it has no root, and what comes first is no message of the system's, as it is below a root."""
        above = self._absent_parents
        heads = [name for name in self._nodes if self._parents[name] in above] if self._lacks_root else []
        return any(self._roles[name] != "system" for name in heads)

    @property
    def _absent_parents(self) -> set[str]:
        named = {parent for parent in self._parents.values() if isinstance(parent, str)}
        return named - self._nodes.keys()

    @property
    def _lacks_root(self) -> bool:
        return len(self._absent_parents) == 1 and all(isinstance(one, str) for one in self._parents.values())

    @property
    def messages_on_branch(self) -> int:
        """The number of the branch's nodes that carry a message."""
        return len(self.branch & self._speaking)

    @property
    def message_ids(self) -> list[str]:
        """The names of the nodes that carry a message, in the platform's order."""
        return [name for name in self._nodes if name in self._speaking]

    def messages(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every node that carries a message, by its name, in the platform's order."""
        return ((name, self._node(name)) for name in self.message_ids)

    def _read_at_once(self) -> dict[str, Any] | None:
        """The fields of a conversation that can be decoded as a whole; None where it is large, broken or odd."""
        if len(self._raw) > AT_ONCE_BYTES:
            return None
        with suppress(BrokenJsonError):
            fields = decode(self._raw)
            tree = fields.pop(MAPPING, None) if isinstance(fields, dict) else None
            if isinstance(tree, dict) and has_each_name_once(member(self._raw, MAPPING)):
                self._raw = b""
                self._note(tree)
                return table(fields)
        return None

    def _read(self) -> dict[str, Any]:
        at = begin(self._raw, 0)
        if self._raw[at : at + 1] != b"{":
            return table(decode(self._raw))
        values, stop = members(self._raw, at)
        if begin(self._raw, stop) < len(self._raw):
            raise BrokenJsonError("more follows")
        tree = values.pop(MAPPING, None)
        if tree is not None:
            self._read_tree(tree)
        return {name: decode(self._raw[value]) for name, value in values.items()}

    def _read_tree(self, tree: slice) -> None:
        if self._raw[tree.start : tree.start + 1] != b"{":
            decode(self._raw[tree])
            return
        found, _ = pairs(self._raw, tree.start)
        nodes = dict(found)
        if len(found) > len(nodes):
            self.repeated = len({(name, self._raw[value]) for name, value in found}) - len(nodes)
        self._note(nodes)

    def _note(self, nodes: Mapping[str, Any]) -> None:
        """Note the nodes, and how they hang together."""
        self.is_whole, self._nodes = True, nodes
        for name in nodes:
            node = self._node(name)
            self._parents[name] = node.get("parent")
            self._children[name] = strings(node.get("children"))
            message = table(node.get("message"))
            self._times[name] = message.get("create_time")
            self._roles[name] = table(message.get("author")).get("role")
            if node.get("message") is not None:
                self._speaking.add(name)

    def _node(self, name: str) -> dict[str, Any]:
        held = self._nodes[name]
        node = decode(self._raw[held]) if isinstance(held, slice) else held
        return node if isinstance(node, dict) else {"message": node}
