"""The fast engine on programs: every machine, golden network and random program.

All are as the definition has them, and one unit is caught.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from budgets import budget
from golden_networks import GOLDEN, Golden
from hard_networks import flows
from hypothesis import assume, given
from hypothesis import strategies as st
from machine_networks import machine_network, program_network
from results import require_same
from strategies import Images

from lehr.arithmetic import Arithmetic, Rounding
from lehr.errors import NotMappable
from lehr.machines import MACHINES
from lehr.network import Network, Neuron
from lehr.programs import program_of
from lehr.simulate import Result, compare, simulate
from lehr.simulate.fast import engine
from lehr.simulate.fast.plans.plan import plan
from lehr.simulate.fast.stream import Stream
from lehr.simulate.parts import continued
from lehr.update import Add, Bound, Decay, Fire, ForEachEvent, Leak, Program, Put, Source, Statement
from lehr.update_text import program_of_lines


def require_equal(net: Network, x: Images, cuts: tuple[int, ...] = (5, 6)) -> Result:
    """Run the definition and the fast engine, at once and in pieces, and compare everything.

    Returns the result.
    """
    expected = simulate(net, x, trace=net.neurons)
    require_same(expected, engine.simulate(net, x, trace=net.neurons))
    held = engine.simulate(net, x[:, 0], trace=net.neurons)  # the same input in all steps
    require_same(simulate(net, x[:, 0], trace=net.neurons), held)
    running = Stream(net, len(x), net.neurons)
    require_same(
        expected, continued(net, [running.feed(part) for part in np.split(x, cuts, axis=1)])
    )
    return expected


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make blocks small: even small networks run in several of samples, steps and neurons."""
    monkeypatch.setattr(engine, "SAMPLES", 3)
    monkeypatch.setattr(engine, "LEAST_STEPS", 1)
    monkeypatch.setattr(engine, "MOST_STEPS", 5)
    monkeypatch.setattr("lehr.simulate.fast.plans.layers.CACHE", 1)


@pytest.mark.few(10)
@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("per_neuron", [False, True])
@pytest.mark.usefixtures("small_blocks")
def test_machines_are_exact(name: str, spatial: bool, per_neuron: bool) -> None:
    net, x = machine_network(name, spatial=spatial, per_neuron=per_neuron)
    assert flows(net, require_equal(net, x))


@pytest.mark.few(8)
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_golden_networks_said_as_programs_are_exact(golden: Golden) -> None:
    """Fields and the program that they stand for are computed by the same kernel."""
    default = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
    net, x = golden.make(replace(default, **golden.fields))
    said = {
        name: replace(node, arithmetic=node.program, synapse=None)
        for name, node in net.neurons.items()
    }
    same = replace(net, nodes={**net.nodes, **said})
    expected = simulate(net, x, trace=net.neurons)
    require_same(expected, engine.simulate(net, x, trace=net.neurons))
    require_same(expected, engine.simulate(same, x, trace=net.neurons))
    kernels = [
        [type(op) for stage in plan(each, False, 9).stages for op in stage.ops]
        for each in (net, same)
    ]
    assert kernels[0] == kernels[1]


@pytest.mark.few(3)
# -------------------------------------------------------------------- what a comparison must catch
@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("per_neuron", [False, True])
def test_one_unit_of_any_parameter_is_caught(name: str, per_neuron: bool) -> None:
    net, x = machine_network(name, spatial=True, per_neuron=per_neuron)
    x = np.concatenate([x] * 4, axis=1)
    expected, neuron = simulate(net, x, trace=net.neurons), net.neurons["hidden"]
    for parameter in neuron.program.parameters:
        value = neuron.values[parameter]
        value = value + np.where(value > 1, -1, 1).astype(np.int32)
        given = (
            {parameter: value}
            if parameter in ("threshold", "bias")
            else {"parameters": {**neuron.parameters, parameter: value}}
        )
        changed = replace(net, nodes={**net.nodes, "hidden": replace(neuron, **given)})
        got = engine.simulate(changed, x, trace=net.neurons)
        assert compare(expected.trace, got.trace).first is not None, parameter


def other(s: Statement) -> list[Statement]:
    """Statements one word, one unit or one bit away."""
    match s:
        case Leak(x, decay):
            turned: dict[str, Any] = {
                "toward_zero": "floor",
                "floor": "nearest_even",
                "nearest_even": "toward_zero",
            }
            rounded = (
                [replace(decay, rounding=turned[decay.rounding])]
                if decay.form in ("multiply", "shift")
                else []
            )
            return [Leak(x, each) for each in rounded]
        case Add():
            return [
                replace(s, negative=not s.negative),
                replace(s, shift=s.shift + 1),
                *([replace(s, times="")] if s.times else []),
            ]
        case Put():
            return [replace(s, when="")] if s.when else [Add(s.x, s.source)]
        case Bound(_, low, high):
            assert isinstance(low, int)
            assert isinstance(high, int)
            turned_over: Bound = replace(s, overflow="saturate" if s.overflow == "wrap" else "wrap")
            return [
                turned_over,
                Bound(s.x, 2 * low, 2 * high + 1, s.overflow),
                *([replace(s, high=high - 1)] if s.overflow == "saturate" else []),
            ]
        case Fire():
            return [replace(s, test="ge" if s.test == "gt" else "gt")]
    return []


MUTATED = """
    leak i shift 3 2 floor
    add i input 2
    bound i -32 31 saturate
    leak v multiply 5 3 nearest_even
    add v i 1
    add v bias 0
    subtract v threshold 0 times fired
    bound v -64 63 wrap
    leak a dash 0 1
    leak b linear 2 0
    add a 3 1 times fired
    add b fired 2
    put level threshold
    add level a 0
    add level b 0
    fire fired v ge level 1
    put b 9 when fired
"""


def program(text: str) -> Program:
    return program_of_lines([line.strip() for line in text.strip().splitlines()], "v")


@pytest.mark.slow
def test_each_wrong_operation_is_caught() -> None:
    right = program(MUTATED)
    net, x = program_network(right, 20)
    x = np.concatenate([x] * 5, axis=1)
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    assert expected.saturations["hidden"] > 0
    require_same(expected, engine.simulate(net, x, trace=net.neurons))
    tried = 0
    for at, statement in enumerate(right.statements):
        for wrong in other(statement):
            changed = Program((*right.statements[:at], wrong, *right.statements[at + 1 :]))
            neurons = {
                name: replace(node, arithmetic=changed) for name, node in net.neurons.items()
            }
            got = engine.simulate(
                replace(net, nodes={**net.nodes, **neurons}), x, trace=net.neurons
            )
            same = (
                compare(expected.trace, got.trace).first is None
                and expected.saturations == got.saturations
            )
            assert not same, f"{statement} as {wrong}"
            tried += 1
    assert tried > 25


# -------------------------------------------------------------------- random programs
NAMES = ("v", "i", "a")


def some_of(*sources: Source) -> st.SearchStrategy[Source]:
    return st.sampled_from(sources)


@st.composite
def sources(draw: st.DrawFn) -> Source:
    return draw(
        st.sampled_from((*NAMES, "input", "threshold", "bias", "fired")) | st.integers(-40, 40)
    )


@st.composite
def decays(draw: st.DrawFn) -> Decay:
    form = draw(st.sampled_from(("multiply", "multiply", "shift", "dash", "linear")))
    shift = draw(st.integers(0, 8))
    rounding: Rounding = draw(st.sampled_from(get_args(Rounding)))
    if form == "multiply":
        alike = Decay("multiply", draw(st.integers(0, 1 << shift)), shift, rounding)
        return draw(
            st.sampled_from(
                (
                    alike,
                    alike,
                    Decay("multiply", "decay", 8, rounding),
                    Decay("multiply", "decay", "shift", rounding),
                )
            )
        )
    if form == "shift":
        return Decay("shift", (1 << shift) - 1, shift, rounding)
    if form == "dash":
        return Decay("dash", 0, draw(some_of(shift, "leak")))
    return Decay("linear", draw(some_of(shift, "leak")), 0)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    x, kind = draw(st.sampled_from(NAMES)), draw(st.integers(0, 3))
    if kind == 0:
        return Leak(x, draw(decays()))
    if kind == 1:
        times = draw(st.sampled_from(("", "", "fired", "now")))
        return Add(x, draw(sources()), draw(st.integers(0, 3)), draw(st.booleans()), times)
    if kind == 2:
        return Put(x, draw(sources()), draw(st.sampled_from(("", "fired", "a", "now"))))
    bits = draw(st.integers(5, 24))
    if draw(st.booleans()):
        return Bound(x, -(1 << bits), (1 << bits) - 1, draw(st.sampled_from(("saturate", "wrap"))))
    return Bound(x, draw(some_of(-9, "floor")), draw(st.integers(1, 2000)))


@st.composite
def programs(draw: st.DrawFn, by_event: bool = False) -> Program:
    """Draw programs of all kinds of statements.

    Their registers are brought into a width before they fire.
    """
    some = draw(st.lists(statements(), min_size=1, max_size=7))
    up_to, level = draw(st.sampled_from((1, 1, 3, 255))), draw(some_of("threshold", 7, "a"))
    fire = Fire(
        "v", level if up_to == 1 else "threshold", draw(st.sampled_from(("gt", "ge"))), up_to, "now"
    )
    bounds = tuple(Bound(x, -(1 << 15), (1 << 15) - 1) for x in NAMES)
    resets: tuple[Statement, ...] = (Add("v", "threshold", 0, True, "now"), Put("v", 0, "now"))
    takes: tuple[Statement, ...] = (
        Add("v", "input", 2),
        Add("v", "input", 0, True),
        Put("i", "input"),
        Put("v", "input", "a"),
    )
    reset, take = draw(st.sampled_from(resets)), draw(st.sampled_from(takes))
    if by_event:
        outside = tuple(
            s
            for s in draw(st.lists(statements(), max_size=3))
            if getattr(s, "source", "") != "input"
        )
        body = ForEachEvent((take, *some, *bounds, fire, reset, Add("fired", "now")))
        return Program((Put("fired", 0), *outside, *bounds, body))
    late = draw(st.booleans())
    after = (reset, *some) if late else (*some, reset)
    return Program((take, *after, *bounds, fire, Put("fired", 0), Add("fired", "now")))


def run_both(program: Program, per_neuron: bool, spatial: bool, threshold: int) -> None:
    net, x = program_network(program, threshold, spatial=spatial, per_neuron=per_neuron)
    try:
        expected = simulate(net, x, trace=net.neurons)
    except NotMappable as refused:
        with pytest.raises(NotMappable, match=str(refused).split(":")[0]):
            engine.simulate(net, x)
        return
    require_same(expected, engine.simulate(net, x, trace=net.neurons))
    assume(flows(net, expected))


@budget(6, 133)
@given(programs(), st.booleans(), st.booleans(), st.integers(2, 60))
def test_random_programs_are_exact(
    program: Program, per_neuron: bool, spatial: bool, threshold: int
) -> None:
    run_both(program, per_neuron, spatial, threshold)


@budget(4, 53)
@given(programs(by_event=True), st.booleans(), st.booleans(), st.integers(2, 60))
def test_random_programs_by_event_are_exact(
    program: Program, per_neuron: bool, spatial: bool, threshold: int
) -> None:
    run_both(program, per_neuron, spatial, threshold)


# -------------------------------------------------------------------- the edges
def test_thresholds_and_biases_by_neuron_are_exact_in_fields() -> None:
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
    net, x = program_network(program_of(arithmetic), 12, spatial=True, per_neuron=True)
    fields = {name: replace(node, arithmetic=arithmetic) for name, node in net.neurons.items()}
    assert fields["hidden"].per_neuron == ("threshold", "bias")
    assert flows(net, require_equal(replace(net, nodes={**net.nodes, **fields}), x))


def test_more_spikes_than_a_byte_holds_are_refused() -> None:
    many = program("""
        add v input 8
        add v bias 8
        fire now v ge threshold 255
        put fired 0
        add fired now 0
        add fired now 0
        put v 0
    """)
    net, x = program_network(many, 2)
    neuron = net.neurons["hidden"]
    few, bright = (
        replace(neuron, threshold=np.full(10, level, np.int32), bias=np.full(10, 3, np.int32))
        for level in (21, 1)
    )
    changed = replace(
        net,
        nodes={
            **net.nodes,
            "hidden": few,
            "out": replace(net.neurons["out"], threshold=np.full(5, 2**20)),
        },
    )
    assert int(require_equal(changed, x).trace.spikes["hidden"].max()) > 127
    running = engine.Engine(replace(changed, nodes={**changed.nodes, "hidden": bright}))
    for _ in range(2):
        with pytest.raises(
            NotMappable,
            match=r"^hidden: a neuron fired 510 times in one step, more than 255; raise its threshold$",
        ):
            running.run(x)


def test_a_program_without_fire_integrates() -> None:
    silent = program("leak v multiply 7 3 floor\nadd v input 4\nbound v -200 200 saturate")
    out = Neuron(np.zeros(5, np.int32), np.zeros(5, np.int32), silent)
    hidden, x = program_network(program_of(Arithmetic(decay_numerator=7, decay_shift=3)), 3)
    changed = replace(
        hidden, nodes={**hidden.nodes, "out": out}, readout="membrane_max_argmax_lowest"
    )
    result = require_equal(changed, x)
    assert result.saturations["out"] > 0
    assert int(np.ptp(result.scores)) > 0
