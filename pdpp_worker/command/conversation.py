"""Talks with a running command: lines come in, messages come out, questions are answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import SecretStr

from pdpp_worker.command.child import LINE_BYTES, Child
from pdpp_worker.command.dialect.forms import Item, Reply
from pdpp_worker.command.dialect.outgoing import answer_line, encoded
from pdpp_worker.command.dialect.reader import DialectReader
from pdpp_worker.command.outline import Outline
from pdpp_worker.command.subreaper import CANNOT_BE_OFFLINE, CANNOT_START, TOO_MUCH_MEMORY
from pdpp_worker.connector import Context, Done, DoneError, Interaction
from pdpp_worker.errors import ProtocolViolation, UpstreamError
from pdpp_worker.protocol.foreign import Assistance, AssistanceEnded
from pdpp_worker.secrets import Redactor

EXIT_S = 30.0
"""How long a command may take to exit after its DONE."""
_TOLD_CHARACTERS = 1000
_BY_CODE = {
    CANNOT_START: "could not be started",
    CANNOT_BE_OFFLINE: "was not started, since this kernel gives it no network of its own (PDPP_CONNECTORS_OFFLINE)",
    TOO_MUCH_MEMORY: "was ended, since it had more memory than PDPP_CONNECTOR_MEMORY_MB allows",
}


class Conversation:
    """The lines of one run."""

    def __init__(self, child: Child, reader: DialectReader, context: Context, redactor: Redactor) -> None:
        self._child = child
        self._reader = reader
        self._context = context
        self._redactor = redactor
        self._requests: dict[str, float] = {}
        """Open requests to the owner, and how long the command may be silent meanwhile, s."""

    def messages(self) -> Iterator[Item]:
        """The messages of the command, until its DONE.

        Raises:
            ProtocolViolation: it breaks a rule that ends its run.
            UpstreamError: it ends without DONE.
        """
        for line in self._child.lines():
            if line is self._child.half_line and not _is_object(line):
                break
            for item in self._read(line):
                if isinstance(item, Done):
                    yield self._end(item)
                    return
                if isinstance(item, Reply):
                    self._child.send(encoded(item.message))
                elif isinstance(item, Interaction):
                    self._child.send(self._answer(item))
                else:
                    self._note_request(item)
                    yield item
        code = self._child.exit_code(EXIT_S)
        how = _BY_CODE.get(code or 0, f"ended without DONE ({_exit(code)})")
        text = f"the command {how}; its output on standard error is in the worker's log"
        raise UpstreamError(text, reason="source_partition_failed")

    def _read(self, line: bytes | Outline) -> Iterator[Item]:
        return self._reader.read_long(line, LINE_BYTES) if isinstance(line, Outline) else self._reader.read(line)

    def _note_request(self, item: Item) -> None:
        """While the owner is asked to act, the command may wait in silence."""
        if isinstance(item, Assistance):
            self._requests[item.request_id] = item.timeout_s or 0.0
            self._tell(f"The connector asks you to act: {item.message}")
        elif isinstance(item, AssistanceEnded):
            self._requests.pop(item.request_id, None)
            self._tell(f"What the connector asked for is {item.status.replace('_', ' ')}. {item.message}".strip())
        else:
            return
        self._context.occasion.allow_silence(max(self._requests.values(), default=0.0))

    def _tell(self, text: str) -> None:
        self._context.occasion.tell(self._redactor(text)[:_TOLD_CHARACTERS])

    def _answer(self, question: Interaction) -> bytes:
        answer = self._context.ask(question)
        for value in (answer.data or {}).values():
            self._redactor.learn(SecretStr(str(value)))
        if any(_is_question(line) for line in self._child.waiting()):
            raise ProtocolViolation("a second INTERACTION came while the first one waited for its answer")
        return encoded(answer_line(answer))

    def _end(self, done: Done) -> Done:
        """Wait for the end of a command that has sent DONE; the end of its input tells it that nothing more will come.

        Of a command that has failed, its own error is told before the rule that it broke, and nothing is certified.

        Raises:
            ProtocolViolation: it says that it succeeded, and sends more, does not exit, or exits with another word.
        """
        self._child.close_input()
        broken = self._broken_rule(done)
        if broken is None:
            return done
        if done.status == "succeeded":
            raise ProtocolViolation(broken)
        error = done.error or DoneError(message=f"the connector ended with {done.status}")
        told = error.model_copy(update={"message": f"{error.message} ({broken})", "code": None})
        return done.model_copy(update={"error": told})

    def _broken_rule(self, done: Done) -> str | None:
        code = self._child.exit_code(EXIT_S)
        if code is None and self._child.waiting():
            return "a message came after DONE; DONE is the last one"
        if code is None:
            return f"the command did not exit within {EXIT_S:g} s after its DONE"
        if (code == 0) != (done.status == "succeeded"):
            return f"DONE says {done.status}, and the command ended with {_exit(code)}"
        return None


def _exit(code: int | None) -> str:
    return "its output closed but the process at work" if code is None else f"exit code {code}"


def _is_object(line: bytes | Outline) -> bool:
    try:
        return isinstance(line, bytes) and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_question(line: bytes | Outline) -> bool:
    return isinstance(line, bytes) and _is_object(line) and json.loads(line).get("type") == "INTERACTION"
