"""Work in phases: a phase that fails costs its own streams, and none is begun after the provider said stop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from pdpp_worker.connector.reports import skip_for
from pdpp_worker.errors import NeedsOwner, ProviderError
from pdpp_worker.protocol.messages import Message

Finish = Callable[[Collection[str]], Iterator[Message]]
"""From the streams that failed to the messages that have to come before they are skipped, such as the last STATEs."""


class Phase(NamedTuple):
    """A part of a slice's work, and the streams that are skipped when it fails."""

    streams: tuple[str, ...]
    messages: Callable[[], Iterator[Message]]


def run_phases(
    phases: Sequence[Phase],
    *,
    otherwise: Sequence[str] = (),
    word: Callable[[ProviderError], str] = str,
    finish: Finish | None = None,
) -> Iterator[Message]:
    """Runs one phase after the other.

    A phase that fails has its streams skipped: at once, or with `finish` after that at the end. One without streams,
    such as one that retries known gaps, leaves them open. Where only the owner can act on it, the streams of all later
    phases are skipped as well (or `otherwise`, where there are none), and nothing further is asked for. `word` makes
    the sentence for the owner.
    """
    failed: dict[str, ProviderError] = {}
    for number, phase in enumerate(phases):
        try:
            yield from phase.messages()
        except NeedsOwner as error:
            late = dict.fromkeys(stream for one in phases[number:] for stream in one.streams)
            yield from (skip_for(error, stream, message=word(error)) for stream in late or otherwise)
            return
        except ProviderError as error:
            failed = dict.fromkeys(phase.streams, error) | failed
            if finish is None:
                yield from (skip_for(error, stream, message=word(error)) for stream in phase.streams)
    if finish is not None:
        yield from finish(failed)
        yield from (skip_for(error, stream, message=word(error)) for stream, error in failed.items())
