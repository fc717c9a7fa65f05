"""README of an artefact: how netx runs it, and which exact transformations are in it."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.network import Network
from lehr.targets.loihi.layers import Layer
from lehr.targets.loihi.mapping import Mapped
from lehr.targets.loihi.neurons import HIGHEST_MANTISSA, UNIT, UNIT_BITS

_RUN = """\
    from lava.lib.dl import netx
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    net = netx.hdf5.Network(net_config="network.net", reset_interval={interval}, reset_offset=1)
    source = Source(data=spikes)                    # {entry}; {interval} steps a sample, one \
sample after the other{pause}
    sink = Sink(shape=net.out.shape, buffer=steps)  # {late} steps more than the source has
    source.s_out.connect(net.inp)
    net.out.connect(sink.a_in)
    source.run(condition=RunSteps(steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    out = sink.data.get()[..., {late}:]             # of `{output}`, step by step
    source.stop()
"""
_PAUSE = """
`{name}` hears itself, for which lava-dl 0.6.0 reads the layer (`dense_rec`) but has no model: \
give it one, a class derived from
`lava.lib.dl.netx.blocks.models.AbstractPyBlockModel` that implements `RecurrentDense`. After the \
steps of a sample, {layers} empty ones
let the last layer end; then all of `u`, `v` and the synapses' `a_buff` must be set to 0 before \
the next sample, as `lehr verify` does.
"""


def readme(net: Network, layers: Sequence[Mapped]) -> str:
    """Return the text, of an artefact of this network alone."""
    first, last = layers[0].layer, layers[-1].layer
    heard = next((each.layer.name for each in layers if each.layer.own is not None), "")
    interval = net.steps + (len(layers) if heard else 0)
    entry = (
        f"{first.taken[2]} x {first.taken[1]} x {first.taken[0]} (width, height, channels)"
        if first.window
        else f"{first.taken[0]}"
    )
    pause = f", {len(layers)} of them empty" if heard else ""
    run = _RUN.format(
        interval=interval,
        entry=f"{entry} x steps, 0 and 1",
        late=len(layers),
        output=last.name,
        pause=pause,
    )
    facts = [fact for each in layers for fact in _facts(net, each)]
    rows = "\n".join(
        f"| {k} | `{each.layer.name}` | {_kind(each.layer)} | {k + 1} |"
        for k, each in enumerate(layers)
    )
    return f"""# A network for Loihi

`network.net` is what netx of lava-dl 0.6.0 reads, for Lava 0.10.0. Each layer runs one step \
behind the layer before it, the first one a
step behind the input. `reset_interval` clears each layer when the first step of a sample comes to \
it, so that samples follow one another
without a pause and biases are added in a layer's own steps alone:

{run}{_PAUSE.format(name=heard, layers=len(layers)) if heard else ""}
| layer | neurons | synapses | steps behind the input |
| --- | --- | --- | --- |
{rows}

`lehr verify` runs it in Lava's bit-accurate processes and compares every spike and membrane; no \
chip is needed, and none is tried.

## What is written otherwise than in the network, and is the same

{chr(10).join(f"- {fact}" for fact in facts)}
"""


def _kind(layer: Layer) -> str:
    if layer.window is not None:
        return f"convolution, {' x '.join(map(str, layer.weight.shape))}"
    return (
        f"dense, {layer.size} x "
        f"{layer.taken[0]}{', and to itself' if layer.own is not None else ''}"
    )


def _facts(net: Network, each: Mapped) -> list[str]:
    layer, numbers, neuron = each.layer, each.numbers, net.neurons[each.layer.name]
    scale = 1 << (numbers.fraction_bits - UNIT_BITS)
    facts = []
    if scale > 1:
        facts.append(
            f"`{layer.name}`: {numbers.fraction_bits} fraction bits are the chip's {UNIT_BITS}, "
            f"and weights times {scale}"
        )
    if neuron.integrates:
        facts.append(
            f"`{layer.name}`: integrators have the highest threshold, {HIGHEST_MANTISSA * UNIT:,}, "
            "which no membrane passes"
        )
    else:
        level = (
            f"the threshold {numbers.threshold * UNIT:,} is vThMant {numbers.threshold}, "
            f"{UNIT} times as much on the chip"
        )
        facts.append(f"`{layer.name}`: {level}")
    if not numbers.register:
        facts.append(
            f"`{layer.name}`: iDecay 4096 makes the current what arrives in the step, as it has no "
            "synapse state"
        )
    if numbers.bias is not None:
        facts.append(
            f"`{layer.name}`: biases are divided by {UNIT}, by which the chip multiplies them"
        )
    facts += _merged(net, layer)
    return facts


def _merged(net: Network, layer: Layer) -> list[str]:
    kernels = [node.weight.shape[2:] for node in net.weighted.values() if node.weight.ndim == 4]
    if layer.window is not None:
        if layer.weight.shape[2:] in kernels:
            return []
        return [
            f"`{layer.name}`: its convolution and the sums over windows behind it are one "
            "convolution with a larger kernel and stride"
        ]
    plain = [node.weight.shape for node in net.weighted.values() if node.weight.ndim == 2]
    if layer.weight.shape in plain:
        return []
    return [f"`{layer.name}`: all that lies between it and the layer before is one matrix"]
