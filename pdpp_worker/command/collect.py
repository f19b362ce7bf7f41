"""Runs a connector of any language: START goes to its standard input, its messages come as lines of JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from pdpp_worker.command.child import Child
from pdpp_worker.command.conversation import Conversation
from pdpp_worker.command.dialect.forms import Facts, Item
from pdpp_worker.command.dialect.handover import Handover
from pdpp_worker.command.dialect.outgoing import encoded, start_line
from pdpp_worker.command.dialect.reader import DialectReader
from pdpp_worker.command.prepared_program import Program, prepared
from pdpp_worker.command.stderr import ErrorLog
from pdpp_worker.connector import Collect, Context, Done, Start
from pdpp_worker.errors import UpstreamError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Redactor

LONGEST_S = 24 * 3600.0
"""A command that has not ended by then is taken for one that never will."""


def collector(manifest: Manifest, folder: Path) -> Collect:
    """The `collect` of a manifest in `folder` that has a command. Beside messages it yields those of the dialect."""
    return cast("Collect", partial(_collect, manifest, folder))


def _collect(manifest: Manifest, folder: Path, start: Start, context: Context) -> Iterator[Item]:
    with prepared(manifest, folder, start, context) as program:
        for item in _talk(manifest, program, start, context):
            if isinstance(item, Done) and program.unkept is not None:
                yield from program.unkept.messages()
            yield item


def _talk(manifest: Manifest, program: Program, start: Start, context: Context) -> Iterator[Item]:
    redactor = Redactor()
    for secret in program.secrets:
        redactor.learn(SecretStr(secret))
    handover = Handover(start.detail_gaps)
    first = start_line(start, manifest, handover.first(), attended=context.occasion.attended)
    reader = DialectReader(facts_of(manifest, start, context, handover))
    deadline = time.monotonic() + LONGEST_S

    def check() -> None:
        context.check()
        if time.monotonic() >= deadline:
            raise UpstreamError(f"the command had not ended after {LONGEST_S / 3600:g} h", reason="timed_out")

    child = Child(
        program.command,
        program.folder,
        program.environment,
        check=check,
        log=ErrorLog(context.log, redactor),
        account=program.account,
        paths=program.paths,
        is_offline=program.is_offline,
        memory_bytes=program.memory_bytes,
    )
    try:
        child.send(encoded(first))
        yield from Conversation(child, reader, context, redactor).messages()
    finally:
        child.stop()


def facts_of(manifest: Manifest, start: Start, context: Context, handover: Handover) -> Facts:
    """The facts of a run for the readers of messages."""
    return Facts(
        manifest=manifest,
        in_scope=frozenset(scope.name for scope in start.scope.streams),
        handover=handover,
        now=context.now,
        takes_skips=context.settings.get(OPTIONAL_SKIPS) is True,
    )


OPTIONAL_SKIPS = "accept_optional_skips"
"""The setting by which an owner allows details that a connector calls optional to be left out."""
