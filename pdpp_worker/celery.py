"""Where `celery -A pdpp_worker` finds the app."""

import os

from pdpp_worker import privileges
from pdpp_worker.tasks.app import app

os.umask(0o077)  # files of the owner's data are for this user alone, whoever writes them: connectors, taps, libraries
privileges.protect()

__all__ = ["app"]
