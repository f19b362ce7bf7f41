"""Sends a notice to the owner's services, by apprise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError

if TYPE_CHECKING:
    from apprise import Apprise

TITLE = "pdpp-worker"


def check(urls: SecretStr) -> None:
    """Look whether the addresses can be used; nothing is sent.

    Raises:
        ConfigurationError: apprise is not installed, or knows none of these addresses.
    """
    _services(urls)


def send(urls: SecretStr, sentence: str) -> bool:
    """Send a sentence to all services of `urls`; whether all of them took it. The addresses are secrets, and stay so.

    Raises:
        ConfigurationError: as `check`.
    """
    return bool(_services(urls).notify(body=sentence, title=TITLE))


def _services(urls: SecretStr) -> Apprise:
    try:
        from apprise import Apprise
    except ModuleNotFoundError:
        raise ConfigurationError("PDPP_NOTIFY_URL needs apprise: pip install 'pdpp-worker[notify]'.") from None
    services = Apprise()
    for place, url in enumerate(urls.get_secret_value().split(), 1):
        if not services.add(url):
            raise ConfigurationError(f"Address {place} of PDPP_NOTIFY_URL is none that apprise knows.")
    return services
