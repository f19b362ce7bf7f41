"""Keeps the account's changes in a file, so that a restart shows the same account."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.files import replacing
from connectors.chatgpt.practice.options import Change, ProviderOptions


def load_account(options: ProviderOptions) -> Account:
    """The account of these options, with every change that its state file holds.

    Raises ValueError if the state belongs to another account.
    """
    account = Account(options.seed, options.conversations)
    if options.state is None or not options.state.exists():
        return account
    state = json.loads(options.state.read_text(encoding="utf-8"))
    if (state["seed"], state["conversations"]) != (options.seed, options.conversations):
        raise ValueError(
            f"{options.state} belongs to an account with seed {state['seed']} and {state['conversations']} "
            "conversations. Start with these, or name another state file."
        )
    for change in state["changes"]:
        account.advance(Change(**change))
    return account


def save_account(account: Account, path: Path) -> None:
    """Write down what happened to the account."""
    changes = [asdict(change) for change in account.changes]
    state = {"seed": account.seed, "conversations": account.conversations, "changes": changes}
    with replacing(path) as draft:
        draft.write_text(json.dumps(state) + "\n", encoding="utf-8")
