"""Runs a netx network in brian2-loihi: `python brian_run.py in.npz out.npz`.

In: `x` [N, T, *shape], 0 and 1, and of each layer k, as the network's file has them: `type{k}` (0
dense, 1 convolution), `weight{k}`, `weight_rec{k}` and `bias{k}` where there are any, `window{k}`
(stride, padding, dilation by rows and columns, groups), `neuron{k}` (iDecay, vDecay, vThMant),
`shape{k}`. Out: `s0`, `v0`, `s1`, ... spikes and membranes of each layer at its own steps, [N, T,
*shape].

Samples are copies of the network side by side; the input arrives at once, spikes of neurons a step
later.
"""

import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")

import brian2  # noqa: E402
import brian2_loihi as loihi  # noqa: E402

brian2.prefs.codegen.target = "numpy"
SIDE_BY_SIDE = 32
LARGEST = 255


def dense(arrays, k, shape):
    """Return sources, destinations and weights of a convolution's synapses.

    Maps are counted row by row.
    """
    weight, (sh, sw, ph, pw, dh, dw, groups) = arrays[f"weight{k}"], arrays[f"window{k}"]
    (_, height, width), (outs, rows, columns) = shape, arrays[f"shape{k}"]
    of_group_in, of_group_out = weight.shape[1], outs // groups
    out, into, y, z, r, c = np.meshgrid(
        *map(np.arange, (*weight.shape, rows, columns)), indexing="ij"
    )
    row, column = r * sh - ph + y * dh, c * sw - pw + z * dw
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    sources = ((out // of_group_out * of_group_in + into) * height + row) * width + column
    places = (out * rows + r) * columns + c
    return (
        sources[inside],
        places[inside],
        np.broadcast_to(weight[..., None, None], inside.shape)[inside],
    )


def matrix(weight):
    """Return the same of a matrix `[out, in]`."""
    places, sources = np.nonzero(weight)
    return sources, places, weight[places, sources]


def biases(bias):
    """Return the same of one source for each neuron, which fires in every step.

    A bias is as many synapses as it takes.
    """
    left, ways = bias.copy(), []
    while left.any():
        now = np.clip(left, -LARGEST, LARGEST)
        at = np.flatnonzero(now)
        ways.append((np.zeros_like(at), at, now[at]))
        left = left - now
    return tuple(map(np.concatenate, zip(*ways, strict=True)))


def connect(group, source, sizes, way, copies):
    """Synapses of both signs, for each copy of the network."""
    groups = []
    for positive in (True, False):
        here = way[2] > 0 if positive else way[2] < 0
        if not here.any():
            continue
        sources, places, weights = (part[here] for part in way)
        mode = (
            loihi.synapse_sign_mode.EXCITATORY if positive else loihi.synapse_sign_mode.INHIBITORY
        )
        synapses = loihi.LoihiSynapses(source, group, sign_mode=mode)
        offsets = np.arange(copies)[:, None]
        synapses.connect(
            i=(sources + offsets * sizes[0]).ravel(), j=(places + offsets * sizes[1]).ravel()
        )
        synapses.w = np.tile(weights, copies)
        groups.append(synapses)
    return groups


def run(arrays, x):
    """Spikes and membranes of some samples."""
    copies, steps = x.shape[:2]
    layers = sum(name.startswith("weight") and not name.startswith("weight_rec") for name in arrays)
    total, size = steps + layers, int(np.prod(x.shape[2:]))
    flat = x.reshape(copies, steps, size)
    sample, time, which = np.nonzero(flat)
    source, shape = (
        loihi.LoihiSpikeGeneratorGroup(copies * size, sample * size + which, time),
        x.shape[2:],
    )
    parts, groups = [source], []
    for k in range(layers):
        current, membrane, threshold = (int(number) for number in arrays[f"neuron{k}"])
        neurons = int(np.prod(arrays[f"shape{k}"]))
        group = loihi.LoihiNeuronGroup(
            copies * neurons, threshold_v_mant=threshold, decay_v=membrane, decay_I=current
        )
        way = dense(arrays, k, shape) if arrays[f"type{k}"] else matrix(arrays[f"weight{k}"])
        parts += [group, *connect(group, source, (size, neurons), way, copies)]
        if f"weight_rec{k}" in arrays:
            parts += connect(
                group, group, (neurons, neurons), matrix(arrays[f"weight_rec{k}"]), copies
            )
        if f"bias{k}" in arrays:
            each = np.repeat(arrays[f"bias{k}"], neurons // len(arrays[f"bias{k}"]))
            ticks = np.arange(k, k + steps)
            always = loihi.LoihiSpikeGeneratorGroup(
                copies, *(a.ravel() for a in np.meshgrid(np.arange(copies), ticks))
            )
            parts += [always, *connect(group, always, (1, neurons), biases(each), copies)]
        fired, seen = loihi.LoihiSpikeMonitor(group), loihi.LoihiStateMonitor(group, "v")
        parts += [fired, seen]
        groups.append((fired, seen, neurons))
        source, size, shape = group, neurons, tuple(arrays[f"shape{k}"])
    network = loihi.LoihiNetwork(*parts)
    network.run(total)
    out = {}
    for k, (fired, seen, neurons) in enumerate(groups):
        at = np.zeros((total, copies * neurons), np.int32)
        at[np.round(np.asarray(fired.t)).astype(int), np.asarray(fired.i)] = 1
        v = np.asarray(seen.v).T
        if not np.array_equal(v, np.round(v)):
            raise SystemExit("a membrane is no integer")
        for key, values in (("s", at), ("v", v)):
            own = values[k : k + steps].reshape(steps, copies, *arrays[f"shape{k}"]).swapaxes(0, 1)
            out[f"{key}{k}"] = own.astype(np.int32)
    return out


def main(source, sink):
    """Run all samples, some at a time."""
    with np.load(source) as archive:
        arrays = dict(archive)
    x = arrays.pop("x")
    done = [run(arrays, x[n : n + SIDE_BY_SIDE]) for n in range(0, len(x), SIDE_BY_SIDE)]
    np.savez(sink, **{name: np.concatenate([part[name] for part in done]) for name in done[0]})


if __name__ == "__main__":
    main(*sys.argv[1:3])
