"""`python -m bench NAME`: each benchmark is one command."""

from __future__ import annotations

import typer

from bench.chatgpt import command as chatgpt
from bench.console import command as console
from bench.everything import everything
from bench.gmail import command as gmail
from bench.ingest import command as ingest
from bench.mail import command as mail
from bench.paced import command as paced
from bench.planning import command as planning
from bench.rest import command as rest
from bench.sealed import sealed
from bench.slack import command as slack
from bench.stress import command as stress
from bench.year import command as year

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("everything")(everything)
app.command("chatgpt")(chatgpt.chatgpt)
app.command("console")(console.console)
app.command("gmail")(gmail.gmail)
app.command("ingest")(ingest.ingest)
app.command("mail")(mail.mail)
app.command("paced")(paced.paced)
app.command("planning")(planning.planning)
app.command("rest")(rest.rest)
app.command("sealed")(sealed)
app.command("slack")(slack.slack)
app.command("stress")(stress.stress)
app.command("year")(year.year)


@app.callback(invoke_without_command=True)
def bench(context: typer.Context) -> None:
    """Measure speed and memory on this machine; run it while nothing else does. Alone: one table of everything."""
    if context.invoked_subcommand is None:
        everything()


if __name__ == "__main__":
    app()
