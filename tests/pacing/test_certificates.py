"""A provider whose certificate is not good is refused with a sentence, and nothing is ever sent to it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pdpp_worker.errors import UpstreamError
from pdpp_worker.pacing.client import ProviderClient
from pdpp_worker.pacing.typed import TypedTransport
from pdpp_worker.runtime import slice_context

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Authority:
    """An authority that the client trusts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        own = self._certificate("authority", self._key.public_key(), NOW + DAY, is_authority=True)
        self.trusted = folder / "trusted.pem"
        self.trusted.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, until: datetime = NOW + DAY, *, by_itself: bool = False) -> Path:
        """A file with a key and the certificate of a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(name, key.public_key(), until, signer=key if by_itself else self._key)
        path = self._folder / f"{name}-{until:%d}-{by_itself}.pem"
        plain = serialization.NoEncryption()
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def _certificate(
        self, name: str, key: Any, until: datetime, *, signer: Any = None, is_authority: bool = False
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder().subject_name(subject).public_key(key).not_valid_after(until)
        builder = builder.issuer_name(self._name if signer in (None, self._key) else subject)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOW - 3 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(signer or self._key, hashes.SHA256())


@contextmanager
def serving(certificate: Path) -> Iterator[tuple[str, list[str]]]:
    """A server with this certificate: its URL, and the requests that reached it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up is what the test is about."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"https://localhost:{server.server_address[1]}", asked
        server.shutdown()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def ask(url: str) -> int:
    """The status of an answer, by the client that a connector is handed."""
    slice_context._tls.cache_clear()
    try:
        with ProviderClient(TypedTransport(slice_context._plain(signed_in=True)), base_url=url, timeout_s=10) as client:
            return client.get("/items").status_code
    finally:
        slice_context._tls.cache_clear()


def test_a_good_certificate_is_taken(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.trusted))

    with serving(authority.issue("localhost")) as (url, asked):
        assert ask(url) == 204
        assert asked == ["/items"]


@pytest.mark.parametrize(
    ("name", "until", "by_itself", "why"),
    [
        ("localhost", NOW - DAY, False, "certificate has expired"),
        ("another.example", NOW + DAY, False, "Hostname mismatch"),
        ("localhost", NOW + DAY, True, "self-signed certificate"),
    ],
    ids=["expired", "of another host", "self-signed"],
)
def test_another_one_is_refused_with_its_reason(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str, until: datetime, by_itself: bool, why: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.trusted))

    with serving(authority.issue(name, until, by_itself=by_itself)) as (url, asked):
        with pytest.raises(UpstreamError, match=why):
            ask(url)
        assert asked == []
