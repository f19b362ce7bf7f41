"""The pages of the documentation, and the command lines that stand in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_HOLE = re.compile(r"[…\[\]]|\.\.\.")


@dataclass(frozen=True)
class Line:
    """One command line of a page, as words."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """The words of the command itself, without redirections and what follows a pipe."""
        words = shlex.split(self.text, comments=True)
        ends = [place for place, word in enumerate(words) if word in ("|", ">", "&&", "<")]
        return words[: min(ends, default=len(words))]


def name(page: Path) -> str:
    """A page by its path in the repository."""
    return str(page.relative_to(ROOT))


def text(page: Path) -> str:
    """The text of a page."""
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _BLOCK.sub("", text(page))


def quoted(page: Path) -> list[str]:
    """The words that a page sets as code within its sentences."""
    return _INLINE.findall(prose(page))


def console_lines() -> list[Line]:
    """Every line after a `$` in a block `console`, with its continuations."""
    return [
        Line(name(page), line[2:])
        for page in PAGES
        for language, block in _BLOCK.findall(text(page))
        if language == "console"
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ ")
    ]


def inline_lines(program: str) -> list[Line]:
    """Every call of a program that stands in a sentence; those with a hole, such as `…`, are left out."""
    return [
        Line(name(page), quote)
        for page in PAGES
        for quote in quoted(page)
        if quote.startswith(f"{program} ") and not _HOLE.search(quote)
    ]
