"""A task's message, of which the task, its arguments and the turn of its run are read, and nothing else.

Other headers make Celery hold a queue or send further messages: waits (`eta`), time limits, callbacks, chords. The
fleet uses none of them; a time at which something is due is a row of PostgreSQL.
"""

from __future__ import annotations

from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request

from pdpp_worker.tasks.doorbell import TURN

_READ = ("task", "id", "lang", "root_id", "parent_id", "origin", "argsrepr", "kwargsrepr", TURN)


class PlainRequest(Request):  # type: ignore[misc]
    """Celery's own, for a message that is reduced to what the fleet sends."""

    def __init__(
        self, message: Any, *, body: Any = None, headers: Any = None, decoded: bool = False, **others: Any
    ) -> None:
        """Take a message.

        Raises:
            InvalidTaskError: it is to be taken up later, or is none of a task; Celery logs it and drops it.
        """
        given = message.headers if headers is None else headers
        args, kwargs = _arguments(body if decoded else message.payload)
        if given.get("eta") is not None:
            raise InvalidTaskError(f"{given['task']} for a later time, and no message waits: schedule the connection")
        read = {name: given[name] for name in _READ if name in given}
        super().__init__(message, body=(args, kwargs, {}), headers=read, decoded=True, **others)


def _arguments(payload: Any) -> tuple[list[Any], dict[str, Any]]:
    match payload:
        case [list() | tuple() as args, dict() as kwargs, _]:
            return list(args), kwargs
    raise InvalidTaskError("no list of arguments, named arguments and options")
