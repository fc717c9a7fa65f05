"""Verification of anybody's artefact.

What runs is what lehr itself makes of the network in it, and no longer than it may.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact, UsageError
from lehr.network import Network
from lehr.shown import Shown, Table
from lehr.simulate import Comparison, Trace, compare, simulate
from lehr.simulate.compare import Difference
from lehr.simulate.result import predicted
from lehr.targets.contract import Figure, MachineTrace, shown_by
from lehr.targets.golden import FOLDER as GOLDEN
from lehr.targets.golden import read_golden
from lehr.targets.limited import NoAnswer, TimeIsUp, call_within
from lehr.targets.replanned import listed, replan

TIMEOUT = 3600.0
"""Seconds that verifying may take, where nothing else is said."""
_LONGEST = 1e7


@dataclass(frozen=True)
class Around:
    """The neuron that differs first, in all steps of the sample in which it does.

    Attributes:
        expected_spikes, got_spikes: a number for each step.
        expected_membranes, got_membranes: likewise; nothing got where the tool shows none.
    """

    expected_spikes: tuple[int, ...]
    got_spikes: tuple[int, ...]
    expected_membranes: tuple[int, ...]
    got_membranes: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class Verified(Shown):
    """Outcome of `verify`.

    Attributes:
        target: name of the target.
        samples: how many golden samples were run.
        comparison: the artefact in its own tool against the reference simulator.
        changed: files beside the target's own that differ from the manifest.
        decided: how many samples the machine decided by itself; 0 where its tool tells no decision.
        misjudged: those of them that it decided otherwise than the reference.
        figures: what its tool says of the run.
        predictions: the class of each sample by what the artefact did; none where its tool does
            not show what the readout takes.
        around: the neuron of the first difference; None where nothing differs.
    """

    target: str
    samples: int
    comparison: Comparison
    changed: tuple[str, ...]
    decided: int = 0
    misjudged: tuple[int, ...] = ()
    figures: tuple[Figure, ...] = ()
    predictions: tuple[int, ...] = ()
    around: Around | None = None

    def _table(self) -> Table:
        rows = [(each.name, f"{each.value:,}", each.unit) for each in self.figures]
        title = f"{self.target}, {self.samples:,} samples: {self.comparison}"
        return Table(title, ("figure", "value", "unit"), rows)

    def require(self) -> None:
        """Raise NotBitExact or FileRefused unless the artefact is as built and computes right."""
        self.comparison.require_equal(f"{self.target} against the reference simulator")
        if self.misjudged:
            differ = (
                f"{len(self.misjudged)} of {self.decided} decisions differ, first that of "
                f"sample {self.misjudged[0]}"
            )
            raise NotBitExact(
                f"{self.target} against the reference simulator: {differ}; report it as a bug of "
                "lehr"
            )
        if self.changed:
            raise FileRefused(
                f"{listed(self.changed)} changed since the artefact was built; build it again"
            )


def verify(folder: Path, limit: int | None = None, timeout: float = TIMEOUT) -> Verified:
    """Compare every spike and membrane of an artefact with the reference simulator.

    Those of the artefact are its own tool's.

    Nothing in `folder` is run. The target plans its files again, from the network and the options
    there; they must be those of the folder, byte for byte, and are written to a temporary folder,
    where they run. All of it is done in a process of its own, which ends with every process that it
    started when the time is up.

    Args:
        folder: that `build` made, here or elsewhere.
        limit: how many golden samples to run; all if None.
        timeout: seconds that all of it may take.

    Raises:
        UsageError: when `folder` is none, its target cannot be run, or `limit` or `timeout` is
            nothing.
        FileRefused: when a file in it is damaged, or the target's files are not those that lehr
            makes.
        ToolMissing: when the target's tool is not on this machine.
        NotBitExact: when the artefact does not run or does not end in time, or the golden vectors
            are not the reference's.
    """
    return verified_of(verify_within(folder, 0, limit, timeout))


def verify_within(folder: Path, start: int, stop: int | None, timeout: float) -> Mapping[str, Any]:
    """Verify golden samples from `start` up to `stop`, all if None; return it as a mapping.

    It is done in a process of its own, as `verify` says, and raises what `verify` does.
    """
    if not 0 < timeout <= _LONGEST:
        raise UsageError(
            f"a timeout of {timeout:g} s is none; give seconds above 0, up to {_LONGEST:,.0f}"
        )
    if stop is not None and stop < 1:
        raise UsageError(f"{stop} samples verify nothing; give at least 1")
    arguments = {"folder": os.fspath(folder), "start": start, "stop": stop}
    try:
        reply: Mapping[str, Any] = call_within(timeout, f"{__name__}:verified", arguments)
    except TimeIsUp:
        way_out = "give it longer with --timeout SECONDS, or run fewer samples with -n"
        raise NotBitExact(f"{folder} is not verified after {timeout:g} s; {way_out}") from None
    except NoAnswer as error:
        way_out = "as happens when memory runs out; free memory, or run fewer samples with -n"
        raise NotBitExact(
            f"{folder} is not verified, as the process that does it ended with {error}, {way_out}"
        ) from None
    return reply


def verified_of(reply: Mapping[str, Any]) -> Verified:
    """Return the outcome that a mapping is of."""
    compared = reply["comparison"]
    first = compared["first"] and Difference(
        **compared["first"] | {"neuron": tuple(compared["first"]["neuron"])}
    )
    comparison = Comparison(
        **compared | {"first": first, "quantities": tuple(compared["quantities"])}
    )
    figures = tuple(Figure(**figure) for figure in reply["figures"])
    around = reply["around"]
    return Verified(
        reply["target"],
        reply["samples"],
        comparison,
        tuple(reply["changed"]),
        reply["decided"],
        tuple(reply["misjudged"]),
        figures,
        tuple(reply["predictions"]),
        None if around is None else Around(**{name: tuple(around[name]) for name in around}),
    )


def verified(folder: str, start: int, stop: int | None) -> dict[str, Any]:
    """Return the outcome of `verify_here` as a mapping, for a process that has asked for it."""
    return asdict(verify_here(Path(folder), stop, start))


def verify_here(folder: Path, limit: int | None = None, start: int = 0) -> Verified:
    """Verify as `verify` does, from sample `start` on, in this process and as long as it takes."""
    again = replan(folder)
    runner = again.target.require_runner()
    x, golden = read_golden(again.net, folder, limit, start)
    again.target.require_steps(again.net, x.shape[1])
    if damaged := [name for name in again.changed if name.startswith(f"{GOLDEN}/")]:
        raise FileRefused(f"{listed(damaged)} changed since the artefact was built; build it again")
    reference = simulate(again.net, x, trace=again.net.neurons)
    expected = reference.trace
    compare(expected, golden).require_equal("the golden vectors against the reference simulator")
    with tempfile.TemporaryDirectory(prefix="lehr-") as scratch:
        again.plan.with_manifest({"target": again.target.name}).fill(Path(scratch))
        got = runner.run(Path(scratch), x)
    comparison = compare(expected, got, shown_by(runner))
    verified = Verified(
        again.target.name,
        len(x),
        comparison,
        again.changed,
        predictions=_predictions(again.net, got),
        around=None if comparison.first is None else _around(comparison.first, expected, got),
    )
    if not isinstance(got, MachineTrace):
        return verified
    if got.decision is None:
        return replace(verified, figures=got.figures)
    misjudged = tuple(
        int(sample) for sample in np.flatnonzero(got.decision != reference.prediction)
    )
    return replace(verified, decided=len(x), misjudged=misjudged, figures=got.figures)


def _predictions(net: Network, got: Trace) -> tuple[int, ...]:
    """Return the class of each sample, by what a tool shows of the output."""
    if isinstance(got, MachineTrace) and got.decision is not None:
        return tuple(got.decision.tolist())
    return tuple(predicted(net, got).tolist())


def _around(first: Difference, expected: Trace, got: Trace) -> Around:
    """Return what the neuron of the first difference does in its sample."""

    def of(values: Mapping[str, npt.NDArray[Any]]) -> tuple[int, ...]:
        steps = values[first.layer][first.sample] if first.layer in values else ()
        return tuple(int(step[first.neuron]) for step in steps)

    return Around(of(expected.spikes), of(got.spikes), of(expected.membranes), of(got.membranes))
