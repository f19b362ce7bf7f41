"""The verdicts on streams as lines of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pdpp_worker.cli.output import wrap
from pdpp_worker.coverage.phrases import in_words, when
from pdpp_worker.coverage.stream import StreamCoverage


def remarks(found: Iterable[StreamCoverage]) -> Iterator[str]:
    """The verdict on each stream with its reason and what happens next, as lines."""
    for one in found:
        time = when(one)
        yield from ("", f"{one.connection} {one.stream}: {in_words(one.verdict)}{f', {time}' if time else ''}")
        yield from wrap(f"{one.because} {one.next}", indent=2)
