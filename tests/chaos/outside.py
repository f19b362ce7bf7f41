"""Faults from outside of the fleet: of the provider, of the connector's program, and what the owner does."""

from __future__ import annotations

import random
from contextlib import contextmanager, suppress

from pdpp_worker.errors import PdppError
from pdpp_worker.owner import connection_changes, manual_runs
from tests.chaos.world import Fault, Lasting, World


@contextmanager
def failing_notes(world: World, choice: random.Random) -> Lasting:
    """Some notes cannot be read."""
    for notes in world.notes.values():
        notes.fail(dict.fromkeys(choice.sample(notes.keys, len(notes.keys) // 4), choice.choice((500, 503, 429))))
    yield
    for notes in world.notes.values():
        notes.heal()


@contextmanager
def provider_away(world: World, choice: random.Random) -> Lasting:
    """The provider answers nothing but errors, or slowly."""
    for notes in world.notes.values():
        if choice.random() < 0.5:
            notes.slow(0.4)
        else:
            notes.fail_all(choice.choice((500, 502, 503, 429)))
    yield
    for notes in world.notes.values():
        notes.heal()


def goes_wrong(trouble: str) -> Fault:
    """The fault in which the connector's own programs do this, each until the fleet has ended it."""

    @contextmanager
    def upset(world: World, _: random.Random) -> Lasting:
        for notes in world.notes.values():
            notes.upset(trouble)
        yield
        for notes in world.notes.values():
            notes.heal()

    upset.__name__ = trouble
    return upset


@contextmanager
def owner_acts(world: World, choice: random.Random) -> Lasting:
    """The owner cancels, pauses, asks for runs and recoveries, sets a rate."""
    with world.database() as db, suppress(PdppError):
        name = choice.choice([row["name"] for row in world.rows("SELECT name FROM connections")])
        act = choice.choice(("cancel", "pause", "run", "full", "recover", "rate"))
        if act == "cancel":
            manual_runs.cancel(db, name)
        elif act == "pause":
            connection_changes.pause(db, name, True)
            yield
            connection_changes.pause(db, name, False)
            return
        elif act == "rate":
            connection_changes.set_rate(db, name, choice.uniform(1, 50))
        elif act == "recover":
            world.recover(db)
        else:
            manual_runs.request(db, name, full=act == "full")
    yield
