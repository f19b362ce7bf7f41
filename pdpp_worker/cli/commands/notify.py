"""`pdpp-worker notify`: try where notices go."""

from __future__ import annotations

from pdpp_worker.cli.output import say
from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.notices import sending
from pdpp_worker.settings import get_settings


def notify() -> None:
    """Send a notice to PDPP_NOTIFY_URL, to see whether it arrives."""
    urls = get_settings().notify_url
    if urls is None:
        raise ConfigurationError("Set PDPP_NOTIFY_URL to an address of apprise, such as mailto:// or ntfy://.")
    if not sending.send(urls, "This is a trial: what waits for you will be told here."):
        raise PdppError("The notice was not taken; check the address in PDPP_NOTIFY_URL.")
    say("Sent. See whether it arrived.")
