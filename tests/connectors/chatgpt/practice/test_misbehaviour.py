"""Refusals and failures, over sockets, and what is written down about them."""

from __future__ import annotations

from collections import Counter
from email.utils import parsedate_to_datetime

import httpx
import pytest

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.faults import Fault, FaultPlan
from connectors.chatgpt.practice.options import Change, FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.errors import ConfigurationError
from tests.connectors.chatgpt.practice.conftest import client_for


def slow_bucket(**others: object) -> QuotaOptions:
    return QuotaOptions(model="bucket", rate_per_s=0.001, burst=1, **others)  # type: ignore[arg-type]


@pytest.fixture
def conversation(account: Account) -> str:
    """The path of some conversation."""
    return f"/conversation/{account.page(0, 1)[0].id}"


def test_bare_429_has_a_detail_and_no_retry_after(
    client: httpx.Client, provider: ProviderProcess, conversation: str
) -> None:
    provider.set_quota(slow_bucket())
    client.get(conversation)

    refused = client.get(conversation)

    assert refused.status_code == 429
    assert list(refused.json()) == ["detail"]
    assert "Retry-After" not in refused.headers
    assert client.get("/conversations").status_code == 200


def test_retry_after_in_seconds(client: httpx.Client, provider: ProviderProcess, conversation: str) -> None:
    provider.set_quota(slow_bucket(retry_after="seconds"))
    client.get(conversation)

    assert client.get(conversation).headers["Retry-After"] == "1000"


def test_retry_after_as_a_date(client: httpx.Client, provider: ProviderProcess, conversation: str) -> None:
    provider.set_quota(slow_bucket(retry_after="date"))
    client.get(conversation)

    refused = client.get(conversation)

    [entry] = provider.log(provider.stats().requests - 1)
    come_back = parsedate_to_datetime(refused.headers["Retry-After"]).timestamp()
    assert 990 < come_back - entry.at < 1010
    assert entry.retry_after == refused.headers["Retry-After"]


def test_penalty_is_counted_as_a_flag(client: httpx.Client, provider: ProviderProcess, conversation: str) -> None:
    seen = provider.stats()
    provider.set_quota(slow_bucket(penalty_refusals=3, penalty_s=900))

    for _ in range(6):
        client.get(conversation)

    decisions = [entry.decision for entry in provider.log(seen.requests)]
    assert decisions == ["admitted", "refused", "refused", "flagged", "boxed", "boxed"]
    assert provider.stats().flags == seen.flags + 1


def test_log_and_stats_agree(client: httpx.Client, provider: ProviderProcess, conversation: str) -> None:
    seen = provider.stats()

    client.get("/conversations", params={"limit": 5})
    client.get(conversation)
    client.get(conversation)

    stats, entries = provider.stats(), provider.log(seen.requests)
    assert [entry.n for entry in entries] == [seen.requests + 1, seen.requests + 2, seen.requests + 3]
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert entries[0].path == "/backend-api/conversations?limit=5"
    conversation_id = conversation.rpartition("/")[2]
    assert entries[1].conversation_id == conversation_id
    assert stats.details_by_id[conversation_id] == seen.details_by_id.get(conversation_id, 0) + 2
    assert Counter(stats.by_kind) - Counter(seen.by_kind) == {"list": 1, "detail": 2}
    gaps = [b.monotonic_ns - a.monotonic_ns for a, b in zip(provider.log(), provider.log()[1:], strict=False)]
    assert stats.smallest_gap_s == min(gaps) / 1e9


@pytest.mark.process
def test_densest_minute_of_refusals_is_counted() -> None:
    options = ProviderOptions(conversations=1, quota=slow_bucket(scope="all"))
    with ProviderProcess(options) as own, client_for(own) as client:
        for _ in range(5):
            client.get("/memories")

        assert own.stats().most_refusals_in_60_s == 4
        assert own.stats().by_status == {200: 1, 429: 4}


def test_server_errors(client: httpx.Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(error_share=1, error_status=502))

    answer = client.get("/memories")

    assert (answer.status_code, list(answer.json())) == (502, ["detail"])


def test_challenge_page(client: httpx.Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(challenge_share=1))

    answer = client.get("/memories")

    assert answer.status_code == 403
    assert answer.headers["cf-mitigated"] == "challenge"
    assert "<title>Just a moment...</title>" in answer.text


def test_maintenance_page_pretends_to_be_fine(client: httpx.Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(maintenance_share=1))

    answer = client.get("/memories")

    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, "text/html")


def test_cut_off_answer_breaks_in_the_middle_of_the_body(client: httpx.Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(cut_share=1))

    with client.stream("GET", "/memories") as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


def test_slow_answer_outlasts_an_impatient_client(client: httpx.Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(slow_share=1, slow_s=60))

    with pytest.raises(httpx.ReadTimeout):
        client.get("/memories", timeout=0.2)

    assert provider.log()[-1].fault == "slow"


def test_fixed_statuses_by_id_and_by_kind(client: httpx.Client, provider: ProviderProcess, account: Account) -> None:
    broken, fine = [one for one in account if one.in_batches][:2]
    provider.set_faults(FaultOptions(status_by_id={broken.id: 500}, status_by_kind={"gizmos": 403}))

    assert client.get(f"/conversation/{broken.id}").status_code == 500
    assert client.get(f"/conversation/{fine.id}").status_code == 200
    assert client.get("/gizmos/mine").status_code == 403
    batch = client.post("/conversations/batch", json={"conversation_ids": [broken.id, fine.id]})
    assert [one["id"] for one in batch.json()] == [fine.id]


def test_token_expires_until_there_is_a_new_one(client: httpx.Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(token_requests=2))

    assert [client.get("/memories").status_code for _ in range(4)] == [200, 200, 401, 401]
    provider.set_token("second")
    assert client.get("/memories", headers={"Authorization": "Bearer second"}).status_code == 200


def test_faults_depend_on_seed_and_number_alone() -> None:
    options = FaultOptions(error_share=0.2, cut_share=0.1)

    first = [FaultPlan(options, seed=7).choose(number) for number in range(2000)]

    assert first == [FaultPlan(options, seed=7).choose(number) for number in range(2000)]
    assert first != [FaultPlan(options, seed=8).choose(number) for number in range(2000)]
    assert Counter(first)[Fault.ERROR] == pytest.approx(400, rel=0.2)
    assert Counter(first)[Fault.CUT] == pytest.approx(200, rel=0.2)


@pytest.mark.parametrize(
    "meaningless",
    [{"error_share": 1.5}, {"error_share": 0.6, "cut_share": 0.6}, {"error_status": 404}, {"slow_s": -1}],
)
def test_faults_without_a_meaning_are_refused(meaningless: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        FaultOptions(**meaningless)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("switch", "body"),
    [("quota", {"model": "leaky"}), ("faults", {"unheard": 1}), ("advance", {"deleted": 10_000}), ("token", {})],
)
def test_control_says_what_it_cannot_use(
    client: httpx.Client, provider: ProviderProcess, switch: str, body: dict[str, object]
) -> None:
    answer = client.post(f"{provider.url}/_control/{switch}", json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_control_is_neither_logged_nor_charged(provider: ProviderProcess) -> None:
    provider.set_quota(slow_bucket(scope="all"))
    seen = provider.stats().requests

    provider.set_quota(slow_bucket(scope="all"))

    assert provider.stats().requests == seen


def test_a_refused_control_is_an_error_of_the_helper(provider: ProviderProcess) -> None:
    with pytest.raises(ConfigurationError, match="150 conversations"):
        provider.advance(Change(deleted=10_000))
