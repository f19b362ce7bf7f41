"""Signs in, by a password or a token, as the server offers it."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import SecretStr

from connectors.gmail.client import Client
from connectors.gmail.errors import APP_PASSWORD, RefusedError, code_of, quoted, typed, words_of
from pdpp_worker.connector import AuthExpired, ConfigurationError, ProviderError

_GOOGLE_FORM = re.compile(r"[a-z]{4}( [a-z]{4}){3}")
"""An app password as Google shows it; the spaces are no part of it."""

_SERVERS_OWN = ("INUSE", "SERVERBUG")
"""Codes of a refusal that is no judgement of the credentials, and passes with time (RFC 5530)."""

SignIn = Callable[[Client, str], None]
"""Signs a user in on a connection."""


def credentials(settings: Mapping[str, Any], secret: Callable[[str], SecretStr]) -> tuple[str, SignIn]:
    """The user, and the way to sign in.

    Raises:
        AuthExpired: no password or token is set.
        ConfigurationError: the user is not set.
    """
    user = settings.get("user")
    if not user:
        raise ConfigurationError("The setting user is missing; set it to the address of the account.")
    with suppress(AuthExpired):
        token = secret("oauth_token").get_secret_value()
        return str(user), lambda client, name: client.sign_in("XOAUTH2", _bearer(name, token))
    password = secret("password").get_secret_value()
    if _GOOGLE_FORM.fullmatch(password):
        password = password.replace(" ", "")
    return str(user), lambda client, name: _by_password(client, name, password)


def sign_in(client: Client, user: str, way: SignIn) -> None:
    """Sign in; raises a ProviderError where the server refuses it."""
    try:
        way(client, user)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        said = words_of(error)
        raise typed(said, "signing in") or _refusal(said) from None
    except UnicodeError:
        raise AuthExpired("the user or password has characters that this server cannot be told") from None


def _refusal(said: str) -> ProviderError:
    """The outcome of a refusal whose words tell no more: of the credentials, or of the server's own trouble."""
    sentence = f"signing in: {quoted(said)}"
    return RefusedError(sentence) if code_of(said) in _SERVERS_OWN else AuthExpired(f"{sentence}; {APP_PASSWORD}")


def _by_password(client: Client, user: str, password: str) -> None:
    offered = client.offered
    if "AUTH=PLAIN" in offered:
        client.sign_in("PLAIN", lambda _: f"\0{user}\0{password}")
    elif "LOGINDISABLED" in offered:
        raise ConfigurationError("The server takes no password on this connection; set tls to tls or starttls.")
    else:
        client.sign_in_by_login(user, password)


def _bearer(user: str, token: str) -> Callable[[bytes], str]:
    # A challenge after the first answer holds the reason of a refusal; an empty line lets the server end it.
    return lambda challenge: "" if challenge else f"user={user}\1auth=Bearer {token}\1\1"
