"""One running provider for the tests that only need a well-behaved one."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from tests.support.waiting import PATIENCE_S

OPTIONS = ProviderOptions(seed=7, conversations=150)


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[ProviderProcess]:
    with ProviderProcess(OPTIONS) as process:
        yield process


@pytest.fixture
def provider(shared_provider: ProviderProcess) -> ProviderProcess:
    """The shared process with neither quota nor faults, and its first token."""
    shared_provider.set_quota(QuotaOptions())
    shared_provider.set_faults(FaultOptions())
    shared_provider.set_token(OPTIONS.token)
    return shared_provider


@pytest.fixture(scope="session")
def account() -> Account:
    """The expected about the shared provider's account."""
    return Account(OPTIONS.seed, OPTIONS.conversations)


@pytest.fixture(scope="session")
def shared_client(shared_provider: ProviderProcess) -> Iterator[httpx.Client]:
    with client_for(shared_provider) as client:
        yield client


@pytest.fixture
def client(shared_client: httpx.Client, provider: ProviderProcess) -> httpx.Client:
    """A client of `provider`."""
    return shared_client


def client_for(provider: ProviderProcess, token: str = OPTIONS.token) -> httpx.Client:
    """An unpaced client that is let in."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=provider.base_url, headers=headers, trust_env=False, timeout=PATIENCE_S)
