"""A fleet while it is watched: the holds that it states, from Postgres, and what arrives at the provider."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import text

from bench.fleet.account import NAME
from bench.fleet.figures import Stretch
from bench.fleet.processes import RealFleet
from connectors.chatgpt.practice.log import LoggedRequest
from connectors.chatgpt.practice.process import ProviderProcess

LOOK_EVERY_S = 0.5
# One that was refused is tried again after a minute at the earliest, which is no part of the drain.
_UNTRIED = text("SELECT count(*) FROM gaps WHERE status = 'open' AND attempts = 1")
_QUEUED = text("SELECT extract(epoch FROM max(created_at))::float8 FROM runs")
_HOLD = text("""
    SELECT extract(epoch FROM updated_at)::float8 AS since,
        extract(epoch FROM CAST(state -> 'hold' ->> 'until' AS timestamptz))::float8 AS until
    FROM rate_states WHERE jsonb_typeof(state -> 'hold') = 'object'
""")
_ENDS = text("""
    SELECT greatest(extract(epoch FROM at), extract(epoch FROM CAST(data ->> 'not_before' AS timestamptz)))::float8
    FROM events WHERE type = 'slice_ended' AND at >= to_timestamp(:since) ORDER BY id
""")


@dataclass
class Watch:
    """A fleet that is given an order; instants are Unix seconds."""

    fleet: RealFleet
    provider: ProviderProcess
    begun: float = 0.0
    holds: set[Stretch] = field(default_factory=set)
    """When the fleet said that it waits, and until when."""
    down: list[Stretch] = field(default_factory=list)
    """While the fleet was stopped, from the first signal until all workers listened again."""
    flushed: list[float] = field(default_factory=list)
    bells_to_lose: int = 0

    def __post_init__(self) -> None:
        self._first = self.provider.stats().requests

    def order(self) -> None:
        """Ask the fleet to recover all that is missing, and watch from the instant at which a run is there for it."""
        asked = time.time()
        self.fleet.command("recover", NAME)
        with self.fleet.db.begin() as connection:
            self.begun = max(asked, connection.execute(_QUEUED).scalar_one())

    def look(self) -> int:
        """Take down the hold that is in force; returns how many gaps were not asked for yet."""
        if self.bells_to_lose:
            self.bells_to_lose -= self.fleet.lose_bell(LOOK_EVERY_S)
        else:
            time.sleep(LOOK_EVERY_S)
        self.fleet.poll()
        with self.fleet.db.begin() as connection:
            self.holds.update((row.since, row.until) for row in connection.execute(_HOLD))
            return int(connection.execute(_UNTRIED).scalar_one())

    def restart(self) -> None:
        """Stop the fleet with its servers and start it again."""
        stopped = time.time()
        self.fleet.stop()
        self.fleet.start()
        self.down.append((stopped, time.time()))

    def flush(self) -> None:
        """Empty Valkey."""
        self.flushed.append(time.time())
        self.fleet.flush()

    def lose_bell(self) -> None:
        """Let the next message to a collect worker be lost, or one of the next: the workers want them too."""
        self.bells_to_lose += 1

    def entries(self) -> list[LoggedRequest]:
        """The requests that have arrived since."""
        return self.provider.log(self._first)

    def slices_ready(self) -> list[float]:
        """When each slice but a run's first could begin: as soon as the one before it ended, or the hold after it."""
        with self.fleet.db.begin() as connection:
            return list(connection.execute(_ENDS, {"since": self.begun}).scalars())

    def explained(self, entries: Sequence[LoggedRequest]) -> list[Stretch]:
        """When nothing was to be sent: holds, pauses that the provider asked for, and while the fleet was stopped."""
        asked = [(one.at, one.at + float(one.retry_after)) for one in entries if one.retry_after is not None]
        return [*self.holds, *self.down, *asked]
