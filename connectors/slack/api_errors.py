"""Translates the codes of Slack's refusals into failures that say who acts on them."""

from __future__ import annotations

from connectors.slack.errors import CursorLost, NotOffered, OutOfSight, Refused, ScopeMissing
from connectors.slack.fields import text
from connectors.slack.rows import Obj
from pdpp_worker.connector import AuthExpired, Gone, ProviderError, UpstreamError

_SIGNED_OUT = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "token_revoked",
        "token_expired",
        "account_inactive",
        "user_removed_from_team",
        "two_factor_setup_required",
    }
)
_SCOPE = frozenset(
    {
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "ekm_access_denied",
        "team_access_not_granted",
    }
)
_OWNERS_TURN = {
    "missing_argument": "a token of an organisation needs to be told the workspace: set team_id",
    "team_not_found": "set team_id to the id of a workspace that the token may see (T…)",
    "restricted_action": "an administrator has restricted this; ask for it, or leave the stream out",
    "enterprise_is_restricted": "the organisation has restricted this; ask for it, or leave the stream out",
    "org_login_required": "the workspace is moving to an organisation; sign in to that and set the new token",
}
"""Codes of refusals that no waiting ends, and what to do."""
_GONE = frozenset({"message_not_found", "file_deleted"})
"""Codes that say in words that a thing was deleted."""
_OUT_OF_SIGHT = frozenset({"channel_not_found", "thread_not_found", "user_not_found", "file_not_found"})
"""Codes that a thing which was deleted shares with one that this account may not see, or not see now."""
_REFUSED = frozenset(
    {
        "not_in_channel",
        "access_denied",
        "channel_is_limited_access",
        "method_not_supported_for_channel_type",
    }
)


def failure_of(method: str, answer: Obj) -> ProviderError:
    """The failure that an answer without `ok` stands for."""
    code = text(answer.get("error")) or "unknown_error"
    said = f"{method} answered {code}"
    if code in _SIGNED_OUT:
        return AuthExpired(f"{said}: renew the token (and, for an xoxc token, the cookie)")
    if code in _SCOPE:
        needed = text(answer.get("needed")) or "another kind of token"
        return ScopeMissing(f"{said}: the token needs {needed}; grant it and set the new token")
    if code in _OWNERS_TURN:
        return ScopeMissing(f"{said}: {_OWNERS_TURN[code]}")
    if code == "unknown_method":
        return NotOffered(said)
    if code == "invalid_cursor":
        return CursorLost(said)
    if code in _GONE:
        return Gone(said)
    if code in _OUT_OF_SIGHT:
        return OutOfSight(f"{said}; that may be only out of this account's sight")
    return Refused(said) if code in _REFUSED else UpstreamError(said)
