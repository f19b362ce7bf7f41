"""Periods: what is covered and what is promised and missing, day by day."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from connectors.usaa.ledger import DAY, Account, Ledger, Span, Window

FIRST = date(2026, 1, 1)
days = st.integers(0, 60).map(lambda number: FIRST + timedelta(days=number))
spans = st.lists(st.tuples(days, days).map(lambda pair: Span(min(pair), max(pair))), max_size=8)


def every_day(since: date, until: date) -> set[date]:
    return {since + timedelta(days=number) for number in range((until - since).days)}


@given(days, spans)
def test_every_promised_day_is_covered_or_in_one_hole(promised: date, given_spans: list[Span]) -> None:
    account = Account(promised)
    for span in given_spans:
        account.cover(span)

    covered = {day for span in given_spans for day in every_day(*span[:2])}
    missing = [day for hole in account.holes() for day in every_day(*hole)]

    assert len(missing) == len(set(missing))
    assert covered.isdisjoint(missing)
    assert covered | set(missing) >= every_day(promised, account.through or promised)


@given(spans)
def test_the_order_of_documents_does_not_matter(given_spans: list[Span]) -> None:
    one, other = Account(FIRST), Account(FIRST)
    for span in given_spans:
        one.cover(span)
    for span in reversed(given_spans):
        other.cover(span)

    assert [span[:2] for span in one.spans] == [span[:2] for span in other.spans]


def test_a_ledger_comes_back_from_a_cursor() -> None:
    ledger = Ledger()
    ledger.account("1", FIRST).cover(Span(FIRST + 3 * DAY, FIRST + 5 * DAY, 1, 2))
    ledger.accounts["1"].missing = ledger.accounts["1"].holes()

    assert Ledger.load(ledger.dump()) == ledger


def test_unequal_balances_leave_the_hole() -> None:
    account = Account(FIRST)
    account.cover(Span(FIRST, FIRST + 2 * DAY, 0, 100))
    account.cover(Span(FIRST + 5 * DAY, FIRST + 6 * DAY, 101, 100))

    assert account.holes() == [Window(FIRST + 2 * DAY, FIRST + 5 * DAY)]
