"""Where `celery -A pdpp_worker` finds the app."""

from pdpp_worker.tasks.app import app

__all__ = ["app"]
