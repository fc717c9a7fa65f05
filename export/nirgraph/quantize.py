"""A float graph as an integer network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import MAX_FRACTION_BITS
from lehr.errors import UsageError
from lehr.export.decays import Decay
from lehr.export.digits import digits
from lehr.export.fold import Float
from lehr.export.nirgraph.floats import silence, steps_of
from lehr.export.nirgraph.graph import Cells, Flat, Graph, Pool, Scale, Wait, Weights
from lehr.export.nirgraph.lags import delay_of, require_same_delays
from lehr.export.nirgraph.layers import (
    LayerReader,
    Options,
    QuantizedWeights,
    quantize_weights,
    signal,
)
from lehr.export.nirgraph.rewrite import Rewritten
from lehr.export.nirgraph.semantics import Semantics, decided, settled
from lehr.export.nirgraph.steps import step_of, taken_for_exact
from lehr.export.nirgraph.times import asking_about_times
from lehr.export.pending import LayerReport, Waiting, moved_share, report
from lehr.export.precision import chosen_bits, completed, placeholder, rooms
from lehr.network import INPUT, Input, Network, kind_divided
from lehr.nodes import Flatten, Node, SumPool2d
from lehr.refusals import Refusals
from lehr.spelling import either, one_of, option
from lehr.weights import KINDS
from lehr.widths import analyse


@dataclass(frozen=True)
class Layer:
    """One layer of neurons, and what became of it.

    Attributes:
        report: integers, bounds, notes.
        scale: what one unit of an integer membrane is worth in the graph, float64 `[channels]`, or
            by neuron in the layer's shape.
        threshold: of the graph, above v_reset, likewise; 1 where nothing fires.
        decay: of the membrane, as integers.
        weight_error: of the weights that lead to it, as a share of their norm; 0 where there are
            none.
        threshold_error: by which share rounding moved a threshold or, in thresholds, a bias, or
            weights that were left out could move a membrane, at most.
        decay_error: by how much its decays were moved, at most.
    """

    report: LayerReport
    scale: Float
    threshold: Float
    decay: Decay
    weight_error: float
    threshold_error: float
    decay_error: float


@dataclass(frozen=True)
class Quantized:
    """A graph, and the integer network that was made of it.

    Attributes:
        graph: as it was read, its output fed by the layer that decides.
        network: with the least state bits that provably never saturate.
        semantics: what was taken for what the graph does not say, complete.
        layers: by name.
        full_scale: what inputs are divided by in the graph.
        notes: what was assumed, and what was rounded, in sentences.
    """

    graph: Graph
    network: Network
    semantics: Semantics
    layers: Mapping[str, Layer]
    full_scale: float
    notes: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Return whether nothing was rounded."""
        return all(layer.report.exact for layer in self.layers.values())


def quantize(
    graph: Graph,
    sample: npt.NDArray[np.uint8],
    semantics: Semantics | None = None,
    options: Options | None = None,
    *,
    steps: int | None = None,
    full_scale: float | None = None,
) -> Quantized:
    """Make an integer network of a float graph.

    Args:
        graph: the graph.
        sample: inputs, uint8 `[N, T, *shape]`, or `[N, *shape]` where `steps` says for how long
            each is held. Only their shape, kind and length are looked at here.
        semantics: what the graph does not say.
        options: how integers are made.
        steps: how many steps a sample is held for; None where it has an axis of time.
        full_scale: what inputs are divided by in the graph, 255 for pixels, 1 for counts; None
            where they are spikes 0 and 1.

    Raises:
        UsageError: when an option or the sample is out of range, or something that the graph does
            not say is missing.
        NotMappable: naming the node that no integer network computes, and the way out.
    """
    options = options or Options()
    _check(options, full_scale)
    refusals = Refusals()
    length = _length(graph, sample, steps, full_scale, refusals)
    graph = decided(graph, semantics or Semantics(), refusals)
    complete, notes = settled(graph, semantics or Semantics(), refusals)
    refusals.raise_all()
    scale = full_scale or 1.0
    rewritten, weights, waiting = plan(graph, complete, options, scale)
    entry = Input(graph.shape, kind_divided(full_scale))
    with asking_about_times(graph.cells, complete.dt):
        drawn, layers = rooms(_drawn(rewritten, weights, waiting, entry, length, complete), waiting)
        # nothing is rounded where that is possible at all
        exact = options.fraction_bits is None and all(room.exact for room in layers.values())
        bits, waiting = chosen_bits(
            layers, fraction_bits=options.fraction_bits, error=None if exact else options.error
        )
        network = completed(drawn, waiting, bits)
    require_same_delays(graph, network, complete)
    widths = analyse(network).layers
    quantized_layers = {}
    for name, wait in waiting.items():
        layer_report = report(wait, bits[name], widths[name], length)
        leading = [weights[root].error for root in _leading(rewritten, name)]
        quantized_layers[name] = Layer(
            layer_report,
            _laid(wait, layer_report.folded.scale / 2.0**layer_report.folded.fraction_bits),
            _laid(wait, wait.dynamics.threshold),
            wait.dynamics.decays[0],
            max(leading, default=0.0),
            max(wait.dropped, moved_share(wait, layer_report.folded)),
            max(decay.moved for decay in wait.dynamics.decays),
        )
    said = [note for layer in quantized_layers.values() for note in layer.report.notes]
    said += [
        f"{n}: {note}"
        for n, cells in graph.cells.items()
        for note in taken_for_exact(cells, step_of(cells, complete), complete)
    ]
    return Quantized(
        graph, network, complete, quantized_layers, scale, (*notes, *rewritten.notes, *said)
    )


def plan(
    graph: Graph, semantics: Semantics, options: Options, scale: float
) -> tuple[Rewritten, Mapping[str, QuantizedWeights], Mapping[str, Waiting]]:
    """Return the graph rewritten, its weights as levels, and its layers of neurons.

    The layers wait for their fraction bits.

    Raises:
        NotMappable: naming every node that no integer network computes, as far as they can be known
            at once.
    """
    refusals = Refusals()
    cells, silent = steps_of(graph, semantics, refusals), silence(graph)
    with refusals.collect():
        rewritten = Rewritten(graph, semantics, scale)
        weights = quantize_weights(rewritten, options.weights, scale)
        waiting: dict[str, Waiting] = {}
        for name, step in cells.items():
            layer = graph.cells[name]
            reader = LayerReader(name, layer, step, semantics, options)
            arriving = sum(
                (silent[source] for source in graph.outline.sources(name)), np.zeros(layer.shape)
            )
            unit = signal(rewritten, rewritten.sources(name)[0], weights, scale)
            exact = all(weights[root].exact for root in _leading(rewritten, name))
            with refusals.collect(f"{name} ({layer.kind}): "):
                nothing_rounded = exact and not rewritten.notes
                waiting[name] = reader.read(
                    unit,
                    rewritten.gains[name],
                    arriving,
                    nothing_rounded,
                    _factors(graph, name, scale),
                )
        if not refusals:
            return rewritten, weights, waiting
    raise refusals.joined()


def _laid(wait: Waiting, numbers: Float) -> Float:
    """Lay numbers by neuron out in the layer's shape; those by channel stay as they are."""
    return numbers if wait.dynamics.shape is None else numbers.reshape(wait.dynamics.shape)


def _check(options: Options, full_scale: float | None) -> None:
    if options.weights not in KINDS:
        raise UsageError(f"--weights is {options.weights!r}; {one_of(options.weights, KINDS)}")
    for name, low, high in (("decay_bits", 1, 16), ("fraction_bits", 0, MAX_FRACTION_BITS)):
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"{option(name)} is {value}; use {low} to {high}")
    if not 0 < options.error < 1:
        raise UsageError(f"--error is {options.error:g}; use a share between 0 and 1, such as 0.01")
    for name, allowed in (("decay", ("own", "common")), ("maps", ("own", "mean"))):
        if (value := getattr(options, name)) not in allowed:
            raise UsageError(f"{option(name)} is {value!r}; {either(value, allowed)}")
    if full_scale is not None and not 0 < full_scale < np.inf:
        raise UsageError(f"--full-scale is {full_scale:g}; use a number above 0, 255 for pixels")


def _length(
    graph: Graph,
    sample: npt.NDArray[np.uint8],
    steps: int | None,
    full_scale: float | None,
    refusals: Refusals,
) -> int:
    """Return for how many steps a sample runs.

    What is wrong with the samples, or not said of them, goes to `refusals`, as UsageErrors.
    """
    shape = graph.shape
    held, timed = (
        sample.shape[1:] == shape,
        sample.ndim == len(shape) + 2 and sample.shape[2:] == shape,
    )
    if sample.dtype != np.uint8 or not sample.size or not (held or timed):
        wanted = ", ".join(map(str, shape))
        refusals.add(
            UsageError(
                f"calibration input is {sample.dtype} {list(sample.shape)}, the graph takes uint8 "
                f"[N, T, {wanted}], or [N, {wanted}] and --steps; reshape it"
            )
        )
        return 0
    if held and steps is None:
        refusals.add(
            UsageError(
                "calibration input has no axis of time, and no steps are given; say for how many a "
                "sample is held, as --steps 8 (in Python: steps=8)"
            )
        )
    if timed and steps is not None and steps > sample.shape[1]:
        refusals.add(
            UsageError(
                f"calibration input has {sample.shape[1]} steps, but --steps is {steps}; ask for "
                "at most as many"
            )
        )
    if full_scale is None and (highest := int(sample.max())) > 1:
        refusals.add(
            UsageError(
                f"calibration input holds {highest}, but no full scale is given; give --full-scale "
                "255 for pixels, 1 for counts"
            )
        )
    return steps or int(sample.shape[1])


def _leading(graph: Rewritten, name: str) -> list[str]:
    """Return the weights whose currents come to a layer."""
    roots = [root for source in graph.sources(name) for root in graph.roots(source)]
    return [root for root in roots if isinstance(graph.nodes.get(root), Weights)]


def _factors(graph: Graph, name: str, full_scale: float) -> int:
    """Return the most binary digits of the factors on the way to a layer.

    Factors are those of scales and averages, and 1 over the full scale of inputs.
    """
    pending, seen, most = [name], {name}, 0
    while pending:
        for source in set(graph.outline.sources(pending.pop())) - seen:
            seen.add(source)
            node = graph.nodes.get(source)
            if source == INPUT:
                most = max(most, digits(1 / full_scale))
            elif isinstance(node, Scale):
                most = max(most, digits(node.scale))
            elif isinstance(node, Pool) and node.average:
                most = max(most, digits(1 / (node.kernel[0] * node.kernel[1])))
            if source != INPUT and not isinstance(node, Cells):
                pending.append(source)
    return most


def _drawn(
    graph: Rewritten,
    weights: Mapping[str, QuantizedWeights],
    waiting: Mapping[str, Waiting],
    entry: Input,
    steps: int,
    semantics: Semantics,
) -> Network:
    """Return the network with its weights, and placeholders for its neurons."""
    nodes: dict[str, Node] = {name: quantized.node for name, quantized in weights.items()}
    nodes |= {name: placeholder(wait) for name, wait in waiting.items()}
    for name, node in graph.nodes.items():
        match node:
            case Pool():
                nodes[name] = SumPool2d(node.kernel, node.stride, node.padding)
            case Flat():
                nodes[name] = Flatten()
            case Wait():
                nodes[name] = delay_of(graph.steps[name])
    readout = (
        "count_argmax_lowest"
        if semantics.readout == "count"
        else f"membrane_{semantics.readout}_argmax_lowest"
    )
    return Network(nodes, tuple(graph.edges), entry, steps, readout)  # type: ignore[arg-type]  # checked by Network
