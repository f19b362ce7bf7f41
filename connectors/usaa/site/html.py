"""A web page as a tree, the text that it shows, and the values that a form would send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree, html

Node = Any
"""An element of a page (`lxml.html.HtmlElement`)."""

_SHOWN = etree.XPath(
    "descendant::text()[not(ancestor::script or ancestor::style or ancestor::template or ancestor::noscript)]"
)
_NO_VALUE = frozenset(("submit", "button", "reset", "file", "image"))


class UnreadablePageError(Exception):
    """A page that holds no element, or nests them so deeply that a part of it would be lost."""


@dataclass(frozen=True, slots=True)
class Form:
    """The values that a form would send, and where to."""

    action: str
    method: str
    values: dict[str, str]
    choices: dict[str, list[str]]
    """The values that a choice has, by its name."""


def parse(content: str) -> Node:
    """A page as a tree; a broken page gives whatever can be made of it.

    Raises:
        UnreadablePageError: it is none, or some of it would be lost.
    """
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        page = html.document_fromstring(content.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError as error:
        raise UnreadablePageError(str(error)) from None
    if any(one.type_name == "ERR_RESOURCE_LIMIT" for one in parser.error_log):
        raise UnreadablePageError("it is nested too deeply")
    return page


def every(node: Node, *tags: str) -> Iterator[Node]:
    """All elements below a node with one of the tags, in the page's order."""
    return iter(node.iterdescendants(*tags))


def pieces(node: Node) -> list[str]:
    """The text that is shown, piece by piece."""
    return [text for one in _SHOWN(node) if (text := " ".join(one.split()))]


def text_of(node: Node) -> str:
    """All of the text that is shown, one space between two pieces."""
    return " ".join(pieces(node))


def asks_for_password(page: Node) -> bool:
    """Whether the page has a field for a password."""
    return any(one.get("type", "").lower() == "password" for one in every(page, "input"))


def rows(table: Node) -> list[list[Node]]:
    """The cells of a table, row by row."""
    return [list(every(row, "td", "th")) for row in every(table, "tr")]


def form_of(node: Node) -> Form:
    """A form as it stands."""
    form = Form(node.get("action", ""), node.get("method", "get").lower(), {}, {})
    for field in every(node, "input", "select", "textarea"):
        name, kind = field.get("name", ""), field.get("type", "text").lower()
        if not name or kind in _NO_VALUE:
            continue
        if field.tag == "select":
            _add_select(form, name, field)
        elif kind in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(field.get("value", "on"))
            if field.get("checked") is not None:
                form.values[name] = field.get("value", "on")
        else:
            form.values[name] = field.get("value", "")
    return form


def _add_select(form: Form, name: str, field: Node) -> None:
    options = {one: one.get("value", text_of(one)) for one in every(field, "option")}
    chosen = [value for one, value in options.items() if one.get("selected") is not None]
    form.choices[name] = list(options.values())
    form.values[name] = (chosen or form.choices[name] or [""])[0]
