"""The fleet of one machine, as `pdpp-worker up` keeps it, and the loss of what keeps it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.chaos.world import Lasting, World
from tests.support.fleet import ROOT, Member, environment
from tests.support.waiting import PATIENCE_S, until

REST_S = 1.5


@contextmanager
def kill_supervisor(world: World, choice: random.Random) -> Lasting:
    """The supervisor of a machine is killed alone: its processes end with it, and it is started again at once."""
    for member in [*world.workers, *world.beats]:
        world.kill(member)
    with up(world) as first:
        until(lambda: world.holders() & {one.pid for one in descendants(first)}, first)
        time.sleep(choice.uniform(0, REST_S))  # the instant is what varies here
        left = descendants(first)
        first.process.kill()
        with up(world):
            yield
            until(lambda: not any(is_alive(one) for one in left))
    world.make_whole()


@contextmanager
def up(world: World) -> Iterator[Member]:
    """The whole fleet of a machine; at the end it is told to stop."""
    log = world.directory / f"up-{len(list(world.directory.iterdir()))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pdpp_worker", "up"],
            env={**environment(world.settings), **world.environment, "PDPP_WEB_PORT": "0"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Member(process, log)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def descendants(member: Member) -> list[psutil.Process]:
    """Its children, and theirs."""
    return psutil.Process(member.process.pid).children(recursive=True)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs, and does not only wait to be reaped."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
