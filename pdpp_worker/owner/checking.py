"""Checks an account before it is stored, or as it is: tells what its credentials and settings reach."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdpp_worker import registry
from pdpp_worker.command.connector_user import NoOtherUserError
from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.local import endpoints
from pdpp_worker.logs import get_logger
from pdpp_worker.owner import program_user
from pdpp_worker.owner.session import Database
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Place, Redactor, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import accounts
from pdpp_worker.store.connections import ConnectionRow

if TYPE_CHECKING:  # named, not used: most commands check nothing
    from pdpp_worker.connector import Check, Reached

NOT_STORED = 0
"""The id of a connection that is not stored."""
_PATHS = ("path", "file")


class Finding(StrEnum):
    """The end of a check."""

    REACHED = "reached"
    REFUSED = "refused"
    UNTRIED = "untried"
    """It cannot be tried before the first run, or before the owner has signed in."""


@dataclass(frozen=True)
class Checked:
    """The outcome of a check; `said` is a sentence for the owner, without any secret."""

    finding: Finding
    said: str
    account: str | None = None
    """Whose it is, as the source tells."""
    holds: Mapping[str, int | None] = field(default_factory=dict)
    """Name of a part to how many there are; None: the source does not say."""


def draft(
    name: str,
    connector: str,
    settings: Mapping[str, Any],
    credentials: Mapping[str, str],
    min_interval_ms: float | None = None,
    *,
    as_fleet_user: bool = False,
) -> ConnectionRow:
    """A connection that is not stored, to be checked; credentials are in their stored form."""
    given = (dict(settings), dict(credentials), min_interval_ms)
    return ConnectionRow(NOT_STORED, name, connector, *given, datetime.now(UTC), as_fleet_user=as_fleet_user)


def changed(row: ConnectionRow, settings: Mapping[str, Any], credentials: Mapping[str, str]) -> ConnectionRow:
    """A stored connection with other settings and some other credentials, to be checked."""
    return replace(row, settings=dict(settings), credentials={**row.credentials, **credentials})


def check(settings: Settings, db: Database, row: ConnectionRow) -> Checked:
    """Try the account once, paced and for a bounded time. Nothing is stored, and no record is collected.

    Raises:
        NotFoundError: its connector is not installed.
    """
    connector = registry.get(row.connector)
    try:
        _require_credentials(connector.manifest, row)
        tried = connector.check()
        if tried is None:
            _require_paths(connector.manifest, row)
            _require_user(settings, row)
            return Checked(Finding.UNTRIED, "It cannot be tried before its first run: its connector has no check.")
        _require_readable(settings, row)
    except ConfigurationError as error:
        return Checked(Finding.REFUSED, _sentence(str(error)))
    return _try(settings, db, row, connector.manifest, tried)


def _try(settings: Settings, db: Database, row: ConnectionRow, manifest: Manifest, tried: Check) -> Checked:
    from pdpp_worker.pacing.bucket import connect
    from pdpp_worker.runtime.trial import NotSignedInError, Trial

    redactor = Redactor()
    try:
        url = endpoints.resolve(settings).redis_url.get_secret_value()
        with connect(url, settings.broker_timeout_s) as redis:
            found = Trial(settings, db, redis, row, manifest, redactor).run(tried)
        return _reached(found, redactor, _other(db, row, found))
    except NotSignedInError:
        how = f"pdpp-worker connection login {row.name}"
        return Checked(Finding.UNTRIED, f"It cannot be tried before you have signed in: {how}")
    except NoOtherUserError:
        return Checked(Finding.UNTRIED, "It cannot be tried here, where no program may have a user of its own.")
    except PdppError as error:
        return Checked(Finding.REFUSED, _sentence(redactor(str(error))))
    except Exception as error:  # noqa: BLE001 - a connector's fault is an outcome; its words may hold what it read
        get_logger().warning("a check failed", connector=manifest.name, error=type(error).__name__)
        return Checked(Finding.REFUSED, f"The connector's check failed ({type(error).__name__}).")


def _other(db: Database, row: ConnectionRow, found: Reached) -> str:
    """A sentence where the source is signed in to another account than the connection's own."""
    with db.begin() as connection:
        own = accounts.known(connection, row.id)
    if own is None or found.account is None or own.identity == found.account.identity:
        return ""
    return f" {row.name} reads {own}: a run would stop, and ask for your word."


def _reached(found: Reached, redactor: Redactor, other: str) -> Checked:
    account = None if found.account is None else redactor(found.account.label or found.account.identity)
    counts = [name if count is None else f"{count:,} {name}" for name, count in found.holds.items()]
    parts = [*([account] if account else []), *([", ".join(counts)] if counts else [])]
    remark = f" {redactor(found.remark)}" if found.remark else ""
    return Checked(
        Finding.REACHED, f"It reaches {': '.join(parts) or 'the source'}.{other}{remark}", account, found.holds
    )


def _require_readable(settings: Settings, row: ConnectionRow) -> None:
    """Read each credential: a connector that can do without one would not tell that it cannot be read."""
    for name, stored in row.credentials.items():
        Vault(settings).open(Place(row.connector, row.name, name), stored)


def _require_user(settings: Settings, row: ConnectionRow) -> None:
    """A program that can be run as nobody but the fleet's user asks its owner for that."""
    program = program_user.program_of(row)
    if program is not None:
        with suppress(NoOtherUserError):  # none can be had here, as in a console in a container
            program_user.runs_as(settings, row, program)


def _require_credentials(manifest: Manifest, row: ConnectionRow) -> None:
    for name, credential in manifest.credentials.items():
        if credential.required and name not in row.credentials:
            raise ConfigurationError(f"the credential {name} ({credential.title}) is needed, and was not given")


def _require_paths(manifest: Manifest, row: ConnectionRow) -> None:
    """A connector with a check of its own knows better: some make the path themselves."""
    for name, spec in manifest.settings.items():
        given = row.settings.get(name)
        if spec.type in _PATHS and given and not Path(str(given)).expanduser().exists():
            raise ConfigurationError(f"the setting {name} names {given}, which is not there")


def _sentence(text: str) -> str:
    """A failure as a sentence: with a capital letter and a full stop, unless it ends with a command."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) or "pdpp-worker " in text else ".")
