"""Time that is moved: hours in which nothing happens, and machines whose clocks are set."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.chaos.world import World
from tests.support.fleet import ROOT

_INSTANTS = """
    SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
    JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type = 'timestamp with time zone'
        AND table_name <> 'checkpoints' GROUP BY table_name ORDER BY table_name
"""
HOURS = (0.5, 3, 30)
_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
# libfaketime lets every sleep until a monotonic instant fail.
_SLEEP = "import select, time; time.sleep = lambda seconds: select.select([], [], [], seconds)"
STEPS = ("-1d", "-61s", "+61s", "+1d")


@contextmanager
def idle_hours(world: World, choice: random.Random) -> Iterator[None]:
    """Hours pass at once: every instant in the database lies further back. Half of the time nothing runs meanwhile."""
    if choice.random() < 0.5:
        for member in [*world.workers, *world.beats]:
            world.kill(member)
    with suppress(psycopg.OperationalError):
        move(world, choice.choice(HOURS))
    yield
    world.make_whole()


def move(world: World, hours: float) -> None:
    """Let hours pass. Triggers of the watch look at what the program writes, so they are left out."""
    with psycopg.connect(world.postgres.url.replace("+psycopg", "")) as connection:
        connection.execute("SET session_replication_role = replica; SET lock_timeout = '5s'")
        for name, columns in connection.execute(_INSTANTS).fetchall():
            moved = ", ".join(f"{one} = {one} - interval '{hours} hours'" for one in columns)
            connection.execute(f"UPDATE {name} SET {moved}")  # noqa: S608 - names of our own tables


@contextmanager
def clock_set(world: World, choice: random.Random) -> Iterator[None]:
    """A worker and a beat start with another time than the rest, and are set to the right one while they run.

    Needs libfaketime (Debian: libfaketime); without it they are only started anew.
    """
    step = world.directory / "time-of-a-machine"
    step.write_text(choice.choice(STEPS))
    extra = _faked(world, step) if _LIBRARIES else {}
    for member in [world.at_work(choice), *world.beats]:
        world.kill(member)
    world.start_worker(**extra)
    world.start_beat(**extra)
    yield
    step.write_text("+0")


def _faked(world: World, step: Path) -> dict[str, str]:
    """The environment of a process whose time is off by what a file says."""
    mended = world.directory / "mended"
    mended.mkdir(exist_ok=True)
    (mended / "sitecustomize.py").write_text(_SLEEP)
    return {
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(step),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": f"{mended}:{ROOT}",
    }
