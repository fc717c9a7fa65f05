"""All commands, put together."""

from lehr.cli.commands import application

app = application()
