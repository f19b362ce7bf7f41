"""The tree of messages of one conversation: turns, tool calls, regenerated answers and edited questions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from connectors.chatgpt.practice import content
from connectors.chatgpt.practice.content import Content
from pdpp_worker.conformance.seeding import drawn_uuid

MODELS = ("gpt-4", "gpt-4o", "o3", "gpt-5-thinking")
MAX_TURNS = 40

Builder = Callable[[random.Random], Content]
Exchange = tuple[str, Builder, Builder]
"""A tool's name, what the model sends to it and what it answers."""


def _prompt(rng: random.Random) -> Content:
    return content.text(content.sentence(rng))


EXCHANGES: tuple[Exchange, ...] = (
    ("python", content.code, content.execution_output),
    ("python", content.code, content.system_error),
    ("web", content.code, content.tether_browsing_display),
    ("browser", content.code, content.tether_quote),
    ("dalle.text2im", _prompt, content.multimodal_text),
    ("bio", _prompt, content.model_editable_context),
    ("widget", content.code, content.unheard_of),
)


class Tree:
    """Nodes in the order in which they were written; `current` ends the visible branch, `rng` makes what follows."""

    def __init__(self, rng: random.Random) -> None:
        self.mapping: dict[str, dict[str, Any]] = {}
        self.current: str | None = None
        self.rng = rng
        self._undated: list[dict[str, Any]] = []

    def plant(self) -> None:
        """Begin with the root, which has no message."""
        self.current = drawn_uuid(self.rng)
        self.mapping[self.current] = {"id": self.current, "message": None, "parent": None, "children": []}

    def say(self, role: str, body: Content, **fields: Any) -> str:
        """Add a message below the current node, make it current and return its id."""
        parent = self.current
        node_id = drawn_uuid(self.rng)
        message = _message(node_id, role, body, fields)
        self.mapping[node_id] = {"id": node_id, "message": message, "parent": parent, "children": []}
        if parent in self.mapping:
            self.mapping[parent]["children"].append(node_id)
        self._undated.append(message)
        self.current = node_id
        return node_id

    def date(self, start: float, end: float) -> None:
        """Spread the messages added since the last call evenly over (start, end] (Unix seconds)."""
        step = (end - start) / max(1, len(self._undated))
        for position, message in enumerate(self._undated, 1):
            message["create_time"] = round(start + step * position, 6)
        self._undated.clear()

    def forget_root(self) -> None:
        """Leave the first messages with a parent that is not there."""
        for node_id in [node_id for node_id, node in self.mapping.items() if node["message"] is None]:
            del self.mapping[node_id]


def _message(node_id: str, role: str, body: Content, fields: dict[str, Any]) -> dict[str, Any]:
    name = fields.get("name")
    return {
        "id": node_id,
        "author": {"role": role, "name": name, "metadata": {}},
        "create_time": None,
        "update_time": None,
        "content": body,
        "status": "finished_successfully",
        "end_turn": fields.get("end_turn"),
        "weight": fields.get("weight", 1.0),
        "metadata": fields.get("metadata", {}),
        "recipient": fields.get("recipient", "all"),
        "channel": None,
    }


def open_conversation(tree: Tree) -> None:
    """Root, hidden system message and, now and then, the custom instructions."""
    tree.plant()
    hidden = {"is_visually_hidden_from_conversation": True}
    tree.say("system", content.text(""), end_turn=True, weight=0.0, metadata=hidden)
    if tree.rng.random() < 0.3:
        tree.say("user", content.user_editable_context(tree.rng), weight=0.0, metadata=hidden)


def add_turns(tree: Tree, opening: str | None) -> None:
    """A whole conversation; `opening` replaces the words of the first question."""
    turns = min(MAX_TURNS, 1 + int(tree.rng.lognormvariate(1.0, 0.8)))
    for number in range(turns):
        add_turn(tree, opening if number == 0 else None)


def add_turn(tree: Tree, words: str | None = None) -> None:
    """A question with its answer; some questions are edited and some answers regenerated: both leave siblings."""
    before = tree.current
    if tree.rng.random() < 0.07:
        _ask(tree, None)
        _answer(tree)
        tree.current = before
    question = _ask(tree, words)
    ends = []
    for _ in range(2 if tree.rng.random() < 0.15 else 1):
        tree.current = question
        ends.append(_answer(tree))
    tree.current = tree.rng.choice(ends)


def _ask(tree: Tree, words: str | None) -> str:
    rng = tree.rng
    metadata: dict[str, Any] = {"request_id": drawn_uuid(rng)}
    body = content.text(words if words is not None else content.sentence(rng))
    kind = rng.random()
    if words is None and kind < 0.08:
        body = content.multimodal_text(rng)
        metadata["attachments"] = [content.attachment(rng)]
    elif words is None and kind < 0.1:
        body = content.voice(rng)
    elif kind > 0.95:
        metadata["attachments"] = [content.attachment(rng), content.attachment(rng)]
    return tree.say("user", body, metadata=metadata)


def _answer(tree: Tree) -> str:
    rng = tree.rng
    model = {"model_slug": rng.choice(MODELS)}
    kind = rng.random()
    if kind < 0.2:
        tree.say("assistant", content.thoughts(rng), end_turn=False, metadata=model)
        tree.say("assistant", content.reasoning_recap(rng), end_turn=False, metadata=model)
    elif kind < 0.4:
        _use_tool(tree, rng.choice(EXCHANGES), model)
    return tree.say("assistant", content.text(content.paragraphs(rng)), end_turn=True, metadata=_closing(rng, model))


def _use_tool(tree: Tree, exchange: Exchange, model: dict[str, Any]) -> None:
    name, send, reply = exchange
    called: dict[str, Any] = dict(model)
    if name == "widget":
        called["invoked_plugin"] = {"namespace": "widget", "type": "remote", "plugin_id": "plugin-widget"}
        called["tool_calls"] = [{"id": drawn_uuid(tree.rng), "type": "function", "function": {"name": "draw"}}]
    tree.say("assistant", send(tree.rng), recipient=name, end_turn=False, metadata=called)
    tree.say("tool", reply(tree.rng), name=name, metadata={"command": name})


def _closing(rng: random.Random, model: dict[str, Any]) -> dict[str, Any]:
    reason = "max_tokens" if rng.random() < 0.03 else "stop"
    cited = [content.citation(rng)] if rng.random() < 0.1 else []
    return {**model, "finish_details": {"type": reason}, "citations": cited}
