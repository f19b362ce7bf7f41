"""An owner hears of each thing that waits for them once, and once more when it is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pydantic import SecretStr
from redis import Redis

from pdpp_worker.connector import Reason, ResourceScope, skip
from pdpp_worker.coverage.cards import Need
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.notices import sending
from pdpp_worker.notices.causes import causes
from pdpp_worker.notices.notifier import tell
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate, notices
from pdpp_worker.store.engine import Database
from tests.support.scripted import Scenario, record


class Service(ThreadingHTTPServer):
    """A service that takes notices over HTTP, or refuses them."""

    daemon_threads = True

    def __init__(self) -> None:
        self.told: list[str] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> SecretStr:
        """Its address, as apprise writes it."""
        return SecretStr(f"json://127.0.0.1:{self.server_port}/")


class Handler(BaseHTTPRequestHandler):
    """Notes the message of each notice."""

    server: Service

    def do_POST(self) -> None:
        """Take a notice."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.status == 200:
            self.server.told.append(body["message"])
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    """A service of the owner's."""
    pytest.importorskip("apprise")
    with Service() as service:
        Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.shutdown()


@pytest.fixture
def settings(settings: Settings, service: Service) -> Settings:
    """Settings with the address of that service."""
    return settings.model_copy(update={"notify_url": service.url})


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Scenario:
    """The connection `mine`, whose last run found that its sign-in is over."""
    scenario = Scenario(monkeypatch, settings, db, redis)
    scenario.send(skip("items", Reason.CREDENTIALS_EXPIRED, ResourceScope(resource_id="a")))
    scenario.run()
    return scenario


def _mend(scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.run()


def test_what_waits_for_the_owner_is_told_once(scenario: Scenario, service: Service) -> None:
    tell(scenario.settings, scenario.db)
    tell(scenario.settings, scenario.db)

    (told,) = service.told
    assert told.startswith("mine (items): ")


def test_what_is_over_is_told_once_it_has_settled(
    scenario: Scenario, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(scenario.settings, scenario.db)
    _mend(scenario)
    tell(scenario.settings, scenario.db)
    before = len(service.told)
    monkeypatch.setattr(notices, "SETTLES_S", 0)

    tell(scenario.settings, scenario.db)
    tell(scenario.settings, scenario.db)

    assert before == 1
    assert service.told[1:] == [f"Over: {service.told[0]}"]


def test_what_comes_back_soon_is_not_told_again(scenario: Scenario, service: Service) -> None:
    tell(scenario.settings, scenario.db)
    with scenario.db.begin() as connection:
        notices.note(connection, [])

    tell(scenario.settings, scenario.db)

    assert len(service.told) == 1


def test_what_went_before_anybody_was_told_is_not_told(scenario: Scenario, service: Service) -> None:
    service.status = 503
    tell(scenario.settings, scenario.db)
    _mend(scenario)
    service.status = 200

    tell(scenario.settings, scenario.db)

    assert service.told == []


def test_what_no_service_takes_is_tried_again_by_the_next_look(scenario: Scenario, service: Service) -> None:
    service.status = 503
    tell(scenario.settings, scenario.db)
    service.status = 200
    scenario.execute("UPDATE notices SET tried_at = tried_at - interval '59 seconds'")

    tell(scenario.settings, scenario.db)

    assert len(service.told) == 1


def test_two_senders_tell_it_once(scenario: Scenario, service: Service) -> None:
    def second(urls: SecretStr, sentence: str) -> bool:
        tell(scenario.settings, scenario.db)
        return sending.send(urls, sentence)

    tell(scenario.settings, scenario.db, second)

    assert len(service.told) == 1


def test_nothing_is_sent_without_an_address(scenario: Scenario, service: Service) -> None:
    nowhere = scenario.settings.model_copy(update={"notify_url": None})

    assert tell(nowhere, scenario.db) == 0
    assert service.told == []


def test_an_address_that_is_none_is_refused_and_not_shown(service: Service) -> None:
    urls = SecretStr(f"{service.url.get_secret_value()} nothing://hush")

    with pytest.raises(ConfigurationError, match="Address 2") as refused:
        sending.send(urls, "Hello.")

    assert "hush" not in str(refused.value)


def test_numbers_make_no_new_cause() -> None:
    first, again = (Need(1, "me", f"asks: which of {count}?", f"Which of {count}?", []) for count in ("14", "2,015"))

    assert [one.sentence for one in causes([first, again])] == ["me: Which of 14?"]


def test_another_wording_of_an_action_makes_no_new_cause() -> None:
    first, reworded = (Need(1, "me", "sign in", sentence, []) for sentence in ("Sign in.", "Renew the sign-in."))

    assert [one.cause for one in causes([first, reworded])] == ["sign in"]


EARLIER_CAUSES = (
    "Renew the sign-in with: pdpp-worker connection secret mine KEY The fleet retries it by itself.",
    "Its connector asks you: which of #?",
)
"""Sentences, as an earlier version noted them once it had told them."""


def test_an_upgrade_while_something_waits_tells_nothing(
    scenario: Scenario, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "SETTLES_S", 0)
    migrate.downgrade(scenario.db, "0037")
    scenario.execute(
        "INSERT INTO notices (connection_id, cause, sentence, told_at) SELECT 1, cause, cause, now() "
        "FROM unnest(CAST(:causes AS text[])) AS cause",
        causes=[*EARLIER_CAUSES, f"{EARLIER_CAUSES[0]} And again.", "Nothing that is known."],
    )

    migrate.upgrade(scenario.db)
    tell(scenario.settings, scenario.db)
    tell(scenario.settings, scenario.db)

    assert service.told == [f"Over: {EARLIER_CAUSES[1]}"]
    assert [row["cause"] for row in scenario.rows("SELECT cause FROM notices")] == ["sign in"]
