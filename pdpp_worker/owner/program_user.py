"""Tells as whom the programs of connections run, and what they can read therefore."""

from __future__ import annotations

from pdpp_worker import registry
from pdpp_worker.command.connector_user import accounts
from pdpp_worker.command.environment import command_line
from pdpp_worker.command.separation import Needs, separation
from pdpp_worker.errors import ConfigurationError, UpstreamError
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.registry import CommandConnector
from pdpp_worker.settings import Settings
from pdpp_worker.stored_files.connection_files import files_dir

_APART = "pdpp-worker connection set"


def program_of(row: ConnectionRow) -> CommandConnector | None:
    """The connection's connector, if it is a program."""
    found = registry.all_connectors().get(row.connector)
    return found if isinstance(found, CommandConnector) else None


def runs_as(settings: Settings, row: ConnectionRow, connector: CommandConnector) -> str:
    """A sentence for the owner about the user that the connection's program runs as.

    Raises:
        ConfigurationError: it cannot be run as that user.
    """
    manifest, folder = connector.manifest, connector.folder
    values = {name: row.settings.get(name, spec.default) for name, spec in manifest.settings.items()}
    files = files_dir(settings, row.id, row.name)
    try:
        command = command_line(manifest, folder, settings.platform_environment())
    except UpstreamError as error:
        raise ConfigurationError(str(error)) from None
    found = separation(settings, Needs(manifest, folder, command, values, files), as_fleet_user=row.as_fleet_user)
    if found.accounts:
        return "runs as a user of its own" + (
            f"; say so for good: {_APART} {row.name} --own-user" if row.as_fleet_user else ""
        )
    if row.as_fleet_user and accounts(settings):
        why = f"since {found.why_not}. Let others read that, then: {_APART} {row.name} --own-user"
        return f"MAY READ EVERYTHING: it runs as the fleet's user, {why}"
    return f"runs as the fleet's user, and reads all that this user may, since {found.why_not}"
