"""The broker's part of Celery's configuration: its address, the bounds of its sockets, its certificates."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pdpp_worker import sentinel
from pdpp_worker.settings import Settings

_REQUIREMENTS = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def broker_settings(settings: Settings, url: str) -> dict[str, Any]:
    """Celery's settings for the broker at this address."""
    options = transport_options(settings)
    address = url
    if sentinel.is_sentinel(url):
        watched = sentinel.read(url)
        options["master_name"], address = watched.master, watched.broker_url
    found: dict[str, Any] = {
        "broker_url": address,
        "broker_transport_options": options,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": settings.broker_timeout_s,
        "broker_heartbeat": settings.broker_timeout_s,
        "broker_pool_acquire_timeout": settings.broker_timeout_s,
    }
    if (certificates := _certificates(url)) is not None:
        found["broker_use_ssl"] = certificates
    return found


def transport_options(settings: Settings) -> dict[str, Any]:
    """Bounds for the broker's sockets: neither a worker nor a publisher waits for ever on a dead one."""
    return {
        "socket_timeout": settings.broker_timeout_s,
        "socket_connect_timeout": settings.broker_timeout_s,
        "socket_keepalive": True,
        # kombu gives up a wait for messages that the server has not answered for so long.
        "health_check_interval": settings.broker_timeout_s,
        "retry_on_timeout": True,
        "global_keyprefix": "pdpp:",
    }


def _certificates(url: str) -> dict[str, Any] | None:
    """How to look at the server's certificate, by the same parameters as in PDPP_REDIS_URL; Celery alone would not."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    requirement = _REQUIREMENTS[query.get("ssl_cert_reqs", "required")]
    given = {name: query[name] for name in _FILES if name in query}
    if parts.scheme == "rediss":
        checked = {} if requirement is ssl.CERT_REQUIRED else {"ssl_check_hostname": False}
        return {"ssl_cert_reqs": requirement, **checked, **given}
    if parts.scheme == "amqps":
        return {
            "cert_reqs": requirement,
            "server_hostname": parts.hostname,
            **{name.removeprefix("ssl_"): value for name, value in given.items()},
        }
    return None
