"""Rewrites what is stored under the newest key while the fleet is at work: credentials, files, browser profiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from pdpp_worker.browser import profile_forms
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.owner import audit
from pdpp_worker.owner.lookup import list_all
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, edits
from pdpp_worker.store.engine import Database
from pdpp_worker.stored_files import resealing


@dataclass
class Rotated:
    """Outcome of a rotation."""

    rewritten: int = 0
    """Credentials, or files, that are sealed under the newest key since."""
    left: list[str] = field(default_factory=list)
    """Sentences about those that cannot be opened, and so stay as they are."""


def rotate(db: Database, vault: Vault) -> Rotated:
    """Rewrite the credentials of each connection in a transaction of its own; a second call goes on where one ended."""
    outcome = Rotated()
    with db.begin() as connection:
        known = [row.id for row in list_all(connection)]
    for connection_id in known:
        count, left = db.transact(partial(_rotate_one, vault=vault, connection_id=connection_id))
        outcome.rewritten += count
        outcome.left += left
    return outcome


def rotate_files(settings: Settings, *, decrypt: bool = False) -> Rotated:
    """Bring this host's files and browser profiles to the form that the settings ask for; a second call goes on.

    Under the newest key; with `decrypt` back into the clear.

    Raises:
        ConfigurationError: they are to be decrypted, and the settings say that they are to be encrypted.
    """
    if decrypt:
        files, profiles = resealing.open_all(settings), profile_forms.open_all(settings)
    else:
        files, profiles = resealing.reseal(settings), profile_forms.reseal(settings)
    return Rotated(files.rewritten + profiles.rewritten, files.left + profiles.left)


def _rotate_one(connection: Connection, vault: Vault, connection_id: int) -> tuple[int, list[str]]:
    try:
        connections.lock(connection, connection_id)
    except NotFoundError:  # it was removed meanwhile
        return 0, []
    row = connections.by_id(connection, connection_id)
    renewed: dict[str, str] = {}
    left: list[str] = []
    for name, stored in sorted(row.credentials.items()):
        try:
            fresh = vault.renew(Place(row.connector, row.name, name), stored)
        except ConfigurationError as error:
            left.append(f"{row.name}: {error}")
        else:
            renewed |= {} if fresh is None else {name: fresh}
    if renewed:
        edits.rewrite_credentials(connection, row.id, renewed)
        audit.note(connection, "credentials.rotate", row, credentials=list(renewed))
    return len(renewed), left
