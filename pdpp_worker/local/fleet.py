"""The fleet's processes on one machine."""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.local import endpoints
from pdpp_worker.local.supervisor import ProcessSpec, Supervisor
from pdpp_worker.outages import EMBEDDED
from pdpp_worker.settings import Settings

logger = logging.getLogger(__name__)

WEB_MODULES = ("jinja2", "starlette", "uvicorn")
"""Modules that the console needs."""
_SERVERS_EVERY_S = 10.0


class Fleet(Supervisor):
    """The workers, beat, the console and Flower, kept running together with the embedded servers that they use.

    Use it from the main thread. `extra` are variables that the processes get beyond this one's environment.

    Raises:
        ConfigurationError: Flower would listen beyond loopback without a password.
    """

    def __init__(self, settings: Settings, extra: Mapping[str, str] | None = None) -> None:
        own = {"PDPP_DATA_DIR": str(settings.data_dir)}
        if settings.flower_basic_auth is not None:
            own["FLOWER_BASIC_AUTH"] = settings.flower_basic_auth.get_secret_value()
        environment = settings.child_environment({**own, **(extra or {})})
        processes = fleet_processes(settings)
        super().__init__(processes, settings.data_dir, environment)
        by_name = {one.name: one for one in processes}
        self.flower_url = _url_of(by_name.get("flower"), settings.flower_address)
        """Flower's URL; None: it is not installed."""
        self.web_url = _url_of(by_name.get("web"), settings.web_address)
        """The console's; None: it is not installed."""
        self._settings = settings
        self._servers_due_at = 0.0
        self._servers: threading.Thread | None = None

    def poll(self) -> None:
        """Notice the processes and embedded servers that ended, and start those that are due.

        A server may take minutes to answer; that is waited for in a thread.
        """
        waits = self._servers is not None and self._servers.is_alive()
        if not waits and time.monotonic() >= self._servers_due_at:
            self._servers = threading.Thread(target=self._ensure_servers, name="embedded-servers", daemon=True)
            self._servers.start()
            self._servers_due_at = time.monotonic() + _SERVERS_EVERY_S
        super().poll()

    def _ensure_servers(self) -> None:
        try:
            endpoints.ensure(self._settings)
        except PdppError as error:
            EMBEDDED.began(str(error))
        else:
            EMBEDDED.over()


def fleet_processes(settings: Settings) -> tuple[ProcessSpec, ...]:
    """A worker for each queue, beat, and the console and Flower where they are installed.

    Raises:
        ConfigurationError: one of these two would listen beyond loopback without a password.
    """
    level = settings.log_level
    processes: tuple[ProcessSpec, ...] = (
        _worker("control", level, "--pool=threads", "--concurrency=2"),
        _worker("collect", level, "--pool=threads", f"--concurrency={settings.collect_threads}"),
        _worker("local", level, "--pool=prefork", f"--concurrency={settings.local_processes}"),
        # Beat only ticks, so it has nothing to remember from one start to the next.
        ProcessSpec(
            "beat",
            _celery("beat", "--scheduler=celery.beat:Scheduler", "--enable-remote-control", f"--loglevel={level}"),
        ),
    )
    if is_installed(*WEB_MODULES):
        processes = (*processes, _web(settings))
    else:
        logger.warning("the console is not installed, so the fleet runs without it")
    if not is_installed("flower"):
        logger.warning("Flower is not installed, so the fleet runs without it")
        return processes
    return (*processes, _flower(settings))


def is_installed(*modules: str) -> bool:
    """Whether all of these modules can be imported."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


def _web(settings: Settings) -> ProcessSpec:
    address = settings.web_address
    if not is_loopback(address) and settings.web_password is None:
        raise ConfigurationError(
            f"The console would listen on {address} without a password. Set PDPP_WEB_PASSWORD, or leave "
            "PDPP_WEB_ADDRESS at 127.0.0.1."
        )
    port = _free_port("The console", "PDPP_WEB_ADDRESS", address, settings.web_port)
    command = (sys.executable, "-m", "pdpp_worker", "web", f"--address={address}", f"--port={port}")
    return ProcessSpec("web", command)


def _celery(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-A", "pdpp_worker", *arguments)


def _worker(queue: str, level: str, *pool: str) -> ProcessSpec:
    # Workers agree through Postgres, so they need not hear from each other; Flower wants their events.
    alone = ("--task-events", "--without-gossip", "--without-mingle")
    named = (f"--queues={queue}", f"--hostname={queue}@%h", f"--loglevel={level}")
    return ProcessSpec(queue, _celery("worker", *named, *pool, *alone))


def _flower(settings: Settings) -> ProcessSpec:
    address = settings.flower_address
    if not is_loopback(address) and settings.flower_basic_auth is None:
        raise ConfigurationError(
            f"Flower would listen on {address} without a password. Set PDPP_FLOWER_BASIC_AUTH to user:password, or "
            "leave PDPP_FLOWER_ADDRESS at 127.0.0.1."
        )
    port = _free_port("Flower", "PDPP_FLOWER_ADDRESS", address, settings.flower_port)
    return ProcessSpec("flower", _celery("flower", f"--address={address}", f"--port={port}"))


def _url_of(process: ProcessSpec | None, address: str) -> str | None:
    return None if process is None else f"http://{address}:{process.command[-1].partition('=')[2]}"


def _free_port(who: str, variable: str, address: str, wanted: int) -> int:
    """The wanted port, or a free one: another fleet on this machine may have it already."""
    for port in (wanted, 0):
        with suppress(OSError):
            return _bindable(address, port)
    raise ConfigurationError(f"{who} cannot listen on {address}; set {variable} to an address of this machine.")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _bindable(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        free: int = probe.getsockname()[1]
        return free
