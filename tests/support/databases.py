"""Migrated databases for tests: lent, emptied when they come back, and lent again.

CREATE DATABASE and DROP DATABASE copy files and wait for checkpoints; emptying takes a few milliseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.local.embedded.database_roles import ROLE, SUPERUSER
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.support.emptying import emptying

_TEMPLATE = "template_pdpp"
_KEPT = "alembic_version"
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
# All that emptying does not put back: relations with their columns and rules, functions, settings, planner statistics.
# A copy has the catalogs of its template row by row: what is new or was changed has another xmin.
_SCHEMA = """
SELECT md5(concat_ws('|',
  (SELECT string_agg(concat_ws(',', relname, relkind, relrowsecurity, reloptions), ';' ORDER BY relname, c.oid)
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname <> 'pg_toast' AND n.oid >= 2200),
  (SELECT string_agg(concat_ws(',', attrelid, attnum, xmin), ';' ORDER BY attrelid, attnum)
     FROM pg_attribute WHERE attrelid >= 16384),
  (SELECT string_agg(concat_ws(',', oid, xmin), ';' ORDER BY oid) FROM pg_constraint WHERE oid >= 16384),
  (SELECT string_agg(concat_ws(',', oid, xmin), ';' ORDER BY oid) FROM pg_trigger WHERE oid >= 16384),
  (SELECT string_agg(concat_ws(',', oid, xmin), ';' ORDER BY oid) FROM pg_proc WHERE oid >= 16384),
  (SELECT string_agg(setconfig::text, ';' ORDER BY setrole) FROM pg_db_role_setting AS s JOIN pg_database AS d
     ON d.oid = setdatabase WHERE datname = current_database()),
  (SELECT string_agg(version_num, ',') FROM alembic_version),
  (SELECT count(*) FROM pg_statistic WHERE starelid >= 16384)))
"""


class Databases:
    """A pool of migrated databases on one server. Each one is empty when it is lent."""

    def __init__(self, servers: EmbeddedServers) -> None:
        self._base, _, self._query = servers.database_url.partition("?")
        self._numbers = itertools.count()
        self._free: list[str] = []
        self._superuser = servers._postgres.url_of(SUPERUSER)
        self._admin = psycopg.connect(_plain(self._superuser), autocommit=True)
        # No test of this server cuts the power, or waits for statistics that nobody asked for.
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            self._admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        self._admin.execute("SELECT pg_reload_conf()")
        template = self.create(_TEMPLATE, "template0")
        db = Database(template)
        migrate.upgrade(db)
        db.close()
        with self._connected(_TEMPLATE) as connection:
            self._schema = connection.execute(_SCHEMA).fetchone()
            self._emptying = emptying(_tables(connection))

    def create(self, name: str, template: str) -> str:
        """Create a database as a copy of another one; return its URL."""
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(*map(sql.Identifier, (name, ROLE, template)))
        )
        return f"{self._base.rpartition('/')[0]}/{name}?{self._query}"

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of a migrated, empty database that nobody else uses meanwhile."""
        url = self._free.pop() if self._free else self.create(f"test_{next(self._numbers)}", _TEMPLATE)
        yield url
        if self._empty(url):
            self._free.append(url)

    def close(self) -> None:
        """End the connection of the pool; its databases go with their server."""
        self._admin.close()

    def _empty(self, url: str) -> bool:
        """Empty a database; return False, and drop it, where it is not as the template any more."""
        name = str(make_url(url).database)
        with self._connected(name) as connection:
            connection.execute(_END_OTHERS)
            is_as_made = connection.execute(_SCHEMA).fetchone() == self._schema
            if is_as_made:
                connection.execute("SET session_replication_role = replica")  # no trigger and no key is in the way
                connection.execute(self._emptying)
        if not is_as_made:
            self._admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        return is_as_made

    def _connected(self, name: str) -> psycopg.Connection:
        url = make_url(self._superuser).set(database=name)
        return psycopg.connect(_plain(url.render_as_string(hide_password=False)), autocommit=True)


def _tables(connection: psycopg.Connection) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> %s"
    return [name for (name,) in connection.execute(query, (_KEPT,))]


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)
