"""When a gap is tried again, and by which version."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import Settings
from pdpp_worker.store.gaps.retry_policy import RetryPolicy
from pdpp_worker.store.gaps.selection import ScopeKinds

MAX_BACKOFF_S = 24 * 3600.0


def supported_scopes(manifest: Manifest) -> ScopeKinds:
    """The kinds of scope that the connector can be asked for by itself."""
    targeted = manifest.recovery.supports_targeted_resource_fetch
    scopes = manifest.recovery.scopes
    return ScopeKinds(resources=targeted and "resource" in scopes, batches=targeted and "batch" in scopes)


def carries_gaps(manifest: Manifest) -> bool:
    """Whether due gaps are handed to the connector's walks: a command that cannot be asked for them by themselves."""
    return manifest.command is not None and not manifest.recovery.supports_targeted_resource_fetch


def carried_wait_s(manifest: Manifest) -> float:
    """How long a gap waits that a walk carried along and did not try, s: it is due again before the next walk."""
    return manifest.schedule_every_s / 2


def retry_policy(settings: Settings) -> RetryPolicy:
    """Exponential backoff with a ceiling of a day; after `gap_max_attempts` a gap is exhausted, and stays visible."""
    return RetryPolicy(settings.gap_backoff_s, MAX_BACKOFF_S, settings.gap_max_attempts)


def satisfies(installed: str, seen: str, required: str | None, opened_for: str | None = None) -> bool:
    """Whether the installed version may try a gap again.

    It is newer than the last that met it, and no older than the one that fixes it or was let try it already.
    """
    try:
        least = max(Version(required or installed), Version(opened_for or installed))
        return Version(installed) > Version(seen) and Version(installed) >= least
    except InvalidVersion:
        return False
