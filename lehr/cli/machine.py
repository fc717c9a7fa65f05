"""`lehr doctor`: what is installed and what is missing."""

from __future__ import annotations

import platform
import sys
from typing import Annotated

import typer

from lehr import __version__
from lehr.cli import completing
from lehr.cli.console import Json, Output, session


def doctor(
    install: Annotated[
        str | None,
        typer.Option(
            "--install",
            metavar="NAME",
            help="Install a tool of a target into a Python environment of its own.",
            autocompletion=completing.environments,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what this machine has: packages, targets and their tools, and how to get what is missing."""
    with session(as_json) as out:
        from lehr.errors import ToolMissing
        from lehr.extras import CORE, EXTRAS
        from lehr.targets import registry

        if install is not None:
            _install(out, install)
            out.then("targets", "list")
            return
        out.then("demo")
        packages = {name: _version(name) for each in (CORE, *EXTRAS.values()) for name in each}
        tools = {}
        for entry in registry.entries():
            runner = entry.target.runner() if entry.target else None
            without = (
                "only checks, needs no tool"
                if entry.target and entry.target.no_artefact
                else "has no tool"
            )
            tools[entry.name] = entry.reason or (
                without if runner is None else runner.missing() or "ready"
            )
        out.say(
            f"lehr {__version__}, Python {platform.python_version()}, {platform.system()} "
            f"{platform.machine()}, {sys.executable}"
        )
        out.table(("package", "version"), list(packages.items()))
        out.table(("target", "tool"), list(tools.items()))
        own = {name: each.version() or "missing" for name, each in registry.environments().items()}
        out.table(("tool in an environment of its own", "version"), list(own.items()))
        kept = _machine_code()
        out.say(f"machine code of the engine 'fast' is kept {kept}")
        out.facts.update(
            lehr=__version__,
            python=platform.python_version(),
            packages=packages,
            targets=tools,
            environments=own,
            machine_code=kept,
        )
        if "missing" in (packages[name] for name in CORE):
            raise ToolMissing(
                "a package is missing; install lehr again with its dependencies (pip install lehr)"
            )


def _install(out: Output, name: str) -> None:
    """Install a tool, saying what is done before it is done."""
    from lehr.errors import UsageError
    from lehr.spelling import one_of
    from lehr.targets import registry

    known = registry.environments()
    if name not in known:
        raise UsageError(f"no tool is called {name!r}; {one_of(name, known)}")
    environment = known[name]
    if environment.missing() is None:
        out.say(f"{name} {environment.version()} is installed already, in {environment.folder}")
        out.facts.update(
            name=name, folder=str(environment.folder), commands=[], version=environment.version()
        )
        return
    commands = [" ".join(command) for command in environment.plan()]
    out.say(f"{name} is installed into {environment.folder}, by:")
    for command in commands:
        out.say(f"  {command}")
    for command in environment.install():
        out.say(f"running {command}")
    out.say(f"{name} {environment.version()} is installed")
    out.facts.update(
        name=name, folder=str(environment.folder), commands=commands, version=environment.version()
    )


def _machine_code() -> str:
    """Where the fast engine keeps its machine code, and the way out where it cannot."""
    try:
        from lehr.simulate.fast.machine import folder
    except ImportError:
        return "nowhere: a package is missing"
    if (place := folder()) is None:
        return "nowhere, so that each run compiles it; set NUMBA_CACHE_DIR to a folder that only you can write to"
    return f"in {place}"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
