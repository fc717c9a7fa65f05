"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import ClassVar, get_args

import numpy as np

from lehr.artifact import BuildPlan
from lehr.errors import UsageError
from lehr.extras import needed_by
from lehr.intervals import intervals
from lehr.network import Network, Readout
from lehr.nodes import INT32_MAX
from lehr.targets.contract import (
    Arithmetics,
    Estimate,
    Figure,
    Options,
    Problem,
    Runner,
    Target,
    Varying,
)
from lehr.targets.onnx.neuron import RULES
from lehr.targets.onnx.runner import FILE, OnnxRuntime
from lehr.targets.onnx.step import BYTE, NODES, Step, current, digit_count, sum_of_sources
from lehr.targets.onnx.temporaries import problems
from lehr.weights import KINDS, WeightKind

TRACE, FORM = "trace", "form"


class Onnx(Target):
    """ONNX model for ONNX Runtime and every other runtime that has Scan and integer operators."""

    name: ClassVar[str] = "onnx"
    summary: ClassVar[str] = "one ONNX model in integer operators, a Scan over time"
    arithmetics: ClassVar[Arithmetics] = replace(Arithmetics.every(), update=("step",))
    statements: ClassVar[frozenset[type]] = RULES.kinds
    nodes: ClassVar[frozenset[type]] = NODES.kinds
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters", "delays"})
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    holds: ClassVar[str] = "k * V below 2^31 in every decay"
    judge: ClassVar[str] = "ONNX Runtime"
    options: ClassVar[Mapping[str, str]] = {
        TRACE: "1: every layer's spikes and membranes are outputs (default); 0: they are left out",
        FORM: (
            "scan: one Scan over time (default); step: one time step, states in and out, for "
            "runtimes that lack Scan"
        ),
    }

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return sums over the bytes of wide values that int32 may not hold, and unbounded updates.

        Of the latter no type holds the registers.
        """
        bounds = intervals(net)
        refusals = [
            problem
            for name in net.neurons
            for problem in problems(name, net.neurons[name], current(net, name, bounds))
        ]
        for name, node in net.weighted.items():
            count = digit_count(*sum_of_sources(net, name, bounds))
            reached = (
                int(
                    np.abs(node.weight.astype(np.int64))
                    .reshape(len(node.weight), -1)
                    .sum(axis=1)
                    .max()
                )
                * BYTE**count
            )
            if count and reached > INT32_MAX:
                reason = (
                    f"its sums over values of {count} bytes can reach {reached:,}, int32 holds "
                    f"{INT32_MAX:,}"
                )
                refusals.append(
                    Problem(name, reason, "put a neuron layer before it or make its fan-in smaller")
                )
        return tuple(refusals)

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """`model.onnx`, and a README that shows how to run it."""
        trace, form = options.get(TRACE, "1"), options.get(FORM, "scan")
        if trace not in ("0", "1"):
            raise UsageError(f"option {TRACE} is {trace!r}; use 0 or 1")
        with needed_by("target onnx"):
            from lehr.targets.onnx.model import MAKERS
            from lehr.targets.onnx.readme import readme
        if form not in MAKERS:
            raise UsageError(f"option {FORM} is {form!r}; use {' or '.join(MAKERS)}")
        model = MAKERS[form](net, trace == "1")
        return BuildPlan(
            {
                FILE: model.SerializeToString(deterministic=True),
                "README.md": readme(net, model, FILE).encode(),
            }
        )

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Estimate size and work.

        They are the same at all spike rates, as ONNX Runtime computes every product.
        """
        del rates
        size = len(self.plan(net, {**(options or {}), TRACE: "0"}).files[FILE])
        state = sum(s.bytes for s in Step(net, intervals(net)).states)
        products = sum(
            math.prod(net.shapes[name]) * math.prod(node.weight.shape[1:])
            for name, node in net.weighted.items()
        )
        return Estimate(
            (
                Figure(
                    "model", size, "bytes", f"length of {FILE} without a trace; one byte a weight"
                ),
                Figure(
                    "state",
                    state,
                    "bytes per sample",
                    "all that a step hands to the next: membranes, spikes, delay lines and so on",
                ),
                Figure(
                    "multiply-accumulates",
                    products,
                    "per step and sample",
                    "outputs times fan-in of all weights, padding included",
                ),
            )
        )

    def version(self) -> str:
        """Return the version of ONNX Runtime."""
        return version("onnxruntime")

    def runner(self) -> Runner:
        """ONNX Runtime on the CPU."""
        return OnnxRuntime()
