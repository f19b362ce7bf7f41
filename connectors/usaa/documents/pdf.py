"""The text of a PDF as lines of placed words. A child process takes it out, within limits of time and memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pdpp_worker.connector import ConfinedError, Room

_READER = Room("connectors.usaa.documents.pdf_reader:lines_of")


class UnreadablePdfError(Exception):
    """A PDF whose text cannot be had; `is_damaged` where another copy of the file may do."""

    def __init__(self, why: str, *, is_damaged: bool) -> None:
        super().__init__(why)
        self.is_damaged = is_damaged


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it stands, points from the left edge."""

    text: str
    x0: float
    x1: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page, its words from left to right; `top` is points from the page's upper edge."""

    page: int
    top: float
    height: float
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words, one space between two."""
        return " ".join(word.text for word in self.words)

    @property
    def x0(self) -> float:
        """The left end of the line."""
        return self.words[0].x0


@dataclass(frozen=True, slots=True)
class Document:
    """The lines of a PDF and the number of its pages."""

    lines: list[Line]
    pages: int

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(line.text for line in self.lines)


def read_pdf(content: bytes) -> Document:
    """Take the text out of a PDF.

    Raises:
        UnreadablePdfError: it is encrypted, damaged, too long, or has no text; or it took too much time or memory.
    """
    if b"%%EOF" not in content[-2048:]:
        raise UnreadablePdfError("the PDF is not whole", is_damaged=True)
    try:
        found = _READER.call(content)
    except ConfinedError as error:
        raise UnreadablePdfError(f"the PDF is not read: {error}", is_damaged=False) from None
    if "why" in found:
        raise UnreadablePdfError(found["why"], is_damaged=found["is_damaged"])
    lines = [Line(page, top, height, tuple(Word(*one) for one in words)) for page, top, height, words in found["lines"]]
    if not any(re.search(r"\w{2}", line.text) for line in lines):
        raise UnreadablePdfError("the PDF holds pictures and no text", is_damaged=False)
    return Document(lines, found["pages"])
