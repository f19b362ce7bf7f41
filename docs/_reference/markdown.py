"""Markdown from names, texts and types."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar or a line break in a cell cannot end it."""
    lines = [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def code(text: object) -> str:
    """Text as code; empty stays empty."""
    return f"`{text}`" if text not in ("", None) else ""


def field_docs(cls: type) -> dict[str, str]:
    """Field to the text that stands below it in the source of a class."""
    parts = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls))))
    return documented(next(part for part in parts if isinstance(part, ast.ClassDef)))


def documented(node: ast.ClassDef) -> dict[str, str]:
    """Field to the text that stands below it; empty where there is none. Base classes are not read."""
    found: dict[str, str] = {}
    last = None
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            last = part.target.id
            found[last] = ""
        elif last and isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant):
            found[last] = " ".join(str(part.value.value).split())
    return found
