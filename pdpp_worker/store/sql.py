"""Statements as text, made into SQLAlchemy's own where its connection executes them.

Importing SQLAlchemy takes longer than all the questions of a command that only looks. A `Look` does without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from sqlalchemy import TextClause


class Statement:
    """A statement with parameters such as `:name`, and how it is executed."""

    def __init__(self, statement: str, options: dict[str, Any] | None = None) -> None:
        self.text = statement
        self._options = options or {}
        self._clause: TextClause | None = None

    @property
    def page(self) -> int:
        """So many rows are to come at a time; 0: all at once."""
        return self._options.get("yield_per", 0) if self._options.get("stream_results") else 0

    def execution_options(self, **options: Any) -> Statement:
        """The same statement, with options of SQLAlchemy for its execution."""
        return Statement(self.text, {**self._options, **options})

    def _execute_on_connection(self, connection: Any, parameters: Any, options: Any) -> Any:
        """Execute it for SQLAlchemy's connection, which calls this of anything that it is given."""
        if self._clause is None:
            from sqlalchemy import text as clause_of

            self._clause = clause_of(self.text).execution_options(**self._options)
        return self._clause._execute_on_connection(connection, parameters, options)  # noqa: SLF001 - as it calls this


def text(sql: str) -> TextClause:
    """A statement, of which SQLAlchemy hears only when its connection executes it."""
    return cast("TextClause", Statement(sql))
