"""A file for a tap that has no name and no place on the disk: it ends with the processes that hold it, even killed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple


class NamelessFile(NamedTuple):
    """The path by which a child opens it, and the descriptor that the child is to be passed."""

    path: str
    descriptor: int


@contextmanager
def nameless_file(content: Mapping[str, Any]) -> Iterator[NamelessFile]:
    """Hold a file with this JSON in memory inside the block; a child that was started there keeps its own hold."""
    descriptor = _in_memory()
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(content).encode())
        file.flush()
        file.seek(0)
        yield NamelessFile(f"/dev/fd/{descriptor}", descriptor)


def _in_memory() -> int:
    """The descriptor of a new file; where a system keeps none in memory, of a deleted one."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("tap")
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108 - the path's only use
    return descriptor
