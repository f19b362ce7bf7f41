"""One seeded episode: a fleet at work, faults at random instants, rest, and what must hold then."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack

from tests.chaos.faults import FAULTS, TOGETHER, may_meet
from tests.chaos.invariants import violations
from tests.chaos.world import Fault, World

ACCOUNTS, NOTES, NEW = 2, 150, 30
PACE_S = 0.02
"""The source takes so long for each answer, so that faults meet a fleet at work."""
FAULTS_EACH = 5
HOLD_S = (0.3, 1.5, 4.5)
"""How long a fault lasts: shorter than a lease, and longer."""
REST_S = 0.8
SHARE_TOGETHER = 0.4
"""Share of the faults in the middle of which another one comes."""
STEADY_S = 90.0
"""The time in which a fleet comes to rest after the last fault, with the start of workers on a busy machine."""
POLL_S = 0.2

_RESTED = """
    SELECT bool_and(EXISTS (SELECT FROM runs AS run WHERE run.connection_id = one.id AND run.kind = 'forward'
            AND run.created_at > %s AND run.status = 'succeeded')
        AND NOT EXISTS (SELECT FROM gaps AS gap WHERE gap.connection_id = one.id AND gap.closed_at IS NULL)) AS rested
    FROM connections AS one
"""


def play(world: World, seed: int, faults: Sequence[Fault] = FAULTS) -> list[str]:
    """Play the episode of a seed; returns what was violated."""
    choice = random.Random(seed)
    for number in range(ACCOUNTS):
        world.add_account(f"account-{seed}-{number}", NOTES, PACE_S)
    world.make_whole()
    for _ in range(FAULTS_EACH):
        _suffer(world, choice, _drawn(choice, faults))
    return come_to_rest(world)


def _drawn(choice: random.Random, faults: Sequence[Fault]) -> list[Fault]:
    """One fault, or one in the middle of another."""
    first = choice.choice(faults)
    meets = [one for one in TOGETHER if one in faults and may_meet(first, one)]
    return [first, choice.choice(meets)] if meets and choice.random() < SHARE_TOGETHER else [first]


def _suffer(world: World, choice: random.Random, drawn: Sequence[Fault]) -> None:
    """Faults, while the accounts go on changing."""
    with ExitStack() as over:
        for fault in drawn:
            # The instants are what varies here; nothing is waited for.
            time.sleep(choice.uniform(0, REST_S))
            over.enter_context(fault(world, choice))
            world.note(fault.__name__)
        time.sleep(choice.choice(HOLD_S))
    for notes in world.notes.values():
        notes.put(f"note-{len(notes.keys):03}", *choice.sample(notes.keys, NEW - 1))


def come_to_rest(world: World) -> list[str]:
    """Let the fleet finish with a source that is well; returns what was violated."""
    world.make_whole()
    began = world.rows("SELECT clock_timestamp() AS now")[0]["now"]
    with world.database() as db:
        world.recover(db)
    deadline = time.monotonic() + STEADY_S
    while not world.rows(_RESTED, began)[0]["rested"]:
        if time.monotonic() > deadline:
            return [*_unrested(world), *violations(world)]
        world.make_whole()  # as a supervisor does for a worker that has ended itself
        time.sleep(POLL_S)
    return violations(world)


def _unrested(world: World) -> list[str]:
    """The rows that tell why."""
    queries = (
        "SELECT id, connection_id, trigger, status, not_before, wait_reason, error FROM runs ORDER BY id DESC LIMIT 6",
        "SELECT id, cooldown_until FROM connections",
        "SELECT connection_id, holder, run_id, expires_at FROM leases",
        "SELECT connection_id, scope::text, reason, next_attempt_at FROM gaps WHERE closed_at IS NULL LIMIT 5",
        "SELECT connection_id, error, paused, next_run_at, clock_timestamp() FROM schedules",
    )
    return [f"not at rest after {STEADY_S:g} s: {row}" for query in queries for row in world.rows(query)]
