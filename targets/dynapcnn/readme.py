"""Routes of spikes, and the texts of an artefact that say who carries them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lehr.network import INPUT, Network
from lehr.targets.dynapcnn.configuration import Chip
from lehr.targets.dynapcnn.kernels import as_map
from lehr.targets.dynapcnn.layers import Layer
from lehr.targets.dynapcnn.rails import ORDERS, Order
from lehr.targets.dynapcnn.updates import INTEGRATOR
from lehr.targets.templates import environment

LOAD = "load.py"
_READ = {
    "count_argmax_lowest": "the class whose neuron fires most often",
    "membrane_last_argmax_lowest": (
        "the class whose membrane is highest after the last step (`ReadNeuronValue`)"
    ),
}


@dataclass(frozen=True)
class Routes:
    """Routes of spikes: over a core's destinations, or over the host."""

    layers: Mapping[str, Layer]
    at: Mapping[str, int]
    by_host: Sequence[str]

    def direct(self, name: str) -> dict[int, int]:
        """Cores that a layer's core sends to, and the sum pooling on the way."""
        return self._to(name, [other for other in self.layers if other not in self.by_host])

    def carried(self, name: str) -> dict[int, int]:
        """Cores to which the host carries a layer's spikes, and by what it divides x and y."""
        return self._to(name, self.by_host)

    def _to(self, name: str, others: Sequence[str]) -> dict[int, int]:
        return {
            self.at[other]: self.layers[other].sources[name]
            for other in others
            if name in self.layers[other].sources
        }

    def described(self, name: str) -> str:
        """Return both, for a table."""
        direct = [
            f"{core}{f', summed by {p}' if p > 1 else ''}" for core, p in self.direct(name).items()
        ]
        carried = [
            f"{core} through the host{f', x and y divided by {p}' if p > 1 else ''}"
            for core, p in self.carried(name).items()
        ]
        return "; ".join((*direct, *carried))

    @property
    def inputs(self) -> list[int]:
        """Cores that the host sends the input to."""
        return [self.at[name] for name, layer in self.layers.items() if INPUT in layer.sources]


def rendered(
    title: str, chip: Chip, net: Network, routes: Routes, orders: Mapping[str, Order]
) -> dict[str, bytes]:
    """README.md and load.py.

    Args:
        title: of the chip.
        chip: as samna knows it.
        net: the network.
        routes: its layers, their cores, and what goes from where to where.
        orders: what decides the order of the events of each layer.
    """
    layers = routes.layers
    templates = environment(Path(__file__).with_name("templates"), chip=chip)
    readme = templates.get_template("README.md.j2").render(
        title=title,
        layers=layers,
        at=routes.at,
        orders=orders,
        routes=routes,
        done=tuple(_done(net, layers)),
        inputs=routes.inputs,
        flat=len(net.input.shape) == 1,
        steps=net.steps,
        leaks=[name for name, layer in layers.items() if layer.update.bias.any()],
        answer=routes.at[net.output],
        reads=_READ[net.readout],
        meanings=ORDERS,
        emission=[name for name, order in orders.items() if order == "emission"],
        through_host=[name for name in layers if routes.carried(name)],
    )
    return {
        "README.md": readme.encode(),
        LOAD: templates.get_template(f"{LOAD}.j2").render().encode(),
    }


def _done(net: Network, layers: Mapping[str, Layer]) -> Iterator[str]:
    """Exact transformations, in sentences."""
    for name, layer in layers.items():
        features, taken, side, _ = layer.kernel.weight.shape
        yield (
            f"{name}: the nodes before it are one kernel of {features} x {taken} x {side} x "
            f"{side}, which adds to each neuron what "
            "they do; weights of 0 are killed"
        )
        for source, pooling in layer.sources.items():
            if pooling > 1:
                yield (
                    f"{name}: the sum over squares of {pooling} x {pooling} places of {source} "
                    f"is done on the way from {source}"
                )
        if layer.update.kind == INTEGRATOR:
            yield (
                f"{name}: an integrator is a neuron whose threshold of {layer.update.threshold} "
                "its membranes provably do not reach"
            )
        if as_map(net.shapes[name]) != net.shapes[name]:
            yield f"{name}: its vector is a map of one place"
