"""A walk in a process of its own says what it says in the worker, and ends with its worker's interest in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from pdpp_worker.confined import beside as module
from pdpp_worker.confined.beside import beside
from pdpp_worker.confined.parser_child import Child, wait_on
from pdpp_worker.confined.places import Places
from pdpp_worker.connector import Message, Record
from pdpp_worker.errors import Gone, UpstreamError
from pdpp_worker.protocol.reasons import Reason
from tests.support.waiting import until
from tests.support.walks import items

pytestmark = pytest.mark.process  # starts processes itself

WALKS = "tests.support.walks"


@pytest.fixture(autouse=True)
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places for two children, on a machine of any size."""
    monkeypatch.setattr(module, "_PLACES", Places(2))


@pytest.fixture
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at whether to wait on comes at once."""
    monkeypatch.setattr("pdpp_worker.confined.parser_child.LOOK_S", 0.01)


def walk(name: str, *arguments: Any, check: Callable[[], None] = wait_on) -> Iterator[Message]:
    return beside(check, {}, f"{WALKS}:{name}", *arguments)


def told(message: Message) -> dict[str, Any]:
    """The fields of a record."""
    return cast("Record", message).data


def is_over(pid: int) -> bool:
    """Whether the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_messages_come_in_their_order_and_are_the_same() -> None:
    assert list(walk("items", 0, 1_000)) == list(items(0, 1_000))


@pytest.mark.parametrize(
    ("kind", "expected", "text"),
    [
        ("system", FileNotFoundError, "No such file"),
        ("memory", UpstreamError, "too much memory"),
        ("kill", UpstreamError, "sudden end"),
    ],
)
def test_a_failure_is_raised_here_as_it_was_there(tmp_path: Path, kind: str, expected: type, text: str) -> None:
    with pytest.raises(expected, match=text):
        list(walk("breaks", kind, str(tmp_path / "none")))


def test_the_fields_of_a_providers_failure_come_with_it_and_so_does_what_came_before() -> None:
    messages = walk("breaks", "gone", "")

    assert told(next(messages)) == {"id": "0"}
    with pytest.raises(Gone) as caught:
        next(messages)
    error = caught.value
    assert (error.status, error.code, error.reason) == (404, "no_such", Reason.UPSTREAM_ERROR)


def test_a_failure_of_the_code_keeps_its_name_and_its_traceback() -> None:
    with pytest.raises(Exception, match="a secret") as caught:
        list(walk("breaks", "other", ""))

    assert type(caught.value).__name__ == "KeyError"
    assert "in breaks" in str(caught.value.__cause__)


def test_the_child_has_an_empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_SECRET_KEY", "a key")

    with closing(cast("Any", walk("reports", str(tmp_path / "on")))) as messages:
        assert set(told(next(messages))["names"]) <= {"PYTHONPATH", "LC_ALL", "LC_CTYPE"}


def test_the_end_of_the_generator_ends_the_child() -> None:
    messages = walk("spins")
    pid = told(next(messages))["pid"]

    cast("Any", messages).close()

    assert is_over(pid)


@pytest.mark.usefixtures("nobody_waits")
def test_a_reason_to_end_that_comes_up_during_a_wait_ends_the_child() -> None:
    reasons: list[Exception] = []

    def check() -> None:
        for reason in reasons:
            raise reason

    messages = walk("spins", check=check)
    pid = told(next(messages))["pid"]
    reasons.append(UpstreamError("the slice is over"))

    with pytest.raises(UpstreamError, match="the slice is over"):
        next(messages)
    assert is_over(pid)


def test_a_message_of_a_slow_walk_is_not_kept_back(tmp_path: Path) -> None:
    messages = walk("slow", str(tmp_path / "go on"))

    assert [told(next(messages))["id"] for _ in range(2)] == ["0", "1"]

    (tmp_path / "go on").touch()
    assert told(next(messages))["id"] == "2"


def test_no_child_outlives_its_worker() -> None:
    script = f"""if True:
        from pdpp_worker.confined import beside as module
        from pdpp_worker.confined.places import Places
        module._PLACES = Places(1)
        messages = module.beside(lambda: None, {{}}, "{WALKS}:spins")
        print(next(messages).data["pid"], flush=True)
        next(messages)
    """
    worker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        worker.kill()

    until(lambda: is_over(pid))


def test_where_no_place_is_free_the_walk_runs_in_the_worker() -> None:
    held = [walk("spins") for _ in range(2)]
    pids = {told(next(messages))["pid"] for messages in held}

    here = told(next(walk("spins")))["pid"]

    for messages in held:
        cast("Any", messages).close()
    assert here == os.getpid()
    assert len(pids - {here}) == 2
    assert told(next(walk("spins")))["pid"] != here


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to a processor")
def test_workers_that_are_bound_to_one_processor_have_none_to_spare() -> None:
    one = next(iter(os.sched_getaffinity(0)))
    script = f"""if True:
        import os
        from pdpp_worker.confined.places import idle_processors
        os.sched_setaffinity(0, [{one}])
        print(idle_processors())
    """

    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "0\n"


def test_workers_that_are_forked_share_the_places() -> None:
    places = Places(1)
    pid = os.fork()
    if pid == 0:
        places.take()
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(pid, os.WUNTRACED)

    assert places.take() is None

    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert places.take() == 0


def test_a_word_of_the_child_that_is_none_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (b"", b"\xc0", b"\x93\x91\xc4\x01\xc0\xc3\xc0", b"\x93\x91\x01\xc3\xc0"):
        monkeypatch.setattr(Child, "receive", lambda *_, answer=answer, **__: answer)

        with pytest.raises(UpstreamError, match="sudden end"):
            list(walk("items", 0, 1))
