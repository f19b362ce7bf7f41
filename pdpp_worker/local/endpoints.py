"""Endpoints of this process's servers: the owner's own, or the embedded ones."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from pdpp_worker import sentinel
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.embedded import EmbeddedServers, refuse_as_root
from pdpp_worker.settings import Settings

_POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")
_REDIS_SCHEMES = ("redis", "rediss", "unix", sentinel.SCHEME)
_BROKER_SCHEMES = ("redis", "rediss", "redis+socket", sentinel.SCHEME, "amqp", "amqps", "pyamqp")


@dataclass(frozen=True)
class Endpoints:
    """The servers' URLs, which may contain passwords."""

    database_url: SecretStr
    """For SQLAlchemy, with the driver psycopg."""
    redis_url: SecretStr
    """For redis-py."""
    broker_url: SecretStr
    """For Celery."""


@dataclass(frozen=True)
class _Resolved:
    endpoints: Endpoints
    embedded: EmbeddedServers


_resolved: dict[Settings, _Resolved] = {}
_resolving = threading.Lock()


def resolve(settings: Settings) -> Endpoints:
    """The servers to use; an embedded one is started only where the settings name none.

    The answer is kept, and embedded servers run on, until `release` or the end of the process. Without
    `PDPP_BROKER_URL` the broker is the Redis server of `PDPP_REDIS_URL`: its database 1, or 0 when pacing uses 1.

    Raises:
        ConfigurationError: a URL has an unknown form, or an embedded server is needed and cannot be used, or root
            would work in another account's data directory.
        PdppError: an embedded server does not start; with the end of its log.
    """
    with _resolving:
        if settings not in _resolved:
            _resolved[settings] = _resolve(settings)
        return _resolved[settings].endpoints


def servers_in_use(settings: Settings) -> list[str]:
    """The names of the embedded servers that these settings use."""
    given = {"postgres": settings.database_url, "valkey": settings.redis_url}
    return [name for name, url in given.items() if url is None]


def outlive_exec(settings: Settings) -> None:
    """Let the program that this process becomes go on using the embedded servers that `resolve` started."""
    resolve(settings)
    _resolved[settings].embedded.outlive_exec()


def release() -> None:
    """Forget all answers and release the embedded servers."""
    with _resolving:
        while _resolved:
            _resolved.popitem()[1].embedded.close()


def _resolve(settings: Settings) -> _Resolved:
    refuse_as_root(settings.data_dir)
    embedded = EmbeddedServers(settings)
    try:
        return _Resolved(
            Endpoints(
                database_url=SecretStr(_database_url(settings, embedded)),
                redis_url=SecretStr(_redis_url(settings, embedded)),
                broker_url=SecretStr(_broker_url(settings, embedded)),
            ),
            embedded,
        )
    except BaseException:
        embedded.close()
        raise


def _database_url(settings: Settings, embedded: EmbeddedServers) -> str:
    if settings.database_url is None:
        return embedded.database_url
    url = _checked("PDPP_DATABASE_URL", settings.database_url, _POSTGRES_SCHEMES)
    return "postgresql+psycopg:" + url.partition(":")[2]


def _redis_url(settings: Settings, embedded: EmbeddedServers) -> str:
    if settings.redis_url is None:
        return embedded.redis_url
    return _checked("PDPP_REDIS_URL", settings.redis_url, _REDIS_SCHEMES)


def _broker_url(settings: Settings, embedded: EmbeddedServers) -> str:
    if settings.broker_url is not None:
        return _checked("PDPP_BROKER_URL", settings.broker_url, _BROKER_SCHEMES)
    if settings.redis_url is None:
        return embedded.broker_url
    return _beside(settings.redis_url.get_secret_value())


def _checked(name: str, secret: SecretStr, schemes: tuple[str, ...]) -> str:
    url = secret.get_secret_value().strip()
    if urlsplit(url).scheme not in schemes:
        allowed = ", ".join(f"{scheme}://" for scheme in schemes)
        raise ConfigurationError(f"{name} must start with one of {allowed}.")
    if sentinel.is_sentinel(url):
        sentinel.read(url)
    return url


def _beside(redis_url: str) -> str:
    """The broker's URL on the server of a Redis URL: another database of it."""
    parts = urlsplit(redis_url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme == "unix":
        query["virtual_host"] = _other(query.pop("db", "0"))
        return f"redis+socket://{parts.netloc}{parts.path}?{urlencode(query)}"
    database = query.pop("db", "") or parts.path.strip("/") or "0"
    return urlunsplit(parts._replace(path=f"/{_other(database)}", query=urlencode(query)))


def _other(database: str) -> str:
    return "0" if database == "1" else "1"
