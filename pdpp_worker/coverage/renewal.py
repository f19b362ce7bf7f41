"""The command that renews the sign-in of a connection."""

from __future__ import annotations

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.protocol.manifest import Manifest


def renewal(outlook: Outlook) -> str:
    """Tell how the owner signs in anew: in the connection's browser, or with another credential."""
    name, manifest = outlook.view.name, outlook.manifest
    if manifest is not None and _is_read_by_browser(outlook, manifest):
        return f"Renew the sign-in with: pdpp-worker connection login {name}"
    given = outlook.view.credentials or (manifest.credentials if manifest is not None else {})
    if not given:
        return f"Sign in at the source again, then: pdpp-worker recover {name}"
    return "Renew the sign-in with: " + ", or: ".join(f"pdpp-worker connection secret {name} {one}" for one in given)


def _is_read_by_browser(outlook: Outlook, manifest: Manifest) -> bool:
    reach = manifest.settings.get("reach")
    chosen = outlook.view.settings.get("reach", reach.default if reach is not None else None)
    return "browser_profile" in manifest.bindings and chosen == "browser"
