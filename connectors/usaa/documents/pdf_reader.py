"""Reads a PDF in the child process: its lines of placed words, page by page; memory does not grow with the pages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pdfplumber
from pdfminer.pdfdocument import PDFPasswordIncorrect
from pdfplumber.utils.exceptions import PdfminerException

MAX_PAGES = 300
MAX_WORDS = 300_000
_SAME_LINE_PT = 3.0

_Row = tuple[int, float, float, list[tuple[str, float, float]]]
"""A line: its page, top and height, and its words, each with its left and right end; points."""


class _TooLongError(Exception):
    """A PDF that has more than is read."""


def lines_of(content: bytes) -> dict[str, Any]:
    """The `lines` and the number of `pages`; or `why` there are none, and `is_damaged`."""
    try:
        return _read(content)
    except MemoryError:
        raise  # the limit of the process
    except _TooLongError as error:
        return {"why": str(error), "is_damaged": False}
    except (PdfminerException, PDFPasswordIncorrect) as error:
        return {"why": _translated(error), "is_damaged": True}
    except Exception as error:  # noqa: BLE001 - a damaged PDF makes the reader fail in any way at all
        return {"why": f"the PDF is damaged ({type(error).__name__})", "is_damaged": True}


def _read(content: bytes) -> dict[str, Any]:
    lines: list[_Row] = []
    words = 0
    with pdfplumber.open(io.BytesIO(content)) as pdf:
        pages = len(pdf.pages)
        if pages > MAX_PAGES:
            raise _TooLongError(f"the PDF has {pages} pages; at most {MAX_PAGES} are read")
        for number, page in enumerate(pdf.pages):
            found = list(_lines(number, page))
            page.close()
            lines += found
            words += sum(len(line[3]) for line in found)
            if words > MAX_WORDS:
                raise _TooLongError(f"the PDF has more than {MAX_WORDS} words")
    return {"pages": pages, "lines": lines}


def _translated(error: Exception) -> str:
    inner = error.args[0] if error.args else error
    if isinstance(inner, MemoryError):
        raise inner
    if isinstance(error, PDFPasswordIncorrect) or isinstance(inner, PDFPasswordIncorrect):
        return "the PDF is locked by a password; save a copy without one"
    return f"the PDF is damaged ({type(inner).__name__})"


def _lines(number: int, page: pdfplumber.page.Page) -> Iterator[_Row]:
    words = page.extract_words(x_tolerance_ratio=0.2, y_tolerance=_SAME_LINE_PT, keep_blank_chars=False)
    row: list[dict[str, float]] = []
    for word in sorted(words, key=lambda one: (one["top"], one["x0"])):
        if row and word["top"] - row[0]["top"] > _SAME_LINE_PT:
            yield _line(number, row)
            row = []
        row.append(word)
    if row:
        yield _line(number, row)


def _line(number: int, row: list[dict[str, float]]) -> _Row:
    ordered = sorted(row, key=lambda one: one["x0"])
    words = [(str(one["text"]), one["x0"], one["x1"]) for one in ordered]
    top = min(one["top"] for one in row)
    return number, top, max(one["bottom"] for one in row) - top, words
