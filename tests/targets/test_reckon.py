"""Target reckon writes what the machine's document asks for, and refuses by name what has no room.

No tool is needed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from reckon_networks import (
    FIRES,
    INTEGRATES,
    LAST,
    LEAK,
    alive,
    chain,
    convolutional,
    recurrent,
    samples,
)

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.machines import RECKON
from lehr.network import INPUT, Delay, Input, Linear, Network, Neuron
from lehr.targets.build import build
from lehr.targets.reckon import Reckon
from lehr.targets.reckon.host import DUMPED, misheld
from lehr.targets.reckon.runner import UPSTREAM, ReckonRunner
from lehr.targets.reckon.words import Contents

TARGET = Reckon()


def refused(net: Network) -> list[str]:
    return [str(problem) for problem in TARGET.check(net)]


def with_neurons(net: Network, name: str, **changes: object) -> Network:
    return replace(net, nodes={**net.nodes, name: replace(net.neurons[name], **changes)})  # type: ignore[arg-type]


# -------------------------------------------------------------------- the artefact, read by hand
def sent(
    files: dict[str, bytes],
) -> tuple[dict[int, int], dict[int, np.ndarray[tuple[int], np.dtype[np.uint8]]]]:
    """Return registers, and the bytes of the four memories.

    Section 2.1 of the machine's document says where they are.
    """
    words = [int(line, 16) for line in files["spi.hex"].split()]
    registers: dict[int, int] = {}
    memories = {
        code: np.zeros(4 * size, np.uint8)
        for code, size in ((1, 512), (3, 16384), (4, 16384), (5, 1024))
    }
    while words:
        first = words.pop(0)
        code, count, address = first >> 28, (first >> 16) & 0xFFF, first & 0xFFFF
        for number in range(count):
            word = words.pop(0)
            if code:
                memories[code][4 * (address + number) : 4 * (address + number) + 4] = list(
                    word.to_bytes(4, "little")
                )
            else:
                registers[address] = word
    return registers, memories


def test_memories_hold_the_network() -> None:
    """Read every weight, threshold, decay and bias of two layers again at its place."""
    net = chain(14, 9, 5)
    files = dict(TARGET.plan(net, {}).files)
    registers, memories = sent(files)
    contents = json.loads(files["map.json"])
    hidden, out = (np.array(layer["places"]) for layer in contents["layers"])
    w_in = memories[3].view(np.int8).reshape(256, 256).astype(int) << registers[12]
    w_rec = memories[4].view(np.int8).reshape(256, 256).astype(int) << registers[13]
    w_out = memories[5].view(np.int8).reshape(256, 16).astype(int) << registers[14]
    fc1, fc2 = net.weighted.values()
    assert np.array_equal(w_in[:14, hidden], fc1.weight.T.astype(int) * 8)
    assert not w_in[:14, out].any()
    assert np.array_equal(w_rec[np.ix_(hidden, out)], fc2.weight.T.astype(int) * 8)
    assert not w_rec[np.ix_(hidden, hidden)].any()
    assert np.array_equal(w_out[out], np.pad(np.eye(5, dtype=int), ((0, 0), (0, 11))))
    lines = {start: np.zeros(256, int) for start in (0, 1)}
    for line in contents["lines_for_biases"]:
        lines[line["from_step"]] += w_in[line["address"]]
    assert lines[0][hidden].tolist() == net.neurons["layer1"].bias.tolist()
    assert lines[1][out].tolist() == net.neurons["layer2"].bias.tolist()
    assert not lines[0][out].any()
    pairs = [
        int.from_bytes(bytes(memories[1][16 * place : 16 * place + 16]), "little")
        for place in range(128)
    ]
    for places, layer in ((hidden, "layer1"), (out, "layer2")):
        assert [(pairs[place // 2] >> 100) & 0xFFFF for place in places] == net.neurons[
            layer
        ].threshold.tolist()
        assert {pairs[place // 2] >> 116 for place in places} == {0x7800 & 0xFFF}
    assert (
        registers[0],
        registers[8],
        registers[9],
        registers[69],
        registers[94],
        registers[96],
    ) == (0, 0, 0, 0x80, 15, 4)
    assert registers[95] == contents["places"] - 1 == max(*hidden, *out) | 1


def test_neurons_of_one_threshold_stand_in_pairs() -> None:
    """Nine of three thresholds in two layers: each that is left over costs a place."""
    net = chain(14, 9, 5)
    contents = json.loads(TARGET.plan(net, {}).files["map.json"])
    thresholds = np.concatenate([neuron.threshold for neuron in net.neurons.values()])
    counts = np.unique(thresholds, return_counts=True)[1]
    assert (counts % 2).any()
    assert contents["places"] == int((counts + counts % 2).sum())
    places = [place for layer in contents["layers"] for place in layer["places"]]
    assert len(set(places)) == 14


def test_integrators_are_output_neurons_and_their_biases_come_by_neurons_between() -> None:
    net = recurrent()
    files = dict(TARGET.plan(net, {}).files)
    registers, memories = sent(files)
    contents = json.loads(files["map.json"])
    w_out = memories[5].view(np.int8).reshape(256, 16).astype(int) << registers[14]
    assert contents["layers"][1] == {
        "layer": "layer2",
        "shape": [4],
        "late": 1,
        "output_neurons": 4,
    }
    assert w_out[contents["relays"]].sum(0)[:4].tolist() == net.neurons["layer2"].bias.tolist()
    assert registers[69] == 0x60
    assert "write 0x80 to register 69" in files["README.md"].decode()


def test_the_readme_lists_the_transformations() -> None:
    zero = replace(FIRES, fires="gt", reset="zero")
    text = TARGET.plan(chain(14, 9, 5, arithmetic=zero), {}).files["README.md"].decode()
    assert "- Thresholds are one more than the network's" in text
    assert "- Biases are the weights of input lines" in text
    assert "- The layers are blocks of one recurrent matrix" in text
    assert "Convolution, pooling" in TARGET.plan(convolutional(), {}).files["README.md"].decode()
    assert (
        "- Neurons hear their own layer" in TARGET.plan(recurrent(), {}).files["README.md"].decode()
    )


def test_the_estimate_counts_what_the_machine_reads() -> None:
    net = chain(14, 9, 5, biases=0)
    figures = {
        figure.name: figure.value
        for figure in TARGET.estimate(net, {INPUT: 0.5, "layer1": 0.25, "layer2": 0.0}).figures
    }
    places = json.loads(TARGET.plan(net, {}).files["map.json"])["places"]
    assert figures["synaptic operations"] == 0.5 * 14 * 9 + 0.25 * 9 * 5
    assert figures["weights read"] == (7 + 2.25) * places
    assert figures["energy"] == pytest.approx(5.3e-12 * figures["weights read"])
    assert figures["places of neurons"] == places


# -------------------------------------------------------------------- what is refused
def test_sizes_are_refused_by_name() -> None:
    assert refused(chain(250, 8, 5, biases=0)) == []
    (lines,) = refused(chain(250, 8, 5, biases=900))
    assert (
        lines
        == "fc1: 250 input lines and 11 for biases are needed, the machine has 256; use fewer inputs, or smaller biases"
    )
    assert refused(chain(8, 254, 4, biases=0, spread=2)) == [
        "layer1: 258 places of neurons are needed, as two share threshold and decay, the machine "
        "has 256; use fewer neurons, or more that are alike"
    ]
    assert refused(chain(8, 8, 17)) == [
        "layer2: it has 17 neurons, the machine decides between 16 classes; use fewer classes"
    ]


def test_numbers_are_refused_by_name() -> None:
    net = chain(14, 9, 5)
    slow, reason = (
        replace(FIRES, decay_numerator=13),
        "what is left of its membranes after a step is not 0.875 to 1 in steps of 1/32768",
    )
    assert refused(with_neurons(net, "layer1", arithmetic=slow)) == [
        f"layer1: {reason}, as the machine has it; train with a beta of 7/8 to 1"
    ]
    coarse = replace(INTEGRATES, decay_numerator=1023, decay_shift=10)
    assert refused(chain(14, 9, 5, last=coarse)) == [
        "layer2: what is left of its membranes after a step is not 0 to 1 in steps of 1/128, as "
        "the machine has it; train with a beta of k/128"
    ]
    high = with_neurons(net, "layer2", threshold=np.full(5, 40_000, np.int32))
    assert refused(high) == [
        "layer2: it fires from 40,000 on, the machine at 32,767 or less; use fewer fraction bits"
    ]
    fine = chain(14, 9, 5, arithmetic=replace(FIRES, fraction_bits=8), biases=3)
    assert refused(fine) == [
        "layer1: its weights from input are -256..256 with fraction bits, the machine holds "
        "-128..127 times 1 there; "
        "use fewer fraction bits, or no biases: all numbers of a memory have one shift"
    ]
    assert refused(chain(14, 9, 5, arithmetic=replace(FIRES, fraction_bits=8), biases=0)) == []
    loud = chain(14, 9, 5, arithmetic=replace(FIRES, fraction_bits=10), biases=0)
    assert refused(loud)[0] == (
        "layer1: its v reaches -38,912..40,959, partial sums included, and must stay within "
        "-32,768..32,767; 9 of its neurons are given "
        "both signs, and may stop at an end of 16 bits on the way; use fewer fraction bits, a "
        "smaller fan-in, or a decay that is shorter"
    )


def test_kinds_are_refused_by_name() -> None:
    net = chain(14, 9, 5)
    pixels = replace(net, input=Input((14,), "u8"))
    assert (
        "fc1: the input is pixels, the machine takes an event a line and step; encode it as spikes"
        in refused(pixels)
    )
    assert refused(replace(net, readout=LAST)) == [
        "layer2: its membranes are read out and its neurons fire, the machine reads those of "
        "output neurons, which never fire; "
        "count its spikes, or let it never fire"
    ]
    assert refused(chain(14, 4, last=INTEGRATES)) == [
        "layer1: it hears the input, the machine's output neurons hear neurons alone; put a layer "
        "between"
    ]
    both = with_neurons(net, "layer1", arithmetic=replace(FIRES, reset="zero"))
    assert refused(both) == [
        "layer1: it resets to zero, layer2 by subtraction, the machine all neurons alike; train "
        "with one reset"
    ]
    beyond = with_neurons(net, "layer1", arithmetic=replace(FIRES, fires="gt"))
    assert refused(beyond) == [
        "layer1: line 6 of its update is 'fire fired v gt threshold 1', which the machine does not "
        "compute there; "
        "use machine 'reckon' of lehr.machines, or decay multiply, rounding floor, fires ge, "
        "next_step"
    ]
    assert refused(
        with_neurons(net, "layer1", arithmetic=replace(FIRES, rounding="toward_zero"))
    ) == [
        "layer1: rounding is 'toward_zero', the machine has 'floor'; train with rounding = 'floor'"
    ]
    skip = Network(
        {**net.nodes, "skip": Linear(np.ones((5, 14), np.int8))},
        (*net.edges, (INPUT, "skip"), ("skip", "layer2")),
        net.input,
        10,
    )
    (late,) = refused(skip)
    assert late == (
        "layer2: spikes of layer1 reach it 1 step apart from the others, as each hop takes a step; "
        "put a Delay of 1 step on the way from layer1, or leave that edge out"
    )
    waiting = replace(
        skip,
        nodes={**skip.nodes, "wait": Delay(1)},
        edges=(*(e for e in net.edges), (INPUT, "skip"), ("skip", "wait"), ("wait", "layer2")),
    )
    assert refused(waiting) != []


def test_a_program_of_the_machine_maps_and_another_membrane_does_not() -> None:
    net = chain(14, 9, 5, biases=0)
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        nodes[name] = Neuron(
            neuron.threshold,
            neuron.bias,
            RECKON,
            parameters={"alpha": np.full(len(neuron.bias), 31_000, np.int32)},
        )
    program = replace(net, nodes=nodes)
    alive(program, samples(net))
    assert refused(program) == []
    assert (
        refused(with_neurons(program, "layer1", parameters={"alpha": np.full(9, 20_000, np.int32)}))
        != []
    )


@pytest.mark.slow
# -------------------------------------------------------------------- the runner without its tool
def test_a_missing_verilog_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lehr: Lehr
) -> None:
    monkeypatch.delenv(UPSTREAM.variable, raising=False)
    get = "clone ChFrenkel/ReckOn from GitHub and set LEHR_RECKON_RTL to its folder of Verilog, src"
    assert ReckonRunner().missing() == f"the Verilog of ReckOn is not known here; {get}"
    monkeypatch.setenv(UPSTREAM.variable, str(tmp_path))
    assert ReckonRunner().missing() == f"LEHR_RECKON_RTL is {tmp_path}, where no reckon.v is; {get}"
    net = chain(14, 9, 5)
    (tmp_path / "model.nir").write_bytes(nirfile.to_bytes(net))
    assert (
        lehr("build", tmp_path / "model.nir", "--target", "reckon", "-o", tmp_path / "out").code
        == 0
    )
    ran = lehr("verify", tmp_path / "out")
    assert (ran.code, get in ran.err) == (6, True)


def test_a_damaged_artefact_is_refused(tmp_path: Path) -> None:
    net = chain(14, 9, 5)
    build(net, TARGET, samples(net)).plan.write(tmp_path / "out")
    words = tmp_path / "out" / "spi.hex"
    words.write_bytes(words.read_bytes()[:-9])
    with pytest.raises(FileRefused, match="describes no network on ReckOn"):
        ReckonRunner().run(tmp_path / "out", samples(net))


def test_a_memory_that_does_not_hold_what_was_sent_is_named() -> None:
    dump = np.zeros(DUMPED, np.uint32)
    dump[512 + 7] = 9
    dump[-2:] = 96, 4
    assert misheld(dump, Contents({96: 4}, {1: {}, 3: {7: 9}, 4: {}, 5: {}})) == []
    assert misheld(dump, Contents({96: 5}, {1: {}, 3: {7: 10}, 4: {}, 5: {}})) == [
        "memory 3 holds 00000009 at 7, and 0000000a was sent",
        "register 96 holds 4, and 5 was sent",
    ]


def test_the_fields_are_those_of_the_machine() -> None:
    """A layer in fields has the program of lehr.machines.

    It lacks the shift and what the layer does not have.
    """
    neuron = Neuron(
        np.array([9], np.int32),
        np.array([0], np.int32),
        Arithmetic(**{**LEAK, "fraction_bits": 4}, fires="ge"),
    )
    kinds = [type(s) for s in neuron.program.statements]
    assert [kind for kind in kinds if kind is not kinds[2]] == [
        type(s) for s in RECKON.statements if type(s) is not kinds[2]
    ]
