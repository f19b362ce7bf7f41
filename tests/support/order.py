"""The order of the suite where several processes share it: each begins with tests that take long.

A process that is done takes tests from the end of what another one has left. Where those are short, all processes end
at about the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby, islice

import pytest

LONG = (
    "tests/chaos/",
    "tests/fleet/",
    "tests/bench/",
    "tests/cli/test_doctor.py",
    "tests/cli/test_processes.py",
    "tests/conformance/test_built_in.py",
    "tests/conformance/test_commands.py",
    "tests/singer/test_real_taps.py",
    "tests/web/test_browser.py",
    "tests/web/test_journey.py",
)
"""Files with tests that start a fleet, a browser or a practice provider: most take longer than 5 s."""


def dealt(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests in as many equal parts as there are processes, the long ones first in each; a file stays together."""
    long = [item for item in items if item.nodeid.startswith(LONG)]
    short = iter([item for item in items if not item.nodeid.startswith(LONG)])
    files = [list(group) for _, group in groupby(long, key=lambda item: item.nodeid.partition("::")[0])]
    parts = [list(chain(*files[number::processes])) for number in range(processes)]
    left = len(items)
    for number, part in enumerate(parts):
        size = left // (processes - number)
        part.extend(islice(short, max(0, size - len(part))))
        left -= size
    return [*chain(*parts), *short]
