"""The liar for a living account: it stands where the connector's settings point to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

from pdpp_worker.conformance.account import LivingAccount
from pdpp_worker.conformance.adversary.files import FileLiar
from pdpp_worker.conformance.adversary.imap import GoBetween, going_between
from pdpp_worker.conformance.adversary.living_files import LivingFiles
from pdpp_worker.conformance.adversary.proxy import Proxy, proxying
from pdpp_worker.conformance.adversary.voice import Voice
from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.protocol.manifest import Manifest


@contextmanager
def standing_before(manifest: Manifest, account: LivingAccount, voice: Voice) -> Iterator[Mapping[str, Any]]:
    """The settings that lead to the liar, and by it to the account.

    Raises:
        NotChecked: the account is reached in no way before which a liar can stand.
    """
    settings = dict(account.settings)
    if isinstance(account, LivingFiles):
        FileLiar(account, voice)
        yield settings
        return
    addresses = [name for name, spec in manifest.settings.items() if spec.type == "url" and name in settings]
    if not addresses and account.imap_port is None:
        raise NotChecked("The living account has no setting of the type url, no IMAP port, and is no LivingFiles.")
    with ExitStack() as stack:
        for name in addresses:
            where = urlsplit(str(settings[name]))
            settings[name] = stack.enter_context(proxying(Proxy(voice, where.netloc))) + where.path
        if account.imap_port is not None:
            between = GoBetween(voice, settings[account.imap_port])
            settings[account.imap_port] = stack.enter_context(going_between(between))
        yield settings
