"""Commands run in the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import typer.testing
from typer.testing import CliRunner

from lehr.cli.app import app

# Typer makes the commands of an application anew for each call, which is a third of what a short
# command costs.
setattr(typer.testing, "_get_command", cache(vars(typer.testing)["_get_command"]))  # noqa: B010 - a private name


@dataclass(frozen=True)
class Ran:
    """Outcome of one command."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.out.rstrip().rsplit("\n", 1)[-1]

    @property
    def facts(self) -> dict[str, Any]:
        facts = json.loads(self.out)
        assert isinstance(facts, dict)
        return facts


Lehr = Callable[..., Ran]


def run(*arguments: object) -> Ran:
    """Run `lehr ARGUMENTS` in this process."""
    ran = CliRunner().invoke(app, [str(a) for a in arguments])
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return Ran(ran.exit_code, ran.stdout, ran.stderr)
