"""The row of the table: mail, through a default fleet."""

from __future__ import annotations

from collections.abc import Iterator

from bench.mail.command import measured, prepared
from bench.mail.peers import PEERS
from bench.table import Ground, Way, skipped
from tests.connectors.gmail import dovecot

_MAILS = 4000


def mail(ground: Ground) -> Iterator[Way]:
    """4,000 mails of mixed structure, beside the mail tools that this machine has."""
    count = ground.size(_MAILS)
    jobs = {which: f"mail, {count:,} mails, {which} run" for which in ("first", "second", "third")}
    if dovecot.PROGRAM is None:
        yield from (skipped(job, PEERS[0].name, dovecot.ABSENT) for job in jobs.values())
        return
    with prepared(count, 0, slow_peers=True) as (sides, _, __):
        found = measured(sides, ground.rounds)
    for (by, which), times in found.items():
        yield from (Way(jobs[which], by, at, one.seconds, one.cpu_s) for at, one in enumerate(times))
    for peer in PEERS:
        if not peer.is_there:
            yield from (skipped(job, peer.name, "it is not installed") for job in jobs.values())
