"""A connector is handed, beside HTTP, a turn for other requests and a directory of its own."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pdpp_worker.connector import Context, DetailGap, Message, Start, State, Throttled
from tests.support.scripted import Scenario, record


def test_each_connection_has_a_directory_for_its_files(scenario: Scenario) -> None:
    def keep(_: Start, context: Context) -> Iterator[Message]:
        (context.files / "kept").write_bytes(b"large")
        yield record("a")

    scenario.install(keep)

    assert scenario.run()["status"] == "succeeded"
    directory = scenario.settings.data_dir / "files" / f"{scenario.connection_id}-mine"
    assert (directory / "kept").read_bytes() == b"large"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_refusal_in_a_turn_is_written_down_as_the_rate_of_the_connection(scenario: Scenario) -> None:
    due = datetime.now(UTC) + timedelta(seconds=30)

    def request() -> None:
        raise Throttled("slow down", retry_after=due)

    def ask(_: Start, context: Context) -> Iterator[Message]:
        try:
            with context.pace():
                request()
        except Throttled as refused:
            yield DetailGap(stream="items", record_key="a", reason=refused.reason, retry_after=refused.retry_after)
        yield State(stream="items", cursor=1)

    scenario.install(ask)
    scenario.run()

    state = scenario.one("SELECT state FROM rate_states")["state"]
    assert state["back_off"]["why"] == "rate_limited"
    assert state["back_off"]["retry_after_s"] > 25
