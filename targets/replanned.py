"""Comparison of a built artefact, which may be anybody's, with what lehr makes of its network.

All files are compared byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lehr
from lehr import nirfile
from lehr.artifact import AGAIN, MANIFEST, BuildPlan, changed_files, read_manifest
from lehr.errors import FileRefused, UsageError
from lehr.network import Network
from lehr.reading import open_regular
from lehr.targets import registry
from lehr.targets.contract import Options, Target

MODEL = "model.nir"
_LISTED = 4


@dataclass(frozen=True)
class Replanned:
    """An artefact whose code is what lehr makes here and now.

    Attributes:
        target: that it was built for.
        net: the network in it.
        plan: the target's own files, as they were planned just now; each of them is in the folder,
            byte for byte.
        changed: other files that differ from the manifest.
    """

    target: Target
    net: Network
    plan: BuildPlan
    changed: tuple[str, ...]


def replan(folder: Path) -> Replanned:
    """Plan an artefact again from the network and the options in it; none of its code is run.

    Raises:
        UsageError: when `folder` is no artefact.
        FileRefused: naming the files, when the target's own differ from what was planned; and when
            one of those that were read is damaged.
        NotMappable: when the network does not map to the target.
    """
    manifest = read_manifest(folder)
    target = target_of(manifest, folder)
    options = _options(manifest, target, folder)
    changed = changed_files(folder)
    if MODEL in changed:
        raise FileRefused(f"{listed(changed)} changed since the artefact was built; build it again")
    net = nirfile.read(folder / MODEL)
    target.require_mappable(net)
    try:
        plan = target.plan(net, options)
    except UsageError as error:
        raise FileRefused(f"{folder / MANIFEST}: {error}") from None
    if not plan.files.keys().isdisjoint(changed):
        raise FileRefused(f"{listed(changed)} changed since the artefact was built; build it again")
    others = [name for name, data in plan.files.items() if not _holds(folder / name, data)]
    if others:
        raise FileRefused(_of_another_make(folder, manifest, others))
    return Replanned(target, net, plan, tuple(changed))


def target_of(manifest: dict[str, Any], folder: Path) -> Target:
    """Return the registered target that the manifest of `folder` names.

    Raises:
        FileRefused: when none is called so.
        UsageError: when it did not load.
        ImportError: when a package that it needs is missing.
    """
    name = manifest.get("target")
    if name not in [entry.name for entry in registry.entries()]:
        raise FileRefused(
            f"{folder} was built for target {name!r}, which is not registered here; install the "
            "package that brings it"
        )
    return registry.get(str(name))


def _options(manifest: dict[str, Any], target: Target, folder: Path) -> Options:
    options = manifest.get("options", {})
    if (
        not isinstance(options, dict)
        or not all(isinstance(value, str) for value in options.values())
        or options.keys() - target.options.keys()
    ):
        raise FileRefused(
            f"{folder / MANIFEST}: options are {options!r}, which target {target.name} does not "
            f"take; {AGAIN}"
        )
    return options


def _holds(path: Path, data: bytes) -> bool:
    """Return whether a file has these contents."""
    if not path.exists():
        return False
    with open_regular(path, AGAIN) as file:
        return os.fstat(file.fileno()).st_size == len(data) and file.read(len(data) + 1) == data


def _of_another_make(folder: Path, manifest: dict[str, Any], names: list[str]) -> str:
    version = manifest.get("lehr")
    if version != lehr.__version__:
        return (
            f"{folder} was built by lehr {version}, whose {listed(names)} differ from those of "
            f"lehr {lehr.__version__}; {AGAIN}"
        )
    return (
        f"{folder} was not built by lehr {version} from its {MODEL}: {listed(names)} would be "
        f"others; {AGAIN}"
    )


def listed(names: Iterable[str]) -> str:
    """Names for a sentence: the first few, and how many more there are."""
    first, more = list(names)[:_LISTED], len(list(names)) - _LISTED
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")
