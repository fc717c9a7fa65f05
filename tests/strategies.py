"""Random small networks in which spikes flow, and a few fixed ones.

Hypothesis draws the shape of a network and the seed of its numbers; thresholds and biases are then fitted to the currents that
really occur, by running the reference, so that hardly any example has a layer that is silent or always fires.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from hypothesis import assume
from hypothesis import strategies as st

from lehr.arithmetic import MAX_STATE_BITS, MIN_STATE_BITS, Arithmetic, DecayForm, Overflow, Reset, ResetTiming, Rounding, Synapse
from lehr.errors import NotMappable
from lehr.network import INPUT, OUTPUT, Conv2d, Delay, Flatten, Input, Linear, Network, Neuron, Readout, SumPool2d
from lehr.nodes import INT32_MAX, InputKind, Node, Shape
from lehr.simulate import Result, simulate
from lehr.weights import KINDS, LARGEST, WeightKind

Images = npt.NDArray[np.uint8]
WEIGHTS: tuple[tuple[WeightKind, ...], ...] = (("binary",), ("ternary",), ("int4",), ("int8",), KINDS)
"""Kinds of weights that the nodes of a drawn network have: one for all, or any."""
CURRENT = Arithmetic(decay_numerator=0)  # its membrane is the summed input A of the step


def alive(result: Result) -> bool:
    """Whether every layer spikes, and none of them always: a silent network would match anything."""
    return all(0 < rate < 1 for rate in result.rates.values())


# -------------------------------------------------------------------- fitting thresholds
def random_input(net: Network, rng: np.random.Generator, samples: int = 4, held: bool = False) -> Images:
    """An input that `net` takes: dense pixels with both extremes among them, or spikes at a rate of one half."""
    shape = (samples, *(() if held else (net.steps,)), *net.input.shape)
    if net.input.kind == "spikes":
        return rng.integers(0, 2, shape).astype(np.uint8)
    return rng.choice(np.array([0, 0, 1, 2, 30, 127, 128, 200, 255], np.uint8), shape)


def calibrated(net: Network, seed: int = 0) -> Network:
    """`net` with biases of both signs and with thresholds that some of the membranes reach, layer after layer."""
    rng = np.random.default_rng(seed)
    x = random_input(net, rng)
    for name, neuron in net.neurons.items():
        how, channels = neuron.fields, neuron.threshold.size
        silent = np.full(channels, INT32_MAX, np.int32)
        current = _membrane(_with(net, name, Neuron(silent, np.zeros_like(silent), CURRENT)), name, x)
        scale = (int(np.abs(current).mean()) << how.fraction_bits) // 2
        bias = rng.integers(-scale - 1, scale + 2, channels, np.int32)
        if neuron.integrates:
            net = _with(net, name, replace(neuron, bias=bias))
            continue
        reached = _membrane(_with(net, name, replace(neuron, threshold=silent, bias=bias)), name, x)
        threshold = [_threshold(reached[:, :, c], rng.uniform(0.3, 0.8)) for c in range(channels)]
        net = _with(net, name, replace(neuron, threshold=np.array(threshold, np.int32), bias=bias))
    return net


def _with(net: Network, name: str, neuron: Neuron) -> Network:
    return replace(net, nodes={**net.nodes, name: neuron})


def _membrane(net: Network, name: str, x: Images) -> npt.NDArray[np.int32]:
    return simulate(net, x, trace=[name]).trace.membranes[name]


def _threshold(membrane: npt.NDArray[np.int32], quantile: float) -> int:
    positive = membrane[membrane > 0]
    return max(1, min(int(np.quantile(positive, quantile)), int(positive.max()) - 1)) if positive.size else 1


# -------------------------------------------------------------------- building
@dataclass
class Builder:
    """A network under construction: `here` is the node that was added last, `shape` what it puts out, `kinds` those of its weights."""

    input: Input
    rng: np.random.Generator
    kinds: tuple[WeightKind, ...] = ("binary",)
    here: str = INPUT
    shape: Shape = field(init=False)
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shape = self.input.shape

    def weight(self, *shape: int, kind: WeightKind = "binary") -> npt.NDArray[np.int8]:
        """Random weights of a kind, its extremes among them as often as anything else."""
        if kind == "binary":
            return self.rng.choice(np.array([-1, 1], np.int8), shape)
        return self.rng.integers(-LARGEST[kind], LARGEST[kind], shape, np.int8, endpoint=True)

    def kind(self) -> WeightKind:
        """One of `kinds`; where there is but one, no random number is spent on it."""
        return self.kinds[int(self.rng.integers(len(self.kinds))) if len(self.kinds) > 1 else 0]

    def add(self, name: str, node: Node) -> None:
        """Append a node to the chain."""
        self.shape = node.output_shape(self.shape)
        self.nodes[name] = node
        self.edges.append((self.here, name))
        self.here = name

    def conv(self, name: str, out: int, size: tuple[int, int] = (3, 3), **how: Any) -> None:
        """Append a convolution to `out` channels."""
        kind = self.kind()
        self.add(name, Conv2d(self.weight(out, self.shape[0] // how.get("groups", 1), *size, kind=kind), kind=kind, **how))

    def linear(self, name: str, out: int) -> None:
        """Append a Linear, and before it a Flatten where there are feature maps."""
        features = math.prod(self.shape)
        if self.shape != (features,):
            self.add(f"{name}_flat", Flatten())
        kind = self.kind()
        self.add(name, Linear(self.weight(out, features, kind=kind), kind))

    def neuron(self, name: str, how: Arithmetic, synapse: Synapse | None = None) -> None:
        """Append neurons; `calibrated` gives them thresholds."""
        silent = np.full(self.shape[0], 0 if how.fires == "never" else INT32_MAX, np.int32)
        self.add(name, Neuron(silent, np.zeros_like(silent), how, synapse))

    def feedback(self, name: str, source: str, sink: str) -> None:
        """Add neurons' spikes, through random weights, to the input of neurons."""
        kind = self.kind()
        self.nodes[name] = Linear(self.weight(self._size(sink), self._size(source), kind=kind), kind)
        self.edges += [(source, name), (name, sink)]

    def _size(self, layer: str) -> int:
        node = self.nodes[layer]
        assert isinstance(node, Neuron)
        return node.threshold.size

    def network(self, steps: int, seed: int = 0, readout: Readout = "count_argmax_lowest") -> Network:
        """The network, from its input to the node added last, with thresholds that fit."""
        return calibrated(Network(self.nodes, (*self.edges, (self.here, OUTPUT)), self.input, steps, readout), seed)


# -------------------------------------------------------------------- strategies
@st.composite
def arithmetics(draw: st.DrawFn, /, **fixed: Any) -> Arithmetic:
    """Any arithmetic; `fixed` holds the fields that are not drawn. Neurons that update by event, or never fire, only on request."""
    if fixed.get("update") == "event":
        fixed = {"reset_timing": "same_step", **fixed}
    some: Mapping[str, st.SearchStrategy[Any]] = {
        "decay_form": st.sampled_from(get_args(DecayForm)),
        "decay_shift": st.integers(0, 8),
        "rounding": st.sampled_from(get_args(Rounding)),
        "reset": st.sampled_from(get_args(Reset)),
        "reset_timing": st.sampled_from(get_args(ResetTiming)),
        "fires": st.sampled_from(("gt", "ge")),
        "fraction_bits": st.integers(0, 6),
        "state_bits": st.integers(MIN_STATE_BITS, MAX_STATE_BITS),
        "overflow": st.sampled_from(get_args(Overflow)),
    }
    drawn = {**{name: draw(values) for name, values in some.items() if name not in fixed}, **fixed}
    whole = 1 << drawn["decay_shift"]
    return Arithmetic(**{"decay_numerator": draw(numerators(drawn["decay_form"], whole)), **drawn})


def numerators(form: DecayForm, whole: int, highest: int | None = None) -> st.SearchStrategy[int]:
    """Numerators of a decay by k / `whole`, slow decays as often as all others; at most `highest`, `whole` if None."""
    highest = whole if highest is None else highest
    return st.just(whole - 1) if form == "shift" else st.integers(min(whole // 2, highest), highest) | st.integers(0, highest)


@st.composite
def networks(draw: st.DrawFn, /, *, branches: bool = True, kinds: tuple[InputKind, ...] = get_args(InputKind), **fixed: Any) -> Network:
    """A small valid network in which spikes flow, with its own random arithmetic in each of one to three layers.

    Args:
        draw: given by hypothesis.
        branches: also several edges into one node, Delay nodes and recurrence; else one plain chain.
        kinds: of input to draw from.
        fixed: fields of `Arithmetic` that all layers share.
    """
    seed = draw(st.integers(0, 2**32 - 1))
    kind = draw(st.sampled_from(("spikes",) if fixed.get("update") == "event" else kinds))
    side = st.integers(4, 7)
    shape = draw(st.tuples(st.integers(1, 3), side, side) | st.tuples(st.integers(3, 12)))
    net = Builder(Input(shape, kind), np.random.default_rng(seed), draw(st.sampled_from(WEIGHTS)))
    flat_layers = []
    for depth in range(draw(st.integers(1, 3))):
        if branches and draw(st.booleans()):
            net.add(f"delay{depth}", Delay(draw(st.integers(1, 3))))
        start = net.here
        if len(net.shape) == 3 and draw(st.integers(0, 3)):
            _spatial(draw, net, depth)
        else:
            net.linear(f"fc{depth}", draw(st.integers(2, 8)))
        end = net.here
        net.neuron(f"lif{depth}", draw(arithmetics(**fixed)))
        if branches and draw(st.booleans()):
            _second_path(draw, net, start, end, late=fixed.get("update") != "event")
        if len(net.shape) == 1:
            flat_layers.append(net.here)
    if branches and flat_layers and draw(st.booleans()):
        net.feedback("recurrent", draw(st.sampled_from(flat_layers)), draw(st.sampled_from(flat_layers)))
    try:
        made = net.network(draw(st.integers(2, 8)), seed)
        assume(alive(simulate(made, random_input(made, np.random.default_rng(seed)))))
    except NotMappable:  # an event-driven neuron fired more than 255 times in a step
        assume(False)
        raise
    return made


def _spatial(draw: st.DrawFn, net: Builder, depth: int) -> None:
    """A convolution, a pooling, or both in either order, wherever the feature map is large enough."""
    for kind in draw(st.sampled_from(("conv", "pool", "conv pool", "pool conv"))).split():
        height, width = net.shape[1:]
        pad_y, pad_x = draw(st.integers(0, 2)), draw(st.integers(0, 2))
        size = (draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width))))
        stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        if kind == "pool":
            net.add(f"pool{depth}", SumPool2d(size, stride, (pad_y, pad_x)))
            continue
        fits = [(n + 2 * p - 1) // (k - 1) if k > 1 else 3 for n, p, k in zip((height, width), (pad_y, pad_x), size, strict=True)]
        dilation = (draw(st.integers(1, min(3, fits[0]))), draw(st.integers(1, min(3, fits[1]))))
        groups = net.shape[0] if draw(st.booleans()) else 1
        out = groups * draw(st.integers(1, 4 if groups == 1 else 2))
        net.conv(f"conv{depth}", out, size, stride=stride, padding=(pad_y, pad_x), dilation=dilation, groups=groups)


def _second_path(draw: st.DrawFn, net: Builder, start: str, end: str, late: bool) -> None:
    """A second set of weights beside the ones in node `end`, from the same node `start`, with or without a delay after them."""
    other = net.nodes[end]
    if not isinstance(other, (Conv2d, Linear)) or (start, end) not in net.edges:
        return
    twin = f"{end}_twin"
    net.nodes[twin] = replace(other, weight=net.weight(*other.weight.shape, kind=other.kind))
    net.edges.append((start, twin))
    if late and draw(st.booleans()):
        net.nodes[f"{twin}_late"] = Delay(draw(st.integers(1, 2)))
        net.edges.append((twin, f"{twin}_late"))
        twin = f"{twin}_late"
    net.edges.append((twin, net.here))


@st.composite
def inputs(draw: st.DrawFn, /, net: Network) -> Images:
    """Two to four samples for `net`, held for all steps or one slice per step."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random_input(net, rng, draw(st.integers(2, 4)), held=draw(st.booleans()))


# -------------------------------------------------------------------- fixed networks
def small_network(how: Arithmetic | None = None, kinds: tuple[WeightKind, ...] = ("binary",), samples: int = 6) -> tuple[Network, Images]:
    """Two convolutions with pooling and a readout, on pixels, and samples that are held for all steps."""
    how = how or Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
    net = Builder(Input((1, 10, 10), "spikes" if how.update == "event" else "u8"), np.random.default_rng(1), kinds)
    for depth, channels in ((1, 4), (2, 6)):
        net.conv(f"conv{depth}", channels, padding=(depth - 1, depth - 1))
        net.add(f"pool{depth}", SumPool2d((2, 2), (2, 2)))
        net.neuron(f"lif{depth}", how)
    net.linear("fc", 5)
    net.neuron("out", how)
    return _and_input(net.network(steps=8), held=True, samples=samples)


def recurrent_network(how: Arithmetic | None = None, kinds: tuple[WeightKind, ...] = ("binary",)) -> tuple[Network, Images]:
    """Two fully connected layers; the first hears itself, and the second through weights of its own; samples step by step."""
    how = how or Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=3, state_bits=16)
    net = Builder(Input((12,), "spikes"), np.random.default_rng(2), kinds)
    for name, size in (("hidden", 9), ("out", 4)):
        net.linear(f"fc_{name}", size)
        net.neuron(name, how)
    net.feedback("self", "hidden", "hidden")
    net.feedback("back", "out", "hidden")
    return _and_input(net.network(steps=10), held=False)


def delayed_network(how: Arithmetic | None = None) -> tuple[Network, Images]:
    """Spikes delayed by two steps beside spikes that are not, and currents delayed by three; samples step by step."""
    how = how or Arithmetic(decay_form="shift", decay_numerator=7, decay_shift=3, fraction_bits=4, state_bits=18)
    net = Builder(Input((10,), "spikes"), np.random.default_rng(3))
    net.linear("fc1", 8)
    net.add("slow_current", Delay(3))
    net.neuron("hidden", how)
    net.linear("fc2", 4)
    net.neuron("out", how)
    net.nodes |= {"slow_spikes": Delay(2), "fc3": Linear(net.weight(4, 8))}
    net.edges += [("hidden", "slow_spikes"), ("slow_spikes", "fc3"), ("fc3", "out")]
    return _and_input(net.network(steps=10), held=False)


def _and_input(net: Network, held: bool, samples: int = 6) -> tuple[Network, Images]:
    x = random_input(net, np.random.default_rng(4), samples=samples, held=held)
    assert alive(simulate(net, x)), "a fixed network is silent or always fires"
    return net, x
