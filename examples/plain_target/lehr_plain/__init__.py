"""Smallest target: dense layers as one JSON file, and a program in plain Python that runs it.

It is a package of its own, which lehr finds by the entry point in its pyproject.toml. To see that
it is right:

    pip install -e . && pytest --pyargs lehr.targets.conformance --lehr-target plain
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lehr.artifact import BuildPlan, to_json
from lehr.errors import FileRefused, NotBitExact
from lehr.network import Linear, Network, Neuron
from lehr.simulate import Trace
from lehr.targets.contract import Arithmetics, Estimate, Figure, Options, Problem, Target

PROGRAM, MODEL = "run.py", "network.json"


class Plain(Target):
    """Target that states what run.py computes, and nothing more.

    `nodes`, `weights` and `readouts` are the least, which need not be said.
    """

    name: ClassVar[str] = "plain"
    summary: ClassVar[str] = "a program in plain Python for dense layers of binary weights"
    arithmetics: ClassVar[Arithmetics] = Arithmetics(
        decay_form=("multiply",),
        rounding=("toward_zero",),
        reset=("subtract",),
        reset_timing=("next_step",),
        fires=("gt",),
        overflow=("saturate",),
        update=("step",),
        max_fraction_bits=4,
        max_state_bits=16,
    )

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return no problem: the class states all that there is."""
        del net
        return ()

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Plan the network as numbers, and the program."""
        del options
        entry = {"shape": list(net.input.shape), "highest": net.input.highest, "steps": net.steps}
        layers = [{"name": n, "from": _sources(net, n), **_numbers(net, n)} for n in net.order]
        program = files("lehr_plain").joinpath(PROGRAM).read_bytes()
        return BuildPlan({MODEL: to_json({**entry, "layers": layers}), PROGRAM: program})

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Estimate the number of weights."""
        del rates, options
        count = sum(node.weight.size for node in net.weighted.values())
        return Estimate((Figure("weights", count, "numbers", "their count"),))

    def runner(self) -> Interpreter:
        """Return what runs the artefact: Python itself."""
        return Interpreter()


def _sources(net: Network, name: str) -> list[list[Any]]:
    """Return what arrives at a node: names, and whether the value is that of the step before."""
    return [[source, (source, name) in net.feedback] for source in net.sources(name)]


def _numbers(net: Network, name: str) -> dict[str, Any]:
    node = net.nodes[name]
    if isinstance(node, Linear):
        return {"weight": node.weight.tolist()}
    assert isinstance(node, Neuron)  # there are no other nodes: `check` has refused them
    fields = node.fields
    numbers = {"k": fields.decay_numerator, "n": fields.decay_shift, "F": fields.fraction_bits}
    ends = {"low": fields.lowest, "high": fields.highest}
    by_channel = {"threshold": node.threshold.tolist(), "bias": node.bias.tolist()}
    return {**numbers, **ends, **by_channel}


class Interpreter:
    """Runner of the program, in a Python of its own."""

    def missing(self) -> str | None:
        """Return None: Python is never missing."""
        return None

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Hand the samples to the program as JSON, and take spikes and membranes from it."""
        try:
            model = json.loads((folder / MODEL).read_bytes())
        except (OSError, ValueError) as error:
            raise FileRefused(f"{folder / MODEL}: {error}; build it again") from None
        shape = tuple(model["shape"])
        if x.shape[1:] == shape:
            x = np.repeat(x[:, None], model["steps"], axis=1)
        if x.dtype != np.uint8 or x.shape[2:] != shape or x.max() > model["highest"]:
            raise FileRefused(
                f"input is {x.dtype} {list(x.shape)}; give uint8 [N, T, {shape[0]}] of at most "
                f"{model['highest']}"
            )
        command = [sys.executable, "-I", str(folder / PROGRAM)]
        ran = subprocess.run(
            command, input=json.dumps(x.tolist()), capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise NotBitExact(f"{folder / PROGRAM}: {ran.stderr.splitlines()[-1]}; build it again")
        traced: dict[str, dict[str, Any]] = json.loads(ran.stdout)
        spikes = {n: np.array(values, np.uint8) for n, values in traced["spikes"].items()}
        membranes = {n: np.array(values, np.int32) for n, values in traced["membranes"].items()}
        return Trace(spikes, membranes)
