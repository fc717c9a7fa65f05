"""Targets of tests alone, with the arithmetic of five chips, to train for.

Their thresholds are the chips', and so is the lack of biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lehr.artifact import BuildPlan
from lehr.machines import XYLO
from lehr.network import Linear, Network, Neuron
from lehr.nodes import Flatten
from lehr.targets.contract import (
    Arithmetics,
    Estimate,
    Options,
    Problem,
    Runner,
    Target,
    TrainingForm,
)
from lehr.update import MEMBRANE, Program
from lehr.update_text import lines_of, program_of_lines


def arithmetics(**fields: Any) -> Arithmetics:
    """Return the arithmetics of a machine with one value of each field."""
    usual = {
        "decay_form": "multiply",
        "rounding": "toward_zero",
        "reset": "zero",
        "reset_timing": "next_step",
        "fires": "gt",
    }
    usual |= {"overflow": "saturate", "update": "step"}
    return Arithmetics(
        **{name: (fields.get(name, value),) for name, value in usual.items()},  # type: ignore[arg-type]
        max_fraction_bits=fields["max_fraction_bits"],
        max_state_bits=fields["max_state_bits"],
    )


class ChipTarget(Target):
    """The common part of the five: it refuses what is off the grid, not shared, or biased.

    It is computed by numpy alone.
    """

    nodes = frozenset({Linear, Neuron, Flatten})
    training: ClassVar[TrainingForm] = TrainingForm()  # pyright: ignore[reportIncompatibleVariableOverride]
    programs: ClassVar[tuple[Program, ...]] = ()
    inputs: ClassVar[int] = 1024

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Check thresholds, biases and the size of the input."""
        form, problems = self.training, []
        if (lines := int(np.prod(net.input.shape))) > self.inputs:
            problems.append(
                Problem(
                    "input",
                    f"has {lines} lines, the machine has {self.inputs}",
                    "make the input smaller",
                )
            )
        for name, neuron in net.neurons.items():
            theta = neuron.threshold
            group = {"channel": np.arange(len(theta)), "pair": np.arange(len(theta)) // 2}.get(
                form.share, 0 * theta
            )
            if any(len(set(theta[group == each].tolist())) > 1 for each in set(group.tolist())):
                problems.append(
                    Problem(name, f"thresholds differ within a {form.share}", "share them")
                )
            if (theta % form.multiple).any() or theta.max() > (form.highest or theta.max()):
                problems.append(
                    Problem(
                        name,
                        f"thresholds {theta.min()} to {theta.max()} are off the grid",
                        "bring them to it",
                    )
                )
            if not form.biases and neuron.bias.any():
                problems.append(Problem(name, "it has biases", "train without"))
        if (
            form.share == "network"
            and len({int(neuron.threshold[0]) for neuron in net.neurons.values()}) > 1
        ):
            problems.append(Problem(net.output, "its threshold is not the network's", "share one"))
        return tuple(problems)

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Compare every statement with the machine's programs, if it has any; else the fields."""
        if not self.programs:
            return super().neuron_problems(name, neuron)
        return (
            []
            if neuron.program in self.programs
            else [Problem(name, "it computes another update", "train with the machine's")]
        )

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Refuse: no test asks for it."""
        raise NotImplementedError

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Refuse: no test asks for it."""
        raise NotImplementedError

    def runner(self) -> Runner | None:
        """Return None: there is no tool."""
        return None


class LoihiTarget(ChipTarget):
    """One threshold a layer, a multiple of 64, reset to zero at once."""

    name, summary = "test-loihi", "Loihi's fields"
    arithmetics = arithmetics(reset_timing="same_step", max_fraction_bits=7, max_state_bits=24)
    training = TrainingForm(
        arithmetic={
            "decay_form": "multiply",
            "rounding": "toward_zero",
            "reset": "zero",
            "reset_timing": "same_step",
            "fires": "gt",
        },
        share="layer",
        multiple=64,
        highest=131071 * 64,
        biases=False,
        fraction_bits=6,
    )


class ReckonTarget(ChipTarget):
    """A threshold for each pair of neurons, 16 bits."""

    name, summary = "test-reckon", "ReckOn's fields"
    arithmetics = arithmetics(
        rounding="floor", reset="subtract", fires="ge", max_fraction_bits=4, max_state_bits=16
    )
    training = TrainingForm(
        arithmetic={
            "rounding": "floor",
            "reset": "subtract",
            "reset_timing": "next_step",
            "fires": "ge",
            "state_bits": 16,
        },
        share="pair",
        highest=32767,
        biases=False,
        fraction_bits=4,
    )


class HiaerTarget(ChipTarget):
    """One threshold for the whole network, a decay by shift."""

    name, summary = "test-hiaer", "HiAER-Spike's fields"
    arithmetics = arithmetics(
        decay_form="shift", rounding="floor", max_fraction_bits=4, max_state_bits=32
    )
    training = TrainingForm(
        arithmetic={
            "decay_form": "shift",
            "rounding": "floor",
            "reset": "zero",
            "reset_timing": "next_step",
            "fires": "gt",
        },
        share="network",
        biases=False,
        fraction_bits=4,
    )


class AkidaTarget(ChipTarget):
    """No state, biases in the thresholds."""

    name, summary = "test-akida", "Akida's fields"
    arithmetics = arithmetics(reset="none", max_fraction_bits=0, max_state_bits=32)
    training = TrainingForm(
        arithmetic={"reset": "none", "fires": "gt", "decay_numerator": 0, "decay_shift": 0},
        biases=False,
        fraction_bits=0,
    )


def xylo(up_to: int) -> Program:
    """Return Xylo's update with weights shifted by 3.

    Its neurons fire up to `up_to` times a step.
    """
    lines = [
        line.replace("add i input 0", "add i input 3").replace("threshold 31", f"threshold {up_to}")
        for line in lines_of(XYLO)
    ]
    return program_of_lines(lines, MEMBRANE)


class XyloTarget(ChipTarget):
    """Two states that decay by shifts, up to 31 spikes a step, 1 at the output."""

    name, summary = "test-xylo", "Xylo's program"
    # none that neurons in fields have
    arithmetics = arithmetics(max_fraction_bits=0, max_state_bits=8)
    programs = (xylo(31), xylo(1))
    training = TrainingForm(
        machine="xylo",
        parameters={"dash_syn": 1, "dash_mem": 2},
        highest=32767,
        fraction_bits=3,
        output_spikes=1,
    )


CHIPS = (LoihiTarget(), ReckonTarget(), HiaerTarget(), AkidaTarget(), XyloTarget())


def chip(name: str) -> ChipTarget:
    """Return the target of this name."""
    return next(each for each in CHIPS if each.name == name)
