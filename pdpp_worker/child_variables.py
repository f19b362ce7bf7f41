"""Variables of the environment that processes started by the fleet see."""

from __future__ import annotations

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
"""Variables that name a screen."""
BROWSER_VARIABLES = (
    *DISPLAYS,
    *("DBUS_SESSION_BUS_ADDRESS", "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"),
    *("XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE"),
)
"""Variables that a browser of the fleet's sees."""
OWN_BROWSER_VARIABLES = (*DISPLAYS, "XAUTHORITY", "PLAYWRIGHT_BROWSERS_PATH", "PATCHRIGHT_BROWSERS_PATH")
"""Variables that a command needs for a browser of its own."""
PLATFORM_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
)
"""Variables that a connector's command sees, beside those that its manifest names."""

TOLD_TO_COMMANDS = (
    *("PDPP_CONNECTOR_ID", "PDPP_CONNECTOR_INSTANCE_ID", "PDPP_RUN_ID", "PDPP_RUN_TRIGGER_KIND"),
    *("PDPP_RUN_AUTOMATION_MODE", "PDPP_FILES_DIR", "PDPP_CONNECTOR_ARTIFACT_ROOT", "PDPP_PACING_MIN_INTERVAL_MS"),
    *("PDPP_BROWSER_PROFILE_ROOT", "PDPP_BROWSER_HEADLESS", "PDPP_RS_URL", "PDPP_OWNER_TOKEN"),
    *("PDPP_ACCEPT_OPTIONAL_SKIPS", "PDPP_PROCESS_MARK"),
)
"""Variables that a connector's command is told; where the command uses this package, none is a mistyped setting."""
