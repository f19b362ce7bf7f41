"""The text of a PDF as lines of placed words, page by page; memory does not grow with the pages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pdfplumber
from pdfminer.pdfdocument import PDFPasswordIncorrect
from pdfplumber.utils.exceptions import PdfminerException

MAX_PAGES = 300
_SAME_LINE_PT = 3.0


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
        UnreadablePdfError: it is encrypted, damaged, too long, or has no text.
    """
    if b"%%EOF" not in content[-2048:]:
        raise UnreadablePdfError("the PDF is not whole", is_damaged=True)
    try:
        with pdfplumber.open(io.BytesIO(content)) as pdf:
            pages = len(pdf.pages)
            _refuse_long(pages)
            lines: list[Line] = []
            for number, page in enumerate(pdf.pages):
                lines += _lines(number, page)
                page.close()
    except UnreadablePdfError:
        raise
    except (PdfminerException, PDFPasswordIncorrect) as error:
        raise _translated(error) from None
    except Exception as error:  # noqa: BLE001 - a damaged PDF makes the reader fail in any way at all
        raise UnreadablePdfError(f"the PDF is damaged ({type(error).__name__})", is_damaged=True) from None
    if not any(re.search(r"\w{2}", line.text) for line in lines):
        raise UnreadablePdfError("the PDF holds pictures and no text", is_damaged=False)
    return Document(lines, pages)


def _refuse_long(pages: int) -> None:
    if pages > MAX_PAGES:
        raise UnreadablePdfError(f"the PDF has {pages} pages; at most {MAX_PAGES} are read", is_damaged=False)


def _translated(error: Exception) -> UnreadablePdfError:
    inner = error.args[0] if error.args else error
    if isinstance(error, PDFPasswordIncorrect) or isinstance(inner, PDFPasswordIncorrect):
        return UnreadablePdfError("the PDF is locked by a password; save a copy without one", is_damaged=True)
    return UnreadablePdfError(f"the PDF is damaged ({type(inner).__name__})", is_damaged=True)


def _lines(number: int, page: pdfplumber.page.Page) -> Iterator[Line]:
    words = page.extract_words(x_tolerance_ratio=0.2, y_tolerance=_SAME_LINE_PT, keep_blank_chars=False)
    row: list[dict[str, float]] = []
    for word in sorted(words, key=lambda one: (one["top"], one["x0"])):
        if row and word["top"] - row[0]["top"] > _SAME_LINE_PT:
            yield _line(number, row)
            row = []
        row.append(word)
    if row:
        yield _line(number, row)


def _line(number: int, row: list[dict[str, float]]) -> Line:
    ordered = sorted(row, key=lambda one: one["x0"])
    words = tuple(Word(str(one["text"]), one["x0"], one["x1"]) for one in ordered)
    top = min(one["top"] for one in row)
    return Line(number, top, max(one["bottom"] for one in row) - top, words)
