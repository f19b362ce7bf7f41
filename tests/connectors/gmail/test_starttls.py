"""Words that came in the clear before STARTTLS may be anybody's: they are not believed afterwards."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.connectors.gmail.conftest import holder, skips
from tests.connectors.gmail.dovecot import Dovecot


@contextmanager
def injecting(port: int, said: bytes) -> Iterator[int]:
    """A port that leads to the server's; somebody on the way says a line of his own before the encryption."""

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client = self.request
            with socket.create_connection(("127.0.0.1", port)) as server:
                other = {client: server, server: client}
                while data := (one := select.select([client, server], [], [])[0][0]).recv(65_536):
                    if one is client and b"STARTTLS" in data:
                        client.sendall(said + b"\r\n")
                    other[one].sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Way) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield listener.server_address[1]
        finally:
            listener.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "said",
    [b"* CAPABILITY IMAP4rev1 LOGINDISABLED", b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] .", b'* LIST () "/" Mine'],
)
def test_a_word_said_before_the_encryption_is_not_believed(server: Dovecot, tmp_path: Path, said: bytes) -> None:
    trusted = {"tls": "starttls", "ca_file": str(server.root / "cert.pem")}
    with injecting(server.plain_port, said) as port:
        account = holder({**server.settings, **trusted, "port": port}, tmp_path)

        answer = account.run()

    assert skips(answer) == {}
    assert "INBOX" in account.held("labels")
    assert "Mine" not in account.held("labels")
