"""Looks at everything a connector says, for what must never be in it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

import structlog
from structlog.typing import FilteringBoundLogger

from pdpp_worker.conformance.names import name_of
from pdpp_worker.protocol.messages import Message, State
from pdpp_worker.secrets import MASK


class Watch:
    """Remembers where a secret, or in a cursor the path of the owner's directory, was seen."""

    def __init__(self, secrets: Mapping[str, str], paths: Mapping[str, str]) -> None:
        self._secrets = {form: name for name, value in secrets.items() for form in _forms(value)}
        self._paths = {json.dumps(path)[1:-1]: name for name, path in paths.items()}
        self.found: list[str] = []
        """A sentence for each place, without the secret."""
        self.messages = 0
        self.lines = 0

    def see(self, message: Message) -> None:
        """Look at a message."""
        self.messages += 1
        text = json.dumps(message.model_dump(), default=str)
        for secret, name in self._secrets.items():
            if secret in text or json.dumps(secret)[1:-1] in text:
                self._note(f"{name_of(message)} holds the secret {name}")
        if isinstance(message, State):
            for path, name in self._paths.items():
                if path in text:
                    self._note(f"{name_of(message)} holds the path of the setting {name}; keep it relative")

    def read(self, line: str) -> None:
        """Look at a line of the log, or at the text of an error."""
        self.lines += 1
        if MASK in line:  # a program's standard error is masked before it gets here
            self._note("the log, or an error, holds a secret that only the worker's mask keeps out of it")
        for secret, name in self._secrets.items():
            if secret in line:
                self._note(f"the log, or an error, holds the secret {name}")

    def logger(self) -> FilteringBoundLogger:
        """A log whose every line is looked at."""

        def look(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
            self.read(json.dumps(event, default=str, ensure_ascii=False))
            raise structlog.DropEvent

        wrapper = structlog.make_filtering_bound_logger(logging.DEBUG)
        logger: FilteringBoundLogger = structlog.wrap_logger(
            None, processors=[structlog.processors.format_exc_info, look], wrapper_class=wrapper
        )
        return logger

    def _note(self, sentence: str) -> None:
        if sentence not in self.found:
            self.found.append(sentence)


class WatchHandler(logging.Handler):
    """The same for what libraries log."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.DEBUG)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a line."""
        self._watch.read(record.getMessage())


def _forms(secret: str) -> set[str]:
    """The secret as it may stand in a URL, a header or an encoded file."""
    return {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")}
