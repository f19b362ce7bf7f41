"""The walk over the transcripts in a process beside the worker's, where there is much to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from os import fsdecode
from pathlib import Path
from typing import Any

from connectors.claude_code.records import RecordFactory
from connectors.claude_code.tree import Found, Tree
from connectors.claude_code.walk import TranscriptWalk
from pdpp_worker.connector import WORTH_BYTES, Context, Message, going_on_from


def transcripts(
    factory: RecordFactory, tree: Tree, committed: Any, rejected: Sequence[str], context: Context
) -> Iterator[Message]:
    """Every message of the walk over a tree from a cursor, by this process or by another one."""
    walk = TranscriptWalk(factory, tree, committed, rejected)
    if walk.unread_bytes < WORTH_BYTES:
        return walk.run()
    # As bytes, since a directory's name need not be text.
    place = bytes(factory.root), bytes(factory.home), sorted(factory.wanted), context.now()
    return context.beside(f"{__name__}:walk_apart", place, _packed(tree), committed, list(rejected))


def walk_apart(
    place: tuple[bytes, bytes, list[str], datetime], tree: dict[str, Any], committed: Any, rejected: list[str]
) -> Iterator[Message]:
    """The same in the other process."""
    root, home, wanted, now = place
    factory = RecordFactory(Path(fsdecode(root)), Path(fsdecode(home)), frozenset(wanted), going_on_from(now))
    return TranscriptWalk(factory, _unpacked(tree), committed, rejected).run()


def _packed(tree: Tree) -> dict[str, Any]:
    """The parts of a tree that the walk looks at."""
    return {
        "transcripts": [_fields(one) for one in tree.transcripts],
        "results": [[session, [_fields(one) for one in files]] for session, files in tree.results.items()],
        "unlisted": [[name, error.errno, error.strerror or str(error)] for name, error in tree.unlisted.items()],
        "others": len(tree.others),
        "links": tree.links,
    }


def _unpacked(parts: dict[str, Any]) -> Tree:
    return Tree(
        transcripts=[Found(*one) for one in parts["transcripts"]],
        results={session: [Found(*one) for one in files] for session, files in parts["results"]},
        unlisted={name: OSError(number, why) for name, number, why in parts["unlisted"]},
        others=[Found("", 0, 0)] * parts["others"],
        links=parts["links"],
    )


def _fields(found: Found) -> tuple[str, int, int, bool]:
    return found.name, found.size, found.mtime_ns, found.is_copy
