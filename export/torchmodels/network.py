"""A trained snnTorch model as an integer network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from lehr.arithmetic import MAX_FRACTION_BITS
from lehr.errors import NotMappable, UsageError, together
from lehr.export.coarsen import check_error
from lehr.export.counts import counted
from lehr.export.nirgraph.semantics import ReadWhat
from lehr.export.pending import LayerReport, report
from lehr.export.precision import chosen_bits, completed, placeholder, rooms
from lehr.export.scaling import Numbers, scaling
from lehr.export.torchmodels.calls import all_problems, unwrapped
from lehr.export.torchmodels.chain import Chain
from lehr.export.torchmodels.classes import neuron_class
from lehr.export.torchmodels.layers import Builder
from lehr.export.torchmodels.others.stepped import Own, in_steps
from lehr.export.torchmodels.readout import deciding, settled_read
from lehr.export.torchmodels.rows import as_map
from lehr.export.torchmodels.run import Recorded, Spikes, Stepper, given_shape
from lehr.export.torchmodels.trace import trace
from lehr.export.torchmodels.values import NotCopied, settled_copy
from lehr.network import OUTPUT, Input, Network, kind_divided
from lehr.spelling import one_of
from lehr.weights import KINDS, WeightKind
from lehr.widths import analyse


@dataclass(frozen=True)
class FromTorch:
    """A model and the integer network that was made of it.

    Attributes:
        network: with the least state bits that provably never saturate.
        layers: by name of the neuron node.
        sample: as it was given, in the network's shape.
        asked: the options by which rounding was asked for, keys of `lehr.export.proven.ROUNDS`.
    """

    network: Network
    layers: Mapping[str, LayerReport]
    sample: npt.NDArray[np.uint8]
    asked: tuple[str, ...]
    _stepper: Stepper

    @property
    def exact(self) -> bool:
        """Return whether nothing was rounded, so that not one spike may differ."""
        return all(layer.exact for layer in self.layers.values())

    def recorded(self) -> Recorded:
        """Run the model itself on the sample, in double precision.

        Raises:
            NotMappable: when the model does not run on the sample.
        """
        return self._stepper.run(self.sample, self.network)

    def spikes(self) -> Mapping[str, Spikes]:
        """Return the spikes of the model itself on the sample, in double precision.

        They are uint8 `[N, T, *shape]`, by node name.

        Raises:
            NotMappable: when the model does not run on the sample.
        """
        return self.recorded().spikes


def from_torch(
    module: nn.Module,
    sample: npt.NDArray[np.uint8],
    *,
    steps: int | None = None,
    full_scale: float | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    weights: WeightKind | None = None,
    decay_bits: int | None = None,
    fraction_bits: int | None = None,
    error: float | None = None,
    readout: ReadWhat | None = None,
    read_from: str | None = None,
) -> FromTorch:
    """Convert a model of snnTorch's neurons and torch's layers.

    What is converted is a copy in evaluation mode: dropout does nothing and batch norm uses its
    running statistics.

    Args:
        module: a network of layers, of which a call runs one time step or, in a loop, all of them.
            One step: nn.Sequential, or a module whose forward takes the input and, unless
            its neurons keep them (init_hidden=True), the neurons' states, and returns the last
            spikes, or another answer that `readout` names, and the new states. A loop over time: in
            forward, over an input with time in its first or second axis, or with one input for all
            steps; it returns the answers of all steps. It is not touched.
        sample: inputs, uint8 `[N, T, *shape]`, or `[N, *shape]` where `steps` says for how long
            each is held. With layers over one axis, `[channels, n]` is `[channels, 1, n]` in the
            network, and in the sample that is kept.
        steps: how many steps a sample is held for; None where it has an axis of time.
        full_scale: what the model's inputs are divided by, 255 for pixels, 1 for counts; None where
            they are spikes 0 and 1.
        mean: what is taken from them after that, one number or one a channel.
        std: what they are divided by then, likewise, as `torchvision.transforms.Normalize` does it.
        weights: `int2` to `int8`: round weights that are no levels of a step to it; None refuses
            them.
        decay_bits: n, 1 to 16: round decays that are no k/2**16 to k/2**n; None refuses them.
        fraction_bits: F of every layer. By default a layer has so many that nothing is rounded in
            it, or, where there is no room for so many, as many as its states of at most 32 bits
            provably have room for.
        error: in place of `fraction_bits`, the share of a threshold by which rounding may move
            thresholds, biases, and, by leaks, membranes: each layer has the least fraction bits
            that keep to it, or as many as there is room for.
        readout: what decides: the `count` of the last layer's spikes, or of its membranes, or of
            what it gives where it is no neurons, the `last`, the `sum` over all steps or the `max`.
            Membranes are compared with each other, and so have one step of weights. None for the
            count, where forward returns spikes.
        read_from: qualified name of the layer that decides, where forward returns several.

    Raises:
        UsageError: when an option or the sample is out of range.
        NotMappable: naming all layers that are no integer layers, as far as they can be known, with
            the way out for each.
    """
    _check_options(weights, decay_bits, fraction_bits)
    if error is not None:
        check_error(error)
        if fraction_bits is not None:
            raise UsageError(
                f"--error is {error:g}, but --fraction-bits is {fraction_bits}, too; give one of "
                "them"
            )
    sample = np.asarray(sample)
    shape = sample.shape[1 if steps else 2 :]
    length = steps or (sample.shape[1] if sample.ndim > 2 else 0)
    if sample.dtype != np.uint8 or not sample.size or not shape or length < 1:
        raise UsageError(
            f"sample is {sample.dtype} {list(sample.shape)}; give uint8 [N, T, *shape], or [N, "
            "*shape] and --steps 8 (in Python: steps=8)"
        )
    if full_scale is None and int(sample.max()) > 1:
        raise UsageError(
            f"sample holds {int(sample.max())}, but no full scale is given; give --full-scale 255 "
            "for pixels, 1 for counts"
        )
    takes = scaling(shape, full_scale, mean, std)
    builder = Builder(shape, takes, full_scale is None, weights, decay_bits)
    model, own, chain, last, read = _read(
        module, builder, readout, read_from, length, held=steps is not None
    )
    if builder.rows:
        shape = as_map(shape)
        sample = sample.reshape(*sample.shape[:-2], *shape)
    stepper = Stepper(
        model, own, chain, builder.sources, takes, last, read != "count", builder.rows
    )
    kind = "count_argmax_lowest" if read == "count" else f"membrane_{read}_argmax_lowest"
    entry = Input(shape, kind_divided(full_scale))
    placeholders = {name: placeholder(wait) for name, wait in builder.neurons.items()}
    edges = (*builder.edges, (builder.last[0], OUTPUT))
    outline = Network({**builder.nodes, **placeholders}, edges, entry, length, kind)  # type: ignore[arg-type]  # checked by Network
    drawn, layers = rooms(*counted(outline, builder.neurons))
    bits, waiting = chosen_bits(layers, fraction_bits=fraction_bits, error=error)
    network = completed(drawn, waiting, bits)
    widths = analyse(network).layers
    reports = {
        name: report(wait, bits[name], widths[name], length) for name, wait in waiting.items()
    }
    stepper.require_steady(sample, network)
    options = {
        "--weights": weights,
        "--decay-bits": decay_bits,
        "--fraction-bits": fraction_bits,
        "--error": error,
    }
    asked = tuple(option for option, value in options.items() if value is not None)
    return FromTorch(network, reports, sample, asked, stepper)


def _read(
    module: nn.Module,
    builder: Builder,
    asked: ReadWhat | None,
    read_from: str | None,
    steps: int,
    *,
    held: bool,
) -> tuple[nn.Module, Own | None, Chain, str, ReadWhat]:
    """Have the builder take in all layers of a model.

    Returns the copy that they were read of, how its user calls it else, the chain of them, the one
    that decides, at which the builder stands then, and what is read of it.

    Raises:
        NotMappable: with all that stands in the way, as far as it can be known.
        UsageError: when it is not said what is read out.
    """
    problems = [
        f"{where}: {problem}"
        for where, reasons in all_problems(module).items()
        for problem in reasons
    ]
    try:
        model = settled_copy(unwrapped(module))
        model, own = in_steps(model, steps)
        chain, faults = trace(model, builder.shape, steps, held=held)
    except NotMappable as error:
        if not isinstance(error, NotCopied) or not problems:  # which is a consequence of them
            problems += error.args
        raise NotMappable(*together(problems)) from error
    problems += faults
    last = next(reversed([*chain.layers]), "model") if problems else deciding(chain, read_from)
    fires = last in chain.layers and neuron_class(chain.layers[last]) is not None
    if fires and asked not in (None, "count"):
        builder.membranes_of = last
    problems += _take_in(chain, builder)
    if problems:
        raise NotMappable(*together(problems))
    _require_spikes(chain, last)
    builder.go_to(builder.places[last])
    spiking = set(builder.last) <= builder.sources.keys() and not builder.parts
    read = settled_read(chain, last, spiking and len(builder.last) == 1, asked)
    if not spiking or len(builder.last) > 1:
        builder.end_in_values(last)
    return model, own, chain, last, read


def _take_in(chain: Chain, builder: Builder) -> list[str]:
    """Have the builder take in all layers; return what keeps it from that, in sentences."""
    builder.begin(chain.layers.values())
    problems = []
    # the shape is lost behind a layer that does not run here: only kinds of layers can be judged
    lost = False
    for name, layer in chain.layers.items():
        if lost and builder.knows(layer):
            continue
        inputs = chain.inputs[name]
        before = builder.modelled(builder.place(inputs[0])["shape"])
        try:
            builder.add(name, layer, inputs, forks=name in chain.forks)
        except NotMappable as error:
            problems.append(str(error))
            shape = None if lost else given_shape(layer, before)
            lost = shape is None
            if shape is not None:
                builder.pass_over(layer, as_map(shape) if builder.rows else shape)
            builder.places[name] = builder.here()
    return problems


def _require_spikes(chain: Chain, last: str) -> None:
    """Refuse answers beside the one that decides, `last`, which nothing of the network would be."""
    for name in chain.heads:
        if name != last and neuron_class(chain.layers[name]) is None:
            raise NotMappable(
                f"{name}: it is no neurons, forward returns what it gives, and {last} decides; "
                "return what decides, and spikes"
            )


def _check_options(weights: Any, decay_bits: Any, fraction_bits: Any) -> None:
    if weights is not None and weights not in KINDS[2:]:
        raise UsageError(f"--weights is {weights!r}; {one_of(str(weights), KINDS[2:])}")
    if decay_bits is not None and not 1 <= decay_bits <= 16:
        raise UsageError(f"--decay-bits is {decay_bits}; use 1 to 16")
    if fraction_bits is not None and not 0 <= fraction_bits <= MAX_FRACTION_BITS:
        raise UsageError(f"--fraction-bits is {fraction_bits}; use 0 to {MAX_FRACTION_BITS}")
