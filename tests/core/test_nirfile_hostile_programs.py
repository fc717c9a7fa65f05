"""Blocks of programs that nobody vouches for, in bounded time and memory.

Each reads to a network or is refused in one sentence.
"""

from __future__ import annotations

import copy
import json
import time
import tracemalloc
from collections.abc import Callable
from functools import cache
from typing import Any

import nir
import numpy as np
import pytest
from machine_networks import machine_network

from lehr.errors import FileRefused, NotMappable
from lehr.machines import MACHINES
from lehr.network import Network
from lehr.nirfile import from_nir, to_nir
from lehr.nirnodes import BLOCK
from lehr.update_text import line_of

AGAIN = "export the network again with lehr"
Edit = Callable[[dict[str, Any]], object]


@cache
def graph_of(name: str, by_neuron: bool = False) -> nir.NIRGraph:
    net, _ = machine_network(name, spatial=by_neuron, per_neuron=by_neuron)
    return to_nir(net, net.neurons)


def read_with(
    name: str, edit: Edit, by_neuron: bool = False, layer: str = "hidden", stated: bool = True
) -> Network:
    """Read the network of a machine's file in which one block was edited."""
    graph = graph_of(name, by_neuron)
    text = graph.metadata[BLOCK]
    exact = json.loads(text)
    edit(exact["nodes"][layer])
    if not stated:
        del exact["digest"]
    graph.metadata[BLOCK] = json.dumps(exact)
    try:
        return from_nir(graph)
    finally:
        graph.metadata[BLOCK] = text


def put(**fields: Any) -> Edit:
    return lambda block: block.update(fields)


def line(number: int, text: Any) -> Edit:
    """Put another line in place of one of the program."""
    return lambda block: block["update"].__setitem__(number, text)


def parameter(name: str, value: Any) -> Edit:
    return lambda block: block["parameters"].__setitem__(name, value)


NONE_HERE = "which is no statement here; read it with the lehr that wrote it"
REFUSED: dict[str, tuple[Edit, str]] = {
    # lines
    "no lines": (put(update=[]), "update has 0 statements; give 1 to 64"),
    "a word for lines": (
        put(update="step"),
        "update is, or holds, 'step'; give its statements as lines of text",
    ),
    "a number for lines": (
        put(update=3),
        "update is, or holds, 3; give its statements as lines of text",
    ),
    "a line that is a number": (
        line(1, 7),
        "update is, or holds, 7; give its statements as lines of text",
    ),
    "a line that is a list": (
        line(1, ["add v bias 0"]),
        "update is, or holds, ['add v bias 0']; give its statements",
    ),
    "a long line": (
        line(1, "add v bias 0" + " " * 9_000),
        "update is, or holds, 'add v bias 0      ",
    ),
    "too many lines": (
        put(update=["add v bias 0"] * 100_000),
        "update has 100,000 lines; give 1 to 64 statements",
    ),
    "65 statements": (put(update=["add v bias 0"] * 65), "update has 65 statements; give 1 to 64"),
    "another statement": (line(0, "noise u 3"), f"update line 1 is 'noise u 3', {NONE_HERE}"),
    "another form": (
        line(0, "leak u half 1 1 floor"),
        f"update line 1 is 'leak u half 1 1 floor', {NONE_HERE}",
    ),
    "two blanks": (line(1, "add u  input 6"), f"update line 2 is 'add u  input 6', {NONE_HERE}"),
    "a line's end": (
        line(1, "add u input 6\n"),
        f"update line 2 is 'add u input 6\\n', {NONE_HERE}",
    ),
    "other digits": (line(1, "add u input ٦"), f"update line 2 is 'add u input ٦', {NONE_HERE}"),
    "a shift of 17": (line(1, "add u input 17"), f"update line 2 is 'add u input 17', {NONE_HERE}"),
    "a number of eleven digits": (
        line(5, "add v 99999999999 0"),
        f"update line 6 is 'add v 99999999999 0', {NONE_HERE}",
    ),
    "a number of 33 bits": (
        line(5, "add v 4294967296 0"),
        "update statement 6, 'add v 4294967296 0': 4294967296 is out of range; use whole",
    ),
    "a bound turned round": (
        line(6, "bound v 5 -5 saturate"),
        "update statement 7, 'bound v 5 -5 saturate': 5 is above -5; turn them round",
    ),
    "a write to the input": (
        line(1, "add input u 6"),
        "update statement 2, 'add input u 6': it writes input, which it is given; use another",
    ),
    "a write to a parameter": (
        lambda block: (block["update"].__setitem__(1, "add bias u 6"), block.update(bias=[0] * 10)),
        "its update writes bias, which is a parameter of the layer; use another register",
    ),
    "a read of what nothing gives": (
        line(4, "add v w 0"),
        f"has no 'w', which its update needs; {AGAIN}",
    ),
    "spikes by hand": (
        line(4, "add fired u 0"),
        "update statement 5, 'add fired u 0': fired holds spikes; change it by fire, by",
    ),
    "two loops": (
        put(update=["for each event", "add v input 0", "end"] * 2),
        "update has more than one loop over events; give at most one",
    ),
    "a loop in a loop": (
        put(update=["for each event"] * 2),
        f"update line 2 is 'for each event', {NONE_HERE}",
    ),
    "a loop without end": (
        put(update=["for each event", "add v input 0"]),
        "update has no 'end' for its 'for each event'; add it",
    ),
    "an end without a loop": (line(0, "end"), f"update line 1 is 'end', {NONE_HERE}"),
    # the membrane
    "a membrane that nothing writes": (
        put(membrane="w"),
        "membrane is 'w', which the update never writes; name one of its registers",
    ),
    "a membrane that is a parameter": (
        put(membrane="du"),
        "membrane is 'du', which the update never writes; name one of its registers",
    ),
    "spikes for a membrane": (
        put(membrane="fired"),
        "membrane is 'fired', which holds spikes; name another register",
    ),
    "a membrane that is a number": (put(membrane=1), "membrane is 1; name one of the registers"),
    "a long membrane": (put(membrane="v" * 10**6), "membrane is 'vvvvvvv"),
    # parameters
    "no parameters": (
        lambda block: block.pop("parameters"),
        f"has no 'parameters', which its fixed_point block needs; {AGAIN}",
    ),
    "parameters by list": (
        put(parameters=[1, 2]),
        "parameters are [1, 2]; give an integer for each channel or neuron, by name",
    ),
    "a parameter too few": (
        lambda block: block["parameters"].pop("du"),
        f"has no 'du', which its update needs; {AGAIN}",
    ),
    "a parameter too many": (
        parameter("tau", [1] * 10),
        "has 'tau', which its update does not have; remove it",
    ),
    "the bias among them": (
        parameter("bias", [1] * 10),
        "has 'bias', which its update does not have; remove it",
    ),
    "the thresholds among them": (
        parameter("threshold", [1] * 10),
        "has 'threshold', which its update does not have; remove it",
    ),
    "a long name": (parameter("x" * 10**6, [1] * 10), "has 'xxxxxxxxxx"),
    "a parameter below its range": (
        parameter("du", [-1] * 10),
        "'leak u multiply du 12 toward_zero': a numerator is at least 0, but 0 is",
    ),
    "a parameter above its range": (
        parameter("du", [5000] * 10),
        "'leak u multiply du 12 toward_zero': a numerator is at most 2^shift, but",
    ),
    "a parameter of another length": (
        parameter("du", [1] * 9),
        "its parameters have [9, 10] channels in shapes []; give all of them the",
    ),
    "a parameter of another shape": (
        parameter("du", [[1, 2]] * 10),
        "hidden: Neuron has a du of shape (10, 2) but gets (10,); check the",
    ),
    "a number for a parameter": (
        parameter("du", 3),
        "Neuron du has shape (); give one integer per channel, or one per neuron",
    ),
    "an empty parameter": (
        parameter("du", []),
        "Neuron du has dtype float64, not integers; round it to integers first",
    ),
    "a parameter of text": (
        parameter("du", "0000000000"),
        "Neuron du has dtype <U10, not integers",
    ),
    "a parameter of a long text and many numbers": (
        parameter("du", ["x" * 10**6, *[1] * 10**5]),
        "du holds 'xxxxxx",
    ),
    "a parameter by name": (parameter("du", {"0": 1}), "Neuron du has dtype object, not integers"),
    "truth in a list": (parameter("du", [1] * 9 + [True]), "du holds True; give whole numbers"),
    "nothing in a list": (parameter("du", [1] * 9 + [None]), "du holds None; give whole numbers"),
    "a float in a list": (
        parameter("du", [1] * 9 + [1.0]),
        "Neuron du has dtype float64, not integers; round it to integers first",
    ),
    "more than 32 bits": (
        parameter("du", [1] * 9 + [2**40]),
        "Neuron du holds 1099511627776, which int32 cannot; use",
    ),
    "more than 64 bits": (
        parameter("du", [1] * 9 + [2**70]),
        "Neuron du has dtype object, not integers",
    ),
    "rows of several lengths": (
        parameter("du", [[1], [1, 2]]),
        "Neuron du is no array of numbers; give one integer for each place",
    ),
    "deep lists": (
        parameter("du", json.loads("[" * 200 + "1" + "]" * 200)),
        "Neuron du is no array of numbers; give one integer",
    ),
    "truth in the bias": (put(bias=[True] * 10), "bias holds True; give whole numbers"),
    "a bias of another length": (
        put(bias=[0] * 9),
        "Neuron has 10 thresholds and 9 biases; give one of each per channel",
    ),
    # the block
    "another key": (
        put(refractory=2),
        "has 'refractory', which its fixed_point block does not have; remove it",
    ),
    "a schema of the future": (
        put(schema="fixed-point-update/2"),
        "has a fixed_point block of schema 'fixed-point-update/2', not 'fixed-point-cuba/1'; read "
        "it with the lehr that wrote it",
    ),
    # registers
    "doubling": (
        lambda block: block["update"].__setitem__(slice(5, 5), ["add v v 16"] * 3),
        "update statement 8, 'add v v 16': nothing keeps v within 64 bits; bound it",
    ),
    "no end": (
        lambda block: block["update"].append("add total fired 0"),
        "update statement 10, 'add total fired 0': nothing keeps total within 64 bits; bound it",
    ),
    # against NIR's own fields
    "another time constant": (
        line(0, "leak u multiply 9 12 toward_zero"),
        "has 'du', which its update does not have; remove it",
    ),
    "another scale": (line(1, "add u input 5"), "w_in holds "),
    "no current": (
        line(4, "add v input 0"),
        "type is CubaLIF, but the rest of the file makes it LIF; ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_block_that_is_wrong_is_refused_in_one_sentence(case: str) -> None:
    edit, message = REFUSED[case]
    before = time.monotonic()
    tracemalloc.start()
    with pytest.raises(FileRefused) as caught:
        read_with("loihi", edit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sentence = str(caught.value)
    assert sentence.startswith(
        message if message.startswith("hidden: ") else f"hidden: {message}"
    ), sentence
    assert "\n" not in sentence
    assert "; " in sentence
    assert len(sentence) < 400
    assert time.monotonic() - before < 5
    assert peak < 100 << 20


def test_what_is_not_edited_is_read() -> None:
    for name in MACHINES:
        for by_neuron in (False, True):
            net, _ = machine_network(name, spatial=by_neuron, per_neuron=by_neuron)
            assert read_with(name, lambda block: None, by_neuron) == net


def test_an_update_that_fires_without_thresholds_in_the_file_is_refused() -> None:
    graph = copy.deepcopy(graph_of("loihi"))
    kept: Any = graph.nodes["hidden"]
    names = ("tau_syn", "tau_mem", "r", "v_leak", "w_in")
    graph.nodes["hidden"] = nir.CubaLI(**{name: getattr(kept, name) for name in names})
    with pytest.raises(FileRefused) as caught:
        from_nir(graph)
    assert (
        str(caught.value)
        == f"hidden: is of type CubaLI, which has no thresholds, but its update fires; {AGAIN}"
    )


# -------------------------------------------------------------------- a fuzzer
WORDS = [word for line in MACHINES["xylo"].statements for word in line_of(line).split()]
WORDS += [word for line in MACHINES["tinyodin"].statements for word in line_of(line).split()]
WORDS += [
    "w",
    "u",
    "du",
    "0",
    "-1",
    "16",
    "17",
    "65536",
    "2147483647",
    "x" * 40,
    "for each event",
    "end",
    "nearest_even",
    "shift",
    "wrap",
    "gt",
]
VALUES: tuple[Any, ...] = (
    0,
    -1,
    2**31,
    2**63,
    2**64,
    1.5,
    True,
    None,
    "",
    "a\nb",
    [],
    {},
    [[]],
    [1],
    [[1, 2], [3]],
    {"a": 1},
    1e308,
    [[[1]]],
)


def mutated(rng: np.random.Generator, block: dict[str, Any]) -> None:
    """Change one place: a word of a line, a line, a number of a list, or a whole value."""

    def draw(values: Any) -> Any:
        return copy.deepcopy(values[int(rng.integers(len(values)))])

    lines = block.get("update")
    kind = int(rng.integers(9))
    if kind < 5 and isinstance(lines, list) and lines:
        at = int(rng.integers(len(lines)))
        words = str(lines[at]).split(" ")
        place = int(rng.integers(len(words)))
        changes: tuple[Callable[[], object], ...] = (
            lambda: lines.__setitem__(
                at, " ".join([*words[:place], draw(WORDS), *words[place + 1 :]])
            ),
            lambda: lines.pop(at),
            lambda: lines.insert(int(rng.integers(len(lines))), lines[at]),
            lines.reverse,
            lambda: lines.__setitem__(at, draw(VALUES)),
        )
        changes[kind]()
    elif kind < 7:
        arrays = (
            [(block, "bias"), *((block["parameters"], name) for name in block["parameters"])]
            if isinstance(block.get("parameters"), dict)
            else []
        )
        if arrays:
            owner, name = arrays[int(rng.integers(len(arrays)))]
            inner = owner.get(name)
            while isinstance(inner, list) and inner and isinstance(inner[0], list):
                inner = inner[int(rng.integers(len(inner)))]
            if isinstance(inner, list) and inner:
                inner[int(rng.integers(len(inner)))] = (
                    draw(VALUES) if kind == 5 else int(rng.integers(-(2**31), 2**31))
                )
    else:
        name = draw(sorted(block))
        block[name] = draw(VALUES) if kind == 7 else copy.deepcopy(block[draw(sorted(block))])


@pytest.mark.parametrize("count", [600, pytest.param(4000, marks=pytest.mark.slow)])
def test_whatever_a_block_holds_it_is_read_or_refused_by_name(count: int) -> None:
    rng = np.random.default_rng(5)
    read, refused = 0, set[str]()
    for _ in range(count):
        name, by_neuron = str(rng.choice([*MACHINES])), bool(rng.integers(2))

        def edit(block: dict[str, Any]) -> None:
            for _ in range(int(rng.integers(1, 4))):
                mutated(rng, block)

        try:
            net = read_with(
                name,
                edit,
                by_neuron,
                layer=str(rng.choice(["hidden", "out"])),
                stated=bool(rng.integers(2)),
            )
            assert from_nir(to_nir(net, net.neurons)) == net
            read += 1
        except (FileRefused, NotMappable) as error:
            sentence = str(error)
            assert "\n" not in sentence
            assert "; " in sentence
            refused.add(sentence.split(": ", 1)[-1][:18])
    assert read > count // 40
    assert len(refused) > 25
