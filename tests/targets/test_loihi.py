"""Target loihi: what maps, what does not, and what is written."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
import pytest
from loihi_networks import ARITHMETIC, LOIHI, changed, dense, heard, maps, neuron

from lehr.arithmetic import Synapse
from lehr.network import OUTPUT, Input, Linear, Network


def opened(net: Network) -> Any:
    return h5py.File(io.BytesIO(LOIHI.plan(net, {}).files["network.net"]))


def problems(net: Network) -> list[str]:
    return [str(problem) for problem in LOIHI.check(net)]


# -------------------------------------------------------------------- what is written
def test_the_file_has_the_fields_that_netx_reads() -> None:
    net, _ = dense()
    with opened(net) as file:
        groups = [file[f"layer/{k}"] for k in range(len(file["layer"]))]
        assert [bytes(group["type"][()]) for group in groups] == [b"input", b"dense", b"dense"]
        hidden = groups[1]
        assert np.array_equal(hidden["weight"][()], 2 * net.weighted["fc1"].weight.astype(int))
        assert np.array_equal(64 * hidden["bias"][()], net.neurons["hidden"].bias)
        values = {name: value[()] for name, value in hidden["neuron"].items()}
        assert values == {
            "type": b"CUBA",
            "iDecay": 4096,
            "vDecay": 256,
            "vThMant": 6,
            "refDelay": 1,
        }


def test_a_convolution_and_the_sums_behind_it_are_one_convolution() -> None:
    net, _ = maps()
    with opened(net) as file:
        group = file["layer/2"]
        kernel = np.zeros((6, 2, 3, 2), int)
        kernel[:, :, ::2] = 2 * net.weighted["conv2"].weight
        summed = np.zeros((6, 2, 4, 3), int)
        for row in (0, 1):
            for column in (0, 1):
                summed[:, :, row : row + 3, column : column + 2] += kernel
        assert np.array_equal(group["weight"][()], summed)
        assert [list(group[name][()]) for name in ("stride", "padding", "dilation", "shape")] == [
            [2, 1],
            [0, 0],
            [1, 1],
            [6, 3, 1],
        ]
        assert bytes(file["layer/3/type"][()]) == b"flatten"


def test_two_states_are_two_decays() -> None:
    net, _ = dense(biased=False)
    with opened(
        changed(
            net,
            hidden=neuron(
                16, 6 * 64, 0, ARITHMETIC, Synapse(decay_numerator=3, decay_shift=2, state_bits=24)
            ),
        )
    ) as file:
        assert int(file["layer/1/neuron/iDecay"][()]) == 1024
        assert int(file["layer/2/neuron/iDecay"][()]) == 4096


def test_the_readme_tells_how_to_run_it_and_what_is_written_otherwise() -> None:
    net, _ = maps()
    text = LOIHI.plan(net, {}).files["README.md"].decode()
    assert 'netx.hdf5.Network(net_config="network.net", reset_interval=16, reset_offset=1)' in text
    assert (
        "source = Source(data=spikes)                    # 7 x 8 x 2 (width, height, channels) x "
        "steps, 0 and 1" in text
    )
    assert (
        "- `lif2`: its convolution and the sums over windows behind it are one convolution with a "
        "larger kernel and stride" in text
    )
    assert "- `out`: 7 fraction bits are the chip's 6, and weights times 2" in text
    assert "- `lif1`: the threshold 192 is vThMant 3, 64 times as much on the chip" in text
    assert "- `lif1`: biases are divided by 64, by which the chip multiplies them" in text
    heard = LOIHI.plan(dense(recurrent=True, biased=False)[0], {}).files["README.md"].decode()
    assert (
        "`hidden` hears itself, for which lava-dl 0.6.0 reads the layer (`dense_rec`) but has no "
        "model" in heard
    )


# -------------------------------------------------------------------- what does not map
REFUSED: dict[str, tuple[Callable[[Network], Network], str]] = {
    "pixels": (
        lambda net: replace(net, input=Input((24,), "u8")),
        "hidden: pixels come to it, the chip's input is spikes; encode the input as spikes, as "
        "recipes do with 'rate'",
    ),
    "thresholds by channel": (
        lambda net: changed(
            net,
            out=replace(net.neurons["out"], threshold=np.array([64, 64, 64, 64, 128], np.int32)),
        ),
        "out: its threshold differs from neuron to neuron, the machine has one a layer; use one "
        "for the layer",
    ),
    "a fine threshold": (
        lambda net: changed(net, out=neuron(5, 100)),
        "out: its threshold is 100, the chip has multiples of 64 up to 8,388,544; use such a "
        "threshold",
    ),
    "a fine bias": (
        lambda net: changed(net, out=neuron(5, 64, 32)),
        "out: a bias is 32, the chip has multiples of 64 from -262,144 to 262,080; use such "
        "biases, or none",
    ),
    "few fraction bits": (
        lambda net: changed(net, out=neuron(5, 64, 0, replace(ARITHMETIC, fraction_bits=5))),
        "out: its sums are shifted by 5 bits, the chip shifts by 6 and its weights by up to 7 "
        "more; use 6 to 13 fraction bits",
    ),
    "a fine decay": (
        lambda net: changed(
            net, out=neuron(5, 64, 0, replace(ARITHMETIC, decay_numerator=8191, decay_shift=13))
        ),
        "out: a decay by 8191/2^13 is none of 1/2^12 to 4096/2^12, which the chip has; use such a "
        "decay",
    ),
    "no memory": (
        lambda net: changed(net, out=neuron(5, 64, 0, replace(ARITHMETIC, decay_numerator=0))),
        "out: a decay by 0/2^4 is none of 1/2^12 to 4096/2^12, which the chip has; use such a "
        "decay",
    ),
    "another reset": (
        lambda net: changed(net, out=neuron(5, 64, 0, replace(ARITHMETIC, reset="subtract"))),
        "out: reset is 'subtract', the machine has 'zero'; train with reset = 'zero'",
    ),
    "narrow membranes": (
        lambda net: changed(net, out=neuron(5, 64, 0, replace(ARITHMETIC, state_bits=10))),
        "out: its v reaches -1,632..1,468, partial sums included, and must stay within -512..511; "
        "use fewer fraction bits,"
        " a smaller fan-in, or a decay that is shorter",
    ),
    "large weights": (
        lambda net: changed(
            net,
            fc2=Linear(np.arange(80, dtype=np.int8).reshape(5, 16) - 1, "int8"),
            out=neuron(5, 64, 0, replace(ARITHMETIC, fraction_bits=8)),
        ),
        "out: its weights are -4..312 in units of the chip, whose signed weights are even, or at "
        "most 127; use fewer fraction bits or"
        " smaller weights",
    ),
    "weights of one sign": (
        lambda net: changed(net, fc2=Linear(-np.ones((5, 16), np.int8))),
        "out: none of its weights from one source is positive, which Lava's dense synapses do not "
        "hold exactly; leave it out, as it never"
        " fires, or train further",
    ),
    "feedback": (
        lambda net: heard(net, "out", "hidden"),
        "hidden: spikes of out come to it, but netx connects a layer to the one before it, input, "
        "and to itself alone; leave that edge out",
    ),
    "biases before recurrence": (
        lambda net: heard(net, "out", "out"),
        "hidden: it has positive biases, which the chip adds from the start, and out could hear "
        "itself fire before its first step; use none"
        " there, or a network without recurrence",
    ),
    "a layer behind the output": (
        lambda net: replace(
            net, edges=(*(e for e in net.edges if e[1] != OUTPUT), ("hidden", OUTPUT))
        ),
        "out: it stands behind hidden, which is read out; netx gives out its last layer; leave it "
        "out",
    ),
    "too many neurons": (
        lambda net: changed(
            net, fc2=Linear(np.ones((131_072, 16), np.int8)), out=neuron(131_072, 64)
        ),
        "out: it has 131,072 of 131,088 neurons, a chip has 131,072; use fewer channels or a "
        "larger stride",
    ),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_map_is_named_with_the_way_out(name: str) -> None:
    net, _ = dense()
    assert not problems(net)
    other, reason = REFUSED[name]
    assert reason in problems(other(net))
