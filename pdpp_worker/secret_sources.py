"""Credentials that are kept elsewhere: in a variable, a file, or the keyring of the system."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import Settings

REFERENCES = ("env:", "file:", "keyring:")
"""Beginnings of the references; nothing that is stored encrypted begins so."""
_FILE_BYTES = 1_000_000
"""Most bytes of a file with a credential."""
_KEYRING_S = 30.0
"""Longest time that the keyring may take, s: a locked one asks its owner, who may not be there."""


def is_reference(stored: str) -> bool:
    """Whether a credential is kept elsewhere."""
    return stored.startswith(REFERENCES)


def read_reference(settings: Settings, name: str, reference: str) -> str:
    """The value of the credential `name` that a reference names.

    Raises:
        ConfigurationError: naming the credential, why it cannot be read, and what to do.
    """
    form, _, rest = reference.partition(":")
    if form == "env":
        return _from_variable(settings, name, rest)
    return _from_keyring(settings, name, rest) if form == "keyring" else _from_file(name, Path(rest))


def _from_variable(settings: Settings, name: str, variable: str) -> str:
    value = settings.variable(variable)
    if not value:
        raise ConfigurationError(f"The credential {name} is to come from the variable {variable}, which is not set.")
    return value


def _from_file(name: str, path: Path) -> str:
    try:
        value = _read_bounded(name, path.expanduser()).decode().strip()
    except OSError as error:
        raise ConfigurationError(f"The credential {name} cannot be read from {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The credential {name} cannot be read from {path}: it is not UTF-8 text.") from None
    if not value:
        raise ConfigurationError(f"The credential {name} is to come from {path}, which is empty.")
    return value


def _read_bounded(name: str, path: Path) -> bytes:
    """The content of a file of a bounded size; a pipe or a device may never answer, or never end."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigurationError(f"The credential {name} cannot be read from {path}: it is no regular file.")
        content = file.read(_FILE_BYTES + 1)
    if len(content) > _FILE_BYTES:
        raise ConfigurationError(f"The credential {name} cannot be read from {path}: it has more than 1 MB.")
    return content


def _from_keyring(settings: Settings, name: str, entry: str) -> str:
    """Ask the keyring in a process of its own, which can be killed: one that is locked waits for its owner."""
    service, _, user = entry.rpartition("/")
    if not service or not user:
        raise ConfigurationError(f"The credential {name} is kept in no entry of a keyring; write keyring:SERVICE/USER.")
    if importlib.util.find_spec("keyring") is None:
        raise ConfigurationError(
            f"The credential {name} is in the system's keyring, and the package for that is not installed; "
            "install it with: pip install 'pdpp-worker[keyring]'"
        )
    try:
        asked = subprocess.run(
            [sys.executable, "-P", "-m", "keyring", "get", "--", service, user],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_KEYRING_S,
            check=False,
            env=settings.child_environment({}),
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"The credential {name} is in the system's keyring, which did not answer in {_KEYRING_S:.0f} s; unlock it."
        ) from None
    value = asked.stdout.decode(errors="replace").removesuffix("\n")
    if asked.returncode or not value:
        why = asked.stderr.decode(errors="replace").strip().rpartition("\n")[2] or "it has no such entry"
        raise ConfigurationError(f"The credential {name} cannot be read from keyring:{entry}: {why}.")
    return value
