"""The life of the process: start, restart, orderly and disorderly ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.cli import arguments, parse
from connectors.chatgpt.practice.options import Change, FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.errors import ConfigurationError
from tests.connectors.chatgpt.practice.conftest import client_for
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.process  # starts processes itself


def test_restart_keeps_port_account_and_log(tmp_path: Path) -> None:
    options = ProviderOptions(conversations=20, state=tmp_path / "state.json", log=tmp_path / "log.jsonl")
    provider = ProviderProcess(options)
    expected = Account(options.seed, options.conversations)
    change = Change(updates=2, new=3, deleted=1, seed=4)

    with provider, client_for(provider) as client:
        first_url = provider.url
        touched = provider.advance(change)
        before = client.get("/conversations").json()
    with provider, client_for(provider) as client:
        after = client.get("/conversations").json()

    assert touched == expected.advance(change)
    assert provider.url == first_url
    assert before == after
    assert [item["id"] for item in after["items"]] == [one.id for one in expected.listed(archived=False)]
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == [200, 200]


def test_log_line_is_there_when_the_answer_is(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with ProviderProcess(ProviderOptions(conversations=1, log=log)) as provider, client_for(provider) as client:
        client.get("/memories")

        [line] = log.read_text().splitlines()

    entry = json.loads(line)
    assert (entry["n"], entry["method"], entry["kind"], entry["decision"]) == (1, "GET", "memories", "uncharged")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "connectors.chatgpt.practice", "--conversations", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        announced = json.loads(child.stdout.readline())

        child.send_signal(number)

        assert child.wait(PATIENCE_S) == 0
        assert child.stderr.read() == ""
    assert announced["base_url"] == f"{announced['url']}/backend-api"


def test_it_ends_with_its_parent() -> None:
    script = (
        "import os, signal\n"
        "from connectors.chatgpt.practice.options import ProviderOptions\n"
        "from connectors.chatgpt.practice.process import ProviderProcess\n"
        "provider = ProviderProcess(ProviderOptions(conversations=5))\n"
        "provider.start()\n"
        "print(provider.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=PATIENCE_S)

    child = int(parent.stdout)

    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")


def test_stop_kills_a_child_that_does_not_react(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.chatgpt.practice.process.STOP_TIMEOUT_S", 0.1)
    provider = ProviderProcess(ProviderOptions(conversations=5))
    provider.start()
    pid = provider.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)

    provider.stop()

    assert not psutil.pid_exists(pid)


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"seed": 1, "conversations": 2, "changes": []}')
    provider = ProviderProcess(ProviderOptions(conversations=5, state=tmp_path / "state.json"))

    with pytest.raises(ConfigurationError, match="seed 1 and 2 conversations"):
        provider.start()

    assert provider.pid is None


def test_a_taken_port_is_a_failed_start(shared_provider: ProviderProcess) -> None:
    with pytest.raises(ConfigurationError, match="cannot start"):
        ProviderProcess(shared_provider.options).start()


quotas = st.builds(
    QuotaOptions,
    model=st.sampled_from(["none", "bucket", "sliding", "fixed"]),
    rate_per_s=st.floats(0.01, 10),
    steps=st.lists(st.floats(0.1, 9), max_size=2).map(lambda rates: tuple(enumerate(rates))),
    retry_after=st.sampled_from(["none", "seconds", "date"]),
    penalty_refusals=st.integers(0, 9),
)
fault_plans = st.builds(
    FaultOptions,
    error_share=st.floats(0, 0.5),
    token_requests=st.none() | st.integers(0, 99),
    status_by_id=st.dictionaries(st.uuids().map(str), st.integers(400, 599), max_size=2),
)
plain_text = st.text("abcdefghijklmnop-=0123456789", min_size=1)


@given(
    st.builds(
        ProviderOptions,
        seed=st.integers(-99, 99),
        conversations=st.integers(0, 99),
        token=plain_text,
        log=st.none() | plain_text.map(lambda name: Path("/", name)),
        watch_stdin=st.booleans(),
        quota=quotas,
        faults=fault_plans,
    )
)
def test_command_line_and_options_are_the_same_thing(options: ProviderOptions) -> None:
    assert parse(arguments(options)) == options


def test_a_meaningless_command_line_ends_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--quota-model=leaky"])

    assert "model must be one of" in capsys.readouterr().err
