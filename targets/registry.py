"""Registry of targets: the entry points of group `lehr.targets`, of lehr and everybody else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint

from lehr.errors import ToolMissing, UsageError
from lehr.extras import missing_package
from lehr.spelling import one_of
from lehr.targets.contract import Environment, Target
from lehr.targets.declared import GROUP, declared


@dataclass(frozen=True)
class Entry:
    """Registered target: loaded, or broken with the reason.

    The reason may be that a package of others is missing.
    """

    name: str
    target: Target | None
    reason: str = ""
    missing: ImportError | None = None


@cache
def entries() -> tuple[Entry, ...]:
    """Return all registered targets, by name."""
    values: dict[str, set[str]] = {}
    for point in declared():
        values.setdefault(point.name, set()).add(point.value)
    return tuple(_load(name, sorted(values[name])) for name in sorted(values))


def _load(name: str, values: list[str]) -> Entry:
    if len(values) > 1:  # neither may take the other's place in silence
        return Entry(name, None, f"it is registered more than once: {', '.join(values)}")
    point = EntryPoint(name, values[0], GROUP)
    try:
        loaded = point.load()()
    except Exception as error:  # a plug-in may fail in any way, and must not take others with it
        return Entry(point.name, None, f"{type(error).__name__}: {error}", _of_others(error, point))
    if not isinstance(loaded, Target):
        return Entry(point.name, None, f"{point.value} is no lehr.targets.contract.Target")
    if loaded.name != point.name:
        return Entry(
            point.name,
            None,
            f"{point.value} calls itself {loaded.name!r}, but is registered as {point.name!r}",
        )
    return Entry(point.name, loaded)


def _of_others(error: Exception, point: EntryPoint) -> ImportError | None:
    """Return an error for a missing package that neither lehr nor the target itself is.

    Where it is none, return None.
    """
    own = {"", "lehr", point.module.partition(".")[0]}
    return (
        error
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] not in own
        else None
    )


def targets() -> tuple[Target, ...]:
    """Return the targets that loaded, by name."""
    return tuple(entry.target for entry in entries() if entry.target is not None)


def get(name: str) -> Target:
    """Return the target called `name`.

    Raises:
        UsageError: when there is none, or it did not load.
        ToolMissing: when a package that it needs is missing.
    """
    registered = next((entry for entry in entries() if entry.name == name), None)
    if registered is None:
        raise UsageError(
            f"no target is called {name!r}; {one_of(name, (target.name for target in targets()))}"
        )
    if registered.missing is not None:
        raise ToolMissing(
            missing_package(registered.missing, f"target {name}") or registered.reason
        )
    if registered.target is None:
        raise UsageError(
            f"target {name} is broken ({registered.reason}); reinstall the package that brings it"
        )
    return registered.target


def environments() -> dict[str, Environment]:
    """Return the tools in Python environments of their own that targets use, by name."""
    return {each.name: each for target in targets() for each in target.environments}
