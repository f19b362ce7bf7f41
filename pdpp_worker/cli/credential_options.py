"""Credentials on their way in: by reference, from standard input or a hidden prompt, never from the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pdpp_worker.cli.output import note
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.inert import one_line
from pdpp_worker.owner.setting_values import read_settings
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.registry import Connector
from pdpp_worker.secret_sources import is_reference
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import get_settings

if TYPE_CHECKING:
    from pdpp_worker.conformance.own_account import WithOwnAccount

FORMS = "env:VAR, file:PATH, keyring:SERVICE/USER, or - to be asked for it (or to read a line from standard input)"
_OF_NONE = "-"
"""No connection has this name."""


def read_credentials(vault: Vault, manifest: Manifest, given: Sequence[str], *, connection: str) -> dict[str, str]:
    """The stored form of the credentials in `key=source`; those that are required and not given are asked for.

    Raises:
        ConfigurationError: a credential is unknown, plain, empty or missing. The text never shows what was given.
    """
    sources: dict[str, str] = {}
    for assignment in given:
        name, equals, source = assignment.partition("=")
        if not equals:
            raise ConfigurationError(f"--secret wants key=source, where the source is {FORMS}.")
        sources[check_name(manifest, name)] = source
    for name, credential in manifest.credentials.items():
        if credential.required:
            sources.setdefault(name, "-")
    return {
        name: read_source(vault, manifest, Place(manifest.name, connection, name), source)
        for name, source in sources.items()
    }


def own_account(
    connector: Connector, *, settings: Sequence[str], secrets: Sequence[str], as_fleet_user: bool
) -> WithOwnAccount:
    """The account that these settings and credentials name, to check the connector with.

    Raises:
        ConfigurationError: one of them is unknown, wrong or missing.
    """
    from pdpp_worker.conformance.own_account import WithOwnAccount  # needs what the runtime needs

    vault, manifest = Vault(get_settings()), connector.manifest
    stored = read_credentials(vault, manifest, secrets, connection=_OF_NONE)
    opened = {
        name: vault.open(Place(manifest.name, _OF_NONE, name), value).get_secret_value()
        for name, value in stored.items()
    }
    return WithOwnAccount(connector, read_settings(manifest, settings), opened, as_fleet_user)


def check_name(manifest: Manifest, name: str) -> str:
    """The name of a credential that the manifest declares.

    Raises:
        ConfigurationError: it declares none of that name, which is not repeated: it may be a secret in the wrong place.
    """
    if name not in manifest.credentials:
        known = ", ".join(manifest.credentials) or "it has none"
        raise ConfigurationError(f"{manifest.name} has no such credential; known: {known}.")
    return name


def read_source(vault: Vault, manifest: Manifest, place: Place, source: str) -> str:
    """The stored form of one credential, for this place.

    Raises:
        ConfigurationError: the source is none, or gives nothing.
    """
    if source == "-":
        return vault.seal(_ask(f"{place.name} ({manifest.credentials[place.name].title})"), place)
    form, _, rest = source.partition(":")
    if not is_reference(source) or not rest:
        raise ConfigurationError(
            f"The credential {place.name} was given in plain text, where the shell's history and the list of processes "
            f"keep it; give {FORMS}."
        )
    reference = f"file:{Path(rest).expanduser().absolute()}" if form == "file" else source
    try:
        vault.open(place, reference)
    except ConfigurationError as error:
        note(f"Note: {error} The workers will need it.")
    return reference


def _ask(what: str) -> str:
    asked = sys.stdin.isatty()
    value = str(typer.prompt(one_line(what), hide_input=True, err=True) if asked else sys.stdin.readline()).strip()
    if not value:
        raise ConfigurationError(f"The credential {what} is needed, and nothing was given; give {FORMS}.")
    return value
