"""Ranges that the states of a network reach on samples, beside those proven (`lehr.widths`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.network import Network
from lehr.simulate.reference import Machine, Reached, batches
from lehr.simulate.result import check_input
from lehr.widths import bits_for, fit_state_bits

CONFIDENCE = 0.95
Range = tuple[int, int]


@dataclass(frozen=True)
class Observed:
    """The least and greatest values that the states of every layer reached, before any width.

    Attributes:
        registers: by layer and register, of those that have a width.
        samples: how many were run.
        steps: how many each of them took.
    """

    registers: Mapping[str, Mapping[str, Range]]
    samples: int
    steps: int

    @property
    def states(self) -> int:
        """Return how many ranges these are."""
        return sum(map(len, self.registers.values()))

    @property
    def risk(self) -> float:
        """Return the share of samples that at most leave these ranges, with 95 % confidence.

        The samples are from the same source.

        For one state, the greatest of n samples is exceeded by a share p of the source only with a
        chance of (1 - p)**n (Wilks 1941, "Determination of sample sizes for setting tolerance
        limits", one-sided); p is about 3/n then, the rule of three. The scalar of a sample is the
        width that it needs. Over several states both the shares and the chances of error are added.
        """
        chance: float = (1 - CONFIDENCE) / self.states
        return min(1.0, self.states * (1 - math.exp(math.log(chance) / self.samples)))


def observe(net: Network, x: npt.NDArray[np.uint8]) -> Observed:
    """Run a network with states so wide that none is ever cut, and see how far they go.

    Args:
        net: the network.
        x: uint8 `[N, *shape]` or `[N, T, *shape]`, as `simulate` takes it.

    Raises:
        FileRefused: as `simulate`.
        NotMappable: when a state can leave 32 bits.
    """
    wide = fit_state_bits(net)
    held, steps = check_input(wide, x)
    seen: Reached = {}
    for _, batch in batches(wide, x):
        machine = Machine(wide, len(batch), seen)
        for t in range(steps):
            machine.step((batch if held else batch[:, t]).astype(np.int64))
    return Observed({name: dict(seen.get(name, {})) for name in net.neurons}, len(x), steps)


def narrowed(net: Network, observed: Observed, risk: float) -> Network:
    """Return `net` with states no wider than observed: equal until a state is cut.

    Args:
        net: the network.
        observed: from `observe`.
        risk: which share of samples may have a state that is cut, as in `Observed.risk`.

    Raises:
        UsageError: when `risk` is out of range, or there are too few samples to promise it.
    """
    if not 0 < risk < 1:
        raise UsageError(
            f"risk: {risk:g}; give the share of samples in which a state may be cut, between 0 and "
            "1"
        )
    if observed.risk > risk:
        needed = math.ceil(
            math.log((1 - CONFIDENCE) / observed.states) / math.log1p(-risk / observed.states)
        )
        raise UsageError(
            f"risk: {risk:g} of the samples, which {observed.samples:,} samples do not show; give "
            f"{needed:,}, or accept {observed.risk:.2g}"
        )
    nodes = dict(net.nodes)
    for name, neuron in fit_state_bits(net).neurons.items():
        nodes[name] = neuron.with_bits(
            {x: bits_for(*reached) for x, reached in observed.registers[name].items()}
        )
    return replace(net, nodes=nodes)
