"""`python -m bench sealed`: the price of encrypted files, alone and in a mailbox with attachments."""

from __future__ import annotations

import os
import pwd
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple, ParamSpec

import typer
from cryptography.fernet import Fernet
from pydantic import SecretStr
from rich.console import Console

from bench.alone import peak_rss
from bench.machine import this_machine
from bench.mail.mails import fill
from bench.worker import Job, Outcome, work
from pdpp_worker.local.embedded import acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from pdpp_worker.stored_files import connection_files, resealing
from pdpp_worker.stored_files.file_store import FileStore
from tests.connectors.gmail import dovecot
from tests.support.servers import temporary_data_dir

MB = 1_000_000
USER = "owner@example.com"
LARGE_BYTES, SMALL_BYTES = 200 * MB, 20_000
SMALL_FILES = 3_000
_CHUNK = 1024 * 1024
P = ParamSpec("P")

_console = Console(width=120, soft_wrap=True)


class _Took(NamedTuple):
    """Processor time of one step over files of one size, s."""

    step: str
    form: str
    cpu_s: float


def sealed(
    mails: Annotated[int, typer.Option(min=1, help="Mails in the mailbox.")] = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that everything is measured.")] = 3,
) -> None:
    """Encrypted files: MB a second of processor time, and the processor time of a mailbox with and without."""
    _files("one file of 200 MB", rounds, LARGE_BYTES, 1)
    _files("3,000 files of 20 kB", rounds, SMALL_BYTES, SMALL_FILES)
    if dovecot.PROGRAM is None:
        raise typer.BadParameter(dovecot.ABSENT)
    _mailbox(mails, rounds)


def _files(what: str, rounds: int, size: int, count: int) -> None:
    content = os.urandom(min(size, _CHUNK))
    took = [one for _ in range(rounds) for one in _round(content, size, count)]
    for step, form in dict.fromkeys((one.step, one.form) for one in took):
        rates = [size * count / MB / one.cpu_s for one in took if (one.step, one.form) == (step, form)]
        span = f"{min(rates):,.0f} to {max(rates):,.0f}"
        _console.print(f"{what}: {step} {form}: {median(rates):,.0f} MB a second of processor time ({span})")
    _console.print(f"peak memory {peak_rss() / MB:.0f} MB")


def _round(content: bytes, size: int, count: int) -> list[_Took]:
    with tempfile.TemporaryDirectory(prefix="pdpp-bench-") as folder:
        keys = [Fernet.generate_key().decode() for _ in range(2)]
        took = []
        for form, encrypts in (("clear", False), ("encrypted", True)):
            settings = Settings(data_dir=Path(folder, form), secret_key=SecretStr(keys[0]), encrypt_files=encrypts)
            store = connection_files.store_at(settings, connection_files.files_dir(settings, 1, "one"))
            took.append(_Took("write", form, _timed(_write, store, content, size, count)))
            took.append(_Took("read", form, _timed(_read, store, count)))
        newer = settings.model_copy(update={"secret_key": SecretStr(",".join(reversed(keys)))})
        return [*took, _Took("bring under a new key", "encrypted", _timed(resealing.reseal, newer))]


def _write(store: FileStore, content: bytes, size: int, count: int) -> None:
    for number in range(count):
        with store.draft() as draft:
            for at in range(0, size, len(content)):
                draft.write(content[: size - at])
            draft.keep(f"{number % 256:02x}/{number}")
    store.flush()


def _read(store: FileStore, count: int) -> None:
    for number in range(count):
        with store.open(f"{number % 256:02x}/{number}") as file:
            while file.read(_CHUNK):
                pass


def _timed(step: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> float:
    before = time.process_time()
    step(*arguments, **named)
    return time.process_time() - before


def _mailbox(mails: int, rounds: int) -> None:
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with (
        tempfile.TemporaryDirectory(prefix="pdpp-bench-") as folder,
        temporary_data_dir() as data_dir,
        acquire(Settings(data_dir=data_dir)) as servers,
    ):
        root = Path(folder)
        root.chmod(0o755)
        db = Database(servers.database_url)
        migrate.upgrade(db)
        _console.print(str(this_machine(db.check())), highlight=False)
        db.close()
        with dovecot.running(root) as server:
            size = fill(server.mail, mails, account.pw_uid, account.pw_gid)
            _console.print(f"{mails:,} mails, {size / MB:,.0f} MB, each time into an empty directory")
            given = {"user": USER, "host": "127.0.0.1", "port": server.plain_port, "tls": "plain"}
            for number in range(rounds):
                done = {}
                for form, encrypts in (("clear", "false"), ("encrypted", "true")):
                    name = f"{form}-{number}"
                    job = Job(name, "gmail", given, str(root / name), {"password": dovecot.PASSWORD})
                    urls = servers.database_url, servers.redis_url
                    done[form] = work(*urls, job, PDPP_ENCRYPT_FILES=encrypts)
                _show(done["clear"], done["encrypted"])


def _show(clear: Outcome, encrypted: Outcome) -> None:
    for form, one in (("clear", clear), ("encrypted", encrypted)):
        counts = f"{one.status}, {one.new:,} new; {one.cpu_s:.1f} s of processor time; {one.seconds:.0f} s"
        _console.print(f"{form}: {counts}; peak {one.peak_rss / MB:.0f} MB", highlight=False)
    _console.print(f"encrypted is {encrypted.cpu_s / clear.cpu_s:.2f} of clear", highlight=False)
