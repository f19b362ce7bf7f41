"""`python -m bench mail`."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.default_fleet import DefaultFleet, default_fleet
from bench.machine import this_machine
from bench.mail.mails import fill
from bench.mail.peers import PEERS, Peer, Took
from bench.mail.proxy import delayed
from bench.table import OURS
from tests.connectors.gmail import dovecot
from tests.support.servers import temporary_data_dir

USER, EMPTY = "owner@example.com", "nobody@example.com"
_console = Console(width=120, soft_wrap=True)
Sides = dict[str, Callable[[str], Took]]
"""By name: bring the account to a folder, or a connection, of this name."""


def mail(
    mails: Annotated[int, typer.Option(min=1, help="Mails in the account.")] = 4000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that every side begins anew.")] = 2,
    delay_ms: Annotated[int, typer.Option(min=0, help="The way to the server and back, ms.")] = 0,
    slow_peers: Annotated[bool, typer.Option(help="offlineimap too, which takes long.")] = True,
) -> None:
    """Mails of mixed structure from one Dovecot: a default fleet beside mbsync and offlineimap, run after run."""
    with prepared(mails, delay_ms, slow_peers=slow_peers) as (sides, fleet, size):
        _console.print(str(this_machine(fleet.db.check())), highlight=False)
        _console.print(f"{mails:,} mails, {size / 1e6:,.0f} MB; {delay_ms} ms there and back", highlight=False)
        _show(measured(sides, rounds), fleet)


@contextmanager
def prepared(mails: int, delay_ms: int, *, slow_peers: bool) -> Iterator[tuple[Sides, DefaultFleet, int]]:
    """A filled account, a fleet that has started, and all sides; and the account's size in bytes."""
    if dovecot.PROGRAM is None:
        raise typer.BadParameter(dovecot.ABSENT)
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with (
        tempfile.TemporaryDirectory(prefix="pdpp-bench-", ignore_cleanup_errors=True) as base,
        temporary_data_dir() as data_dir,
    ):
        root = Path(base)
        root.chmod(0o755)
        with dovecot.running(root, connections=10) as server, delayed(server.plain_port, delay_ms) as port:
            size = fill(server.mail, mails, account.pw_uid, account.pw_gid)
            with default_fleet(data_dir) as fleet:
                _connect(fleet, "empty", server.plain_port, EMPTY)
                fleet.run("empty")  # so that no process starts within what is measured
                peers = [one for one in PEERS if one.is_there and (slow_peers or one is PEERS[0])]
                yield _sides(peers, fleet, root, port), fleet, size


def _sides(peers: list[Peer], fleet: DefaultFleet, root: Path, port: int) -> Sides:
    def by(peer: Peer) -> Callable[[str], Took]:
        return lambda name: peer.sync(root / f"{peer.name}-{name}", port, USER, dovecot.PASSWORD)

    def ours(name: str) -> Took:
        if name not in connected:
            _connect(fleet, name, port, USER)
            connected.add(name)
        ran = fleet.run(name)
        assert ran.status == "succeeded", ran
        return Took(ran.seconds, ran.cpu_s)

    connected: set[str] = set()
    return {**{peer.name: by(peer) for peer in peers}, OURS: ours}


def _connect(fleet: DefaultFleet, name: str, port: int, user: str) -> None:
    """Add an account, with no settings but those that name it."""
    given = {"host": "127.0.0.1", "port": port, "tls": "plain", "user": user}
    fleet.connect(name, "gmail", given, {"password": dovecot.PASSWORD})


def measured(sides: Sides, rounds: int) -> dict[tuple[str, str], list[Took]]:
    """Every side in turn, so that what else the machine does meets all of them."""
    found: dict[tuple[str, str], list[Took]] = {}
    for number in range(rounds):
        for which in ("first", "second", "third"):
            for name, sync in sides.items():
                found.setdefault((name, which), []).append(sync(f"round-{number}"))
                took = found[name, which][-1]
                _console.print(f"{name}, {which}: {took.seconds:.2f} s, CPU {took.cpu_s:.2f} s", highlight=False)
    return found


def _show(found: dict[tuple[str, str], list[Took]], fleet: DefaultFleet) -> None:
    table = Table("", "run", "s", "x mbsync", "CPU s", title="medians; x mbsync: of the same round")
    for (name, which), times in found.items():
        beside = found.get((PEERS[0].name, which), [])
        ratios = [one.seconds / other.seconds for one, other in zip(times, beside, strict=False)]
        cells = (f"{median(one.seconds for one in times):.2f}", f"{median(ratios):.2f}" if ratios else "")
        table.add_row(name, which, *cells, f"{median(one.cpu_s for one in times):.2f}")
    _console.print(table)
    _console.print(f"held: {fleet.held()}; load {os.getloadavg()[0]:.1f} after", highlight=False)
