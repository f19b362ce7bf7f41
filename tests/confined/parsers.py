"""Functions that a child calls in the tests."""

from __future__ import annotations

import os
import time


def reverse(job: bytes) -> str:
    """The job from its end to its beginning, byte by byte."""
    return job[::-1].decode("utf-8", "surrogateescape")


def spin(job: bytes) -> None:
    """Never come to an end, unless the job is empty."""
    while job:
        pass


def sleep(job: bytes) -> None:
    """Never come to an end, and use no processor."""
    while job:
        time.sleep(60)


def swell(job: bytes) -> int:
    """Take ever more memory."""
    held = [job]
    while True:
        held.append(b"x" * 1_000_000)


def die(job: bytes) -> None:
    """End the process in the middle of the job."""
    os.abort()


def flood(job: bytes) -> str:
    """Say more than may be said."""
    return "x" * 40_000_000


def environment(job: bytes) -> list[str]:
    """The names in the process's environment."""
    return sorted(os.environ)


def process(job: bytes) -> int:
    """The id of the child."""
    return os.getpid()
