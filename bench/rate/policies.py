"""The policies that are compared, by name."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial

from bench.rate.peers import AutoThrottle, BotocoreAdaptive, FixedInterval, FullJitter, Peer, Published
from bench.rate.simulator import Client, Policy
from pdpp_worker.pacing.controller import Controller

Make = Callable[[Client, random.Random], Policy]


def _ours(client: Client, rng: random.Random) -> Policy:  # noqa: ARG001 - it draws nothing
    return Controller(client.ceiling_s * 1000)


def _peer(build: Callable[[float, random.Random], Peer]) -> Make:
    return lambda client, rng: build(client.ceiling_s, rng)


POLICIES: Mapping[str, Make] = {
    "ours": _ours,
    "fixed 1.5-3 s": _peer(partial(FixedInterval, low_s=1.5, high_s=3.0)),
    "fixed 1 s": _peer(partial(FixedInterval, low_s=1.0, high_s=1.0)),
    "published law": _peer(Published),
    "botocore adaptive": _peer(BotocoreAdaptive),
    "Scrapy AutoThrottle": _peer(AutoThrottle),
    "full jitter": _peer(FullJitter),
    "Celery rate_limit": _peer(Peer),
}
