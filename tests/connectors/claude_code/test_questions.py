"""Questions of an owner, answered by SQL over what is held of practice logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.connectors.claude_code.logs import PROJECT, A, B, said, write
from tests.connectors.claude_code.test_on_the_store import Account


@pytest.fixture
def account(open_root: Path, settings: Settings, db: Database, redis: Redis) -> Account:
    """A connection to the logs of `open_root`."""
    return Account(open_root, settings, db, redis)


def answer(uuid: str, number: int, output: int, session: str = A, **more: Any) -> dict[str, Any]:
    """One line of an answer of a model."""
    usage = {"input_tokens": 5, "output_tokens": output, "cache_read_input_tokens": 40_000}
    model = "claude-large" if number % 2 else "claude-small"
    body = {"id": f"msg_{number}", "role": "assistant", "model": model, "content": [], "usage": usage}
    return said(uuid, session=session) | {"type": "assistant", "requestId": f"req_{number}", "message": body} | more


def write_work(root: Path) -> None:
    """An answer on three lines, one on one line, and a session that resumes and repeats both."""
    lines = [answer("a1", 1, 2), answer("a2", 1, 90), answer("a3", 1, 90), answer("a4", 2, 107)]
    write(root / PROJECT / f"{A}.jsonl", *lines, {"type": "custom-title", "customTitle": "Deploy", "sessionId": A})
    write(root / PROJECT / f"{B}.jsonl", *(line | {"sessionId": B} for line in lines))


def test_tokens_by_project_and_month(open_root: Path, account: Account) -> None:
    write_work(open_root)
    account.run()

    rows = account.rows(
        "SELECT data ->> 'project_path' AS project, substr(data ->> 'timestamp', 1, 7) AS month, "
        "sum((data ->> 'output_tokens')::int) AS output, sum((data ->> 'cache_read_input_tokens')::int) AS cached "
        "FROM records WHERE stream = 'usage' AND deleted_at IS NULL GROUP BY 1, 2"
    )

    assert rows == [{"project": PROJECT, "month": "2026-03", "output": 197, "cached": 80_000}]


def test_which_model_wrote_this(open_root: Path, account: Account) -> None:
    write_work(open_root)
    account.run()

    rows = account.rows(
        "SELECT data #>> '{message,model}' AS model, count(*) AS lines FROM records "
        "WHERE stream = 'messages' GROUP BY 1 ORDER BY 1"
    )

    assert rows == [{"model": "claude-large", "lines": 6}, {"model": "claude-small", "lines": 2}]


def test_sessions_by_title_and_what_their_subagents_did(open_root: Path, account: Account) -> None:
    write_work(open_root)
    below = open_root / PROJECT / A / "subagents"
    write(below / "agent-a1.jsonl", said("s1", agentId="a1", isSidechain=True))
    write(below / "agent-a1.meta.json", b'{"agentType":"Explore","description":"find it","toolUseId":"toolu_1"}')
    account.run()

    rows = account.rows(
        "SELECT session.data ->> 'title' AS title, agent.data ->> 'agent_type' AS kind, "
        "agent.data ->> 'description' AS task, agent.data ->> 'tool_use_id' AS call FROM records session "
        "JOIN records agent ON agent.stream = 'subagents' AND agent.data ->> 'session_id' = session.key "
        "WHERE session.stream = 'sessions'"
    )

    assert rows == [{"title": "Deploy", "kind": "Explore", "task": "find it", "call": "toolu_1"}]


def test_every_row_of_the_logs_is_held_or_named(open_root: Path, account: Account) -> None:
    """An independent count: lines of files against rows, gaps and what the inventory leaves out."""
    write_work(open_root)
    write(open_root / PROJECT / f"{A}.jsonl", b"broken", {"type": "summary", "summary": "s"}, append=True)
    account.run()

    lines = sum(path.read_bytes().count(b"\n") for path in open_root.rglob("*.jsonl"))
    held = account.rows("SELECT count(*) AS n FROM records WHERE stream IN ('messages', 'attachments')")[0]["n"]
    named = account.rows("SELECT count(*) AS n FROM gaps WHERE closed_at IS NULL")[0]["n"]

    assert held + named == lines
