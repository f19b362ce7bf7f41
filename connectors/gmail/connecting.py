"""Connects to a server as the settings say: with TLS, with STARTTLS, or in the clear on this machine."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from typing import Any

from connectors.gmail.client import Client
from pdpp_worker.connector import ConfigurationError


def connected(settings: Mapping[str, Any]) -> Client:
    """A new connection, greeted by the server.

    Raises:
        ConfigurationError: the settings name no server that may be asked.
    """
    host, mode = str(settings["host"]), str(settings["tls"])
    if mode not in ("tls", "starttls", "plain"):
        raise ConfigurationError(f"The setting tls is {mode!r}; it must be tls, starttls or plain.")
    if mode == "plain" and not _is_loopback(host):
        raise ConfigurationError(f"tls=plain would send the password in the clear to {host}; use tls or starttls.")
    context = _trust(settings.get("ca_file")) if mode == "tls" else None
    return Client(host, settings["port"], ssl=mode == "tls", ssl_context=context, timeout=settings["timeout_s"])


def secure(client: Client, settings: Mapping[str, Any]) -> None:
    """Go on encrypted, where the settings ask for STARTTLS."""
    if settings["tls"] == "starttls":
        client.starttls(_trust(settings.get("ca_file")))


def _trust(ca_file: Any) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise ConfigurationError(f"The certificates in {ca_file} cannot be read ({error.strerror}).") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
