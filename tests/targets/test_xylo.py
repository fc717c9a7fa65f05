"""Target xylo without its tools: what is refused and in which words, what its files say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from xylo_networks import dense, neurons

from lehr.errors import NotMappable
from lehr.machines import XYLO
from lehr.network import INPUT, Delay, Edge, Linear, Network, Neuron
from lehr.targets.conformance.xylo import INTEGRATOR, ONCE, maps, rails
from lehr.targets.xylo import Xylo
from lehr.targets.xylo.chip import Chip, placed
from lehr.update import Add, Fire, Leak, Program
from lehr.update_text import program_of_lines

TARGET = Xylo()


def sentences(net: Network) -> str:
    return ". ".join(map(str, TARGET.check(net)))


def with_node(
    net: Network, edges: tuple[Edge, ...] | None = None, **nodes: Linear | Neuron | Delay
) -> Network:
    return replace(net, nodes={**net.nodes, **nodes}, edges=edges or net.edges)


def chip_of(net: Network) -> Chip:
    chip = placed(net)
    assert isinstance(chip, Chip), chip
    return chip


# -------------------------------------------------------------------- what it refuses
def test_ten_digits_do_not_fit() -> None:
    net = dense(sizes=(16, 20, 10), thresholds=(4, 8))
    assert (
        sentences(net)
        == "n1: it has 10 neurons, the chip has 8 outputs; train with at most 8 classes"
    )


def test_sizes_that_the_chip_has_not_are_named_together() -> None:
    net = dense(sizes=(17, 1001, 9), thresholds=(4, 8))
    assert sentences(net).split(". ") == [
        "n0: the network has 17 inputs, the chip has 16; put channels of the input together",
        "n0: the layers before the last have 1,001 neurons, the chip has 1,000; use smaller layers",
        "n1: it has 9 neurons, the chip has 8 outputs; train with at most 8 classes",
    ]


def test_a_hidden_neuron_reaches_63_others_and_no_more() -> None:
    assert not sentences(dense(sizes=(16, 5, 63, 6)))
    sentence = "n0: one of its neurons reaches 64 hidden neurons, the chip has room for 63"
    assert (
        sentences(dense(sizes=(16, 5, 64, 6)))
        == f"{sentence}; use a smaller layer behind it, or weights that are 0"
    )


@pytest.mark.slow
def test_there_is_room_for_32_000_synapses_between_hidden_neurons() -> None:
    net = dense(sizes=(4, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 2), thresholds=(4,) * 11)
    assert 9 * 63 * 63 > 32_000
    assert (
        "n9: there are 35,721 synapses between hidden neurons, the chip has room for 32,000; use "
        "smaller layers, or weights" in sentences(net)
    )


def test_other_updates_are_refused_with_the_line_that_differs() -> None:
    net = dense()
    other = program_of_lines(
        ["leak i dash 0 dash_syn", "add i input 0", *map(str, lines(XYLO)[2:])], "v"
    )
    assert isinstance(net.nodes["n0"], Neuron)
    assert sentences(with_node(net, n0=replace(net.nodes["n0"], arithmetic=other))) == (
        "n0: line 1 of its update is 'leak i dash 0 dash_syn', which the machine does not compute "
        "there; train with machine 'xylo'"
    )


def lines(program: Program) -> list[str]:
    return str(program).removeprefix("Program(v: ").removesuffix(")").split("; ")


def test_a_bias_without_its_bound_is_not_the_chips() -> None:
    net = dense()
    text = lines(XYLO)
    at = text.index("add d bias 0")
    assert isinstance(net.nodes["n0"], Neuron)
    changed = replace(
        net.nodes["n0"], arithmetic=program_of_lines([*text[: at + 1], *text[at + 2 :]], "v")
    )
    assert "line 10 of its update is 'add v d 0'" in sentences(with_node(net, n0=changed))


def test_how_often_neurons_fire_is_the_populations() -> None:
    net, rng = dense(), np.random.default_rng(0)
    often = sentences(with_node(net, n2=neurons(rng, 6, 8, XYLO)))
    assert (
        often
        == "n2: it fires up to 31 times a step, an output of the chip fires 1 time; train its last layer with up to 1"
    )
    assert sentences(with_node(net, n1=neurons(rng, 12, 8, ONCE))) == (
        "n1: it fires up to 1 times a step, a hidden neuron of the chip up to 31 times; train it "
        "with up to 31"
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "threshold",
            32768,
            "its threshold is 32,768, the chip holds 1 to 32,767; use threshold within it",
        ),
        ("bias", 128, "its bias is 128, the chip holds -128 to 127; train with a higher threshold"),
        (
            "bias",
            -129,
            "its bias is -129, the chip holds -128 to 127; train with a higher threshold",
        ),
        ("dash_mem", 16, "its dash_mem is 16, the chip holds 0 to 15; use dash_mem within it"),
    ],
)
def test_numbers_that_its_memories_do_not_hold(name: str, value: int, sentence: str) -> None:
    net = dense()
    neuron = net.neurons["n0"]
    numbers = neuron.values[name].copy()
    numbers[-1] = value
    changed = (
        {name: numbers}
        if name in ("threshold", "bias")
        else {"parameters": {**neuron.parameters, name: numbers}}
    )
    assert sentences(with_node(net, n0=replace(neuron, **changed))) == f"n0: {sentence}"


def test_edges_that_the_chip_has_not() -> None:
    net = dense()
    back = with_node(
        net, (*net.edges, ("n2", "back"), ("back", "n0")), back=Linear(np.ones((20, 6), np.int8))
    )
    assert (
        sentences(back)
        == "n0: it hears n2, and outputs of the chip reach no neuron; leave that edge out"
    )
    past = with_node(
        net, (*net.edges, (INPUT, "past"), ("past", "n2")), past=Linear(np.ones((6, 16), np.int8))
    )
    assert (
        sentences(past)
        == "n2: it hears the input, which reaches hidden neurons alone; put a layer of neurons between them"
    )


def test_a_bias_of_a_layer_that_runs_late_would_act_too_early() -> None:
    net, rng = dense(), np.random.default_rng(0)
    late = with_node(net, n1=neurons(rng, 12, 8, biased=True))
    assert sentences(late) == (
        "n1: its biases would act 1 steps before its first input, as each hop takes a step; "
        "put a Delay of 1 step before each layer behind the first, or train it without biases"
    )
    edges = tuple(("slow", b) if a == "n0" else (a, b) for a, b in net.edges)
    assert not sentences(with_node(late, (("n0", "slow"), *edges), slow=Delay(1)))


def test_a_synapse_that_may_saturate_must_not_add_both_signs() -> None:
    """The chip saturates after every spike, so that the order counts; with one sign it does not."""
    net = rails()
    assert not sentences(net)
    node = net.nodes["fc_hidden"]
    assert isinstance(node, Linear)
    weight = node.weight.copy()
    weight[4, 0] *= -1
    assert re.search(
        r"hidden: its i reaches .*, and must stay within -32,768\.\.32,767; use fewer",
        sentences(with_node(net, fc_hidden=replace(node, weight=weight))),
    )


def test_a_membrane_of_the_least_value_decays_by_a_dash_of_0_into_the_wrong_direction() -> None:
    net = rails()
    neuron = net.neurons["hidden"]
    dashes = {"dash_mem": np.zeros(10, np.int32), "dash_syn": np.full(10, 15, np.int32)}
    changed = replace(neuron, parameters=dashes, bias=np.full(10, -9, np.int32))
    assert "hidden: its v reaches -" in sentences(with_node(net, hidden=changed))
    assert not sentences(
        with_node(
            net, hidden=replace(changed, parameters={**dashes, "dash_mem": np.ones(10, np.int32)})
        )
    )


def test_integrators_whose_membrane_could_come_to_the_highest_threshold_are_refused() -> None:
    weights = np.full((4, 20), 127, np.int8)
    silent = np.zeros(4, np.int32)
    net = dense(sizes=(16, 20, 4), thresholds=(4, 8))
    nodes = {**net.nodes, "fc1": Linear(weights, "int8"), "n1": Neuron(silent, silent, INTEGRATOR)}
    refusals = sentences(replace(net, nodes=nodes, readout="membrane_max_argmax_lowest"))
    assert refusals.startswith("n1: its v reaches ")
    assert "must stay within -32,767..32,766" in refusals


def test_weights_that_need_more_than_8_bits_and_a_shift_are_refused() -> None:
    net = dense()
    wide = Program(
        tuple(
            replace(s, shift=8) if isinstance(s, Add) and s.source == "input" else s
            for s in XYLO.statements
        )
    )
    odd = replace(net.neurons["n1"], arithmetic=wide)
    extra = with_node(
        net,
        (*net.edges, ("n0", "own"), ("own", "n0")),
        n1=odd,
        own=Linear(np.ones((20, 20), np.int8)),
    )
    assert (
        "n0: the weights between hidden neurons reach -256, 8 bits with one shift of up to 7 for "
        "all of them do not hold them" in sentences(extra)
    )


def test_what_is_in_fields_is_refused() -> None:
    from lehr.targets.conformance.networks import small_network

    net, _ = small_network()
    assert (
        "lif1: its update is in fields, none of which are Xylo's two states and dash decays; train "
        "with machine 'xylo'" in sentences(net)
    )
    with pytest.raises(NotMappable, match="the network does not map to xylo: "):
        TARGET.plan(net, {})


# -------------------------------------------------------------------- what it writes
def test_layers_are_blocks_one_hop_late_each() -> None:
    chip = chip_of(dense())
    assert [(layer.name, layer.first, layer.size, layer.lag) for layer in chip.layers] == [
        ("n0", 0, 20, 0),
        ("n1", 20, 12, 1),
        ("n2", 0, 6, 2),
    ]
    assert chip.recurrent.values.shape == (32, 32)
    assert (
        np.abs(chip.recurrent.values[:20, 20:]).sum()
        == 20 * 12
        == np.abs(chip.recurrent.values).sum()
    )


def test_delays_bring_all_layers_to_one_step() -> None:
    assert [layer.lag for layer in chip_of(maps()).layers] == [0, 0, 0, 0]


def test_common_places_of_weights_are_the_shift() -> None:
    chip = chip_of(rails())
    assert (chip.into.shift, chip.recurrent.shift, chip.out.shift) == (7, 0, 0)
    assert np.abs(chip.into.values).max() <= 127


def test_the_files_hold_the_numbers_of_the_network() -> None:
    net = dense()
    plan = TARGET.plan(net, {})
    configuration = json.loads(plan.files["configuration.json"])["value0"]
    weights = np.array(configuration["input"]["weights"]["values"]).reshape(16, 32)
    first = net.nodes["fc0"]
    assert isinstance(first, Linear)
    assert np.array_equal(weights[:, :20], first.weight.T)
    assert not weights[:, 20:].any()
    assert [neuron["threshold"] for neuron in configuration["readout"]["neurons"]] == net.neurons[
        "n2"
    ].threshold.tolist()
    assert [
        neuron["v_mem_bias"] for neuron in configuration["reservoir"]["neurons"][:20]
    ] == net.neurons["n0"].bias.tolist()
    assert configuration["bias_enable"]
    text = plan.files["README.md"].decode()
    for sentence in (
        "| n1 | 12 | 1 |",
        "2 layers are blocks of one hidden population",
        "A hop between neurons takes a step",
        "give 2 more steps",
    ):
        assert sentence in text
    thresholds = plan.files["ram/nthram.ini"].decode().split()
    assert [int(line, 16) for line in thresholds] == [
        t for neuron in net.neurons.values() for t in neuron.threshold.tolist()
    ]


def test_the_estimate_quotes_the_benchmark_and_derives_no_energy() -> None:
    net = dense()
    figures = {
        figure.name: figure
        for figure in TARGET.estimate(net, {"n0": 0.5, "n1": 1.5, "n2": 0.1, "input": 0.4}).figures
    }
    assert figures["synaptic operations"].value == pytest.approx(
        0.4 * 16 * 20 + 0.5 * 20 * 12 + 1.5 * 12 * 6
    )
    limited = {name: f"{f.value} {f.unit}" for name, f in figures.items() if " of " in f" {f.unit}"}
    assert limited["inputs"] == "16 of 16"
    assert limited["hidden neurons"] == "32 of 1,000"
    assert limited["outputs"] == "6 of 8"
    assert figures["energy of the published benchmark"].value == 6.6
    assert "nothing follows for this one" in figures["energy of the published benchmark"].source


def test_forms_of_the_update_are_its_own() -> None:
    assert {type(s) for s in (*XYLO.statements, *ONCE.statements)} == TARGET.statements
    assert [s.up_to for s in ONCE.statements if isinstance(s, Fire)] == [1]
    assert all(isinstance(s.decay.shift, int) for s in INTEGRATOR.statements if isinstance(s, Leak))


def test_scripts_import_nothing_of_lehr() -> None:
    folder = Path(__file__).parents[2] / "targets" / "xylo" / "scripts"
    for script in folder.glob("*.py"):
        assert "lehr." not in re.sub(r'""".*?"""', "", script.read_text("utf-8"), flags=re.DOTALL)
