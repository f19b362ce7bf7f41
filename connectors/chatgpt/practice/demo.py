"""An account for the demonstration: behind a quota, and with some conversations that fail on the first day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.options import Change, FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.demo.account import DemoAccount

SEED = 7
CONVERSATIONS = 240
TOKEN = "demo-token"  # noqa: S105 - opens a made-up account on loopback
QUOTA = QuotaOptions(model="bucket", rate_per_s=3.2, burst=20)
FAILING = 7
"""Conversations that the server cannot open on the first day, and can on the next."""
DAY = Change(updates=9, new=4)


@contextmanager
def open_account(directory: Path, *, is_first: bool) -> Iterator[DemoAccount]:
    """Run the practice server; it remembers, from one demonstration to the next, what happened to the account."""
    state = directory / "provider.json"
    options = ProviderOptions(seed=SEED, conversations=CONVERSATIONS, token=TOKEN, quota=QUOTA, state=state)
    with ProviderProcess(options) as provider:
        if is_first:
            provider.set_faults(FaultOptions(status_by_id=dict.fromkeys(_some_conversations(), 503)))
        else:
            provider.advance(DAY)
        yield DemoAccount(
            introduction=f"a made-up account behind a quota, some of it failing, on {provider.url}",
            settings={"base_url": provider.base_url},
            secrets={"access_token": TOKEN},
            summary=lambda seconds: _summary(provider, seconds),
        )


def _some_conversations() -> list[str]:
    ids = sorted(one.id for one in Account(SEED, CONVERSATIONS))
    return ids[:: len(ids) // FAILING][:FAILING]


def _summary(provider: ProviderProcess, seconds: float) -> str:
    stats = provider.stats()
    return (
        f"sent {stats.requests:,} requests in {seconds:.0f} s; the provider refused "
        f"{stats.by_status.get(429, 0)} of them, and says that no two came closer than "
        f"{(stats.smallest_gap_s or 0) * 1000:.0f} ms."
    )
