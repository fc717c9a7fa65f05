"""Files for other tools' importers: equal where they say so, by double precision and by snnTorch; what they leave out is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np
import pytest
from float_graphs import Floats, euler, read_bytes, subtracting
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch.import_nir import import_from_nir
from states import grown_networks
from strategies import Builder, Images, alive, random_input

from lehr import nirfile
from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused, NotMappable, UsageError
from lehr.export.readers import READERS, ReaderFile, for_reader
from lehr.network import INPUT, OUTPUT, Conv2d, Delay, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.simulate import simulate

COUNTING = Arithmetic(reset="zero", reset_timing="same_step")
HALVING = Arithmetic(decay_numerator=1, decay_shift=1, fraction_bits=8, reset="zero", reset_timing="next_step", fires="ge")
"""Eight steps take no more than the eight bits below the point, so that no leak has anything to round."""
AT_ONCE = Arithmetic(reset_timing="same_step", fires="ge")
SYNAPSE = Synapse(decay_numerator=1, decay_shift=1, bias_to="synapse")


def flat(how: Arithmetic, synapse: Synapse | None = None, seed: int = 0) -> tuple[Network, Images]:
    """Two layers of whole biases in which spikes flow, and samples step by step."""
    net = Builder(Input((12,), "spikes"), np.random.default_rng(seed), ("int4",))
    for name, size in (("hidden", 9), ("out", 5)):
        net.linear(f"fc_{name}", size)
        net.neuron(name, how, synapse)
    return whole_biases(net.network(steps=8))


def spatial(how: Arithmetic) -> tuple[Network, Images]:
    """Convolutions, one of them in groups, and poolings of currents and of spikes."""
    net = Builder(Input((2, 9, 8), "u8"), np.random.default_rng(1), ("ternary",))
    net.conv("conv1", 4, padding=(1, 0), groups=2)
    net.neuron("lif1", how)
    net.add("pool1", SumPool2d((2, 2), (2, 2)))
    net.conv("conv2", 3, (2, 2))
    net.add("pool2", SumPool2d((2, 2), (1, 1), (1, 1)))
    net.neuron("lif2", how)
    net.linear("fc", 5)
    net.neuron("out", how)
    return whole_biases(net.network(steps=8))


def whole_biases(net: Network) -> tuple[Network, Images]:
    """The network with biases that have nothing below the point."""
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        nodes[name] = replace(neuron, bias=neuron.bias >> neuron.arithmetic.fraction_bits << neuron.arithmetic.fraction_bits)
    made = replace(net, nodes=nodes)
    x = random_input(made, np.random.default_rng(2))
    assert alive(simulate(made, x))
    return made, x


def once_a_step(how: Arithmetic) -> tuple[Network, Images]:
    """A chain whose thresholds are what can come in a step at most."""
    rng = np.random.default_rng(3)
    nodes: dict[str, Any] = {}
    path = [INPUT]
    for name, inputs, outputs in (("hidden", 20, 12), ("out", 12, 4)):
        weight = rng.choice(np.array([-1, 1], np.int8), (outputs, inputs), p=[0.3, 0.7])
        theta = np.full(outputs, (weight > 0).sum(axis=1).max(), np.int32)
        nodes |= {f"fc_{name}": Linear(weight), name: Neuron(theta, np.zeros_like(theta), how)}
        path += [f"fc_{name}", name]
    net = Network(nodes, tuple(zip(path, [*path[1:], OUTPUT], strict=True)), Input((20,), "spikes"), 30)
    x = random_input(net, rng)
    assert alive(simulate(net, x))
    return net, x


def exact_spikes(net: Network, x: Images, name: str) -> Floats:
    """The integer network's, `[N, T, *shape]`."""
    return simulate(net, x, trace=net.neurons).trace.spikes[name].astype(np.float64)


def assert_equal_by_euler(net: Network, made: ReaderFile, x: Images) -> None:
    graph = read_bytes(made.to_bytes())
    steps = x if x.ndim == len(net.input.shape) + 2 else np.repeat(x[:, None], net.steps, axis=1)
    floats = [euler(graph, sample, READERS[made.title].dt) for sample in steps]
    for name, neuron in net.neurons.items():
        if not neuron.integrates:
            np.testing.assert_array_equal(np.stack([each[name] for each in floats]), exact_spikes(net, x, name), err_msg=name)


# -------------------------------------------------------------------- equal where it says so
NETWORKS = {
    "counting": flat(COUNTING),
    "halving": flat(HALVING),
    "synapse": flat(HALVING, SYNAPSE),
    "maps": spatial(COUNTING),
    "halving maps": spatial(HALVING),
}


@pytest.mark.parametrize("title", ["nir", "norse", "snntorch", "spikingjelly"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_leaves_nothing_out_is_equal_in_double_precision(name: str, title: str) -> None:
    net, x = NETWORKS[name]
    made = for_reader(net, title)
    assert made.notes == ()
    assert made.proven
    assert_equal_by_euler(net, made, x)


_COUNTS = {"decay_form": "multiply", "decay_numerator": 1, "decay_shift": 0, "state_bits": 32}


@settings(max_examples=15)
@given(st.one_of(grown_networks(reset="zero", **_COUNTS), grown_networks(reset="zero", overflow="saturate", state_bits=32)))
def test_whatever_is_called_proven_is_equal(net: Network) -> None:
    x = random_input(net, np.random.default_rng(0), samples=2)
    for title in ("nir", "spikingjelly"):
        try:
            made = for_reader(net, title)
        except NotMappable:
            assert title != "nir"
            continue
        if made.proven:
            assert_equal_by_euler(net, made, x)


def test_that_is_no_empty_promise() -> None:
    shapes = {len(net.input.shape) for net, _ in NETWORKS.values()}
    assert shapes == {1, 3}
    assert for_reader(flat(replace(HALVING, fraction_bits=6))[0], "nir").notes == (
        "hidden, out: the leak of its membrane, 1/2, is rounded to an integer in every step; a float is not",
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_snntorch_imports_the_file_and_has_every_spike(name: str) -> None:
    net, x = NETWORKS[name]

    def imported(made: ReaderFile) -> Floats:
        return np.stack([_snntorch(read_bytes(made.to_bytes()), sample) for sample in x])

    right = exact_spikes(net, x, "out")
    np.testing.assert_array_equal(imported(for_reader(net, "snntorch")), right)
    nearly = _lowered(net, x)
    assert_equal_by_euler(nearly, for_reader(nearly, "snntorch"), x)
    with pytest.raises(AssertionError):
        assert_equal_by_euler(net, for_reader(nearly, "snntorch"), x)


def _snntorch(graph: Any, x: Images) -> Floats:
    """Every step of one sample through snnTorch's importer, in its float32."""
    import torch

    module, state, out = import_from_nir(graph), None, []
    for now in x.astype(np.float32):
        spikes, state = module(torch.from_numpy(now), state)
        spikes = spikes[0] if isinstance(spikes, tuple) else spikes
        out.append(spikes.detach().double().numpy())
    return np.stack(out)


def _lowered(net: Network, x: Images) -> Network:
    """With one threshold of the first layer lowered so far that the highest of its membranes without a spike has one."""
    name, neuron = next(iter(net.neurons.items()))
    trace = simulate(net, x, trace=[name]).trace
    silent = np.where(trace.spikes[name][:, :, 0] == 0, trace.membranes[name][:, :, 0], 0).max()
    threshold = neuron.threshold.copy()
    threshold[0] = silent - (neuron.arithmetic.fires == "gt")
    assert 0 < threshold[0] < neuron.threshold[0]
    return replace(net, nodes={**net.nodes, name: replace(neuron, threshold=threshold)})


@pytest.mark.parametrize("title", ["sinabs", "rockpool"])
def test_importers_that_subtract_have_every_spike_where_a_neuron_fires_once(title: str) -> None:
    for how in (AT_ONCE, replace(AT_ONCE, reset_timing="next_step")):
        net, x = once_a_step(how)
        made = for_reader(net, title)
        assert made.notes == ()
        graph = read_bytes(made.to_bytes())
        for sample, right in zip(x, exact_spikes(net, x, "out"), strict=True):
            first = title == "rockpool"
            dt = float((graph.nodes["out"].tau_mem / (1 + graph.nodes["out"].r)).min()) if first else 1.0
            np.testing.assert_array_equal(subtracting(graph, sample, dt, drives_first=first)["out"], right)


# -------------------------------------------------------------------- what is in the file
def test_the_file_holds_what_importers_take_for_granted() -> None:
    net, _ = spatial(HALVING)
    for title, reader in READERS.items():
        if title in ("rockpool", "sc-neurocore", "sinabs"):
            continue
        made = for_reader(net, title)
        assert made.to_bytes() == for_reader(net, title).to_bytes()
        graph = read_bytes(made.to_bytes())
        assert graph.metadata["dt"] == reader.dt
        assert graph.metadata["origin"]["network"] == net.digest
        for name, fields in made.tree["nodes"].items():
            assert fields.keys().isdisjoint({"metadata", "v_reset"}), name  # nir 1.0.4 knows neither
            node = graph.nodes[name]
            assert not isinstance(node, nir.Linear)
            if isinstance(node, (nir.Affine, nir.Conv2d)):
                assert node.weight.dtype == node.bias.dtype == np.float32
            if isinstance(node, nir.Conv2d):
                assert node.groups == 1
            if isinstance(node, nir.LIF):
                assert (node.v_threshold == 1).all() and not node.v_leak.any() and not node.v_reset.any()
                assert len(np.unique(node.tau)) == 1
                np.testing.assert_allclose(node.r, 1 if title == "norse" else node.tau / reader.dt, rtol=1e-12)
        assert isinstance(graph.nodes["pool2"], nir.Conv2d)  # before neurons, it carries their scale and bias
        assert isinstance(graph.nodes["pool1"], nir.SumPool2d) == (title in ("nir", "norse"))


def test_a_threshold_stands_between_two_integers_by_a_float_of_few_bits() -> None:
    theta = np.unique(np.concatenate([np.arange(1, 3000), 2 ** np.arange(1, 16), np.random.default_rng(0).integers(1, 2**15, 500)]))
    for fires in ("gt", "ge"):
        how = replace(COUNTING, fires=fires)  # type: ignore[arg-type]  # one of the two
        weight = np.full((len(theta), 1), 127, np.int8)
        nodes = {"fc": Linear(weight, "int8"), "out": Neuron(theta.astype(np.int32), np.zeros(len(theta), np.int32), how)}
        net = Network(nodes, ((INPUT, "fc"), ("fc", "out"), ("out", OUTPUT)), Input((1,), "spikes"), 5)
        made = for_reader(net, "nir")
        assert made.notes == ()  # 127 times the scale is a float32, too
        scale = np.asarray(made.tree["nodes"]["fc"]["weight"], np.float64)[:, 0] / 127
        lower = theta if fires == "gt" else theta - 1
        assert (scale * lower < 1).all() and (scale * (lower + 1) > 1).all()
        assert (np.abs(1 / scale - (lower + 0.5)) <= 0.25 * (1 + 1e-9)).all()


def test_numbers_that_float32_cannot_hold_are_counted() -> None:
    net, _ = flat(COUNTING)
    out = replace(net.neurons["out"], threshold=np.full(5, 1_044_481, np.int32))
    assert for_reader(replace(net, nodes={**net.nodes, "out": out}), "nir").notes == ()
    wide = Linear(np.full((5, 9), 127, np.int8), "int8")
    made = for_reader(replace(net, nodes={**net.nodes, "out": out, "fc_out": wide}), "nir")
    assert made.notes == ("fc_out: 45 of its numbers are rounded to float32",)
    assert not made.proven


def test_neurons_without_weights_of_their_own_get_some() -> None:
    rng = np.random.default_rng(5)

    def counting(channels: int, theta: int, bias: int = 0) -> Neuron:
        return Neuron(np.full(channels, theta, np.int32), np.full(channels, bias, np.int32), COUNTING)

    conv, fc = Conv2d(rng.choice(np.array([-1, 1], np.int8), (3, 1, 3, 3))), Linear(rng.choice(np.array([-1, 1], np.int8), (4, 36)))
    nodes: dict[str, Any] = {"a": counting(1, 1, 1), "conv": conv, "wait": Delay(2), "b": counting(3, 3), "pool": SumPool2d((2, 2), (1, 1))}
    nodes |= {"c": counting(3, 2, 1), "flat": Flatten(), "d": counting(27, 2), "fc": Linear(fc.weight[:, :27]), "e": counting(4, 3)}
    path = [INPUT, *nodes, OUTPUT]
    edges = [*zip(path, path[1:], strict=False), ("d", "d_again"), ("d_again", "d"), ("b", "shared"), ("shared", "b"), ("shared", "twin")]
    nodes |= {"d_again": Linear(np.eye(27, dtype=np.int8), "ternary"), "shared": Conv2d(conv.weight[:, [0, 0, 0]], padding=(1, 1))}
    nodes["twin"] = counting(3, 2)
    edges += [("twin", "c_in"), ("c_in", "c")]
    nodes["c_in"] = SumPool2d((2, 2), (1, 1))
    net = Network(nodes, tuple(edges), Input((1, 6, 6), "spikes"), 12)
    x = (rng.random((4, 12, 1, 6, 6)) < 0.4).astype(np.uint8)
    assert alive(simulate(net, x))
    made = for_reader(net, "nir")
    assert {name for name in made.tree["nodes"] if name.endswith("_scale")} == {"a_scale", "b_scale", "d_scale", "twin_scale"}
    assert made.notes == ()
    assert_equal_by_euler(net, made, x)


# -------------------------------------------------------------------- what it leaves out, and refuses
NOTES = [
    (AT_ONCE, "snntorch", "a spike takes the threshold off at once; in snntorch it sets the membrane to 0 at once"),
    (replace(AT_ONCE, reset_timing="next_step"), "norse", "takes the threshold off in the next step; in norse it sets the membrane to 0 at once"),
    (replace(COUNTING, reset="none"), "nir", "a spike leaves the membrane alone; in nir it sets the membrane to 0 at once"),
    (COUNTING, "sinabs", "a spike sets the membrane to 0; in sinabs it takes the threshold off at once"),
    (COUNTING, "rockpool", "fires above its threshold; in rockpool at it, too"),
    (AT_ONCE, "sinabs", "fires once in a step; in sinabs as often as the membrane holds the threshold"),
    (replace(COUNTING, update="event"), "nir", "tests its threshold after each event; nir tests it once a step"),
    (replace(COUNTING, state_bits=8, fraction_bits=3), "nir", "its membrane saturates at 8 bits; a float does not"),
    (replace(COUNTING, state_bits=8, fraction_bits=3, overflow="wrap"), "nir", "its membrane wraps round at 8 bits; a float does not"),
    (replace(COUNTING, decay_numerator=7, decay_shift=3), "nir", "the leak of its membrane, 7/8, is rounded to an integer in every step"),
]


@pytest.mark.parametrize(("how", "title", "note"), NOTES)
def test_what_is_left_out_is_said(how: Arithmetic, title: str, note: str) -> None:
    net = flat(COUNTING)[0]
    nodes = {name: replace(node, arithmetic=how) if isinstance(node, Neuron) else node for name, node in net.nodes.items()}
    made = for_reader(replace(net, nodes=nodes), title)
    assert not made.proven
    assert any(note in each and each.startswith("hidden") for each in made.notes), made.notes


def test_a_clipped_membrane_is_said() -> None:
    made = for_reader(spatial(AT_ONCE)[0], "sinabs")
    assert made.kinds == {"lif1": "IF", "lif2": "IF", "out": "LIF"}
    assert "lif1, lif2: sinabs keeps the membrane at minus the threshold or above" in made.notes


def test_sums_that_floats_cannot_tell_apart_are_said() -> None:
    net = flat(replace(COUNTING, fraction_bits=16))[0]
    lost = "floats lose sight of single integers"
    assert not any(lost in note for note in for_reader(net, "snntorch").notes)
    assert lost in for_reader(replace(net, steps=300), "snntorch").notes[0]


def test_what_an_importer_does_not_have_is_refused_at_once() -> None:
    net, _ = spatial(HALVING)
    with pytest.raises(NotMappable) as refused:
        for_reader(net, "sinabs")
    assert str(refused.value) == (
        "sinabs does not import lif1, LIF of feature maps; nor lif2, LIF of feature maps; write the file for another importer, or for 'nir'"
    )
    looped = flat(COUNTING)[0]
    looped = replace(looped, nodes={**looped.nodes, "again": Linear(np.ones((9, 9), np.int8))}, edges=(*looped.edges, ("hidden", "again"), ("again", "hidden")))
    with pytest.raises(NotMappable, match="snntorch does not import the feedback again -> hidden"):
        for_reader(looped, "snntorch")
    biased = flat(HALVING, replace(SYNAPSE, bias_to="membrane"))[0]
    with pytest.raises(NotMappable, match="snntorch does not import hidden, CubaLIF with a bias of its membrane; nor out"):
        for_reader(biased, "snntorch")
    assert for_reader(biased, "nir").proven
    with pytest.raises(NotMappable, match=r"rockpool does not import hidden, a decay of 0.25, not above 0.37"):
        for_reader(flat(replace(AT_ONCE, decay_numerator=1, decay_shift=2))[0], "rockpool")
    with pytest.raises(UsageError, match="--for is 'torch', no importer that lehr writes for; use one of nir, norse, rockpool, "):
        for_reader(net, "torch")


def test_it_is_never_taken_for_the_exact_file(tmp_path: Any) -> None:
    net, _ = flat(COUNTING)
    path = tmp_path / "reader.nir"
    path.write_bytes(for_reader(net, "norse").to_bytes())
    with pytest.raises(FileRefused) as refused:
        nirfile.read(path)
    assert str(refused.value) == (
        f"{path}: holds the float units of `lehr export --for norse`, not the integers; give the file that it was written from, of network"
        f" {net.digest[:16]}"
    )
