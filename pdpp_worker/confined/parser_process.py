"""The child: calls one function on each job that comes, within a limit of memory and of processor time.

    python -m pdpp_worker.confined.parser_process MODULE:FUNCTION MEMORY_BYTES CPU_S

A job and its answer are frames: eight bytes of length, then the bytes. An answer that is no bytes goes as JSON. A class
in place of the function makes an object that is called; it is asked for `is_open`, and a child whose object is open
does not end while it waits. Between two jobs it may `read_ahead`, and again where that returns true. Else the child
ends when no job comes for a while, and in any case when its input ends. It holds no secret: its environment is empty.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

OUT_OF_MEMORY = 77
"""Exit status of a child that met its limit of memory."""
IDLE_S = 20.0
"""Seconds without a job after which the child ends."""
LENGTH = struct.Struct("<Q")


def main(name: str, memory_bytes: str, cpu_s: str) -> None:
    """Work on jobs until there are no more."""
    module, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    function = function() if isinstance(function, type) else function
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the parser prints is no answer
    _limit(resource.RLIMIT_AS, int(memory_bytes))
    _limit(resource.RLIMIT_CORE, 0)
    while (job := _next_job(sys.stdin.buffer, function)) is not None:
        _allow_cpu(float(cpu_s))
        answer = _answer(function, job)
        answers.write(LENGTH.pack(len(answer)))
        answers.write(answer)
        answers.flush()
        _read_ahead(function, sys.stdin.buffer, float(cpu_s))


def _next_job(jobs: BinaryIO, function: object) -> bytes | None:
    while not select.select([jobs], [], [], IDLE_S)[0]:
        if not getattr(function, "is_open", False):
            return None
    head = jobs.read(LENGTH.size)
    return jobs.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _answer(function: Callable[[bytes], Any], job: bytes) -> bytes:
    """The function's value as bytes; a child without memory ends at once, since half a parser is left."""
    try:
        value = function(job)
        # Not orjson: a parser may find lone surrogates.
        return value if isinstance(value, bytes) else json.dumps(value).encode()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _read_ahead(function: Any, jobs: BinaryIO, cpu_s: float) -> None:
    """Let an object that can do so make its next answers while its parent works on this one."""
    read_ahead = getattr(function, "read_ahead", bool)
    goes_on = True
    while goes_on:
        _allow_cpu(cpu_s)
        try:
            goes_on = read_ahead() and not select.select([jobs], [], [], 0)[0]
        except MemoryError:
            os._exit(OUT_OF_MEMORY)


def _limit(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, value))


def _allow_cpu(seconds: float) -> None:
    """Let the next job use this much processor time; the kernel ends the child after it (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
