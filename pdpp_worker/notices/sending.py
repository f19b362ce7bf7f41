"""Sends a notice to the owner's services, by apprise."""

from __future__ import annotations

from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError

TITLE = "pdpp-worker"


def send(urls: SecretStr, sentence: str) -> bool:
    """Send a sentence to all services of `urls`; whether all of them took it. The addresses are secrets, and stay so.

    Raises:
        ConfigurationError: apprise is not installed, or knows none of these addresses.
    """
    try:
        from apprise import Apprise
    except ModuleNotFoundError:
        raise ConfigurationError("PDPP_NOTIFY_URL needs apprise: pip install 'pdpp-worker[notify]'.") from None
    services = Apprise()
    for place, url in enumerate(urls.get_secret_value().split(), 1):
        if not services.add(url):
            raise ConfigurationError(f"Address {place} of PDPP_NOTIFY_URL is none that apprise knows.")
    return bool(services.notify(body=sentence, title=TITLE))
