"""Prompts of a connector for its owner, answered at the terminal, in this process, and kept nowhere."""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jsonschema_rs

from pdpp_worker.cli.output import note
from pdpp_worker.inert import one_line
from pdpp_worker.protocol.messages import Interaction, InteractionResponse

LONGEST_S = 900.0
"""An owner who has not answered by then has gone away, whatever time the connector gives."""

_FIELDS = {"credentials": ("username", "password"), "otp": ("code",), "manual_action": ()}
"""Fields of a prompt for which the connector gives no schema."""
_LOOK_EVERY_S = 0.25


class Terminal:
    """The owner at standard input, whose end (Ctrl-D) is the answer `cancelled`.

    Answers to `credentials` or `otp` are not shown while they are typed.
    """

    def __init__(self) -> None:
        self._held = b""

    def __call__(self, question: Interaction, waiting: Callable[[], None]) -> InteractionResponse:
        """Ask; `waiting` is called while nobody answers, and may raise what ends the slice."""
        deadline = time.monotonic() + min(question.timeout_seconds or LONGEST_S, LONGEST_S)
        note(f"The connector asks: {question.message}")
        try:
            data = self._answer(question, deadline, waiting)
        except TimeoutError:
            note("Nobody answered in time.")
            return InteractionResponse(request_id=question.request_id, status="timeout")
        except EOFError:
            return InteractionResponse(request_id=question.request_id, status="cancelled")
        return InteractionResponse(request_id=question.request_id, status="success", data=data)

    def tell(self, text: str) -> None:
        """Show what the connector says and wants no answer to."""
        note(text)

    def _answer(self, question: Interaction, deadline: float, waiting: Callable[[], None]) -> dict[str, Any]:
        properties: dict[str, Any] = (question.schema_ or {}).get("properties") or {}
        while True:
            data: dict[str, Any] = {}
            for name in properties or _FIELDS[question.kind]:
                spec = properties.get(name) or {}
                line = self._line(f"{spec.get('title') or name}: ", question.kind != "manual_action", deadline, waiting)
                if line:
                    data[name] = _typed(line, spec)
            if question.kind == "manual_action" and not properties:
                self._line("Press Enter when it is done. ", False, deadline, waiting)
            if _fits(data, question.schema_):
                return data
            note("That is not what was asked for; please try again.")

    def _line(self, prompt: str, hidden: bool, deadline: float, waiting: Callable[[], None]) -> str:
        with _without_echo() if hidden else nullcontext():
            sys.stderr.write(one_line(prompt))
            sys.stderr.flush()
            while b"\n" not in self._held:
                waiting()
                if time.monotonic() >= deadline:
                    raise TimeoutError
                if select.select([0], [], [], _LOOK_EVERY_S)[0]:
                    self._read()
        line, _, self._held = self._held.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _read(self) -> None:
        chunk = os.read(0, 4096)
        if not chunk:
            raise EOFError
        self._held += chunk


@contextmanager
def _without_echo() -> Iterator[None]:
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(0, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        sys.stderr.write("\n")


def _typed(line: str, spec: dict[str, Any]) -> Any:
    """A number or a truth value where the connector wants one, else the text."""
    if spec.get("type") in ("integer", "number", "boolean"):
        try:
            return json.loads(line)
        except ValueError:
            pass
    return line


def _fits(data: dict[str, Any], schema: dict[str, Any] | None) -> bool:
    try:
        return jsonschema_rs.is_valid(schema or {}, data)
    except ValueError:  # the connector's schema is none
        return True
