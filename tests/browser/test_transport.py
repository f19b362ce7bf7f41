"""Requests through a real browser: the browser's own in all but what the connector asked for, and never a hang."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from pdpp_worker.browser import profile
from pdpp_worker.browser.browser import Browser
from pdpp_worker.settings import Settings
from tests.browser.conftest import profile_of, through
from tests.browser.site import PIECE, Site
from tests.support.browser import needs_browser, row
from tests.support.fleet import ROOT
from tests.support.processes import words_of
from tests.support.waiting import PATIENCE_S, until

pytestmark = [needs_browser, pytest.mark.process]


def test_a_request_is_the_browsers_own_but_for_what_was_asked(client: httpx.Client) -> None:
    told = client.get("/echo", headers={"authorization": "Bearer abc", "oai-language": "en-US"}).json()

    headers = told["headers"]
    assert (headers["authorization"], headers["oai-language"]) == ("Bearer abc", "en-US")
    assert "Chrome" in headers["user-agent"]
    assert headers["sec-fetch-site"] == "same-origin"


def test_nothing_goes_out_but_what_was_asked(client: httpx.Client, site: Site) -> None:
    before = len(site.asked)

    client.get("/echo")
    client.get("/status/404")

    assert site.asked[before:] == ["/echo", "/status/404"]


def test_a_body_goes_out_and_comes_back_byte_by_byte(client: httpx.Client) -> None:
    told = client.post("/echo", content=PIECE, headers={"content-type": "application/octet-stream"}).json()

    assert told["method"] == "POST"
    assert bytes.fromhex(told["body"]) == PIECE


@pytest.mark.parametrize("pieces", [0, 1, 200])
def test_an_answer_of_any_size_arrives_whole(client: httpx.Client, pieces: int) -> None:
    digest, size, largest = hashlib.sha256(), 0, 0

    with client.stream("GET", f"/bytes/{pieces}") as answer:
        for piece in answer.iter_raw():
            digest.update(piece)
            size, largest = size + len(piece), max(largest, len(piece))

    assert size == pieces * len(PIECE)
    assert digest.digest() == hashlib.sha256(PIECE * pieces).digest()
    assert largest < 4_000_000


def test_a_refusal_keeps_its_status_and_headers(client: httpx.Client) -> None:
    answer = client.get("/status/429")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "17")


def test_a_redirect_is_handed_back_and_followed_as_a_request_of_its_own(browser: Browser, site: Site) -> None:
    sends: list[str] = []
    with through(browser, site.url) as client:
        request = client.build_request(
            "GET", "/redirect/302", extensions={"trace": lambda event, _: sends.append(event)}
        )
        first = client.send(request)
        assert first.next_request is not None
        second = client.send(first.next_request)

    assert (first.status_code, second.json()["method"]) == (302, "GET")
    assert second.json()["headers"]["cookie"] == "met=on-the-way"
    assert second.extensions["cookies"] == {"met": "on-the-way"}
    assert sends[:2] == ["browser.send_request_headers.started", "browser.send_request_body.complete"]


def test_a_provider_that_does_not_answer_is_given_up_and_the_browser_goes_on(
    browser: Browser, client: httpx.Client, site: Site
) -> None:
    with through(browser, site.url, timeout_s=1.0) as impatient:
        with pytest.raises(httpx.ReadTimeout):
            impatient.get("/silence")
        with pytest.raises(httpx.ReadTimeout):
            impatient.get("/half")

    assert client.get("/echo").status_code == 200


def test_a_provider_that_cannot_be_reached_is_a_network_error(browser: Browser, client: httpx.Client) -> None:
    with through(browser, "http://127.0.0.1:9") as unreachable, pytest.raises(httpx.ReadError):
        unreachable.get("/")

    assert client.get("/echo").status_code == 200


def test_a_browser_that_dies_in_the_middle_is_a_network_error_and_is_replaced(
    own_settings: Settings, client: httpx.Client, site: Site
) -> None:
    client.get("/echo")
    first = {process.pid for process in profile.users(profile_of(own_settings))}
    site.asked_something.clear()

    def kill() -> None:
        site.asked_something.wait(PATIENCE_S)
        for pid in first:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(httpx.ReadError):
        client.get("/silence")
    killer.join()

    assert client.get("/echo").status_code == 200
    assert first.isdisjoint(process.pid for process in profile.users(profile_of(own_settings)))


WORKER = """
import sys, time, httpx
from pathlib import Path
from pdpp_worker.settings import Settings
from tests.browser.conftest import through
from tests.support.browser import row
from pdpp_worker.browser.browser import Browser
browser = Browser(Settings(data_dir=Path(sys.argv[1])), row())
through(browser, sys.argv[2]).get("/echo")
print("asked", flush=True)
through(browser, sys.argv[2]).get("/silence")
"""


def test_a_worker_that_is_killed_leaves_no_browser_and_no_lock(site: Site, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORKER, str(tmp_path), site.url]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=ROOT) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"asked\n"
        directory = tmp_path / "browser" / "1-me"
        children = psutil.Process(worker.pid).children(recursive=True)
        assert profile.users(directory)

        worker.kill()

    until(lambda: not profile.users(directory))
    until(lambda: not any(map(words_of, children)))
    browser = Browser(Settings(data_dir=tmp_path), row())
    (directory / "SingletonLock").unlink(missing_ok=True)
    (directory / "SingletonLock").symlink_to("another-host-1")
    with through(browser, site.url) as client:
        assert client.get("/echo").status_code == 200
    browser.close()


def test_what_a_session_leaves_is_there_in_the_next_slice(own_settings: Settings, browser: Browser, site: Site) -> None:
    with through(browser, site.url) as client:
        client.get("/redirect/302")
        browser.close()

        told = client.get("/echo").json()

    assert told["headers"]["cookie"] == "met=on-the-way"


def test_a_profile_is_for_its_owner_alone_and_used_by_one_browser_at_a_time(
    own_settings: Settings, client: httpx.Client, site: Site
) -> None:
    client.get("/echo")
    directory = profile_of(own_settings)

    assert directory.stat().st_mode & 0o777 == 0o700
    with pytest.raises(TimeoutError, match="in use"), profile.opened(directory, timeout_s=0.0):
        pass


def test_a_browser_that_does_not_start_is_a_network_error_that_says_so(tmp_path: Path, site: Site) -> None:
    program = tmp_path / "browser"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    browser = Browser(Settings(data_dir=tmp_path, browser=str(program)), row())

    with through(browser, site.url) as client, pytest.raises(httpx.ConnectError, match="did not start"):
        client.get("/echo")


def test_the_profile_goes_with_its_connection(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with profile.opened(profile.profile_dir(settings, row()), timeout_s=1.0):
        (profile_of(settings) / "Cookies").write_text(json.dumps({}))

    profile.remove(settings, row())

    assert list((tmp_path / "browser").iterdir()) == []
