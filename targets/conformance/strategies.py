"""Random small networks in which spikes flow, for property tests.

Hypothesis draws the shape of a network and the seed of its numbers; thresholds and biases are then
fitted to the currents that really occur, by running the reference, so that hardly any example has a
layer that is silent or always fires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from lehr.arithmetic import (
    MAX_STATE_BITS,
    MIN_STATE_BITS,
    Arithmetic,
    BiasTo,
    DecayForm,
    Overflow,
    Reset,
    ResetTiming,
    Rounding,
    Synapse,
)
from lehr.errors import NotMappable
from lehr.network import OUTPUT, Conv2d, Delay, Input, Linear, Network, Neuron, Readout, SumPool2d
from lehr.nodes import InputKind, MaxPool2d, Pair, Upsample2d
from lehr.simulate import simulate
from lehr.targets.conformance.building import (
    Builder,
    Images,
    alive,
    calibrated,
    flowing,
    random_input,
)
from lehr.targets.conformance.networks import MEMBRANE_READOUTS
from lehr.weights import KINDS, WeightKind

WEIGHTS: tuple[tuple[WeightKind, ...], ...] = (
    ("binary",),
    ("ternary",),
    ("int4",),
    ("int8",),
    KINDS,
)
"""Kinds of weights that the nodes of a drawn network have: one for all, or any."""
_SUMS = ("conv", "pool", "conv pool", "pool conv", "up conv", "conv up", "up pool")
_SPATIAL = (*_SUMS, "conv max", "max conv", "conv max pool", "conv max up")


@st.composite
def arithmetics(draw: st.DrawFn, /, **fixed: Any) -> Arithmetic:
    """Draw any arithmetic; `fixed` holds the fields that are not drawn.

    Neurons that update by event, or never fire, only come on request.
    """
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
    """Return numerators of a decay by k / `whole`, slow decays as often as all others.

    They are at most `highest`, `whole` if None.
    """
    highest = whole if highest is None else highest
    return (
        st.just(whole - 1)
        if form == "shift"
        else st.integers(min(whole // 2, highest), highest) | st.integers(0, highest)
    )


@st.composite
def networks(
    draw: st.DrawFn,
    /,
    *,
    branches: bool = True,
    maxima: bool = True,
    kinds: tuple[InputKind, ...] = get_args(InputKind),
    **fixed: Any,
) -> Network:
    """Draw a small valid network in which spikes flow.

    Each of its one to three layers has a random arithmetic of its own.

    Args:
        draw: given by hypothesis.
        branches: also several edges into one node, Delay nodes and recurrence; else one plain
            chain.
        maxima: also MaxPool2d, where neurons update by step.
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
            _spatial(draw, net, depth, maxima and fixed.get("update") != "event")
        else:
            net.linear(f"fc{depth}", draw(st.integers(2, 8)))
        end = net.here
        net.neuron(f"lif{depth}", draw(arithmetics(**fixed)))
        if branches and draw(st.booleans()):
            _second_path(draw, net, start, end, late=fixed.get("update") != "event")
        if len(net.shape) == 1:
            flat_layers.append(net.here)
    if branches and flat_layers and draw(st.booleans()):
        net.feedback(
            "recurrent", draw(st.sampled_from(flat_layers)), draw(st.sampled_from(flat_layers))
        )
    try:
        result = net.network(draw(st.integers(2, 8)), seed)
        assume(alive(simulate(result, random_input(result, np.random.default_rng(seed)))))
    except NotMappable:  # an event-driven neuron fired more than 255 times in a step
        assume(False)
        raise
    return result


def _spatial(draw: st.DrawFn, net: Builder, depth: int, maxima: bool) -> None:
    """Add a convolution, a pooling, larger maps, or several of these, where the map allows it."""
    for kind in draw(st.sampled_from(_SPATIAL if maxima else _SUMS)).split():
        height, width = net.shape[1:]
        pad_y, pad_x = draw(st.integers(0, 2)), draw(st.integers(0, 2))
        size = (draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width))))
        stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        if kind == "up":
            net.add(f"up{depth}", Upsample2d(stride))
            continue
        if kind == "pool":
            net.add(f"pool{depth}", SumPool2d(size, stride, (pad_y, pad_x)))
            continue
        if kind == "max":
            _maxima(draw, net, depth, size, stride)
            continue
        fits = [
            (n + 2 * p - 1) // (k - 1) if k > 1 else 3
            for n, p, k in zip((height, width), (pad_y, pad_x), size, strict=True)
        ]
        dilation = (draw(st.integers(1, min(3, fits[0]))), draw(st.integers(1, min(3, fits[1]))))
        groups = net.shape[0] if draw(st.booleans()) else 1
        out = groups * draw(st.integers(1, 4 if groups == 1 else 2))
        net.conv(
            f"conv{depth}",
            out,
            size,
            stride=stride,
            padding=(pad_y, pad_x),
            dilation=dilation,
            groups=groups,
        )


def _maxima(draw: st.DrawFn, net: Builder, depth: int, size: Pair, stride: Pair) -> None:
    """Add maxima whose windows all have a value of the map in them."""
    height, width = net.shape[1:]
    pads = draw(st.integers(0, size[0] // 2)), draw(st.integers(0, size[1] // 2))
    most = [
        2 if n > 3 and n + 2 * p > 2 * (k - 1) else 1
        for n, p, k in zip((height, width), pads, size, strict=True)
    ]
    steps = draw(st.integers(1, most[0])), draw(st.integers(1, most[1]))
    net.add(f"max{depth}", MaxPool2d(size, stride, pads, steps, draw(st.booleans())))


def _second_path(draw: st.DrawFn, net: Builder, start: str, end: str, late: bool) -> None:
    """Add a second set of weights beside the ones in node `end`, from the same node `start`.

    A delay may come after them.
    """
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
    """Draw two to four samples for `net`, held for all steps or one slice per step."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random_input(net, rng, draw(st.integers(2, 4)), held=draw(st.booleans()))


@st.composite
def synapses(draw: st.DrawFn) -> Synapse:
    """Draw any synapse state."""
    form, shift = draw(st.sampled_from(get_args(DecayForm))), draw(st.integers(0, 8))
    return Synapse(
        form,
        draw(numerators(form, 1 << shift, (1 << shift) - 1)),
        shift,
        draw(st.sampled_from(get_args(Rounding))),
        draw(st.integers(MIN_STATE_BITS, MAX_STATE_BITS)),
        draw(st.sampled_from(get_args(Overflow))),
        draw(st.sampled_from(get_args(BiasTo))),
    )


def _with_states(draw: st.DrawFn, net: Network) -> Network:
    """Return `net` with what two-state neurons add.

    That is synapses in some of its layers, perhaps integrators at its end, and any readout.
    """
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        arithmetic = neuron.fields
        if arithmetic.beta < 1 and draw(st.integers(0, 3)):
            nodes[name] = neuron = replace(neuron, synapse=draw(synapses()))
        if name == net.output and net.targets(name) == (OUTPUT,) and draw(st.booleans()):
            silent = np.zeros_like(neuron.threshold)
            nodes[name] = replace(
                neuron,
                threshold=silent,
                arithmetic=replace(arithmetic, fires="never", reset="none"),
            )
    last = nodes[net.output]
    assert isinstance(last, Neuron)
    readouts = MEMBRANE_READOUTS if last.integrates else get_args(Readout)
    return replace(net, nodes=nodes, readout=draw(st.sampled_from(readouts)))


@st.composite
def grown_networks(draw: st.DrawFn, /, **fixed: Any) -> Network:
    """Draw a network of `networks` with synapse states, an integrator and readouts in addition.

    Spikes flow in it.
    """
    seed = draw(st.integers(0, 2**16))
    net = calibrated(_with_states(draw, draw(networks(**fixed))), seed)
    assume(flowing(net, simulate(net, random_input(net, np.random.default_rng(seed)))))
    return net
