"""Writes a command's standard error to the worker's log: line by line, bounded, without secrets."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from pdpp_worker.command.lines import Lines
from pdpp_worker.secrets import Redactor

LINES = 1000
"""Most lines that are logged in one run, so that no command floods the disk."""
LINE_CHARACTERS = 2000

_LINE_BYTES = 64 * 1024
_HELD_LINES = 100
"""Most lines over which one secret is looked for."""


class ErrorLog:
    """Takes chunks and logs lines."""

    def __init__(self, log: FilteringBoundLogger, redactor: Redactor) -> None:
        self._log = log
        self._redactor = redactor
        self._lines = Lines()
        self._skips_to_end = False
        self._held: list[str] = []
        """Lines of which the last one ends within a secret."""
        self._logged = 0

    def __call__(self, chunk: bytes) -> None:
        """Log the lines that end in this chunk; an empty chunk is the end."""
        for line in self._lines.feed(chunk) if chunk else [self._lines.rest()]:
            self._write(line)
            self._skips_to_end = False
        if not chunk:
            self._release()
        if self._lines.size > _LINE_BYTES:
            # Whole lines are masked, so what goes on after the bound is not looked at: it may begin within a secret.
            self._write(self._lines.rest())
            self._skips_to_end = True

    def _write(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if not text or self._skips_to_end or self._logged > LINES:
            return
        self._logged += 1
        if self._logged > LINES:
            self._release()
            self._log.warning("command says more than is logged", lines=LINES)
            return
        self._held.append(text)
        if len(self._held) >= _HELD_LINES or not self._redactor.ends_within("\n".join(self._held)):
            self._release()

    def _release(self) -> None:
        held, self._held = "\n".join(self._held), []
        for line in self._redactor(held).splitlines():
            self._log.info("command says", line=line[:LINE_CHARACTERS])
