"""Runs a connector of any language: START goes to its standard input, its messages come as lines of JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from pdpp_worker.command.child import LINE_BYTES, Child
from pdpp_worker.command.environment import command_line, environment_of
from pdpp_worker.command.outline import Outline
from pdpp_worker.command.stderr import ErrorLog
from pdpp_worker.command.subreaper import CANNOT_START
from pdpp_worker.connector import Collect, Context, Done, Interaction, Message, Start
from pdpp_worker.errors import ProtocolViolation, UpstreamError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import InteractionResponse, parse_message
from pdpp_worker.secrets import Redactor

LONGEST_S = 24 * 3600.0
"""Longest time that a command may take, s."""
EXIT_S = 30.0
"""Longest time between DONE and the exit, s."""


def collector(manifest: Manifest, folder: Path) -> Collect:
    """The `collect` of a manifest in `folder` that has a command."""
    return partial(_collect, manifest, folder)


def _collect(manifest: Manifest, folder: Path, start: Start, context: Context) -> Iterator[Message]:
    environment, secrets = environment_of(manifest, start, context)
    redactor = Redactor()
    for secret in secrets:
        redactor.learn(SecretStr(secret))
    command = command_line(manifest, folder, environment)
    deadline = time.monotonic() + LONGEST_S

    def check() -> None:
        context.check()
        if time.monotonic() >= deadline:
            raise UpstreamError(f"the command had not ended after {LONGEST_S / 3600:g} h", reason="timed_out")

    child = Child(command, folder, environment, check=check, log=ErrorLog(context.log, redactor))
    try:
        child.send(_start_line(start))
        yield from _messages(child, context, redactor)
    finally:
        child.stop()


def _messages(child: Child, context: Context, redactor: Redactor) -> Iterator[Message]:
    for line in child.lines():
        try:
            message = _message(line)
        except ProtocolViolation:
            if line is child.half_line:
                break
            raise
        if isinstance(message, Interaction):
            child.send(_answer(child, context, redactor, message))
        elif isinstance(message, Done):
            _end(child, message)
            yield message
            return
        else:
            yield message
    code = child.exit_code(EXIT_S)
    how = "could not be started" if code == CANNOT_START else f"ended without DONE ({_exit(code)})"
    raise UpstreamError(
        f"the command {how}; its output on standard error is in the worker's log", reason="source_partition_failed"
    )


def _message(line: bytes | Outline) -> Message:
    return line.message(LINE_BYTES) if isinstance(line, Outline) else parse_message(line)


def _answer(child: Child, context: Context, redactor: Redactor, question: Interaction) -> bytes:
    answer = context.ask(question)
    for value in (answer.data or {}).values():
        redactor.learn(SecretStr(str(value)))
    if any(isinstance(_message(line), Interaction) for line in child.waiting()):
        raise ProtocolViolation("a second INTERACTION came while the first one waited for its answer")
    return _answer_line(answer)


def _end(child: Child, done: Done) -> None:
    """Wait for the end of a command that has sent DONE; the end of its input tells it that nothing more will come.

    Raises:
        ProtocolViolation: it sends more, does not exit, or exits with a code that contradicts its DONE.
    """
    child.close_input()
    code = child.exit_code(EXIT_S)
    if code is None and child.waiting():
        raise ProtocolViolation("a message came after DONE; DONE is the last one")
    if code is None:
        raise ProtocolViolation(f"the command did not exit within {EXIT_S:g} s after its DONE")
    if (code == 0) != (done.status == "succeeded"):
        raise ProtocolViolation(f"DONE says {done.status}, and the command ended with {_exit(code)}")


def _exit(code: int | None) -> str:
    return "its output closed but the process at work" if code is None else f"exit code {code}"


def _start_line(start: Start) -> bytes:
    """START as a line. ASCII, so that a lone surrogate in a cursor goes back as it came."""
    fields = start.model_dump(mode="json", exclude_none=True, exclude={"state"})
    return json.dumps({**fields, "state": start.state}, ensure_ascii=True).encode()


def _answer_line(answer: InteractionResponse) -> bytes:
    return json.dumps(answer.model_dump(mode="json", exclude_none=True), ensure_ascii=True).encode()
