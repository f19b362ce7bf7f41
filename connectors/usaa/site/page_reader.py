"""Reads a web page in the child process: its elements and the texts that it shows, in the page's order."""

from __future__ import annotations

from typing import Any

from lxml import etree, html

_MOST = 500_000
"""Elements and texts of a page that is read."""
_DEEPEST = 250
"""Levels of elements; those who look at a table look at all that is below it, level by level."""
_HIDDEN = frozenset(("script", "style", "template", "noscript"))


class _TooMuchError(Exception):
    """A page that has more than is read; says what."""


def items_of(content: bytes) -> dict[str, Any]:
    """The `items` of a page in UTF-8, or `why` there are none.

    An element is its tag, its attributes, and the index at which the items within it end; a text is a text.
    """
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        page = html.document_fromstring(content, parser=parser)
    except etree.ParserError as error:
        return {"why": str(error)}
    if any(one.type_name == "ERR_RESOURCE_LIMIT" for one in parser.error_log):
        return {"why": "it is nested too deeply"}
    try:
        return {"items": _items(page)}
    except _TooMuchError as error:
        return {"why": str(error)}


def _items(page: html.HtmlElement) -> list[Any]:
    items: list[Any] = []
    open_ones: list[list[Any]] = []
    hidden = 0
    for event, node in etree.iterwalk(page, events=("start", "end", "comment", "pi")):
        is_hiding = node.tag in _HIDDEN
        if event == "start":
            hidden += is_hiding
            open_ones.append([node.tag, dict(node.attrib), 0])
            items.append(open_ones[-1])
            text = node.text
        else:
            if event == "end":
                hidden -= is_hiding
                open_ones.pop()[2] = len(items)
            text = node.tail if open_ones else None
        if text and not hidden:
            items.append(text)
        _check(len(items), len(open_ones))
    return items


def _check(items: int, levels: int) -> None:
    if items > _MOST:
        raise _TooMuchError(f"it has more than {_MOST} elements and texts")
    if levels > _DEEPEST:
        raise _TooMuchError("it is nested too deeply")
