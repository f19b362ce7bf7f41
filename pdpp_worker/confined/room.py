"""A parser that takes bytes and returns what JSON can say, called in children.

A child works on one job at a time; a few jobs of several threads run beside each other.
"""

from __future__ import annotations

import json
from typing import Any

from pdpp_worker.confined.child_pool import ChildPool
from pdpp_worker.confined.parser_child import ConfinedError, LeftError

__all__ = ["ConfinedError", "Room"]

MEMORY_BYTES = 384 * 1024 * 1024
"""Address space of a child."""
CPU_S = 30.0
"""Processor time that a job may use; a PDF of 300 pages takes 10 s."""
WALL_S = 120.0
"""Time that a job may take on a busy machine; its slot is held no longer."""
MOST_CHILDREN = 4
"""Children that a room has at a time; further jobs wait for one."""


class Room:
    """Calls one function, "module:function", from bytes to what JSON can say."""

    def __init__(
        self, function: str, *, memory_bytes: int = MEMORY_BYTES, cpu_s: float = CPU_S, wall_s: float = WALL_S
    ) -> None:
        self._children = ChildPool(function, memory_bytes=memory_bytes, cpu_s=cpu_s, wall_s=wall_s, most=MOST_CHILDREN)

    def call(self, job: bytes) -> Any:
        """The value of the function for this job.

        Raises:
            ConfinedError: the job was ended.
        """
        while True:
            child = self._children.take()
            try:
                return json.loads(child.ask(job, self._children.wall_s))
            except LeftError:
                continue
            except ValueError as error:
                raise ConfinedError("its reader came to a sudden end") from error
            finally:
                self._children.give_back(child)

    def close(self) -> None:
        """End the children that wait for a job."""
        self._children.close()
