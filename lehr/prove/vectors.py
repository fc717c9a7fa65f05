"""Inputs of a whole network that show what is refuted of an artefact.

The solver speaks of one neuron, in a state that its layer may never come to. So inputs of the
network are looked for that come near to it, and are run: by the tool that `lehr verify` runs, on
what lehr makes of the network, or by the fast engine. One that differs from the reference becomes a
golden vector.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lehr import nirfile
from lehr.artifact import REFUTED
from lehr.atomic import write_bytes
from lehr.errors import LehrError
from lehr.network import Network
from lehr.npz import npz_bytes
from lehr.prove.obligations import About, Obligation
from lehr.prove.seeking import Goal, Inputs, inputs
from lehr.prove.subject import Subject
from lehr.simulate import Trace, compare, simulate
from lehr.simulate.compare import QUANTITIES, Quantity
from lehr.simulate.fast.engine import simulate as fast
from lehr.targets.build import MODEL
from lehr.targets.contract import Runner, shown_by
from lehr.targets.golden import extend_golden, golden_samples, read_golden
from lehr.targets.limited import NoAnswer, TimeIsUp, call_within
from lehr.targets.replanned import replan

GOLDEN = 64
"""Golden samples that are tried, at most."""
ALONE = "an input is looked for where there is an artefact: build one, and prove that"


class Vectors:
    """Inputs that show what is refuted of a network and its artefact.

    Args:
        subject: them.
        seconds: for one of them to be looked for.
    """

    def __init__(self, subject: Subject, seconds: float) -> None:
        self.subject, self.seconds = subject, seconds
        self.found: list[Inputs] = []

    def shown(self, obligation: Obligation) -> str:
        """Look for an input that shows a refuted claim, and say what it shows, or why none does."""
        folder = self.subject.folder
        if obligation.about == "network":
            return ""  # the counterexample is a run from the network's beginning
        if folder is None:
            return ALONE
        values = obligation.counterexample
        goal = {
            "layer": str(values.get("layer", obligation.name)),
            "values": {x: value for x, value in values.items() if isinstance(value, int)},
        }
        given = {"folder": str(folder), "about": obligation.about, "goal": goal}
        try:
            reply = call_within(self.seconds, f"{__name__}:sought", given)
        except TimeIsUp:
            return f"no input was seen to show it in {self.seconds:g} s"
        except NoAnswer as error:
            return f"no input was seen to show it: the process that runs them ended with {error}"
        except LehrError as error:
            return f"no input is run: {error}"
        if not reply["first"]:
            return f"none of {reply['inputs']:,} inputs shows it"
        if reply["input"]:
            return self._kept(reply, obligation.about)
        return f"golden sample {reply['sample']} shows it: {reply['first']}"

    def _kept(self, reply: Mapping[str, Any], about: About) -> str:
        folder, net = self.subject.folder, self.subject.net
        assert folder is not None
        flat = np.frombuffer(bytes.fromhex(reply["input"]), np.uint8)
        x = flat.reshape(1, -1, *net.input.shape)
        self.found.append(x)
        if about == "artefact":
            extend_golden(net, folder, x)
            return f"golden sample {reply['sample']} was made of it: {reply['first']}"
        return f"an input of {REFUTED} shows it: {reply['first']}"

    def write(self) -> None:
        """Write the inputs that were not there to report/refuted.npz, for a mended build."""
        if self.found and self.subject.folder is not None:
            place = self.subject.folder / REFUTED
            write_bytes(place, npz_bytes({"input": np.concatenate(self.found)}))


def sought(folder: str, about: str, goal: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first input that differs from the reference, and how, as call_within returns it.

    Args:
        folder: of the artefact.
        about: `artefact`, or `engine`.
        goal: the fields of a Goal.

    Returns:
        `inputs`, how many were run; `first`, the difference in words, and empty if there is none;
        `sample`, its number among golden samples; `input`, its bytes in hexadecimal, and empty
        where it is a golden one.

    Raises:
        FileRefused: when the artefact is not what lehr makes of its network: nothing else is run.
        ToolMissing: when its target's tool is not on this machine.
    """
    place = Path(folder)
    if about == "engine":
        net = nirfile.read(place / MODEL)
        return _sought(net, place, goal, partial(_by_engine, net), QUANTITIES)
    again = replan(place)
    runner: Runner = again.target.require_runner()
    with tempfile.TemporaryDirectory(prefix="lehr-") as scratch:
        again.plan.with_manifest({"target": again.target.name}).fill(Path(scratch))
        return _sought(again.net, place, goal, partial(runner.run, Path(scratch)), shown_by(runner))


def _by_engine(net: Network, x: Inputs) -> Trace:
    return fast(net, x, trace=net.neurons).trace


def _sought(
    net: Network,
    folder: Path,
    goal: Mapping[str, Any],
    run: Callable[[Inputs], Trace],
    quantities: tuple[Quantity, ...],
) -> dict[str, Any]:
    golden, _ = read_golden(net, folder, GOLDEN)
    there, tried = golden_samples(folder), 0
    for x in inputs(net, golden, Goal(**goal)):
        compared = compare(simulate(net, x, trace=net.neurons).trace, run(x), quantities)
        tried += len(x)
        if compared.first is not None:
            at, known = compared.first.sample, tried <= len(golden)
            sample = at if known else there
            return {
                "inputs": tried,
                "first": str(replace(compared.first, sample=sample)),
                "sample": sample,
                "input": "" if known else x[at].tobytes().hex(),
            }
    return {"inputs": tried, "first": "", "sample": 0, "input": ""}
