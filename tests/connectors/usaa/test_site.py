"""The site as a source: a refused part is a gap of exactly that part, and a changed page is never an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from pdpp_worker.connector import DetailGapRecovered, Message, SkipResult, State
from tests.connectors.usaa.bank import CHECKING_ID, Bank, open_bank
from tests.connectors.usaa.owner import NOW, Owner, emitted, transactions
from tests.connectors.usaa.papers import FEBRUARY, Row, checking, strange

pytestmark = pytest.mark.process  # PDFs are read in a process of their own

TODAY = NOW.date()
PROMISED = TODAY - timedelta(days=510)


@dataclass
class Visit:
    """An owner at the site."""

    bank: Bank
    owner: Owner

    def windows(self) -> list[tuple[str, str]]:
        """The missing periods of the checking account."""
        scopes = [scope for reason, scope in self.owner.missing() if reason == "range_shortened"]
        assert all(scope["partition"] == {"account_id": CHECKING_ID} for scope in scopes)
        return sorted((scope["range"]["since"], scope["range"]["until"]) for scope in scopes)

    def days(self) -> list[str]:
        """The days of the transactions held."""
        return sorted({day for day, _, _ in transactions(self.owner)})


@pytest.fixture
def visit() -> Iterator[Visit]:
    """A site with a transaction every ten days for three years."""
    bank = Bank()
    bank.fill(TODAY - timedelta(days=1000), TODAY)
    with open_bank(bank):
        yield Visit(bank, Owner({"base_url": bank.url}))


def skips(sent: list[Message]) -> dict[str, str]:
    return {one.stream: one.reason for one in sent if isinstance(one, SkipResult)}


def test_what_the_site_gives_whole_leaves_no_gap(visit: Visit) -> None:
    visit.owner.run()

    assert visit.days() == [day for day in visit.bank.days() if day >= PROMISED.isoformat()]
    assert visit.windows() == []


@pytest.mark.parametrize("refusal", [400, 200, 500])
def test_a_refused_period_is_shortened_and_the_rest_is_a_gap(visit: Visit, refusal: int) -> None:
    visit.bank.refusal = refusal
    visit.bank.first_day = TODAY - timedelta(days=400)

    visit.owner.run()

    year = TODAY - timedelta(days=365)
    assert visit.windows() == [(PROMISED.isoformat(), year.isoformat())]
    assert visit.days() == [day for day in visit.bank.days() if day >= year.isoformat()]


def test_an_answer_cut_short_without_a_word_is_found_out(visit: Visit) -> None:
    visit.bank.cuts_silently = True
    visit.bank.first_day = TODAY - timedelta(days=90)
    visit.bank.says_nothing = False

    visit.owner.run()

    assert visit.windows() == [(PROMISED.isoformat(), visit.days()[0])]
    assert visit.days()[0] == (TODAY - timedelta(days=90)).isoformat()


def test_the_sites_word_that_there_is_nothing_before_is_believed(visit: Visit) -> None:
    visit.bank.fill(TODAY - timedelta(days=90), TODAY)

    visit.owner.run()

    assert visit.windows() == []


def test_rows_before_a_cut_are_asked_for_by_themselves(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Bank._export

    def at_most_ten(self: Bank, since: date, until: date) -> tuple[int, str, bytes]:
        return real(self, max(since, until - timedelta(days=100)), until)

    monkeypatch.setattr(Bank, "_export", at_most_ten)

    visit.owner.run()

    assert visit.days() == [day for day in visit.bank.days() if day >= PROMISED.isoformat()]
    assert visit.windows() == []


def test_a_refusal_of_what_lies_before_a_cut_is_a_gap_of_just_that(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Bank._export

    def only_up_to_today(self: Bank, since: date, until: date) -> tuple[int, str, bytes]:
        if until != TODAY:
            return 400, "text/html", b"no"
        return real(self, max(since, TODAY - timedelta(days=95)), until)

    monkeypatch.setattr(Bank, "_export", only_up_to_today)

    visit.owner.run()

    assert visit.windows() == [(PROMISED.isoformat(), (TODAY - timedelta(days=90)).isoformat())]


def test_the_next_run_asks_only_for_the_last_days(visit: Visit) -> None:
    visit.owner.run()
    visit.bank.asked.clear()
    before = len(transactions(visit.owner))

    visit.owner.run()

    assert visit.bank.asked == [(TODAY - timedelta(days=4), TODAY)]
    assert len(transactions(visit.owner)) == before


@pytest.mark.parametrize("recovery_only", [False, True])
def test_a_missing_period_is_asked_for_by_itself_and_closes(visit: Visit, *, recovery_only: bool) -> None:
    visit.bank.first_day = TODAY - timedelta(days=400)
    visit.owner.run()
    visit.bank.first_day = date.min
    visit.bank.asked.clear()

    sent = visit.owner.run(recovery_only=recovery_only)

    assert visit.bank.asked[0] == (PROMISED, TODAY - timedelta(days=366))
    assert visit.windows() == []
    assert visit.days()[0] <= (PROMISED + timedelta(days=10)).isoformat()
    assert recovery_only is not any(isinstance(one, State) for one in sent)


def test_half_of_a_missing_period_leaves_the_other_half(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    visit.bank.first_day = TODAY - timedelta(days=400)
    visit.owner.run()
    real, half = Bank._export, TODAY - timedelta(days=450)

    def half_way(self: Bank, since: date, until: date) -> tuple[int, str, bytes]:
        self.first_day = date.min
        return real(self, max(since, half), until) if until > half else (400, "text/html", b"no")

    monkeypatch.setattr(Bank, "_export", half_way)

    visit.owner.run()

    assert visit.windows() == [(PROMISED.isoformat(), half.isoformat())]


def test_a_missing_period_that_the_site_says_is_empty_is_absent(visit: Visit) -> None:
    visit.bank.first_day = TODAY - timedelta(days=400)
    visit.owner.run()
    visit.bank.first_day = date.min
    visit.bank.rows = []

    sent = visit.owner.run(recovery_only=True)

    assert [one.absent for one in sent if isinstance(one, DetailGapRecovered)] == [True]
    assert visit.windows() == []


def test_an_account_without_transactions_is_verified_empty(visit: Visit) -> None:
    visit.bank.rows = []

    visit.owner.run()

    assert visit.windows() == []
    assert {reason for reason, _ in visit.owner.missing()} == {"export_not_wired"}


def test_an_account_page_without_an_export_is_a_gap_of_the_account(visit: Visit) -> None:
    visit.owner.run()

    assert visit.owner.missing() == [("export_not_wired", {"resource_id": "account:card-1"})]


def test_a_session_that_is_over_ends_all_asking(visit: Visit) -> None:
    visit.bank.signed_in = False

    sent = visit.owner.run()

    assert set(skips(sent).values()) == {"credentials_expired"}
    assert "transactions" in skips(sent)
    assert visit.bank.paths in (["/my/usaa"], ["/my/usaa", "/my/logon"])


@pytest.mark.parametrize("path", ["/my/usaa", "/my/documents", "/my/inbox", "/my/credit-card"])
@pytest.mark.parametrize("page", ["<html>A new look!</html>", "", "\ufeff<<<", '{"data": []}'])
def test_a_changed_page_is_a_gap_and_never_an_empty_list(visit: Visit, path: str, page: str) -> None:
    visit.bank.pages = {path: page}

    sent = visit.owner.run()

    assert "shape_changed" in skips(sent).values()


def test_an_export_of_another_shape_is_a_gap(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bank, "_export", lambda *_: (200, "application/json", b'{"rows": []}'))

    visit.owner.run()

    assert ("shape_changed", {"resource_id": f"account:{CHECKING_ID}"}) in visit.owner.missing()


def test_statements_are_fetched_once_and_close_what_they_cover(visit: Visit) -> None:
    visit.bank.statements = {
        "FEBRUARY STATEMENT": checking([Row("02/01", "B", "-1.00")], period=FEBRUARY, closing=99_900)
    }
    visit.owner.run()
    visit.bank.paths.clear()

    visit.owner.run()

    titles = {one["title"]: one.get("closing_balance_cents") for one in visit.owner.held("statements")}
    assert titles == {"FEBRUARY STATEMENT": 99_900, "Terms of a card": None}
    assert not any(path.startswith("/docs/") for path in visit.bank.paths)
    assert {one["account_id"] for one in visit.owner.held("transactions")} == {CHECKING_ID}


def test_a_statement_of_an_unknown_layout_is_a_gap_and_is_not_fetched_again(visit: Visit) -> None:
    visit.bank.statements = {"OLD STATEMENT": strange()}
    visit.owner.run()
    visit.bank.paths.clear()

    visit.owner.run(assigned=False)

    assert "template_unknown" in visit.owner.reasons()
    assert not any(path.startswith("/docs/") for path in visit.bank.paths)


def test_a_statement_that_is_no_pdf_is_fetched_again_when_its_gap_is_due(visit: Visit) -> None:
    visit.bank.statements = {"JANUARY STATEMENT": b"<html>Try later</html>"}
    visit.owner.run()
    assert "shape_changed" in visit.owner.reasons()
    visit.bank.statements = {"JANUARY STATEMENT": checking(closing=100_000)}

    visit.owner.run(recovery_only=True)

    assert visit.owner.reasons() == ["export_not_wired"]


def test_accounts_balances_messages_and_cards_are_read(visit: Visit) -> None:
    visit.owner.run()

    assert [one["last_four"] for one in visit.owner.held("accounts")] == ["1234", "9876"]
    assert visit.owner.held("account_stats")[0]["balance_cents"] == 123_456
    assert {one["date_received"] for one in visit.owner.held("inbox_messages")} == {"2026-02-17", "2025-12-24"}
    assert visit.owner.held("credit_card_billing")[0]["credit_limit_cents"] == 500_000
    assert visit.owner.held("credit_card_billing_stats")[0]["available_credit_cents"] == 497_500


def test_a_second_run_changes_nothing(visit: Visit) -> None:
    visit.owner.run()
    before = {stream: dict(rows) for stream, rows in visit.owner.data.items()}

    sent = visit.owner.run()

    assert visit.owner.data == before
    assert emitted(sent)


def test_no_link_leads_away_from_the_site(visit: Visit) -> None:
    visit.bank.pages = {"/my/usaa": '<a href="http://127.0.0.1:1/my/checking?accountId=a">Checking *1234</a>'}

    visit.owner.run()

    assert ("shape_changed", {"resource_id": "account:a"}) in visit.owner.missing()
