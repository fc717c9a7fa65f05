"""`lehr doctor`: what is installed and what is missing."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Container
from importlib.util import find_spec
from typing import Annotated

import typer

from lehr import __version__
from lehr.cli import completing
from lehr.cli.console import Json, Output, session

_REQUIREMENT = re.compile(r"(?P<package>[\w.-]+).* extra == ['\"](?P<extra>[\w-]+)['\"]")
MISSING, _WAY = "missing", "how to get it"


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
    """Show what is installed, and how to get what is missing.

    Packages are shown, and targets with their tools.
    """
    with session(as_json) as out:
        from lehr.errors import ToolMissing
        from lehr.extras import CORE
        from lehr.targets import registry

        if install is not None:
            _install(out, install)
            out.then("targets", "list")
            return
        out.then(*(("demo",) if find_spec("torch") else ("models", "get", "digits")))
        runners = {}
        for entry in registry.entries():
            runner = entry.target.runner() if entry.target else None
            without = (
                "only checks, needs no tool"
                if entry.target and entry.target.no_artefact
                else "has no tool"
            )
            runners[entry.name] = entry.reason or (
                without if runner is None else runner.missing() or "ready"
            )
        out.say(
            f"lehr {__version__}, Python {platform.python_version()}, {platform.system()} "
            f"{platform.machine()}, {sys.executable}"
        )
        packages = _packages(out)
        _tools(out)
        out.table(("target", "tool"), list(runners.items()))
        own = {name: each.version() or MISSING for name, each in registry.environments().items()}
        rows = [
            (name, version, f"lehr doctor --install {name}" if version == MISSING else "")
            for name, version in own.items()
        ]
        out.table(("tool in an environment of its own", "version", _WAY), rows)
        kept, kernels = _machine_code(), _kernels()
        out.say(f"kernels of the engine 'fast': {kernels}")
        out.say(f"machine code of the engine 'fast' is kept {kept}")
        out.facts.update(
            lehr=__version__,
            python=platform.python_version(),
            targets=runners,
            environments=own,
            kernels=kernels,
            machine_code=kept,
        )
        if MISSING in (packages[name] for name in CORE):
            raise ToolMissing(
                "a package is missing; install lehr again with its dependencies (pip install lehr)"
            )


def _packages(out: Output) -> dict[str, str]:
    """Print the packages that lehr needs always, and for each extra; return their versions."""
    from lehr.extras import CORE, EXTRAS

    extras = {extra: list(needs) for extra, needs in EXTRAS.items()} | _of_developers(EXTRAS)
    packages = {name: _version(name) for each in (CORE, *extras.values()) for name in each}
    out.table(("package", "version"), [(name, packages[name]) for name in CORE])
    rows, facts = [], {}
    for extra, needs in extras.items():
        lacking = [name for name in needs if packages[name] == MISSING]
        line = f"pip install 'lehr[{extra}]'"
        rows += [
            (extra, name, packages[name], line if packages[name] == MISSING else "")
            for name in needs
        ]
        facts[extra] = {"installed": not lacking, "missing": lacking, "install": line}
    out.table(("extra", "package", "version", _WAY), rows)
    out.facts.update(packages=packages, extras=facts)
    return packages


def _of_developers(known: Container[str]) -> dict[str, list[str]]:
    """Return the packages of the extras that are not for users.

    The installed lehr declares them.
    """
    from importlib.metadata import PackageNotFoundError, requires

    extras: dict[str, list[str]] = {}
    try:
        lines = requires("lehr") or []
    except PackageNotFoundError:  # a checkout that is not installed
        return {}
    for line in lines:
        named = _REQUIREMENT.match(line)
        if named and named["package"] != "lehr" and named["extra"] not in known:
            extras.setdefault(named["extra"], []).append(named["package"])
    return extras


def _tools(out: Output) -> None:
    """Print the programs that targets can use."""
    from lehr.cli import tools

    versions = {name: tools.version(name) for name in tools.INSTALLING}
    rows = [
        (
            name,
            version or "of unknown version",
            tools.INSTALLING[name] if version == MISSING else "",
        )
        for name, version in versions.items()
    ]
    out.table(("optional program", "version", _WAY), rows)
    out.facts["tools"] = {
        name: {
            "installed": version != MISSING,
            "version": "" if version == MISSING else version,
            "install": tools.INSTALLING[name],
        }
        for name, version in versions.items()
    }


def _install(out: Output, name: str) -> None:
    """Install a tool; say each step before it is done."""
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
    """Say where the fast engine keeps its machine code, and the way out if it cannot."""
    try:
        from lehr.simulate.fast.machine import folder
    except ImportError:
        return "nowhere: a package is missing"
    if (place := folder()) is None:
        return (
            "nowhere, so that each run compiles it; set NUMBA_CACHE_DIR to a folder that only you "
            "can write to"
        )
    return f"in {place}"


def _kernels() -> str:
    """Say whether compiled kernels came with lehr, and who compiles them if none did."""
    try:
        from lehr.simulate.fast import machine, shipped
    except ImportError:
        return "none: a package is missing"
    if not (reason := shipped.reason(machine.kernels_digest())):
        return "compiled ones came with this installation"
    if find_spec("numba"):
        return f"{reason}; numba compiles them"
    return f"{reason}; pip install numba, which compiles them"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING
