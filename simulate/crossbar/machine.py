"""A network whose weights are in a crossbar: real sums, converted to integers, exact neurons.

In each step the currents of a node's bit lines are sums of inputs times conductances, in float64. A
converter rounds each, in units of a weight, to the nearest integer that it has a code for. All else
is `lehr.simulate.reference`: with ideal cells the sums are the network's own, and every spike is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import NotMappable
from lehr.intervals import intervals
from lehr.network import INPUT, Network
from lehr.nodes import Conv2d, Linear, Node
from lehr.simulate import reference
from lehr.simulate.crossbar.cells import (
    Crossbar,
    Float64,
    crossbars,
    read_generator,
    steps_of_converters,
)
from lehr.simulate.crossbar.device import Device
from lehr.simulate.result import Recorder, Result, check_input, input_events

CHUNK = 64


def simulate(
    net: Network,
    x: npt.NDArray[np.uint8],
    device: Device,
    *,
    seed: int = 0,
    start: int = 0,
    trace: Iterable[str] = (),
) -> Result:
    """Run a network on every sample of `x`, on one device that is drawn by `seed`.

    Args:
        net: the network.
        x: uint8 `[N, *shape]`, held for all steps, or `[N, T, *shape]`, one slice per step.
        device: what the weights are in.
        seed: of the device; the noise of reads follows it as well.
        start: the number of the first sample, which the noise of reads goes by.
        trace: names of neuron layers whose spikes and membranes are kept.

    Raises:
        NotMappable: when a layer updates by event, so that it takes weights and no sums; when a
            neuron fires more than 255 times in a step, or its membrane is beyond 32 bits.
        FileRefused: when `x` is not what the network takes.
        UsageError: when the device or `trace` names what there is not.
    """
    _require_sums(net)
    held, steps = check_input(net, x)
    recorder = Recorder(net, len(x), steps, trace)
    recorder.add_events(input_events(x, held, steps))
    drawn = crossbars(net, device, seed)
    limits = {name: interval.limits for name, interval in intervals(net).items()}
    codes = steps_of_converters(net, device, limits)
    for first in range(0, len(x), CHUNK):
        batch = x[first : first + CHUNK]
        reads = {
            name: read_generator(seed, number, start + first)
            for number, name in enumerate(net.weighted)
        }
        machine = Machine(net, len(batch), device, drawn, codes, reads)
        machine.run(batch, held, steps, recorder, first)
    return recorder.result()


def _require_sums(net: Network) -> None:
    for name, neuron in net.neurons.items():
        if neuron.by_event:
            raise NotMappable(
                f"{name}: updates by event, weight after weight, but a crossbar gives sums; use a "
                "network that updates by step"
            )


class Machine(reference.Machine):
    """The state of a batch on one device."""

    def __init__(
        self,
        net: Network,
        batch: int,
        device: Device,
        drawn: Mapping[str, Crossbar],
        codes: Mapping[str, int],
        reads: Mapping[str, np.random.Generator],
    ) -> None:
        """Begin with all states 0.

        Args:
            net: the network.
            batch: how many samples there are.
            device: the description.
            drawn: crossbars by node.
            codes: how many weights one code of a node's converter is.
            reads: what draws the noise of reads, by node.
        """
        super().__init__(net, batch)
        self._device, self._drawn, self._codes, self._reads = device, drawn, codes, reads
        self._constant: dict[str, Int64] = {}
        self._held = False

    def run(
        self, x: npt.NDArray[np.uint8], held: bool, steps: int, recorder: Recorder, start: int = 0
    ) -> None:
        """Go on for some steps of inputs, and record them from sample `start` on."""
        # the same currents in every step, where the input is held and reads have no noise
        self._held = held and not self._device.variation.read
        self._constant.clear()
        super().run(x, held, steps, recorder, start)

    def passed_on(self, name: str, node: Node) -> Int64:
        """Return the sums of a crossbar as its converter gives them, and of others exactly."""
        if name not in self._drawn:
            return super().passed_on(name, node)
        assert isinstance(node, Conv2d | Linear), "others have no weights"
        if name in self._constant:
            return self._constant[name]
        sums = self._converted(name, self._currents(name, node, self.arriving(name)))
        if self._held and self.net.sources(name) == (INPUT,):
            self._constant[name] = sums
        return sums

    def _currents(self, name: str, node: Conv2d | Linear, x: Int64) -> Float64:
        """Return the difference of the currents of each pair of bit lines, in weights."""
        inputs, cells = x.astype(np.float64), self._drawn[name]
        currents = node.sums_with(inputs, cells.weight)
        if cells.squares is None:
            return currents
        # a sum of independent normal deviations is one of their summed variances
        variance = node.sums_with(inputs**2, cells.squares)
        normal = self._reads[name].standard_normal(currents.shape)
        return np.asarray(currents + self._device.variation.read * np.sqrt(variance) * normal)

    def _converted(self, name: str, currents: Float64) -> Int64:
        """Return the integers that the converter has codes for, nearest to the currents."""
        step, bits = self._codes[name], self._device.converter.bits
        codes = np.rint(currents / step)
        if bits is not None:
            codes = np.clip(codes, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        return codes.astype(np.int64) * step
