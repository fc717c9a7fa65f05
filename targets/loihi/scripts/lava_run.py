"""Run a netx network in Lava's bit-accurate processes.

    python lava_run.py in.npz out.npz network.net

In: `x` [N, T, *shape], 0 and 1. Out: `s0`, `v0`, `s1`, ... spikes and membranes of each layer at
its own steps, [N, T, *shape].
"""

import os
import sys
import types

import numpy as np

TORCH_ONLY = (
    "lava.lib.dl.netx.sequential_modules",
    "lava.lib.dl.slayer",
    "lava.lib.dl.slayer.neuron",
    "lava.lib.dl.slayer.neuron.rf",
    "lava.lib.dl.slayer.neuron.sdn",
)
# netx imports them for resonators and sigma-delta neurons alone; they need torch, which is missing
for name in TORCH_ONLY:
    stub = types.ModuleType(name)
    stub.neuron_params = None
    stub.__path__ = []
    stub.__file__ = (
        f"{os.devnull}/none.py"  # Lava looks for models in the folder of every module of a package
    )
    sys.modules[name] = stub

from lava.lib.dl.netx.blocks.models import AbstractPyBlockModel  # noqa: E402
from lava.lib.dl.netx.blocks.process import RecurrentDense  # noqa: E402
from lava.lib.dl.netx.hdf5 import Network  # noqa: E402
from lava.magma.core.decorator import implements  # noqa: E402
from lava.magma.core.run_conditions import RunSteps  # noqa: E402
from lava.magma.core.run_configs import Loihi2SimCfg  # noqa: E402
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol  # noqa: E402
from lava.proc.io.source import RingBuffer  # noqa: E402
from lava.proc.monitor.process import Monitor  # noqa: E402


@implements(proc=RecurrentDense, protocol=LoihiProtocol)
class PyRecurrentDenseModel(AbstractPyBlockModel):
    """Model that netx lacks for its own block.

    As those of its other blocks, it is nothing but the processes inside.
    """


sys.modules[
    RecurrentDense.__module__
].PyRecurrentDenseModel = PyRecurrentDenseModel  # where Lava looks for it


def channels_last(values):
    """Return maps `[..., C, H, W]` as Lava has them, `[..., W, H, C]`, and back.

    Vectors stay as they are.
    """
    return values.swapaxes(-1, -3) if values.ndim > 2 else values


def main(source, sink, path):
    """Run all samples in one process, one after the other."""
    x = np.load(source)["x"]
    samples, steps = x.shape[:2]
    probe = Network(net_config=path)
    layers, hears_itself = (
        len(probe.layers),
        any(isinstance(layer, RecurrentDense) for layer in probe.layers),
    )
    # Layer k works on step t of the network in the chip's step t + k + 1; LIFReset clears it when
    # its first step of a sample comes. Spikes between layers are then of the same sample, but those
    # that a layer sends itself are not: a pause is needed to clear them.
    interval = steps + (layers if hears_itself else 0)
    total = samples * interval + (0 if hears_itself else layers)
    net = Network(net_config=path, reset_interval=interval, reset_offset=1)
    late = np.zeros((total, *x.shape[2:]), np.int32)
    for n in range(samples):
        late[n * interval : n * interval + steps] = x[n]
    entering = channels_last(late) if len(net.inp.shape) == 3 else late.reshape(total, -1)
    ring = RingBuffer(data=np.moveaxis(entering, 0, -1))
    ring.s_out.connect(net.inp)
    spikes, membranes = ([Monitor() for _ in net.layers] for _ in range(2))
    for layer, s, v in zip(net.layers, spikes, membranes, strict=True):
        s.probe(layer.neuron.s_out, total)
        v.probe(layer.neuron.v, total)
    config = Loihi2SimCfg(select_tag="fixed_pt")
    if not hears_itself:
        ring.run(condition=RunSteps(total), run_cfg=config)
    for _ in range(samples if hears_itself else 0):
        ring.run(condition=RunSteps(interval), run_cfg=config)
        for layer in net.layers:
            synapses = [
                layer.synapse,
                *([layer.synapse_rec] if hasattr(layer, "synapse_rec") else []),
            ]
            for state in (
                layer.neuron.u,
                layer.neuron.v,
                *(getattr(s, "a_buff", None) or s.a_buf for s in synapses),
            ):
                state.set(np.zeros(state.shape, np.int32))
    out = {}
    for k, layer in enumerate(net.layers):
        for key, monitor, what in (("s", spikes[k], "s_out"), ("v", membranes[k], "v")):
            seen = channels_last(monitor.get_data()[layer.neuron.name][what])
            assert np.array_equal(seen, seen.astype(np.int32))
            at = np.arange(samples)[:, None] * interval + np.arange(steps) + k + 1
            out[f"{key}{k}"] = seen.astype(np.int32)[np.minimum(at, total - 1)]
            if at.max() >= total:
                raise SystemExit("a step is missing")
    ring.stop()
    np.savez(sink, **out)


if __name__ == "__main__":
    main(*sys.argv[1:4])
