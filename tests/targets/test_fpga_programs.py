"""Programs, parameters by neuron and delays by value in Verilog, equal to the definition.

Every spike and membrane is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hard_networks import flows
from machine_networks import machine_network, program_network
from strategies import Builder, Images, random_input, small_network
from verilog import write

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable
from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Delay, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.simulate import compare, simulate
from lehr.targets.fpga import Fpga, reach
from lehr.targets.fpga.engines import Plan
from lehr.targets.fpga.kinds import LIKENESS
from lehr.targets.fpga.runner import FpgaRunner, Simulator
from lehr.targets.fpga.statements import RULES
from lehr.targets.verilog import command, missing
from lehr.update import ForEachEvent, Program
from lehr.update_text import program_of_lines

simulated = pytest.mark.skipif(missing("iverilog") is not None, reason=str(missing("iverilog")))
TAKEN = ("adaptive", "akida", "hiaer", "loihi", "reckon", "refractory")


def run(
    net: Network, x: Images, folder: Path, simulator: Simulator = "iverilog", **options: str
) -> None:
    """Require that the Verilog computes what the definition does, on spikes that flow."""
    result = simulate(net, x, trace=net.neurons)
    assert flows(net, result), result.rates
    write(folder, net, x, **{"lanes": "4", **options})
    compare(result.trace, FpgaRunner(simulator).run(folder, x)).require_equal("fpga")


@pytest.mark.few(1)
# -------------------------------------------------------------------- machines
@simulated
@pytest.mark.parametrize(
    "name",
    ["adaptive", "loihi", "refractory", *(pytest.param(n, marks=pytest.mark.slow) for n in TAKEN)],
)
def test_machines(name: str, tmp_path: Path) -> None:
    """One behind a convolution, one behind a dense layer; parameters by neuron."""
    net, x = machine_network(name, spatial=True, per_neuron=True)
    run(net, x[:2], tmp_path / "out")


@simulated
@pytest.mark.slow
@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("engines", ["shared", "layers"])
def test_machines_with_parameters_by_channel(name: str, engines: str, tmp_path: Path) -> None:
    net, x = machine_network(name, spatial=engines == "shared")
    run(net, x[:2], tmp_path / "out", engines=engines)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adaptive", "refractory"])
def test_machines_in_verilator(name: str, tmp_path: Path) -> None:
    """Of two states, and of counters; to compile one takes ten seconds."""
    if lacking := missing("verilator"):
        pytest.skip(lacking)
    net, x = machine_network(name, spatial=True, per_neuron=True)
    run(net, x[:2], tmp_path / "out", "verilator")


def test_machines_that_count_spikes_or_take_event_by_event_are_refused() -> None:
    for name, most in (("xylo", 31), ("dynapcnn", 255)):
        problems = Fpga().check(machine_network(name)[0])
        assert [str(problem) for problem in problems] == [
            f"{layer}: its neurons fire up to {most} times in a step, the engine keeps a bit; use "
            "a target that counts spikes"
            for layer in ("hidden", "out")
        ]
    for name in ("tinyodin", "dynapcnn_by_event"):
        problem, _ = Fpga().check(machine_network(name)[0])
        assert str(problem).startswith(
            "hidden: its update is a program with ForEachEvent, which the machine does not compute;"
        )
    assert {type(s) for name in TAKEN for s in MACHINES[name].all} == Fpga.statements
    assert ForEachEvent not in Fpga.statements
    assert RULES.kinds == reach.RULES.kinds == LIKENESS.kinds == Fpga.statements


@pytest.mark.slow
def test_what_nothing_bounds_is_refused() -> None:
    program = program_of_lines(
        [
            "add v input 0",
            "add count 1 16",
            "add v count 0",
            "fire fired v gt threshold 1",
            "put v 0",
        ],
        "v",
    )
    net, _ = program_network(program, 40)
    assert (
        str(Fpga().check(replace(net, steps=2_000))[0])
        == "hidden: nothing bounds its count; put a Bound behind what adds to it"
    )
    assert Fpga().check(net) == ()
    wide = program_of_lines(["add v input 16", "add v v 16", "fire fired v gt threshold 1"], "v")
    assert (
        str(Fpga().check(program_network(wide, 40)[0])[0])
        == "hidden: its v comes to more than 32 bits; put a Bound behind what adds to it"
    )


@pytest.mark.slow
@simulated
@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("leak a multiply 15 4 floor", "leak a multiply 14 4 floor"),
        ("leak v multiply 7 3 toward_zero", "leak v multiply 7 3 floor"),
        ("add a 3 4 times fired", "add a 3 3 times fired"),
        ("put level threshold", "put level bias"),
        ("fire fired v ge level 1", "fire fired v gt level 1"),
        ("subtract v threshold 0 times fired", "put v 0 when fired"),
    ],
)
def test_one_changed_statement_is_seen(line: str, other: str, tmp_path: Path) -> None:
    """The circuit of another program differs from the definition of the first.

    It equals that of its own.
    """
    net, x = machine_network("adaptive")
    neuron = net.neurons["out"]
    lines = repr(neuron.program).removeprefix("Program(v: ").removesuffix(")").split("; ")
    changed = program_of_lines([other if present == line else present for present in lines], "v")
    assert changed != neuron.program
    bias = np.abs(neuron.bias) + 1  # a level
    net = replace(net, nodes={**net.nodes, "out": replace(neuron, bias=bias)})
    mutant = replace(
        net, nodes={**net.nodes, "out": replace(neuron, bias=bias, arithmetic=changed)}
    )
    before, after = (simulate(each, x, trace=each.neurons) for each in (net, mutant))
    assert flows(net, before)
    write(tmp_path / "out", mutant, x, lanes="4")
    got = FpgaRunner("iverilog").run(tmp_path / "out", x)
    assert not compare(before.trace, got).equal
    compare(after.trace, got).require_equal("fpga")


# -------------------------------------------------------------------- any program
ROUNDINGS = ("toward_zero", "floor", "nearest_even")


def random_program(rng: np.random.Generator) -> Program:
    """Return a program of some statements on up to four registers, each bounded in the end.

    The first statement takes the input.
    """

    def one(*choices: str) -> str:
        return str(rng.choice(choices))

    def leak(x: str) -> str:
        rounding = one(*ROUNDINGS)
        forms = (
            "multiply 7 3",
            "multiply 11 4",
            "multiply decay shift",
            "shift 7 3",
            "shift 0 shift",
            "multiply 0 2",
        )
        return f"leak {x} " + one(
            *(f"{form} {rounding}" for form in forms if "0 shift" not in form),
            "dash 0 dash_mem",
            "dash 0 2",
            "linear leak 0",
        )

    def add(x: str) -> str:
        source, shift = one("input", "bias", "i", "r", "v", "5", "threshold"), rng.integers(0, 4)
        return f"{one('add', 'subtract')} {x} {source} {shift}" + one(
            "", "", " times fired", " times r"
        )

    def put(x: str) -> str:
        return (
            f"put {x} "
            + one("0", "7", "i", "v", "bias", "threshold")
            + one("", " when fired", " when r", " when v")
        )

    def bound(x: str) -> str:
        return f"bound {x} " + one(
            "-128 127 wrap",
            "-512 511 saturate",
            "floor 300 saturate",
            "0 63 wrap",
            "-2048 2047 saturate",
        )

    def fire(_: str) -> str:
        return f"fire {one('fired', 'fired', 'r')} v {one('gt', 'ge')} {one('threshold', '20')} 1"

    rules: list[Callable[[str], str]] = [leak, add, put, bound, fire]
    chosen = [
        rules[i](one("v", "v", "i", "r")) for i in rng.integers(0, len(rules), rng.integers(2, 9))
    ]
    ends = [
        f"bound {x} {one('-512 511 saturate', '-256 255 wrap', '-2048 2047 saturate')}"
        for x in ("i", "r", "v")
    ]
    last = [
        "fire fired v gt threshold 1",
        *(
            []
            if rng.random() < 0.5
            else [one("put v 0 when fired", "subtract v threshold 0 times fired")]
        ),
    ]
    return program_of_lines(
        [
            f"add {one('v', 'v', 'i')} input {rng.integers(0, 5)}",
            "add v i 0",
            *chosen,
            *ends,
            *last,
        ],
        "v",
    )


def random_programs_network(seed: int) -> tuple[Network, Images]:
    """Two layers of random programs, where spikes flow."""
    for attempt in range(100):
        rng = np.random.default_rng((seed, attempt))
        net, x = program_network(random_program(rng), 40, per_neuron=bool(seed % 2), seed=seed)
        other, _ = program_network(random_program(rng), 40, seed=seed + 1)
        net = replace(net, nodes={**net.nodes, "out": other.nodes["out"]})
        if Fpga().check(net) == () and flows(net, simulate(net, x, trace=net.neurons)):
            return net, x
    raise AssertionError("no spikes flow")


@pytest.mark.few(1)
@simulated
@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 60))]
)
def test_random_programs(seed: int, tmp_path: Path) -> None:
    """Two at once, which share what they have in common."""
    net, x = random_programs_network(seed)
    run(net, x, tmp_path / "out")


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_verilator_has_nothing_to_say_of_programs(seed: int, tmp_path: Path) -> None:
    if lacking := missing("verilator"):
        pytest.skip(lacking)
    folder = write(tmp_path / "out", *random_programs_network(seed))
    done = subprocess.run(
        ["make", "-s", "lint", f"VERILATOR={command('verilator')}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr


# -------------------------------------------------------------------- the usual circuit
def test_the_usual_update_takes_four_stages_and_keeps_a_membrane_alone() -> None:
    """The membrane that a spike left shows the spike, where nothing came after the test.

    Else a bit is kept.
    """
    (usual,) = Plan(small_network()[0], 4).engines
    assert (usual.machine.circuit.stages, usual.machine.circuit.kept_bits) == (4, 20)
    (adaptive,) = Plan(machine_network("adaptive")[0], 4).engines
    assert [kept.register for kept in adaptive.machine.circuit.kept] == ["v", "a", "fired"]
    (reckon,) = Plan(machine_network("reckon")[0], 4).engines
    assert [kept.register for kept in reckon.machine.circuit.kept] == ["v"]


# -------------------------------------------------------------------- delays by value
def delayed(where: str) -> tuple[Network, Images]:
    """Return a convolution, hidden neurons and an output, with a delay in between.

    It is by channel or by value.
    """
    arithmetic = Arithmetic(
        decay_form="shift", decay_numerator=7, decay_shift=3, fraction_bits=4, state_bits=18
    )
    rng = np.random.default_rng(3)
    by_channel, by_neuron = (
        np.array([1, 3, 1, 2], np.int32),
        rng.integers(1, 5, (4, 4, 4)).astype(np.int32),
    )
    builder = Builder(Input((2, 6, 6), "spikes"), rng)
    builder.conv("conv", 4)
    if where == "sums":
        builder.add("late", Delay(by_channel))
    builder.neuron("hidden", arithmetic)
    if where in ("channels", "pooled"):
        builder.add("late", Delay(by_channel))
    if where == "pooled":
        builder.add("pool", SumPool2d((2, 2), (2, 2)))
    if where == "neurons":
        builder.add("late", Delay(by_neuron))
    if where == "features":
        builder.add("flat", Flatten())
        builder.add("late", Delay(by_neuron.ravel()))
    builder.linear("fc", 6)
    if where == "between":
        builder.add("late", Delay(np.arange(1, 7, dtype=np.int32)))
        builder.linear("fc2", 5)
    builder.neuron("out", arithmetic)
    net = builder.network(8)
    return net, random_input(net, np.random.default_rng(4), samples=2)


@pytest.mark.few(1)
@simulated
@pytest.mark.parametrize(
    "where",
    [
        "sums",
        "neurons",
        *(
            pytest.param(w, marks=pytest.mark.slow)
            for w in ("channels", "pooled", "features", "between")
        ),
    ],
)
@pytest.mark.parametrize("engines", ["shared", pytest.param("layers", marks=pytest.mark.slow)])
def test_delays_by_value(where: str, engines: str, tmp_path: Path) -> None:
    net, x = delayed(where)
    run(net, x, tmp_path / "out", engines=engines)


@pytest.mark.slow
@simulated
def test_one_step_more_of_one_value_is_seen(tmp_path: Path) -> None:
    net, x = delayed("neurons")
    steps = np.array(net.nodes["late"].steps)  # type: ignore[attr-defined]
    spikes = simulate(net, x, trace=net.neurons)
    busiest = np.unravel_index(spikes.trace.spikes["hidden"].sum(axis=(0, 1)).argmax(), steps.shape)
    steps[busiest] += 1
    write(tmp_path / "out", replace(net, nodes={**net.nodes, "late": Delay(steps)}), x, lanes="4")
    assert not compare(spikes.trace, FpgaRunner("iverilog").run(tmp_path / "out", x)).equal


def test_delays_within_a_channel_that_a_convolution_follows_are_refused() -> None:
    lif = Neuron(np.full(2, 3, np.int32), np.zeros(2, np.int32), Arithmetic(state_bits=8))
    steps = np.arange(1, 33, dtype=np.int32).reshape(2, 4, 4)
    net = Network(
        {
            "late": Delay(steps),
            "pool": SumPool2d((2, 2), (2, 2)),
            "out": lif,
            "flat": Flatten(),
            "fc": Linear(np.ones((2, 8), np.int8)),
            "end": lif,
        },
        tuple(pairwise((INPUT, "late", "pool", "out", "flat", "fc", "end", OUTPUT))),
        Input((2, 4, 4), "spikes"),
        2,
    )
    expected = "late: its steps differ within a channel, and pool spreads all values of a channel alike; give its steps by channel, or connect it to a dense layer"
    assert {str(problem) for problem in Fpga().check(net)} == {expected}
    with pytest.raises(NotMappable, match="late: its steps differ"):
        assert not Plan(net, 4).engines
