"""Options of the command line for schedules."""

from __future__ import annotations

from typing import Annotated

import typer

Every = Annotated[
    str | None, typer.Option(help="Collect at this interval: 15m, '15 minutes', 1h, 1d, @daily.", metavar="DURATION")
]
Cron = Annotated[str | None, typer.Option(help="Collect at these times: five fields or @daily.", metavar="LINE")]
Zone = Annotated[
    str | None, typer.Option("--timezone", help="Whose clock --cron means, such as Europe/Berlin; default: UTC.")
]
