"""The text of an HTML page, as a person reads it.

The parser reports each element to a target and builds no tree: the libraries that turn HTML into text build one first,
and lose all text below 256 levels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lxml import etree

_BLOCKS = frozenset(
    {"p", "div", "br", "tr", "li", "table", "ul", "ol", "blockquote", "pre", "hr", "dt", "dd", "section", "article"}
    | {"header", "footer", "main", "nav", "aside", "figure", "figcaption", "caption", "address", "option"}
    | {f"h{n}" for n in range(1, 7)}
)
_CELLS = frozenset({"td", "th"})
_UNSEEN = frozenset({"script", "style", "head", "title", "template"})


def html_text(html: bytes) -> str:
    """The text that a page in UTF-8 shows, a line for each block; a broken page is read as far as it goes."""
    target = _Shown()
    parser = etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True)
    parser.feed(html)
    text: str = parser.close()
    lines = (" ".join(line.split()) for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Shown:
    """Collects the text outside of elements that are not shown."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._unseen: list[str] = []

    def start(self, tag: str, _attributes: Mapping[str, str]) -> None:
        if tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag == "body":
            self._unseen.clear()
        elif tag in _BLOCKS:
            self._found.append("\n")
        elif tag in _CELLS:
            self._found.append(" ")

    def end(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif tag in _BLOCKS:
            self._found.append("\n")

    def data(self, text: str) -> None:
        if not self._unseen:
            self._found.append(text)

    def comment(self, _text: str) -> None:
        """Comments are not shown."""

    def close(self) -> str:
        return "".join(self._found)
