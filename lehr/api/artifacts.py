"""Checking, building and verifying for targets, which are called by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import overload

from lehr.api.given import AnyNetwork, Inputs, Place, network, opened, pixels
from lehr.targets import registry
from lehr.targets.arithmetics import Problem
from lehr.targets.build import GOLDEN_SAMPLES, Built
from lehr.targets.build import build as build_plan
from lehr.targets.contract import Target
from lehr.targets.spread_verify import verify_by
from lehr.targets.verification import TIMEOUT, Verified
from lehr.targets.verification import verify as verify_folder
from lehr.workers.asked import workers_of


def targets() -> tuple[str, ...]:
    """Name the targets that are registered, lehr's own and those of other packages.

    >>> import lehr
    >>> "c" in lehr.targets()
    True
    """
    return tuple(target.name for target in registry.targets())


@overload
def check(net: AnyNetwork, target: str | Target) -> tuple[Problem, ...]: ...
@overload
def check(net: AnyNetwork, target: None = None) -> dict[str, tuple[Problem, ...]]: ...
def check(
    net: AnyNetwork, target: str | Target | None = None
) -> tuple[Problem, ...] | dict[str, tuple[Problem, ...]]:
    """Check whether a network maps to a target: every problem, with a hint; empty if it maps.

    Args:
        net: the network, what an export gave back, or a `.nir` file.
        target: its name; of every target, by name, if None.

    Raises:
        UsageError: when no target is called so.

    >>> import lehr
    >>> lehr.check("model.nir", "c")
    ()
    """
    net = network(net)
    if target is None:
        return {each.name: each.check(net) for each in registry.targets()}
    return _target(target).check(net)


def build(
    net: AnyNetwork,
    target: str | Target,
    output: Place,
    x: Inputs | None = None,
    *,
    frames: str | None = None,
    options: Mapping[str, str] | None = None,
    samples: int = GOLDEN_SAMPLES,
    measure: bool = False,
) -> Built:
    """Build a network for a target and write the folder.

    The folder holds its files, golden vectors, report and manifest.

    Args:
        net: the network, what an export gave back, or a `.nir` file.
        target: its name.
        output: folder to write, whole or not at all; one that lehr wrote is replaced.
        x: samples for the golden vectors, or their file, of which the first `samples` are used;
            synthetic ones if None.
        frames: how a recording is cut into steps, as "step_us=1000".
        options: of the target.
        samples: how many samples of a file, or synthetic ones, become golden vectors.
        measure: whether the tools of this machine measure what is built.

    Raises:
        NotMappable: with every problem, when the network does not map.
        UsageError: for a target, an option or a file that there is not.
        FileRefused: when the inputs are not what the network takes, or the folder cannot be
            written.

    >>> import lehr
    >>> built = lehr.build("model.nir", "c", "out", x="in.npz")
    >>> "model.nir" in built.plan.files
    True
    """
    net = network(net)
    file = None if x is None else opened(net.input, x, frames)
    golden = None if x is None else pixels(x) if file is None else file.first(samples)
    built = build_plan(net, _target(target), golden, options, samples, measure=measure)
    built.plan.write(Path(output))
    return replace(built, folder=Path(output))


def verify(
    folder: Place,
    samples: int | None = None,
    *,
    timeout: float = TIMEOUT,
    workers: int | str = 1,
) -> Verified:
    """Run a built folder in its target's own tool and compare it with the simulator.

    Every spike and membrane is compared.

    Nothing that is in the folder is run: lehr makes the target's files again, and refuses a folder
    that has others.

    Args:
        folder: that `build` wrote, here or elsewhere.
        samples: how many golden samples to run; all if None.
        timeout: seconds that it may take.
        workers: over which samples are spread: a number of processes, "ray" for a cluster of Ray
            that is running here, or its address, "ray://HOST:PORT".

    Returns:
        What was compared; `require()` raises NotBitExact where a value differs.

    Raises:
        UsageError: when there is no such folder, or its target cannot be run.
        FileRefused: when a file in it is damaged, or is not what lehr makes.
        ToolMissing: when the target's tool is not on this machine, or the cluster does not answer.
        NotBitExact: when it does not run, or not in time.
        WorkerLost: when a part of the work has ended three workers.

    >>> import lehr
    >>> built = lehr.build("model.nir", "onnx", "out-onnx", x="in.npz")
    >>> lehr.verify("out-onnx").comparison.equal
    True
    """
    if (team := workers_of(workers)) is None:
        return verify_folder(Path(folder), samples, timeout)
    with team:
        return verify_by(team, Path(folder), samples, timeout)


def _target(given: str | Target) -> Target:
    return registry.get(given) if isinstance(given, str) else given
