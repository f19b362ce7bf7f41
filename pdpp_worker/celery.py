"""Where `celery -A pdpp_worker` finds the app."""

import os

from pdpp_worker.tasks.app import app
from pdpp_worker.tasks.beat_inside import add_option

os.umask(0o077)  # files of the owner's data are for this user alone, whoever writes them: connectors, taps, libraries

add_option(app)

__all__ = ["app"]
