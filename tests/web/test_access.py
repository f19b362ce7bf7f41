"""Who gets in, and what is refused at the door."""

from __future__ import annotations

import os
import stat
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from pdpp_worker.connector import Reason, ResourceScope, skip
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.web.access import KEY_S, SESSION_S, Access
from pdpp_worker.web.guard import HEADERS
from pdpp_worker.web.site import DOCUMENTS, FORMS, PAGES, json_path
from pdpp_worker.web.web_server import Server, running_link
from tests.support.scripted import Scenario, record, state
from tests.web.conftest import Owner, Running, collect

EVERY_PATH = [*PAGES, *map(json_path, [*PAGES, *DOCUMENTS]), "/openapi.json"]


def asked(url: str, path: str, method: str = "GET", **headers: str) -> int:
    """The status of a request whose headers are all the test's own."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse().status
    finally:
        connection.close()


def cookie_of(owner: Owner) -> str:
    return "; ".join(f"{name}={value}" for name, value in owner.browser.cookies.items())


@pytest.mark.parametrize("path", EVERY_PATH)
def test_nothing_is_shown_to_somebody_who_is_not_in(running: Running, path: str) -> None:
    with httpx.Client(base_url=running.url) as stranger:
        response = stranger.get(path.replace("{id:int}", "1").replace("{stream}", "items").replace("{name}", "x"))

    assert response.status_code in (303, 401)
    assert response.headers.get("location", "/enter") == "/enter"
    assert response.status_code == 303 or response.json()["error"] == "sign_in"


@pytest.mark.parametrize("path", FORMS)
def test_no_form_is_taken_without_its_token(owner: Owner, scenario: Scenario, path: str) -> None:
    path = path.replace("{id:int}", "1")

    without = owner.browser.post(path, data={"name": "x"})
    wrong = owner.browser.post(path, data={"name": "x", "token": "0" * 64})

    assert (without.status_code, wrong.status_code) == (403, 403)
    assert scenario.rows("SELECT 1 FROM runs") == []


@pytest.mark.parametrize("path", FORMS)
def test_no_form_is_taken_from_another_site(owner: Owner, scenario: Scenario, path: str) -> None:
    collect(scenario)
    path, token = path.replace("{id:int}", "1"), owner.token("/connections/1")
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        response = owner.browser.post(path, data={"token": token}, headers=headers)

        assert response.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", "", "[", "evil.example:8321"])
def test_another_host_is_refused_even_with_the_cookie(owner: Owner, host: str) -> None:
    assert asked(owner.url, "/", Host=host, Cookie=cookie_of(owner)) == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8321", "[::1]:8321"])
def test_every_name_of_loopback_is_this_console(owner: Owner, host: str) -> None:
    assert asked(owner.url, "/", Host=host, Cookie=cookie_of(owner)) == 200


def test_a_host_that_the_owner_names_is_this_console(settings: Settings, db: Database, own_environment: None) -> None:
    running = Running(settings.model_copy(update={"web_hosts": ("data.example",)}), db)
    try:
        assert asked(running.url, "/health", Host="data.example") == 200
    finally:
        running.close()


def test_a_key_lets_in_once(running: Running) -> None:
    link = running.server.link()
    with running.visitor() as first, running.visitor() as second:
        assert first.get(link).url.path == "/"
        assert second.get(link).status_code == 403
        assert second.get("/").url.path == "/enter"


def test_a_key_that_is_too_old_lets_nobody_in(settings: Settings) -> None:
    access = Access(settings)
    key = access.new_key()
    for file in (settings.data_dir / "web" / "keys").iterdir():
        os.utime(file, (time.time() - KEY_S - 60,) * 2)

    assert access.redeem(key) is None


@pytest.mark.parametrize("key", ["", "../secret.key", "x" * 10_000, "\x00"])
def test_what_is_no_key_lets_nobody_in(settings: Settings, key: str) -> None:
    assert Access(settings).redeem(key) is None


def test_keys_and_the_secret_are_readable_by_the_owner_alone_and_keys_are_kept_as_hashes(settings: Settings) -> None:
    access = Access(settings)
    key = access.new_key()

    files = [path for path in (settings.data_dir / "web").rglob("*") if path.is_file()]

    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert not any(key in path.name or key.encode() in path.read_bytes() for path in files)


def test_a_cookie_outlives_the_process_and_not_the_secret(settings: Settings) -> None:
    access = Access(settings)
    cookie = access.redeem(access.new_key())
    assert Access(settings).lets_in(cookie)

    (settings.data_dir / "web" / "secret.key").unlink()

    assert not Access(settings).lets_in(cookie)


def test_the_cookie_is_for_this_site_and_no_script(running: Running) -> None:
    with httpx.Client() as browser:
        response = browser.get(running.server.link())

    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert f"max-age={SESSION_S};" in cookie


def test_a_sentence_for_the_next_page_lets_nobody_in(settings: Settings) -> None:
    access = Access(settings)

    assert not access.lets_in(access.seal("session of mine"))
    assert access.unseal(access.redeem(access.new_key())) is None


@pytest.mark.parametrize("path", ["/", "/enter", "/nowhere", "/static/console.css", "/home.json", "/health"])
def test_every_answer_has_the_headers(owner: Owner, path: str) -> None:
    headers = owner.browser.get(path).headers

    assert {name: headers.get(name) for name in HEADERS} == dict(HEADERS)
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/static/..%2fsite.py", "/static/%2e%2e/site.py", "/static/../../settings.py"])
def test_no_other_file_is_served(running: Running, path: str) -> None:
    assert asked(running.url, path) in (303, 404)


def test_a_password_lets_in_where_one_is_set(settings: Settings, db: Database, own_environment: None) -> None:
    running = Running(settings.model_copy(update={"web_password": SecretStr("hush")}), db)
    try:
        with running.visitor() as browser:
            assert browser.post("/enter", data={"password": "wrong"}).status_code == 403
            assert browser.post("/enter", data={"password": "hush"}).url.path == "/"
    finally:
        running.close()


RIGHT, WRONG = {"PDPP-Proxy-Secret": "the proxy says so"}, {"PDPP-Proxy-Secret": "anybody says so"}


def test_who_comes_through_the_proxy_is_in(settings: Settings, db: Database, own_environment: None) -> None:
    running = Running(settings.model_copy(update={"web_proxy_secret": SecretStr(RIGHT["PDPP-Proxy-Secret"])}), db)
    try:
        with running.visitor() as browser:
            assert browser.get("/status.json", headers=WRONG).status_code == 401
            assert browser.get("/", headers=WRONG).url.path == "/enter"
            assert browser.get("/status.json", headers=RIGHT).status_code == 200
            assert "<h1>Am I missing anything" in browser.get("/", headers=RIGHT).text
    finally:
        running.close()


@pytest.mark.parametrize("secret", ["", RIGHT["PDPP-Proxy-Secret"]])
def test_without_a_secret_no_header_lets_in(running: Running, secret: str) -> None:
    with running.visitor() as browser:
        assert browser.get("/status.json", headers={"PDPP-Proxy-Secret": secret}).status_code == 401


def test_no_password_lets_nobody_in(running: Running) -> None:
    with running.visitor() as browser:
        assert browser.post("/enter", data={"password": ""}).status_code == 403


@pytest.mark.parametrize("password", [None, SecretStr("x")])
def test_beyond_loopback_a_password_is_needed(settings: Settings, db: Database, password: SecretStr | None) -> None:
    settings = settings.model_copy(update={"web_password": password})

    with pytest.raises(ConfigurationError, match="PDPP_WEB_PASSWORD"):
        Server(settings, db, address="0.0.0.0", port=0)  # noqa: S104


def test_a_console_that_only_shows_has_no_forms_and_takes_none(
    settings: Settings, db: Database, own_environment: None, scenario: Scenario
) -> None:
    collect(scenario)
    running = Running(settings.model_copy(update={"web_read_only": True}), db)
    try:
        owner = Owner(running)
        for page in ("/", "/connections/1", "/gaps/1", "/runs/1", "/connections/add?connector=scripted"):
            assert 'method="post"' not in owner.get(page)
        cookie = owner.browser.cookies[running.server.access.cookie]
        token = running.server.access.token(cookie)
        assert owner.browser.post("/connections/1/pause", data={"token": token}).status_code == 403
        assert scenario.one("SELECT count(*) AS n FROM schedules WHERE paused")["n"] == 0
        owner.browser.close()
    finally:
        running.close()


def test_a_hostile_title_is_text(owner: Owner, scenario: Scenario) -> None:
    hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
    scenario.send(
        record("a", title=hostile),
        skip("items", Reason.TIMED_OUT, ResourceScope(resource_id=hostile), hostile),
        state({"at": 1}),
    )
    scenario.run()

    for page in ("/", "/connections/1", "/gaps", "/gaps/1", "/runs/1"):
        html = owner.get(page)
        assert "<script>" not in html
        assert "<img" not in html


def test_a_form_that_is_too_large_is_refused(owner: Owner, scenario: Scenario) -> None:
    collect(scenario)
    response = owner.browser.post(
        "/connections/1/pause", data={"token": owner.token("/connections/1"), "name": "x" * 1_100_000}
    )

    assert response.status_code == 413


def test_requests_are_not_logged(owner: Owner, capfd: pytest.CaptureFixture[str]) -> None:
    owner.get("/gaps?stream=private-name")
    owner.browser.get("/runs/999")

    captured = capfd.readouterr()
    assert "private-name" not in captured.out + captured.err


def test_a_link_leads_to_a_console_that_runs_not_to_one_that_has_ended(settings: Settings) -> None:
    access = Access(settings)
    kept = access.note_url("http://127.0.0.1:1")
    ended = access.note_url("http://127.0.0.1:2")
    os.close(ended)

    with_one = running_link(settings)
    os.close(kept)

    assert with_one.startswith("http://127.0.0.1:1/enter?key=")
    with pytest.raises(ConfigurationError, match="No console of this data directory runs"):
        running_link(settings)
