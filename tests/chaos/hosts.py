"""A host of its own for some processes: a network namespace at the end of a cable that can be pulled.

Needs root and `ip`; without them a test is skipped.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from typing import Self

import pytest

_IP = shutil.which("ip", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
_numbers = itertools.count(1)


def require_hosts() -> None:
    """Skip the test where no namespace can be made."""
    if _IP is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and ip (Debian: iproute2)")
    try:
        with Host():
            pass
    except subprocess.CalledProcessError:
        pytest.skip("network namespaces cannot be made here")


class Host:
    """One namespace. This side of its cable has the address `here`; other addresses of this machine are behind it."""

    def __init__(self) -> None:
        number = next(_numbers)
        self._name, self._cable = f"pdpp-{os.getpid()}-{number}", f"pd{os.getpid() % 100_000}{number}"
        net = f"10.{213 + number % 40}.{os.getpid() % 256}"
        self.here, self._there = f"{net}.1", f"{net}.2"

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before a command line, for a process that runs there."""
        return (str(_IP), "netns", "exec", self._name)

    def pull(self) -> None:
        """Cut it off: what is sent from now on is lost, and neither side hears of it."""
        _ip("-n", self._name, "link", "set", "eth0", "down")

    def plug(self) -> None:
        """Let packets through again."""
        _ip("-n", self._name, "link", "set", "eth0", "up")
        _ip("-n", self._name, "route", "add", "default", "via", self.here)

    def __enter__(self) -> Self:
        _ip("netns", "add", self._name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        _ip("addr", "add", f"{self.here}/30", "dev", self._cable)
        _ip("link", "set", self._cable, "up")
        _ip("-n", self._name, "addr", "add", f"{self._there}/30", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", self._name, "link", "set", device, "up")
        _ip("-n", self._name, "route", "add", "default", "via", self.here)
        return self

    def __exit__(self, *_: object) -> None:
        _ip("netns", "del", self._name)


def _ip(*arguments: str) -> None:
    subprocess.run([str(_IP), *arguments], check=True, capture_output=True)
