"""Opens a signed-in connection to a server: the first request of a run."""

from __future__ import annotations

import imaplib
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from pydantic import SecretStr

from connectors.gmail.client import Client
from connectors.gmail.connecting import connected, secure
from connectors.gmail.exchange import ended_in_time, typed_failures
from connectors.gmail.sign_in import SignIn, credentials, sign_in


class Opened(NamedTuple):
    """A signed-in connection, and what its server can do."""

    client: Client
    capabilities: frozenset[str]

    def close(self) -> None:
        """Sign off."""
        with suppress(imaplib.IMAP4.error, OSError):
            self.client.leave()


def open_ahead(settings: Mapping[str, Any], secret: Callable[[str], SecretStr]) -> Callable[[], Opened] | None:
    """The function that connects and signs in, for the runtime; None where there is no server to read."""
    return opener(settings, secret) if settings.get("user") else None


def opener(settings: Mapping[str, Any], secret: Callable[[str], SecretStr]) -> Callable[[], Opened]:
    """The function that connects and signs in; it raises ProviderError or ConfigurationError.

    Raises:
        AuthExpired: no password or token is set.
        ConfigurationError: the user is not set.
    """
    user, way = credentials(settings, secret)
    return lambda: _opened(settings, user, way)


def _opened(settings: Mapping[str, Any], user: str, way: SignIn) -> Opened:
    made: list[Client] = []
    begun_at = time.monotonic()
    with ExitStack() as undo, typed_failures("connecting", lambda: made[0].last_words() if made else ""):
        client = connected(settings)
        made.append(client)
        undo.callback(_hang_up, client)
        with ended_in_time(client.socket(), begun_at):
            secure(client, settings)
            sign_in(client, user, way)
            capabilities = frozenset(one.decode("ascii", "replace").upper() for one in client.capabilities())
            if {"ENABLE", "CONDSTORE"} <= capabilities:
                # Some servers count changes only from here on.
                client.begin_enable("CONDSTORE")
        undo.pop_all()
    return Opened(client, capabilities)


def _hang_up(client: Client) -> None:
    with suppress(imaplib.IMAP4.error, OSError):
        client.shutdown()
