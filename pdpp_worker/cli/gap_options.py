"""Options by which several commands say which gaps they mean."""

from __future__ import annotations

from typing import Annotated

import typer

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.reasons import Reason, known_reason
from pdpp_worker.store.backlog import Selection

Stream = Annotated[str | None, typer.Option(help="Only gaps of this stream.")]
Why = Annotated[str | None, typer.Option("--reason", help="Only gaps of this reason.")]
Gaps = Annotated[list[int] | None, typer.Option("--gap", help="Only the gap of this number; again for more.")]


def selection(stream: str | None, reason: str | None, ids: list[int] | None) -> Selection:
    """The gaps that were asked for.

    Raises:
        ConfigurationError: there is no such reason; names those that there are.
    """
    check_reason(reason)
    return Selection(stream, reason, ids or None)


def check_reason(reason: str | None) -> None:
    """Refuse a reason that is none.

    Raises:
        ConfigurationError: names those that there are.
    """
    if reason is not None and known_reason(reason) is None:
        raise ConfigurationError(f"{reason!r} is not a reason; known: {', '.join(one.value for one in Reason)}.")
