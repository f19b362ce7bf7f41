"""The Celery app. All state is in PostgreSQL; the broker only carries ids: no task retries, waits or has a result."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue

from pdpp_worker import registry
from pdpp_worker.local.endpoints import resolve
from pdpp_worker.settings import get_settings
from pdpp_worker.tasks import foreign_messages, tolerant_transport
from pdpp_worker.tasks.broker import broker_settings
from pdpp_worker.tasks.fleet_task import FleetTask

CONTROL, COLLECT, LOCAL = "control", "collect", "local"
QUEUES = (CONTROL, COLLECT, LOCAL)

app = Celery("pdpp_worker", include=["pdpp_worker.tasks.tasks"], task_cls=FleetTask, set_as_current=True)


@app.add_defaults  # type: ignore[untyped-decorator]
def configuration() -> dict[str, Any]:
    """Celery's configuration, made when it is first needed: an import opens nothing."""
    from beat_schedule import beat_schedule

    foreign_messages.install()
    tolerant_transport.install()
    settings = get_settings()
    registry.check_ceilings(settings)
    return {
        **broker_settings(settings, resolve(settings).broker_url.get_secret_value()),
        "worker_consumer": "pdpp_worker.tasks.consumer:Consumer",
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        "task_default_queue": CONTROL,
        "task_routes": {"pdpp.slice": {"queue": COLLECT}},
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_publish_retry": False,
        "task_acks_late": False,
        "task_send_sent_event": True,
        "worker_send_task_events": True,
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": 100,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "beat_schedule": beat_schedule(settings),
        "enable_utc": True,
        "timezone": "UTC",
    }
