"""The owner's own account in the place of a practice account: it can be read, and neither broken nor compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from pdpp_worker.command.environment import command_line
from pdpp_worker.command.separation import Needs, separation
from pdpp_worker.conformance.account import LivingAccount, PracticeAccount, RecordGroup
from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.errors import ConfigurationError, UpstreamError
from pdpp_worker.registry import CommandConnector, Connector
from pdpp_worker.runtime.connection_values import with_defaults
from pdpp_worker.settings import get_settings


class OwnAccount(PracticeAccount):
    """An account by its settings and secrets. No fault can be injected, and nobody says what it holds."""

    def __init__(self, settings: Mapping[str, Any], secrets: Mapping[str, str], *, as_fleet_user: bool = False) -> None:
        self.settings = settings
        self.secrets = secrets
        self.as_fleet_user = as_fleet_user

    def expected_records(self) -> Sequence[RecordGroup]:
        """Raise: nobody knows them.

        Raises:
            NotChecked: always.
        """
        raise NotChecked("Nobody says what the owner's own account holds; a practice account does.")


@dataclass(frozen=True)
class WithOwnAccount:
    """A connector and an account that was named on the command line."""

    connector: Connector
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    as_fleet_user: bool = False
    """Whether its program may run as this user where another cannot run it."""

    @contextmanager
    def open_account(self) -> Iterator[PracticeAccount]:
        """The account.

        Raises:
            ConfigurationError: it is asked for over the network, which nothing paces here; or no user of its own can
                run its program.
        """
        if "network" in self.connector.manifest.bindings:
            raise ConfigurationError(
                f"{self.connector.manifest.name} asks a provider over the network, and a check would ask it hundreds "
                "of times without a pause: bring a practice account, a file conformance.py beside the manifest."
            )
        _require_user(self.connector, self.settings, as_fleet_user=self.as_fleet_user)
        yield OwnAccount(self.settings, self.secrets, as_fleet_user=self.as_fleet_user)

    def open_living(self, owner: int) -> AbstractContextManager[LivingAccount]:
        """Raise: nobody lies about the owner's own account.

        Raises:
            NotChecked: always.
        """
        raise NotChecked(f"Nobody lies about the account of owner {owner}, which is the owner's own.")


def _require_user(connector: Connector, given: Mapping[str, Any], *, as_fleet_user: bool) -> None:
    """See at once whether a program can be run as another user, or may be run as this one.

    Raises:
        ConfigurationError: neither; or it is not there.
    """
    if not isinstance(connector, CommandConnector):
        return
    settings, manifest = get_settings(), connector.manifest
    try:
        command = command_line(manifest, connector.folder, settings.platform_environment())
    except UpstreamError as error:
        raise ConfigurationError(str(error)) from None
    values = with_defaults(manifest.settings, given)
    needs = Needs(manifest, connector.folder, command, values, Path(gettempdir()))
    separation(settings, needs, as_fleet_user=as_fleet_user)
