"""The target: what the chip takes, what is written for it, what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, get_args

from lehr.artifact import BuildPlan, to_json
from lehr.network import Conv2d, Flatten, Linear, Network, Neuron, Readout
from lehr.nodes import SumPool2d
from lehr.targets.contract import (
    Arithmetics,
    Environment,
    Estimate,
    Figure,
    Options,
    Problem,
    Target,
)
from lehr.targets.loihi.cost import figures
from lehr.targets.loihi.mapping import Mapped, mapped
from lehr.targets.loihi.measured import measure
from lehr.targets.loihi.netx import net_bytes
from lehr.targets.loihi.neurons import (
    HIGHEST_MANTISSA,
    MOST_FRACTION_BITS,
    UNIT,
    UNIT_BITS,
    numbers,
)
from lehr.targets.loihi.readme import readme
from lehr.targets.loihi.runner import DESCRIPTION, NETWORK, LoihiRunner
from lehr.targets.loihi.tools import BRIAN, LAVA, SANAFE
from lehr.targets.training_form import TrainingForm
from lehr.update import Add, Bound, Fire, Leak, Program, Put
from lehr.weights import KINDS, WeightKind


class Loihi(Target):
    """Intel's Loihi, by the network file that lava-dl's netx reads."""

    name: ClassVar[str] = "loihi"
    summary: ClassVar[str] = (
        "Intel's Loihi: a network file for lava-dl's netx, of dense, recurrent and convolutional "
        "layers"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics(
        decay_form=("multiply",),
        rounding=("toward_zero",),
        reset=("zero",),
        reset_timing=("same_step",),
        fires=("gt", "never"),
        overflow=("saturate", "wrap"),
        update=("step",),
        synapse=True,
        bias_to=("membrane",),
        max_fraction_bits=MOST_FRACTION_BITS,
        max_state_bits=24,
        to_the_rails=False,
    )
    statements: ClassVar[frozenset[type]] = frozenset({Leak, Add, Bound, Fire, Put})
    nodes: ClassVar[frozenset[type]] = frozenset({Conv2d, Flatten, Linear, Neuron, SumPool2d})
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    example_fields: ClassVar[Mapping[str, int]] = {"fraction_bits": UNIT_BITS}
    training: ClassVar[TrainingForm | None] = TrainingForm(
        arithmetic={
            "decay_form": "multiply",
            "rounding": "toward_zero",
            "reset": "zero",
            "reset_timing": "same_step",
            "fires": "gt",
            "overflow": "saturate",
            "state_bits": 24,
        },
        share="layer",
        multiple=UNIT,
        highest=HIGHEST_MANTISSA * UNIT,
        biases=False,  # the chip's are multiples of 64, which folding does not make
        fraction_bits=UNIT_BITS,
    )
    holds: ClassVar[str] = (
        "131,072 neurons in 128 cores; weights of 8 bits; one threshold, a multiple of 64, and one "
        "decay a layer; states of 24 bits; a"
        " chain of layers, which may hear themselves"
    )
    own_steps: ClassVar[bool] = True
    judge: ClassVar[str] = (
        "Intel's Lava, bit-accurate processes that lava-dl's netx makes of the file, or "
        "brian2-loihi, a model by others; neither shows"
        " cores, routing or time"
    )
    environments: ClassVar[tuple[Environment, ...]] = (LAVA, BRIAN, SANAFE)

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Return what of the update of a layer the chip does not compute."""
        if isinstance(neuron.arithmetic, Program):
            return super().neuron_problems(name, neuron) or _update(name, neuron)
        reset = ("none",) if neuron.integrates else self.arithmetics.reset
        return replace(self.arithmetics, reset=reset).problems(name, neuron)

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return what netx and the chip lack.

        It is wiring that netx does not have; numbers that the chip's registers do not hold; states
        that could leave them; sizes.
        """
        if any(self.neuron_problems(name, neuron) for name, neuron in net.neurons.items()):
            return ()  # said already, and nothing else can be asked of what is not known
        return tuple(each for each in mapped(net) if isinstance(each, Problem))

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Return the network file, a description for the runner, and a README with the commands."""
        del options
        layers = _layers(net)
        entries = [
            {"layer": each.layer.name, "shape": list(net.shapes[each.layer.name])}
            for each in layers
        ]
        description = {
            "input": list(net.input.shape),
            "steps": net.steps,
            "layers": entries,
            "lava_alone": _lava_alone(layers),
        }
        return BuildPlan(
            {
                NETWORK: net_bytes(net, layers),
                DESCRIPTION: to_json(description),
                "README.md": readme(net, layers).encode(),
            }
        )

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Cores, events of a step, and energy of an inference."""
        del options
        return Estimate(figures(net, _layers(net), rates))

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """Energy and time of the golden samples in SANA-FE."""
        return measure(folder)

    def runner(self) -> LoihiRunner:
        """Lava, or brian2-loihi, on this machine."""
        return LoihiRunner()


def _update(name: str, neuron: Neuron) -> list[Problem]:
    result = numbers(name, neuron)
    return list(result) if isinstance(result, tuple) else []


def _layers(net: Network) -> tuple[Mapped, ...]:
    """Return the layers of a network that maps."""
    return tuple(each for each in mapped(net) if isinstance(each, Mapped))


def _lava_alone(layers: tuple[Mapped, ...]) -> str:
    """Return what brian2-loihi lacks for a network; empty where it has all."""
    if any(each.may_reach_rails for each in layers):
        return "ends of a state's range"
    biased = any(each.numbers.bias is not None and each.numbers.current < 4096 for each in layers)
    return "biases of membranes beside currents that decay" if biased else ""
