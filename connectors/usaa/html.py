"""Just enough of a web page: its elements, their text, and what a form would send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_SILENT = frozenset(("script", "style", "template", "noscript"))


@dataclass(slots=True, eq=False)
class Node:
    """An element; children are elements and text."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    def every(self, *tags: str) -> Iterator[Node]:
        """All elements below this one with one of the tags, in the page's order."""
        stack: list[Node | str] = self.children[::-1]
        while stack:
            node = stack.pop()
            if isinstance(node, Node):
                if node.tag in tags:
                    yield node
                stack += node.children[::-1]

    def pieces(self) -> list[str]:
        """The text that is shown, piece by piece."""
        found: list[str] = []
        stack: list[Node | str] = self.children[::-1]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                if text := " ".join(node.split()):
                    found.append(text)
            elif node.tag not in _SILENT:
                stack += node.children[::-1]
        return found

    @property
    def text(self) -> str:
        """All of the text, one space between two pieces."""
        return " ".join(self.pieces())


@dataclass(frozen=True, slots=True)
class Form:
    """What a form would send, and where to."""

    action: str
    method: str
    values: dict[str, str]
    choices: dict[str, list[str]]
    """The values that a choice has, by its name."""


def parse(content: str) -> Node:
    """A page as a tree; a broken page gives whatever can be made of it."""
    builder = _Builder()
    builder.feed(content)
    builder.close()
    return builder.root


def rows(table: Node) -> list[list[Node]]:
    """The cells of a table, row by row."""
    return [list(row.every("td", "th")) for row in table.every("tr")]


def form_of(node: Node) -> Form:
    """What a form sends as it stands."""
    values: dict[str, str] = {}
    choices: dict[str, list[str]] = {}
    for one in node.every("input", "select", "textarea"):
        name, kind = one.attributes.get("name", ""), one.attributes.get("type", "text").lower()
        if not name or kind in ("submit", "button", "reset", "file", "image"):
            continue
        if one.tag == "select":
            options = [each.attributes.get("value", each.text) for each in one.every("option")]
            chosen = [
                each.attributes.get("value", each.text) for each in one.every("option") if "selected" in each.attributes
            ]
            choices[name] = options
            values[name] = (chosen or options or [""])[0]
        elif kind in ("radio", "checkbox"):
            choices.setdefault(name, []).append(one.attributes.get("value", "on"))
            if "checked" in one.attributes:
                values[name] = one.attributes.get("value", "on")
        else:
            values[name] = one.attributes.get("value", "")
    return Form(node.attributes.get("action", ""), node.attributes.get("method", "get").lower(), values, choices)


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("page")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(node)
        if tag not in _VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        if any(node.tag == tag for node in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)
