"""One visit of a page or of a form: what it may look at, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from pdpp_worker.errors import NotFoundError
from pdpp_worker.owner.session import Database
from pdpp_worker.settings import Settings
from pdpp_worker.store.views.item_views import MAX_ID
from pdpp_worker.web.access import Access
from pdpp_worker.web.live import Live


@dataclass(frozen=True)
class Console:
    """The settings, the database and the access that all pages share."""

    settings: Settings
    db: Database
    access: Access
    live: Live


@dataclass(frozen=True)
class Visit:
    """A request for a page; everything that it reads is of one moment."""

    console: Console
    connection: Connection
    path: Mapping[str, Any]
    """The numbers and names in the URL's path."""
    query: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        """The fleet's settings."""
        return self.console.settings

    @property
    def id(self) -> int:
        """The number in the path."""
        return checked_id(self.path["id"])

    @property
    def stream(self) -> str:
        """The stream in the path."""
        return str(self.path["stream"])

    @property
    def named(self) -> str:
        """The text behind the name in the path.

        Raises:
            NotFoundError: the name is none of this console's.
        """
        text = self.console.access.text_of(self.path["name"])
        if text is None:
            raise NotFoundError("There is no such record.")
        return text

    def text(self, name: str) -> str | None:
        """A filter of the query; None: it is empty or not there."""
        return self.query.get(name, "").strip() or None

    def number(self, name: str) -> int | None:
        """A filter of the query that is a number; None: it is not there, or none."""
        text = self.text(name)
        return int(text) if text is not None and _is_number(text) and int(text) <= MAX_ID else None


def _is_number(text: str) -> bool:
    """Whether a text is a number that can be a row's, or a little larger."""
    return text.isdecimal() and len(text) <= len(str(MAX_ID))


def checked_id(number: int) -> int:
    """A number that can be a row's.

    Raises:
        NotFoundError: no row has such a number.
    """
    if number > MAX_ID:
        raise NotFoundError(f"There is nothing with the number {number}.")
    return number


@dataclass(frozen=True)
class Page:
    """A page: the document that its JSON is, and what its HTML shows beside that."""

    template: str
    document: Any
    shown: Mapping[str, Any] = field(default_factory=dict)
    foreign: str | None = None
    """HTML that is shown instead of a template: it came from others, and is locked in."""
    status: int = 200


@dataclass(frozen=True)
class Form:
    """A form that was sent: the numbers in its path, and its fields."""

    console: Console
    path: Mapping[str, Any]
    fields: Mapping[str, list[str]]

    @property
    def id(self) -> int:
        """The number in the path."""
        return checked_id(self.path["id"])

    def text(self, name: str) -> str:
        """The one value of a field; empty: it was not filled in."""
        return next(iter(self.fields.get(name, [])), "").strip()

    def numbers(self, name: str) -> list[int]:
        """The values of a field that are numbers."""
        return [checked_id(int(text)) for text in self.fields.get(name, []) if _is_number(text)]


@dataclass(frozen=True)
class Done:
    """The outcome of a form: the page to go to, and a sentence for it."""

    back: str
    said: str


Shows = Callable[[Visit], Page]
Acts = Callable[[Form], Done | Page]
"""A form leads to a page, or is answered with one: it only asked, or was not accepted."""
