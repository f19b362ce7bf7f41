"""The machine on which a figure was measured."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata

import psutil

_LIBRARIES = ("psycopg", "sqlalchemy", "pydantic", "jsonschema-rs", "orjson")


@dataclass(frozen=True)
class Machine:
    """The machine and what runs on it; `load` is the load average of the last minute, before anything was measured."""

    cores: int
    memory_bytes: int
    load: float
    versions: dict[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.cores} cores, {self.memory_bytes / 2**30:.0f} GiB; load {self.load:.2f} before; {versions}"


def this_machine(postgres: str) -> Machine:
    """Describe this machine and the versions in use; `postgres` is the server's version."""
    libraries = {name: metadata.version(name) for name in _LIBRARIES}
    versions = {"Python": platform.python_version(), "PostgreSQL": postgres, **libraries}
    return Machine(os.cpu_count() or 1, psutil.virtual_memory().total, os.getloadavg()[0], versions)
