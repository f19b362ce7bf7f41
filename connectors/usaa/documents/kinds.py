"""The kind of a transaction: told by the document, else by the words of the bank; nothing is guessed."""

from __future__ import annotations

import re

CHECK, FEE, INTEREST, TRANSFER, CARD, ATM, DEPOSIT, PAYMENT = (
    "check",
    "fee",
    "interest",
    "transfer",
    "card",
    "atm",
    "deposit",
    "payment",
)
_OF_OFX = {
    "CHECK": CHECK,
    "FEE": FEE,
    "SRVCHG": FEE,
    "INT": INTEREST,
    "XFER": TRANSFER,
    "POS": CARD,
    "ATM": ATM,
    "CASH": ATM,
    "DEP": DEPOSIT,
    "DIRECTDEP": DEPOSIT,
    "PAYMENT": PAYMENT,
    "DIRECTDEBIT": PAYMENT,
    "REPEATPMT": PAYMENT,
}
_WORDS = (
    (INTEREST, r"interest (?:paid|charged?|earned|credit|payment)|\binterest\s*$|^interest\b|\bint(?:erest)? pd\b"),
    (FEE, r"\b(?:fee|fees|service charge|overdraft charge|finance charge)\b"),
    (TRANSFER, r"\btransfer\b|\bxfer\b|\btfr\b|\bzelle\b"),
    (ATM, r"\batm\b|cash (?:advance|withdrawal)"),
    (CHECK, r"^check\s*(?:#|no\.?|number)?\s*\d+|^check paid\b|^check$"),
    (
        PAYMENT,
        r"\b(?:automatic|auto|online|card|bill|ach) ?(?:payment|pymt|pmt)\b|payment (?:-|received|thank)|\bautopay\b",
    ),
    (DEPOSIT, r"\b(?:direct dep(?:osit)?|dir dep|mobile deposit|deposit|payroll)\b"),
    (CARD, r"\b(?:debit card|check ?card|card purchase|pos(?: debit)?|purchase)\b"),
)
_PATTERNS = tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in _WORDS)


def kind_of_code(code: str) -> str | None:
    """The kind that an OFX transaction type names; None where it only says in or out."""
    return _OF_OFX.get(code.upper())


def kind_of_text(text: str, check_number: str | None, *, is_card_account: bool = False) -> str | None:
    """The kind that the bank's words name; of a credit card every other transaction is one of the card."""
    found = next((kind for kind, words in _PATTERNS if words.search(text)), None)
    if found is None and check_number is not None:
        return CHECK
    return CARD if found is None and is_card_account else found
