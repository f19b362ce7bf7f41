"""Where `celery -A pdpp_worker` finds the app."""

import os
import sys

from pdpp_worker import privileges
from pdpp_worker.tasks.app import app
from pdpp_worker.tasks.beat_inside import add_option

os.umask(0o077)  # files of the owner's data are for this user alone, whoever writes them: connectors, taps, libraries
privileges.protect()

if "flower.command" in sys.modules:  # celery has loaded its commands, that of an installed Flower among them
    from pdpp_worker.tasks import flower_guard

    flower_guard.install()

add_option(app)

__all__ = ["app"]
