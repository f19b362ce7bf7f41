"""PostgreSQL and Valkey without installing either: started for the first user, stopped with the last one.

with acquire(settings) as servers:
    connect(servers.database_url)
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pdpp_worker.local.embedded.account import make_directory, refuse_as_root

if TYPE_CHECKING:  # the supervisors, which run for as long as what they supervise does, stay small without these
    from pdpp_worker.local.embedded.postgres import Postgres
    from pdpp_worker.local.embedded.reference import Reference
    from pdpp_worker.local.embedded.valkey import Valkey
    from pdpp_worker.settings import Settings

__all__ = ["EmbeddedServers", "acquire", "make_directory", "refuse_as_root"]


class EmbeddedServers:
    """This process's use of the servers of one data directory; each is started when its URL is first asked for.

    The URLs raise ConfigurationError when the extra `embedded` is not installed or the data directory cannot be used,
    and PdppError, with the end of the server's log, when the server does not start.
    """

    def __init__(self, settings: Settings) -> None:
        from pdpp_worker.local.embedded.postgres import Postgres
        from pdpp_worker.local.embedded.valkey import Valkey

        self._postgres = Postgres(settings.data_dir)
        self._valkey = Valkey(settings.data_dir)
        self._stack = ExitStack()
        self._references: list[Reference] = []

    @cached_property
    def database_url(self) -> str:
        """The database's URL, for SQLAlchemy and psycopg."""
        self._refer_to(self._postgres)
        return self._postgres.url

    @cached_property
    def redis_url(self) -> str:
        """The pacing database's URL, for redis-py."""
        self._refer_to(self._valkey)
        return self._valkey.url

    @cached_property
    def broker_url(self) -> str:
        """The broker's URL, for Celery: another database of the pacing server."""
        self._refer_to(self._valkey)
        return self._valkey.broker_url

    def _refer_to(self, server: Postgres | Valkey) -> None:
        from pdpp_worker.local.embedded.reference import Reference

        self._references.append(self._stack.enter_context(closing(Reference(server))))

    def outlive_exec(self) -> None:
        """Let the program that this process becomes go on using the servers, until it ends."""
        for reference in self._references:
            reference.outlive_exec()

    def close(self) -> None:
        """Let go of the servers; each stops when no process uses it."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def acquire(settings: Settings) -> EmbeddedServers:
    """The servers of the settings' data directory, running; raises as the URLs of `EmbeddedServers` do."""
    servers = EmbeddedServers(settings)
    try:
        _ = servers.database_url, servers.redis_url
    except BaseException:
        servers.close()
        raise
    return servers
