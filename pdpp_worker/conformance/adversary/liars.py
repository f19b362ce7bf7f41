"""The liar for a practice account: it stands where the connector's settings point to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

from pdpp_worker.conformance.account import LivingAccount
from pdpp_worker.conformance.adversary.proxy import Proxy, proxying
from pdpp_worker.conformance.adversary.voice import Voice
from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.protocol.manifest import Manifest


@contextmanager
def standing_before(
    manifest: Manifest, mine: LivingAccount, other: LivingAccount, voice: Voice
) -> Iterator[Mapping[str, Any]]:
    """The settings that lead to the liar, and by it to the account.

    Raises:
        NotChecked: the account is reached in no way before which a liar can stand.
    """
    settings = dict(mine.settings)
    addresses = [name for name, spec in manifest.settings.items() if spec.type == "url" and name in settings]
    if not addresses:
        raise NotChecked("The living account has no setting of the type url before which the adversary can stand.")
    with ExitStack() as stack:
        for name in addresses:
            proxy = Proxy(voice, str(settings[name]), str(other.settings[name]))
            path = urlsplit(str(settings[name])).path
            settings[name] = stack.enter_context(proxying(proxy)) + path
        yield settings
