"""Networks in which all that a neuron is given has one sign.

Membranes stop at an end of their width in whatever order it is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.programs import with_input_shift
from lehr.targets.conformance.building import Builder, Images
from lehr.targets.conformance.claims import Claim
from lehr.targets.conformance.forms import AddNeurons, Form
from lehr.targets.contract import Target
from lehr.update import Bound

INPUTS, NEURONS, STEPS = 14, 8, 12


def _weights() -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """Neurons that hear all inputs: every other one by -1, the rest by 1."""
    return np.where(np.arange(NEURONS) % 2, -1, 1).astype(np.int8)[:, None].repeat(INPUTS, axis=1)


def _one_sign(net: Builder, neurons: AddNeurons) -> None:
    net.add("fc", Linear(_weights(), net.kinds[0]))
    neurons("out")


ONE_SIGN = Form("one_sign", _one_sign, (INPUTS,), steps=STEPS)


@dataclass(frozen=True)
class MachineAtItsRails:
    """Golden network of a machine whose membranes have an end upwards and downwards.

    They reach both.

    Attributes:
        machine: its name.
        shift: of the input, so that sums are as large as the width.
    """

    machine: str
    shift: int

    @property
    def name(self) -> str:
        """Name that tests are called after."""
        return f"machine_{self.machine}_at_its_rails"

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Return the Bound."""
        return (Claim("statement", Bound),) if Bound in target.statements else ()

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Yield one network, whose thresholds are low, high, and the highest that there are."""
        program = with_input_shift(MACHINES[self.machine], self.shift)
        if not {type(s) for s in program.all} <= target.statements:
            return
        kind = "binary" if "binary" in target.weights else target.weights[0]
        threshold = np.array([9_000, 1, 20_000, 1, 32_767, 1, 30_001, 1], np.int32)
        alpha = np.full(NEURONS, 30_000, np.int32)
        out = Neuron(threshold, np.zeros_like(threshold), program, parameters={"alpha": alpha})
        edges = ((INPUT, "fc"), ("fc", "out"), ("out", OUTPUT))
        net = Network(
            {"fc": Linear(_weights(), kind), "out": out}, edges, Input((INPUTS,), "spikes"), STEPS
        )
        x = (np.random.default_rng(3).random((4, STEPS, INPUTS)) < 0.4).astype(np.uint8)
        yield iter([(net, x)])
