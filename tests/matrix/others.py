"""Servers of other kinds and versions than those that come along, from the machine's own packages."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.exceptions import RedisError

from pdpp_worker.local.embedded.account import make_owned_directory
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.valkey import Valkey
from tests.chaos.servers import HOST, PostgresProcess, ValkeyProcess, free_port
from tests.support.waiting import PATIENCE_S, until

SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/lib/rabbitmq/bin"


def program(name: str, package: str) -> Path:
    """A program of this machine; without it the test is skipped, with the package that has it."""
    found = shutil.which(name, path=SBIN)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: {package})")
    return Path(found)


class Postgres15(Postgres):
    """PostgreSQL as Debian 12 has it."""

    name = "postgres15"

    def program(self) -> Path:
        path = Path("/usr/lib/postgresql/15/bin/postgres")
        if not path.exists():
            pytest.skip("PostgreSQL 15 is not installed (Debian: postgresql-15)")
        return path

    def command(self) -> list[str]:
        return [str(self.executable), "-D", str(self.data), *self.options()]

    def initialise(self) -> None:
        make_owned_directory(self.data, self.account)
        initdb = str(self.executable.with_name("initdb"))
        self.run([initdb, "-D", str(self.data), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"])
        self.run([str(self.executable), "--single", "-D", str(self.data), "postgres"], "create database pdpp\n")


class Redis7(Valkey):
    """Redis as Debian 12 has it."""

    name = "redis7"

    def program(self) -> Path:
        return program("redis-server", "redis-server")


@contextmanager
def process(*command: str, directory: Path, log: str, user: str | None = None, **extra: str) -> Iterator[Any]:
    """A program that runs while the block lasts; all that it started ends with it."""
    with (directory / log).open("wb") as output:
        running = subprocess.Popen(
            command,
            cwd=directory,
            env={"PATH": SBIN, "HOME": str(directory), "LANG": "C.UTF-8", **extra},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
        )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait(PATIENCE_S)


@contextmanager
def pgbouncer(postgres: PostgresProcess, directory: Path, **options: str) -> Iterator[str]:
    """PgBouncer in transaction mode before the server; yields the database's address through it."""
    binary, port = program("pgbouncer", "pgbouncer"), free_port()
    settings = {
        "listen_addr": HOST,
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": "5",
        **options,
    }
    lines = [
        "[databases]",
        f"pdpp = host={HOST} port={postgres.port} user=postgres dbname=pdpp",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    home = directory / "pgbouncer"
    home.mkdir(mode=0o755)
    (home / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    user = pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None
    for path in (home, *home.parents):  # an account of no rights reads the file
        with suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o011)
    url = f"postgresql+psycopg://postgres@{HOST}:{port}/pdpp"

    def answers() -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(url.replace("+psycopg", ""), connect_timeout=5):
            return True
        return False

    with process(str(binary), str(home / "pgbouncer.ini"), directory=home, log="pgbouncer.log", user=user) as running:
        until(answers, running)
        yield url


@contextmanager
def rabbitmq(directory: Path) -> Iterator[str]:
    """RabbitMQ; yields the broker's address."""
    binary = program("rabbitmq-server", "rabbitmq-server")
    home = directory / "rabbitmq"
    home.mkdir()
    port, distribution = free_port(), free_port()
    (home / "plugins").write_text("[].\n")
    (home / "rabbitmq.conf").write_text(f"listeners.tcp.local = {HOST}:{port}\n")
    own = {
        "RABBITMQ_NODENAME": f"pdpp-{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": HOST,
    }
    script = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    with ExitStack() as stack:
        # The server would leave a name service of its own behind.
        names = program("epmd", "erlang-base")
        stack.enter_context(process(str(names), directory=home, log="epmd.log", **own))
        started = process(str(script if script.exists() else binary), directory=home, log="rabbitmq.log", **own)
        running = stack.enter_context(started)
        until(lambda: "broker... completed" in (home / "rabbitmq.log").read_text(errors="replace"), running)
        yield f"amqp://guest:guest@{HOST}:{port}//"


@contextmanager
def sentinels(directory: Path) -> Iterator[tuple[str, str, ValkeyProcess]]:
    """A master with a replica and three sentinels; yields the address of a database, {db} in it, and the master."""
    homes = [directory / name for name in ("master", "replica")]
    for home in homes:
        home.mkdir()
        for path in (home, *home.parents):
            with suppress(PermissionError):
                path.chmod(path.stat().st_mode | 0o011)
    with ExitStack() as stack:
        master, replica = (ValkeyProcess(home) for home in homes)
        for server in (master, replica):
            stack.callback(server.kill)
            server.start()
        with Redis.from_url(replica.redis_url) as client:
            client.replicaof(HOST, master.port)
        ports = [free_port() for _ in range(3)]
        for port in ports:
            config = directory / f"sentinel-{port}.conf"
            config.write_text(
                f"port {port}\nbind {HOST}\nsentinel monitor pdpp {HOST} {master.port} 2\n"
                "sentinel down-after-milliseconds pdpp 1000\nsentinel failover-timeout pdpp 5000\n"
            )
            binary = str(master._packaged.executable)
            running = process(binary, str(config), "--sentinel", directory=directory, log=f"sentinel-{port}.log")
            stack.enter_context(running)
        until(lambda: all(_sees_all(port) for port in ports))
        hosts = ",".join(f"{HOST}:{port}" for port in ports)
        yield f"sentinel://{hosts}/1?master_name=pdpp", f"sentinel://{hosts}/0?master_name=pdpp", master


def _sees_all(port: int) -> bool:
    with Redis(host=HOST, port=port, socket_timeout=5) as client, suppress(RedisError):
        found = client.sentinel_master("pdpp")
        return bool(found["num-slaves"] == 1 and found["num-other-sentinels"] == 2)
    return False


class Certificates:
    """An authority, and a certificate of it for this machine."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o755)
        self.authority, self.certificate, self.key = (directory / name for name in ("ca.pem", "cert.pem", "key.pem"))
        authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _certificate("An authority", authority_key.public_key(), authority_key, is_authority=True)
        own = _certificate("localhost", key.public_key(), authority_key, is_authority=False, issuer="An authority")
        self.authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        form, no = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, no))


def _certificate(
    name: str,
    key: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
    issuer: str | None = None,
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address(HOST))])
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer or name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )


@contextmanager
def redis_with_tls(directory: Path, certificates: Certificates) -> Iterator[str]:
    """Redis that speaks TLS only; yields its address without a database."""
    binary, port = program("redis-server", "redis-server"), free_port()
    options = {
        "--port": "0",
        "--tls-port": str(port),
        "--bind": HOST,
        "--tls-cert-file": str(certificates.certificate),
        "--tls-key-file": str(certificates.key),
        "--tls-ca-cert-file": str(certificates.authority),
        "--tls-auth-clients": "no",
        "--save": "",
    }
    command = [str(binary), *(part for pair in options.items() for part in pair)]
    url = f"rediss://{HOST}:{port}"

    def answers() -> bool:
        checked = Redis.from_url(f"{url}/0?ssl_ca_certs={certificates.authority}", socket_timeout=5)
        with checked as client, suppress(RedisError):
            return bool(client.ping())
        return False

    with process(*command, directory=directory, log="redis-tls.log") as running:
        until(answers, running)
        yield url
