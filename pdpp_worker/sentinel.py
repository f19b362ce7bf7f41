"""The address of a Redis that Sentinel watches.

`sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/DATABASE?master_name=NAME` names the sentinels. They say where
the master is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pdpp_worker.errors import ConfigurationError

SCHEME = "sentinel"
_PORT = 26379


@dataclass(frozen=True)
class WatchedRedis:
    """A Redis by its sentinels."""

    sentinels: tuple[tuple[str, int], ...]
    """Host and port of each."""
    master: str
    """The name by which they know it."""
    database: int
    username: str | None
    """The account at Redis itself, with its password."""
    password: str | None

    @property
    def broker_url(self) -> str:
        """The address in Celery's form; the master's name is a transport option there."""
        account = (
            "" if self.password is None else f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@"
        )
        return ";".join(f"{SCHEME}://{account}{host}:{port}/{self.database}" for host, port in self.sentinels)


def is_sentinel(url: str) -> bool:
    """Whether the address names sentinels."""
    return urlsplit(url).scheme == SCHEME


def read(url: str) -> WatchedRedis:
    """The parts of the address.

    Raises:
        ConfigurationError: it names no master, or a port or database that is no number.
    """
    parts = urlsplit(url)
    account, _, hosts = parts.netloc.rpartition("@")
    username, _, password = account.partition(":")
    master = parse_qs(parts.query).get("master_name", [""])[0]
    if not master:
        raise ConfigurationError("A sentinel:// address ends with ?master_name=NAME, the name that the sentinels use.")
    try:
        sentinels = tuple(_host(one) for one in hosts.split(","))
        database = int(parts.path.strip("/") or 0)
    except ValueError:
        raise ConfigurationError("A sentinel:// address names HOST:PORT and a database by their numbers.") from None
    return WatchedRedis(sentinels, master, database, unquote(username) or None, unquote(password) if account else None)


def _host(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    return (host, int(port)) if colon else (text, _PORT)
