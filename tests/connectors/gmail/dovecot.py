"""A real IMAP server: Debian's Dovecot with a configuration and a data directory of its own, as any user."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from imapclient import IMAPClient

from tests.support.fleet import Member
from tests.support.waiting import PATIENCE_S, until

PASSWORD = "open-sesame"
PROGRAM = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
ABSENT = "dovecot is not installed; on Debian: apt install dovecot-imapd"

_CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
default_vsz_limit = 1G
first_valid_uid = 1
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0
mail_location = maildir:{root}/mail/%u
mail_max_userip_connections = {connections}
maildir_very_dirty_syncs = yes
ssl = yes
ssl_cert = <{root}/cert.pem
ssl_key = <{root}/key.pem
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Trash {{
    special_use = \\Trash
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_uid} gid={mail_gid} home={root}/home/%u
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A running server, seen by one of its users; any name is one."""

    root: Path
    plain_port: int
    tls_port: int
    user: str = "owner@example.com"

    @property
    def settings(self) -> dict[str, object]:
        """The settings of a connection to it, in the clear."""
        return {"host": "127.0.0.1", "port": self.plain_port, "tls": "plain", "user": self.user}

    @property
    def mail(self) -> Path:
        """The account's Maildir."""
        return self.root / "mail" / self.user

    @contextmanager
    def owner(self) -> Iterator[IMAPClient]:
        """The account's owner at another mail program."""
        client = IMAPClient("127.0.0.1", self.plain_port, ssl=False, timeout=PATIENCE_S)
        try:
            client.login(self.user, PASSWORD)
            yield client
        finally:
            client.logout()

    def log(self) -> str:
        """The server's log."""
        return (self.root / "log").read_text(errors="replace")


@contextmanager
def running(root: Path, *, connections: int = 4) -> Iterator[Dovecot]:
    """A server in `root`, which other users of the machine must be able to enter."""
    assert PROGRAM is not None, ABSENT
    plain_port, tls_port = _free_ports(2)
    server = Dovecot(root, plain_port, tls_port)
    config = _prepare(server, connections)
    (root / "log").touch()
    process = subprocess.Popen([PROGRAM, "-F", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(server.plain_port), Member(process, root / "log"))
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _prepare(server: Dovecot, connections: int) -> Path:
    root, account = server.root, _account()
    for name in ("run", "state", "home", "mail"):
        (root / name).mkdir(exist_ok=True)
        os.chown(root / name, account.pw_uid, account.pw_gid)
    for name in ("run", "state"):
        os.chown(root / name, os.geteuid(), os.getegid())
    write_certificate(root)
    own = pwd.getpwuid(os.geteuid()).pw_name
    is_root = os.geteuid() == 0
    config = root / "dovecot.conf"
    config.write_text(
        _CONFIG.format(
            root=root,
            internal="dovecot" if is_root else own,
            internal_group="dovecot" if is_root else _group(),
            login="dovenull" if is_root else own,
            mail_uid=account.pw_uid,
            mail_gid=account.pw_gid,
            plain_port=server.plain_port,
            tls_port=server.tls_port,
            connections=connections,
            password=PASSWORD,
        )
    )
    return config


def write_certificate(root: Path) -> None:
    """A certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (root / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    (root / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _account() -> pwd.struct_passwd:
    """Whose the mail is: Dovecot lets root read none."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def _group() -> str:
    return grp.getgrgid(os.getegid()).gr_name


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"* OK"
    except OSError:
        return False
