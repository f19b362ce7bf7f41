"""The sides of the ingest benchmark: each loads the records once, in a process of its own."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.alone import Measure
from bench.alone import measure as measure_alone
from bench.peers import PYTHON

PEERS = frozenset({"dlt", "singer"})
"""Sides that run in the peers' own environment."""


def module(name: str) -> Any:
    """A side's module: `load(database_url, redis_url, folder)`, and `TABLE`, which it fills."""
    return import_module(_name(name))


def measure(name: str, database_url: str, redis_url: str, folder: Path) -> Measure:
    """Let a process of its own load the records."""
    python = str(PYTHON) if name in PEERS else sys.executable
    return measure_alone(_name(name), database_url, redis_url, str(folder), python=python)


def _name(name: str) -> str:
    return f"bench.ingest.side_{name}"
