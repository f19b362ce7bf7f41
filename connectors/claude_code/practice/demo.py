"""An account for the demonstration: the owner's own logs, or sample logs where there are none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.claude_code.practice.sample_logs import append_activity, write_sample
from pdpp_worker.demo.account import DemoAccount

SEED = 7


@contextmanager
def open_account(directory: Path, *, is_first: bool) -> Iterator[DemoAccount]:  # noqa: ARG001 - the logs tell it
    """Choose the logs; sample logs go on from one demonstration to the next."""
    own = Path("~/.claude/projects").expanduser()
    is_own = any(own.glob("*/*.jsonl"))
    logs = own if is_own else directory / "sample-logs" / "projects"
    if not is_own:
        _go_on(logs)
    yield DemoAccount(
        introduction=f"{'your own logs' if is_own else 'sample logs'} in {logs}",
        settings={"projects_dir": str(logs), "claude_dir": str(own.parent if is_own else logs.parent)},
    )


def _go_on(logs: Path) -> None:
    if logs.exists():
        append_activity(logs, SEED)
    else:
        write_sample(logs, SEED)
