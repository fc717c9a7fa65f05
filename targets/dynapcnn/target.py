"""Targets: what they take, what they write, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from lehr.artifact import BuildPlan, to_json
from lehr.errors import NotBitExact, NotMappable, UsageError
from lehr.network import Conv2d, Flatten, Linear, Network, Neuron, Readout, SumPool2d
from lehr.targets.contract import (
    Arithmetics,
    Environment,
    Estimate,
    Figure,
    Options,
    Problem,
    Target,
    TrainingForm,
)
from lehr.targets.dynapcnn.configuration import Chip, core_json
from lehr.targets.dynapcnn.cores import KERNELS
from lehr.targets.dynapcnn.layers import Layer, cores, layers
from lehr.targets.dynapcnn.rails import Order, order_of, rails
from lehr.targets.dynapcnn.readback import differences
from lehr.targets.dynapcnn.readme import LOAD, Routes, rendered
from lehr.targets.dynapcnn.runner import DESCRIPTION, ModelRunner, file_of
from lehr.targets.dynapcnn.updates import HIGHEST, INTEGRATOR, update_of
from lehr.targets.samna import SAMNA
from lehr.update import Add, Bound, Fire, ForEachEvent, Put
from lehr.weights import KINDS, WeightKind

ORDER = "order"
"""The option."""
_NONE = Arithmetics((), (), (), (), (), (), ())
"""Fields of an update, of which none can be had in all its values.

They are taken where the program that they stand for is the core's.
"""


class Dynapcnn(Target):
    """DYNAP-CNN, and what its relatives have in common: nine cores that take events one by one.

    A core is a convolution with neurons.
    """

    name: ClassVar[str] = "dynapcnn"
    summary: ClassVar[str] = "SynSense DYNAP-CNN: configurations of its nine cores, for samna"
    title: ClassVar[str] = "SynSense DYNAP-CNN"
    chip: ClassVar[Chip] = Chip("dynapcnn", "DynapcnnConfiguration")
    arithmetics: ClassVar[Arithmetics] = _NONE
    statements: ClassVar[frozenset[type]] = frozenset({Add, Put, Bound, Fire, ForEachEvent})
    nodes: ClassVar[frozenset[type]] = frozenset({Conv2d, Linear, SumPool2d, Flatten, Neuron})
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    readouts: ClassVar[tuple[Readout, ...]] = ("count_argmax_lowest", "membrane_last_argmax_lowest")
    training: ClassVar[TrainingForm | None] = TrainingForm(
        machine="dynapcnn",
        then="dynapcnn_by_event",
        parameters={"floor": -128},
        share="layer",
        highest=HIGHEST - 127,
        biases=False,
    )
    options: ClassVar[Mapping[str, str]] = {
        ORDER: "host: spikes go through the host, which sorts them, to layers for which their "
        "order matters (default); chip: cores send "
        "all spikes themselves, in an order that is not documented, and verify refuses samples for "
        "which it could matter"
    }
    holds: ClassVar[str] = (
        "9 layers; kernels of 16, 16, 16, 32, 32, 64, 64, 16, 16 Ki weights of 8 bits, 64, 64, 64, "
        "32, 32, 16, 16, 16, 16 Ki neurons of 16"
    )
    own_steps: ClassVar[bool] = True
    judge: ClassVar[str] = (
        "lehr's own model after the vendor's documentation, as no simulator of the vendor's takes "
        "the configuration: it shows no order in "
        "which cores send spikes, and no time; samna 0.7.1 validates the configuration"
    )
    environments: ClassVar[tuple[Environment, ...]] = (SAMNA,)
    products: ClassVar[tuple[str, ...]] = ()

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Return why an update, in fields or as a program, is not the core's."""
        update = update_of(name, neuron)
        return [update] if isinstance(update, Problem) else []

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Kernels, sizes, destinations, what is not documented, and a core for each layer."""
        if any(self.neuron_problems(name, neuron) for name, neuron in net.neurons.items()):
            return ()  # said already
        by_name = layers(net)
        if isinstance(by_name, tuple):
            return by_name
        at = cores(by_name, net.output)
        return (*rails(net, by_name), *([at] if isinstance(at, Problem) else []), *self._input(net))

    def _input(self, net: Network) -> Iterator[Problem]:
        if len(net.input.shape) > 3:
            yield Problem(
                net.order[0],
                f"the input has {len(net.input.shape)} axes, a core takes features, y and x",
                "reshape the input",
            )

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Plan the configurations of cores, what loads them into samna, and a README.

        With them goes the network's description.

        Raises:
            UsageError: for a value that an option does not take.
            NotMappable: when the network does not map.
        """
        by_name, at = self._placed(net)
        orders: dict[str, Order] = {name: order_of(layer) for name, layer in by_name.items()}
        if _by_host(options):
            orders = {
                name: "host" if order == "emission" else order for name, order in orders.items()
            }
        routes = Routes(by_name, at, [name for name, order in orders.items() if order == "host"])
        fires = by_name[net.output].update.kind != INTEGRATOR
        planned = {
            file_of(at[name]): core_json(
                self.chip,
                layer,
                routes.direct(name),
                bool(routes.carried(name)) or (fires and name == net.output),
            )
            for name, layer in by_name.items()
        }
        entries = [
            {
                "layer": name,
                "core": at[name],
                "shape": net.shapes[name],
                "order": orders[name],
                "update": layer.update.kind,
                "through_host": routes.carried(name),
            }
            for name, layer in by_name.items()
        ]
        facts = {
            "input": net.input.shape,
            "steps": net.steps,
            "input_cores": routes.inputs,
            "layers": entries,
            "readout": net.readout,
        }
        texts = rendered(self.title, self.chip, net, routes, orders)
        return BuildPlan({**planned, DESCRIPTION: to_json(facts), **texts})

    def _placed(self, net: Network) -> tuple[dict[str, Layer], dict[str, int]]:
        by_name = layers(net)
        at = cores(by_name, net.output) if isinstance(by_name, dict) else by_name
        if not isinstance(by_name, dict) or not isinstance(at, dict):
            raise NotMappable(f"the network does not map to {self.name}: {at}")
        return by_name, at

    def names(self, net: Network) -> Mapping[str, str]:
        """Numbers of cores."""
        return {name: f"core {core}" for name, core in self._placed(net)[1].items()}

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Memories, synaptic operations, and the least power that was measured."""
        del options
        by_name, at = self._placed(net)
        operations = sum(_operations(net, rates, layer) for layer in by_name.values())
        address = "entries of whole bits of address, as samna's validator counts them"
        floor = (
            "of a Speck; Yao et al. 2024, doi 10.1038/s41467-024-47811-6: a floor, not this "
            "network's power"
        )
        return Estimate(
            (
                Figure("cores", len(at), f"of {len(KERNELS)}", "one a layer of neurons"),
                Figure(
                    "kernel memory",
                    sum(layer.need.kernel for layer in by_name.values()),
                    "bytes",
                    address,
                ),
                Figure(
                    "neuron memory",
                    sum(layer.need.neurons for layer in by_name.values()),
                    "words of 16 bits",
                    address,
                ),
                Figure(
                    "synaptic operations",
                    operations,
                    "per step",
                    "spikes at the given rates times places and features under the kernel",
                ),
                Figure("power at rest", 0.42, "mW", floor),
                Figure("least power in use", 0.70, "mW", floor),
            )
        )

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """Return what samna says of the configuration: every field is read back, and it validates.

        The fields are read from samna's objects.

        Raises:
            NotBitExact: when samna refuses it, or has read another number.
        """
        if SAMNA.missing():
            return ()
        read = SAMNA.run(
            folder / LOAD,
            {"none": np.zeros(1)},
            "does not take the configuration",
            [folder.resolve()],
        )
        length = int(read.pop("length"))
        if wrong := differences(self.chip, folder, read):
            raise NotBitExact(
                f"samna has read {', '.join(wrong[:4])} otherwise than they were written; build "
                "the artefact again"
            )
        source = (
            f"samna {SAMNA.version()}: from_json, validate_configuration, to_json and from_json "
            "again, byte for byte"
        )
        return (
            Figure("fields read back equal", len(read), "fields of cores", source),
            Figure("configuration", length, "bytes", source),
        )

    def runner(self) -> ModelRunner:
        """Return the model of the cores, which is lehr's own."""
        return ModelRunner(self.chip)


class Speck(Dynapcnn):
    """Speck 2b."""

    name: ClassVar[str] = "speck"
    summary: ClassVar[str] = "SynSense Speck 2b: configurations of its nine cores, for samna"
    title: ClassVar[str] = "SynSense Speck 2b"
    chip: ClassVar[Chip] = Chip("speck2b", "SpeckConfiguration", camel=True)


class Speck2(Dynapcnn):
    """Speck 2."""

    name: ClassVar[str] = "speck2"
    summary: ClassVar[str] = "SynSense Speck 2: configurations of its nine cores, for samna"
    title: ClassVar[str] = "SynSense Speck 2"
    chip: ClassVar[Chip] = Chip("speck2", "SpeckConfiguration")


def _by_host(options: Options) -> bool:
    choice = options.get(ORDER, "host")
    if choice not in ("host", "chip"):
        raise UsageError(f"option {ORDER} is {choice!r}; use host or chip")
    return choice == "host"


def _operations(net: Network, rates: Mapping[str, float], layer: Layer) -> float:
    """Return the updates of neurons of a mean step, by the vendor's formula.

    They are spikes, times features, times places of the kernel by its strides.
    """
    features, _, height, width = layer.kernel.weight.shape
    each = features * height * width / (layer.kernel.stride[0] * layer.kernel.stride[1])
    sizes = {name: int(np.prod(net.shapes[name])) for name in layer.sources}
    return float(sum(rates.get(name, 0.0) * size * each for name, size in sizes.items()))
