"""The fleet's processes on one machine."""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.embedded.server import START_LOCK, SUPERVISOR_LOCK
from pdpp_worker.local.endpoints import servers_in_use
from pdpp_worker.local.needs import OnLoss, OnRequest, request_file
from pdpp_worker.local.supervisor import ProcessSpec
from pdpp_worker.settings import Settings

logger = logging.getLogger(__name__)

WEB_MODULES = ("jinja2", "starlette", "uvicorn")
"""Modules that the console needs."""
LEAST_PASSWORD = 8
"""Characters of the password of a console that others reach. One is tried each second."""
_LOCAL_IDLE_S = 300.0
"""The worker for files ends when it has had nothing to do for so long, or for five slices."""
_WEB_IDLE_S = 600.0
"""The console ends when no page was open for so long."""


@dataclass(frozen=True)
class Fleet:
    """The processes of the fleet on this machine, and what they need: workers, beat, the console, embedded servers."""

    specs: tuple[ProcessSpec, ...]
    environment: Mapping[str, str]
    """Of the processes; it holds the owner's secrets."""
    web_url: str | None = None
    """The console's; None: it is not installed."""
    flower_url: str | None = None
    """Flower's; None: it was not asked for."""


def plan_fleet(settings: Settings, extra: Mapping[str, str] | None = None, *, flower: bool = False) -> Fleet:
    """The fleet of these settings. The console's socket listens from now on, until this process ends.

    `extra` are variables that the processes get beyond this one's environment.

    Raises:
        ConfigurationError: the console or Flower would listen beyond loopback without a password, or Flower is asked
            for and not installed.
    """
    own = {"PDPP_DATA_DIR": str(settings.data_dir), "MALLOC_ARENA_MAX": "2"}
    if settings.flower_basic_auth is not None:
        own["FLOWER_BASIC_AUTH"] = settings.flower_basic_auth.get_secret_value()
    specs = [*server_processes(settings), *worker_processes(settings, watched=flower)]
    web = _web(settings) if is_installed(*WEB_MODULES) else None
    if web is None:
        logger.warning("the console is not installed, so the fleet runs without it")
    shown = _flower(settings) if flower else None
    return Fleet(
        specs=(*specs, *(spec for spec in (web, shown) if spec is not None)),
        environment=settings.child_environment({**own, **(extra or {})}),
        web_url=_url_of(web, settings.web_address),
        flower_url=_url_of(shown, settings.flower_address),
    )


def worker_processes(settings: Settings, *, watched: bool = False) -> tuple[ProcessSpec, ...]:
    """A worker for each queue; that for `control` has beat in it, that for files runs while there are some to read.

    `watched`: Flower shows them, so they tell of their tasks and every 2 s of themselves.
    """
    own = settings.log_level, "--task-events" if watched else "--without-heartbeat"
    control = _worker("control", *own, "--pool=threads", "--concurrency=2", "--with-beat")
    collect = _worker("collect", *own, "--pool=threads", f"--concurrency={settings.collect_threads}")
    local = _worker("local", *own, "--pool=prefork", f"--concurrency={settings.local_processes}")
    idle_s = max(_LOCAL_IDLE_S, 5 * settings.slice_s)
    return control, collect, replace(local, need=OnRequest(str(request_file(settings.data_dir, "local")), idle_s))


def server_processes(settings: Settings) -> Iterator[ProcessSpec]:
    """The process, for each embedded server in use, that starts it again should it be lost."""
    for name in servers_in_use(settings):
        home = settings.data_dir / "embedded" / name
        command = (sys.executable, "-m", "pdpp_worker.local.embedded.revive", name, str(settings.data_dir))
        yield ProcessSpec(name, command, OnLoss(str(home / SUPERVISOR_LOCK), str(home / START_LOCK)))


def is_installed(*modules: str) -> bool:
    """Whether all of these modules can be imported."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


def _web(settings: Settings) -> ProcessSpec:
    address = settings.web_address
    check_password(settings, address)
    bound = _bind_wanted("The console", "PDPP_WEB_ADDRESS", address, settings.web_port)
    bound.listen()
    port, descriptor = bound.getsockname()[1], bound.detach()
    web = (sys.executable, "-m", "pdpp_worker", "web", f"--socket={descriptor}", f"--address={address}")
    file = str(request_file(settings.data_dir, "web"))
    return ProcessSpec("web", (*web, f"--port={port}"), OnRequest(file, _WEB_IDLE_S, descriptor))


def _celery(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-A", "pdpp_worker", *arguments)


def _worker(queue: str, level: str, told: str, *pool: str) -> ProcessSpec:
    # Workers agree through Postgres, so they need not hear from each other.
    alone = (told, "--without-gossip", "--without-mingle")
    named = (f"--queues={queue}", f"--hostname={queue}@%h", f"--loglevel={level}")
    return ProcessSpec(queue, _celery("worker", *named, *pool, *alone))


def _flower(settings: Settings) -> ProcessSpec:
    if not is_installed("flower"):
        raise ConfigurationError("Flower is not installed; add it with: pip install 'pdpp-worker[flower]'")
    address = settings.flower_address
    if not is_loopback(address) and settings.flower_basic_auth is None:
        raise ConfigurationError(
            f"Flower would listen on {address} without a password. Set PDPP_FLOWER_BASIC_AUTH to user:password, or "
            "leave PDPP_FLOWER_ADDRESS at 127.0.0.1."
        )
    with _bind_wanted("Flower", "PDPP_FLOWER_ADDRESS", address, settings.flower_port) as probe:
        port = probe.getsockname()[1]
    return ProcessSpec("flower", _celery("flower", f"--address={address}", f"--port={port}"))


def _url_of(process: ProcessSpec | None, address: str) -> str | None:
    return None if process is None else f"http://{address}:{process.command[-1].partition('=')[2]}"


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def check_password(settings: Settings, address: str) -> None:
    """Refuse to let the console listen beyond loopback without something that keeps strangers out.

    Raises:
        ConfigurationError: there is no password and no proxy's secret, or the password is short enough to be guessed.
    """
    if is_loopback(address):
        return
    password = settings.web_password
    if password is None and settings.web_proxy_secret is None:
        raise ConfigurationError(
            f"The console would listen on {address} without a password. Set PDPP_WEB_PASSWORD or "
            "PDPP_WEB_PROXY_SECRET, or leave PDPP_WEB_ADDRESS at 127.0.0.1."
        )
    if password is not None and len(password.get_secret_value()) < LEAST_PASSWORD:
        raise ConfigurationError(
            f"The console would listen on {address} with a password that can be guessed; give PDPP_WEB_PASSWORD "
            f"{LEAST_PASSWORD} characters at least."
        )


def _bind_wanted(who: str, variable: str, address: str, wanted: int) -> socket.socket:
    """A socket on the wanted port, or a free one: another fleet on this machine may have it already."""
    for port in (wanted, 0):
        with suppress(OSError):
            return bind(address, port)
    raise ConfigurationError(f"{who} cannot listen on {address}; set {variable} to an address of this machine.")


def bind(address: str, port: int) -> socket.socket:
    """A socket bound to an address and a port; raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Without the protocol's number asyncio does not know it for TCP, and leaves Nagle's algorithm on: 40 ms an answer.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
    except BaseException:
        made.close()
        raise
    return made
