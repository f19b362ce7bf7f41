"""The workspaces of the user: the personal one, and those of teams and organisations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from connectors.chatgpt.fields import identity
from pdpp_worker.connector import AuthExpired, Forbidden, ShapeError
from pdpp_worker.connector.json_fields import table, text

FORBIDDEN = 403
DEFAULT = "default"
"""The entry that repeats the session's own workspace."""


@dataclass(frozen=True)
class Workspace:
    """A workspace beside the session's own."""

    id: str
    name: str
    is_active: bool = True


def workspaces_of(answer: Any, own: str | None) -> list[Workspace]:
    """The workspaces that an answer names, but for the session's own, which is `own` where the token tells it."""
    accounts = table(answer).get("accounts")
    if not isinstance(accounts, dict):
        raise ShapeError("the answer names no workspaces")
    own = own or text(_account(accounts.get(DEFAULT)).get("account_id"))
    others = [key for key in accounts if key not in (DEFAULT, own) and identity(key) is not None]
    if own is None and len(others) == 1:
        return []
    return [_workspace(key, _account(accounts[key])) for key in others]


@contextmanager
def as_forbidden(text_of_refusal: str) -> Iterator[None]:
    """A 403 inside is about what is asked for, and not about the sign-in."""
    try:
        yield
    except AuthExpired as error:
        if error.status != FORBIDDEN:
            raise
        raise Forbidden(text_of_refusal, status=error.status) from error


def _account(entry: Any) -> dict[str, Any]:
    return table(table(entry).get("account"))


def _workspace(key: str, account: dict[str, Any]) -> Workspace:
    name = text(account.get("name")) or text(account.get("structure")) or key
    return Workspace(key, name, is_active=account.get("is_deactivated") is not True)
