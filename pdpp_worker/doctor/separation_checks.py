"""Checks the user that the programs of connections run as, and what they can read therefore."""

from __future__ import annotations

from pdpp_worker import registry
from pdpp_worker.command.environment import command_line
from pdpp_worker.command.separation import separation
from pdpp_worker.errors import ConfigurationError, UpstreamError
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.registry import CommandConnector
from pdpp_worker.settings import Settings


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
    files = settings.data_dir / "files" / f"{row.id}-{row.name}"
    try:
        command = command_line(manifest, folder, settings.platform_environment())
    except UpstreamError as error:
        raise ConfigurationError(str(error)) from None
    found = separation(settings, manifest, folder, command, values, files)
    if found.accounts:
        return "runs as a user of its own"
    return f"runs as the fleet's user, and reads all that this user may, since {found.why_not}"
