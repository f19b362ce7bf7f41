"""Ask whether a process of the fleet is well: whether it answers, and none of its threads is stuck.

python -m pdpp_worker.tasks.health NODE     for example control@my-host
"""

from __future__ import annotations

import sys
from typing import Any

from kombu.exceptions import OperationalError

from pdpp_worker.tasks.app import app

_ANSWER_S = 10.0


def why_unwell(node: str) -> str | None:
    """A sentence about what is wrong with the process of this name; None: nothing is."""
    question = "ping" if node.startswith("celerybeat@") else "stuck_runs"
    try:
        answers = app.control.broadcast(question, destination=[node], reply=True, timeout=_ANSWER_S, limit=1)
    except (OperationalError, OSError) as error:
        return f"The broker cannot be reached: {str(error).rstrip('.')}."
    if not answers:
        return f"{node} does not answer."
    return _why_stuck(node, answers[0][node])


def _why_stuck(node: str, answer: Any) -> str | None:
    stuck = isinstance(answer, list) and answer
    return f"{node}: the threads of these runs do not come back: {answer}." if stuck else None


def main(node: str) -> None:
    """Exit with a sentence and status 1 when the process is unwell."""
    sys.exit(why_unwell(node))


if __name__ == "__main__":
    main(*sys.argv[1:])
