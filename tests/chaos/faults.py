"""Faults that an episode draws from: each begins, lasts for a while, and is over. None loses what is durable."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import ExitStack, contextmanager, suppress

import psutil
import psycopg
from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.moved_time import clock_set, idle_hours
from tests.chaos.outside import failing_notes, goes_wrong, owner_acts, provider_away
from tests.chaos.supervised import kill_supervisor
from tests.chaos.troubles import TROUBLES
from tests.chaos.world import Fault, Lasting, World, freeze, thaw
from tests.support.fleet import Member


@contextmanager
def kill_worker(world: World, choice: random.Random) -> Lasting:
    """A machine dies; another takes its place."""
    world.kill(world.at_work(choice))
    yield
    world.start_worker()


@contextmanager
def kill_program(world: World, _: random.Random) -> Lasting:
    """The connector's own process is killed."""
    for one in _programs(world):
        with suppress(psutil.NoSuchProcess):
            one.kill()
    yield


@contextmanager
def frozen(members: Iterable[Member]) -> Lasting:
    """Keep these processes still inside the block."""
    still = list(members)
    for member in still:
        freeze(member)
    yield
    for member in still:
        thaw(member)


@contextmanager
def freeze_worker(world: World, choice: random.Random) -> Lasting:
    """A machine stands still, past its leases, and goes on as if nothing had been."""
    with frozen([world.at_work(choice)]):
        yield


@contextmanager
def freeze_all_workers(world: World, _: random.Random) -> Lasting:
    """All machines stand still, as a laptop that sleeps, and wake together."""
    with frozen(world.workers):
        yield


@contextmanager
def freeze_program(world: World, _: random.Random) -> Lasting:
    """The connector's own processes hang, and go on."""
    hung = _programs(world)
    for one in hung:
        with suppress(psutil.NoSuchProcess):
            one.suspend()
    yield
    for one in hung:
        with suppress(psutil.NoSuchProcess):
            one.resume()


def _programs(world: World) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for member in world.workers:
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(member.process.pid).children(recursive=True)
            found += [child for child in children if "connector.py" in " ".join(child.cmdline())]
    return found


@contextmanager
def stop_worker(world: World, choice: random.Random) -> Lasting:
    """A machine is told to stop; another takes its place at once, as in a rolling restart."""
    world.at_work(choice).process.terminate()
    world.start_worker()
    yield


@contextmanager
def freeze_beat(world: World, _: random.Random) -> Lasting:
    """Beat stands still, and sends what it has missed."""
    with frozen(world.beats):
        yield


@contextmanager
def full_disk(world: World, _: random.Random) -> Lasting:
    """PostgreSQL's disk is full, where it has one of its own."""
    world.postgres.fill_disk()
    yield
    world.postgres.empty_disk()


@contextmanager
def no_beat(world: World, _: random.Random) -> Lasting:
    """Nothing asks for runs or recovery."""
    for member in list(world.beats):
        world.kill(member)
    yield
    world.start_beat()


@contextmanager
def two_beats(world: World, _: random.Random) -> Lasting:
    """Everything is asked for twice."""
    world.start_beat()
    yield
    world.kill(world.beats[-1])


@contextmanager
def empty_redis(world: World, _: random.Random) -> Lasting:
    """Every message and every rate is forgotten."""
    world.valkey.flush()
    yield


@contextmanager
def restart_redis(world: World, _: random.Random) -> Lasting:
    """Redis is away for a while, and empty when it is back."""
    world.valkey.kill()
    yield
    world.valkey.start()


@contextmanager
def freeze_redis(world: World, _: random.Random) -> Lasting:
    """Redis takes connections and answers nothing."""
    world.valkey.freeze()
    yield
    world.valkey.thaw()


@contextmanager
def restart_postgres(world: World, _: random.Random) -> Lasting:
    """PostgreSQL dies in the middle of its transactions and recovers."""
    world.postgres.kill()
    yield
    world.postgres.start()


@contextmanager
def freeze_postgres(world: World, _: random.Random) -> Lasting:
    """PostgreSQL takes connections and answers nothing."""
    world.postgres.freeze()
    yield
    world.postgres.thaw()


@contextmanager
def cut_connections(world: World, _: random.Random) -> Lasting:
    """Every connection to PostgreSQL is reset."""
    world.proxy.cut()
    yield


@contextmanager
def swallow_packets(world: World, _: random.Random) -> Lasting:
    """The network to PostgreSQL swallows everything, and resets nothing."""
    world.proxy.swallow()
    yield
    world.proxy.forward()


@contextmanager
def slow_network(world: World, choice: random.Random) -> Lasting:
    """Every packet to and from PostgreSQL comes late."""
    world.proxy.delay_s = choice.uniform(0.01, 0.1)
    yield
    world.proxy.delay_s = 0.0


@contextmanager
def exhaust_connections(world: World, _: random.Random) -> Lasting:
    """PostgreSQL has no connection left."""
    with ExitStack() as taken:
        with suppress(psycopg.OperationalError):
            for _number in range(200):
                taken.enter_context(psycopg.connect(world.postgres.url.replace("+psycopg", "")))
        yield


@contextmanager
def ring_again(world: World, choice: random.Random) -> Lasting:
    """Every message that waits is delivered several times."""
    with suppress(RedisError), Redis.from_url(world.valkey.broker_url, socket_timeout=5) as broker:
        for queue in ("control", "collect"):
            for message in broker.lrange(queue, 0, -1):
                for _ in range(choice.randint(1, 3)):
                    broker.lpush(queue, message)
    yield


@contextmanager
def lose_bells(world: World, _: random.Random) -> Lasting:
    """The messages that wait now are lost."""
    with suppress(RedisError), Redis.from_url(world.valkey.broker_url, socket_timeout=5) as broker:
        broker.delete("control", "collect")
    yield


QUICK: tuple[Fault, ...] = (
    kill_worker,
    kill_program,
    freeze_worker,
    no_beat,
    two_beats,
    empty_redis,
    restart_redis,
    freeze_redis,
    restart_postgres,
    freeze_postgres,
    cut_connections,
    swallow_packets,
    slow_network,
    exhaust_connections,
    ring_again,
    lose_bells,
    failing_notes,
    provider_away,
    owner_acts,
    freeze_all_workers,
    freeze_program,
    stop_worker,
    freeze_beat,
    full_disk,
    idle_hours,
    clock_set,
)
"""Faults of which an episode of `make test` draws."""
FAULTS: tuple[Fault, ...] = (*QUICK, kill_supervisor, *map(goes_wrong, TROUBLES))
TOGETHER: tuple[Fault, ...] = (
    kill_program,
    empty_redis,
    freeze_redis,
    cut_connections,
    swallow_packets,
    slow_network,
    failing_notes,
    ring_again,
)
"""Faults that may come in the middle of another one."""


def may_meet(one: Fault, other: Fault) -> bool:
    """Whether the second may come in the middle of the first: not to a server that is frozen or gone."""
    return one is not other and {one, other} != {restart_redis, freeze_redis}
