"""The checks of `doctor`: each looks at one thing, and says what to do about it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import SecretStr
from redis.exceptions import RedisError

from pdpp_worker import registry
from pdpp_worker.added.tools import check_tools
from pdpp_worker.browser import launch
from pdpp_worker.coverage import outlook
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.phrases import obstacles
from pdpp_worker.data_dirs import other_data_dirs
from pdpp_worker.doctor.file_checks import stored_files
from pdpp_worker.doctor.workers import START_THE_FLEET, served_queues, starts_on_request
from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.local.embedded import make_directory
from pdpp_worker.local.endpoints import Endpoints, resolve
from pdpp_worker.notices import sending
from pdpp_worker.owner import lookup, program_user, removal, schema
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.session import Database
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import Settings, connectors_with_ceilings, unknown_variables
from pdpp_worker.store.views import event_views
from pdpp_worker.store.views.event_views import StuckThreads

POSTGRES, REDIS = (14, 0), (6, 2)
"""Oldest versions that will do."""
FREE_BYTES = 1_000_000_000
_REMOVAL_S = 2.0


@dataclass(frozen=True)
class Check:
    """Result of a check: the thing looked at, whether it will do, and the finding or what to do about it."""

    what: str
    ok: bool
    found: str


Look = Callable[[], str]
"""Returns the finding; raises PdppError, saying what to do, when that will not do."""


def all_checks(settings: Settings) -> Iterator[Check]:
    """Run the checks one by one; those of a server that is out of reach are left out."""
    yield _check("settings", lambda: _ceilings(settings))
    yield _check("data directory", lambda: _data_directory(settings))
    yield _check("disk space", lambda: _disk_space(settings))
    if settings.encrypt_files:
        yield _check("stored files", lambda: stored_files(settings))
    if (urls := settings.notify_url) is not None:
        yield _check("notices", lambda: _notices(urls))
    yield from _all_of("connectors", _connector_checks())
    yield from _all_of("servers", _server_checks(settings))


def _notices(urls: SecretStr) -> str:
    sending.check(urls)
    return "apprise knows the addresses; send a trial with: pdpp-worker notify"


def _server_checks(settings: Settings) -> Iterator[Check]:
    servers = resolve(settings)
    db = Database(servers.database_url.get_secret_value())
    try:
        yield from _all_of("database", _database_checks(settings, db))
    finally:
        db.close()
    yield _check("Redis", lambda: _redis(settings, servers))
    yield _check("workers", partial(_workers, settings))


def _check(what: str, look: Look) -> Check:
    try:
        return Check(what, True, look())
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the other things are looked at too
        return Check(what, False, _in_a_line(error))


def _all_of(what: str, checks: Iterator[Check]) -> Iterator[Check]:
    """These checks, as far as they can be made."""
    try:
        yield from checks
    except Exception as error:  # noqa: BLE001 - as above
        yield Check(what, False, _in_a_line(error))


def _in_a_line(error: Exception) -> str:
    return str(error) if isinstance(error, PdppError) else f"{type(error).__name__}: {error}".partition("\n")[0]


def _ceilings(settings: Settings) -> str:
    registry.check_ceilings(settings)
    installed = {name.upper() for name in registry.all_connectors()}
    unused = [name for name in connectors_with_ceilings() if name not in installed]
    return f"readable; no connector is installed for the ceiling of {', '.join(unused)}" if unused else "readable"


def _data_directory(settings: Settings) -> str:
    try:
        make_directory(settings.data_dir)
        with tempfile.TemporaryFile(dir=settings.data_dir):
            others = ", ".join(map(str, other_data_dirs(settings.data_dir)))
            return (
                f"{settings.data_dir}; there is data of other places too: {others}"
                if others
                else str(settings.data_dir)
            )
    except OSError as error:
        raise ConfigurationError(
            f"{settings.data_dir} cannot be written ({error.strerror}); set PDPP_DATA_DIR to a directory that can."
        ) from None


def _disk_space(settings: Settings) -> str:
    there = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < FREE_BYTES:
        raise ConfigurationError(f"Only {free / 1e9:.1f} GB are free in {there}; make room.")
    return f"{free / 1e9:.0f} GB free"


def _connector_checks() -> Iterator[Check]:
    for refused, why in sorted(registry.refused_connectors().items()):
        yield Check(f"connector {refused}", False, why)
    for name, connector in sorted(registry.all_connectors().items()):
        yield _check(f"connector {name}", partial(_loads, connector))


def _loads(connector: registry.Connector) -> str:
    connector.load()
    check_tools(connector.manifest)
    return f"version {connector.manifest.version}"


def _database_checks(settings: Settings, db: Database) -> Iterator[Check]:
    server = _check("PostgreSQL", lambda: _postgres(db))
    yield server
    if not server.ok:
        return
    current = _check("schema", lambda: _schema(settings, db))
    yield current
    if not current.ok:
        return
    with db.begin() as connection:
        rows = lookup.list_all(connection)
        found = outlook.read(settings, connection)
        stuck = event_views.stuck_lately(connection)
    yield from _progress_checks(found)
    yield _check("removed connections", lambda: _removed_files(settings, db))
    yield from (_stuck(one) for one in stuck)
    yield from _variable_checks(rows)
    vault = Vault(settings)
    for row in rows:
        if row.settings.get("reach") == "browser":
            yield _check(f"browser of {row.name}", lambda: str(launch.require(settings)))
        if (program := program_user.program_of(row)) is not None:
            yield _check(f"program of {row.name}", partial(program_user.runs_as, settings, row, program))
        for name, stored in sorted(row.credentials.items()):
            yield _check(
                f"credential {name} of {row.name}", partial(_opens, vault, Place(row.connector, row.name, name), stored)
            )


def _progress_checks(found: list[Outlook]) -> Iterator[Check]:
    """A connection that stands still is wrong, and so is a run that gets nowhere without a reason."""
    kept = [one for one in found if one.still is not None or one.is_fruitless]
    for one in kept:
        yield Check(
            f"progress of {one.view.name}", one.still is None and one.wait is not None, "; ".join(obstacles(one))
        )
    if not kept:
        yield Check("progress", True, "no connection stands still")


def _removed_files(settings: Settings, db: Database) -> str:
    """Removals that did not come to their end are tried again, as only that tells why."""
    left = removal.clean(settings, db, within_s=_REMOVAL_S).left
    if left:
        raise ConfigurationError("; ".join(left))
    return "this machine keeps no files of them"


def _stuck(one: StuckThreads) -> Check:
    often = "once" if one.times == 1 else f"{one.times} times"
    return Check(
        f"threads of {one.connection}",
        False,
        f"its connector did not come back {often} in the last hour, so that workers were replaced; update it",
    )


def _variable_checks(rows: list[ConnectionRow]) -> Iterator[Check]:
    """Name each variable that begins as a setting does and is none, unless a credential is kept there."""
    kept = {stored.removeprefix("env:").upper() for row in rows for stored in row.credentials.values()}
    for name in unknown_variables():
        if name not in kept:
            yield Check(f"variable {name}", True, "is not a setting, and nothing reads it")


def _postgres(db: Database) -> str:
    version = db.check()
    _require_version("PostgreSQL", version, POSTGRES)
    return f"version {version}"


def _schema(settings: Settings, db: Database) -> str:
    """The embedded server's schema is brought up to date by every command that uses it."""
    if settings.database_url is None:
        schema.upgrade(db)
    schema.require_current(db)
    return f"revision {schema.revisions(db)[0]}"


def _opens(vault: Vault, place: Place, stored: str) -> str:
    vault.open(place, stored)
    return "readable"


def _redis(settings: Settings, servers: Endpoints) -> str:
    client = connect(servers.redis_url.get_secret_value(), settings.broker_timeout_s)
    try:
        facts: dict[str, Any] = client.info()
    except RedisError as error:
        raise ConfigurationError(f"Redis cannot be reached: {str(error).rstrip('.')}. Check PDPP_REDIS_URL.") from None
    finally:
        client.close()
    version = str(facts["redis_version"])  # of Valkey: that of the Redis which it is compatible with
    _require_version("Redis", version, REDIS)
    policy = facts.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        raise ConfigurationError(
            f"Redis may throw away what it holds (maxmemory-policy is {policy}); set it to noeviction."
        )
    named = f"Valkey {facts['valkey_version']}" if "valkey_version" in facts else f"version {version}"
    return f"{named}, noeviction"


def _workers(settings: Settings) -> str:
    from kombu.exceptions import OperationalError

    from pdpp_worker.tasks.app import QUEUES

    try:
        served = served_queues()
    except (OperationalError, OSError) as error:
        raise ConfigurationError(
            f"The broker cannot be reached: {str(error).rstrip('.')}. Check PDPP_BROKER_URL."
        ) from None
    idle = [queue for queue in QUEUES if queue not in served and not starts_on_request(queue, settings.data_dir)]
    if idle:
        raise ConfigurationError(f"The broker answers, but no worker takes from {', '.join(idle)}. {START_THE_FLEET}")
    return f"the broker answers, and {', '.join(sorted({name for names in served.values() for name in names}))}"


def _require_version(what: str, version: str, oldest: tuple[int, int]) -> None:
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if found < oldest:
        raise ConfigurationError(f"{what} is version {version}; {'.'.join(map(str, oldest))} or newer is needed.")
