"""A web page as its elements, the text that it shows, and the values that a form would send.

The page is taken apart in a child process: time grows with the square of its nesting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pdpp_worker.connector import ConfinedError, Room

_READER = Room("connectors.usaa.site.page_reader:items_of", cpu_s=10)
_NO_VALUE = frozenset(("submit", "button", "reset", "file", "image"))


class UnreadablePageError(Exception):
    """A page that holds no element, or nests them so deeply that a part of it would be lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An element of a page: the item at this index; see `page_reader`."""

    items: list[Any]
    at: int

    @property
    def tag(self) -> str:
        """Its name in lower case."""
        return str(self.items[self.at][0])

    def get(self, name: str, default: str = "") -> str:
        """An attribute."""
        return str(self.items[self.at][1].get(name, default))

    def has(self, name: str) -> bool:
        """Whether it has an attribute."""
        return name in self.items[self.at][1]

    @property
    def within(self) -> range:
        """The indices of all items below it."""
        return range(self.at + 1, self.items[self.at][2])


@dataclass(frozen=True, slots=True)
class Form:
    """The values that a form would send, and where to."""

    action: str
    method: str
    values: dict[str, str]
    choices: dict[str, list[str]]
    """The values that a choice has, by its name."""


def parse(content: str) -> Node:
    """A page; a broken page gives whatever can be made of it.

    Raises:
        UnreadablePageError: it is none, some of it would be lost, or it takes too much time or memory.
    """
    try:
        found = _READER.call(content.encode("utf-8", "replace"))
    except ConfinedError as error:
        raise UnreadablePageError(str(error)) from None
    if "why" in found:
        raise UnreadablePageError(found["why"])
    return Node(found["items"], 0)


def every(node: Node, *tags: str) -> Iterator[Node]:
    """All elements below a node with one of the tags, in the page's order."""
    items = node.items
    return (Node(items, at) for at in node.within if not isinstance(items[at], str) and items[at][0] in tags)


def pieces(node: Node) -> list[str]:
    """The text that is shown, piece by piece."""
    texts = (one for at in node.within if isinstance(one := node.items[at], str))
    return [text for one in texts if (text := " ".join(one.split()))]


def text_of(node: Node) -> str:
    """All of the text that is shown, one space between two pieces."""
    return " ".join(pieces(node))


def asks_for_password(page: Node) -> bool:
    """Whether the page has a field for a password."""
    return any(one.get("type").lower() == "password" for one in every(page, "input"))


def rows(table: Node) -> list[list[Node]]:
    """The cells of a table, row by row."""
    return [list(every(row, "td", "th")) for row in every(table, "tr")]


def form_of(node: Node) -> Form:
    """A form as it stands."""
    form = Form(node.get("action"), node.get("method", "get").lower(), {}, {})
    for field in every(node, "input", "select", "textarea"):
        name, kind = field.get("name"), field.get("type", "text").lower()
        if not name or kind in _NO_VALUE:
            continue
        if field.tag == "select":
            _add_select(form, name, field)
        elif kind in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(field.get("value", "on"))
            if field.has("checked"):
                form.values[name] = field.get("value", "on")
        else:
            form.values[name] = field.get("value")
    return form


def _add_select(form: Form, name: str, field: Node) -> None:
    options = {one: one.get("value", text_of(one)) for one in every(field, "option")}
    chosen = [value for one, value in options.items() if one.has("selected")]
    form.choices[name] = list(options.values())
    form.values[name] = (chosen or form.choices[name] or [""])[0]
