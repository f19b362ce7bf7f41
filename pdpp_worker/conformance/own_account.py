"""The owner's own account in the place of a practice account: it can be read, and neither broken nor compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from pdpp_worker.conformance.account import LivingAccount, PracticeAccount, RecordGroup
from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.registry import Connector


class OwnAccount(PracticeAccount):
    """An account by its settings and secrets. No fault can be injected, and nobody says what it holds."""

    def __init__(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self.settings = settings
        self.secrets = secrets

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

    @contextmanager
    def open_account(self) -> Iterator[PracticeAccount]:
        """The account.

        Raises:
            ConfigurationError: it is asked for over the network, which nothing paces here.
        """
        if "network" in self.connector.manifest.bindings:
            raise ConfigurationError(
                f"{self.connector.manifest.name} asks a provider over the network, and a check would ask it hundreds "
                "of times without a pause: bring a practice account, a file conformance.py beside the manifest."
            )
        yield OwnAccount(self.settings, self.secrets)

    def open_living(self, owner: int) -> AbstractContextManager[LivingAccount]:
        """Raise: nobody lies about the owner's own account.

        Raises:
            NotChecked: always.
        """
        raise NotChecked(f"Nobody lies about the account of owner {owner}, which is the owner's own.")
