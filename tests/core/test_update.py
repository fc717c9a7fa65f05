"""Programs: what is derived of them, what they refuse, their text, and what fields they stand for."""

from __future__ import annotations

from itertools import product
from typing import get_args

import numpy as np
import pytest

from lehr.arithmetic import (
    Arithmetic,
    DecayForm,
    Fires,
    Overflow,
    Reset,
    ResetTiming,
    Rounding,
    Synapse,
)
from lehr.errors import FileRefused, NotMappable
from lehr.machines import ADAPTIVE, LOIHI, MACHINES, REFRACTORY, TINYODIN, XYLO
from lehr.network import Neuron
from lehr.programs import program_of, with_decays, with_widths
from lehr.tables import Table
from lehr.update import Add, Bound, Decay, Fire, ForEachEvent, Leak, Program, Put, Statement
from lehr.update_text import lines_of, program_of_lines


def test_states_and_parameters_are_derived() -> None:
    usual = program_of(Arithmetic(decay_numerator=7, decay_shift=3))
    assert (usual.states, usual.parameters) == (("v", "fired"), ("bias", "threshold"))
    assert program_of(Arithmetic(reset_timing="same_step")).states == ("v",), (
        "nothing reads the spikes of the step before"
    )
    assert XYLO.states == ("i", "v"), "d begins each step anew"
    assert XYLO.parameters == ("bias", "dash_mem", "dash_syn", "threshold")
    assert ADAPTIVE.states == ("v", "fired", "a")
    assert REFRACTORY.states == ("v", "r")
    assert TINYODIN.parameters == ("leak", "threshold")
    assert [machine.most_spikes for machine in (LOIHI, XYLO, TINYODIN)] == [1, 31, 255]


def test_what_only_a_loop_writes_is_a_state_for_who_reads_it_behind() -> None:
    loop = ForEachEvent((Add("v", "input"), Fire("v", into="now")))
    assert Program((loop, Add("x", "now"), Put("v", 0, "x"))).states == ("v", "now", "x")


@pytest.mark.parametrize("name", MACHINES)
def test_text_says_a_program(name: str) -> None:
    assert program_of_lines(lines_of(MACHINES[name]), "v") == MACHINES[name]


FIRES: tuple[Fires, ...] = ("gt", "ge")


def test_fields_that_say_the_same_are_one_machine() -> None:
    programs = set()
    fields = product(
        get_args(DecayForm),
        get_args(Rounding),
        get_args(Reset),
        get_args(ResetTiming),
        FIRES,
        get_args(Overflow),
        ((7, 3), (1, 0)),
    )
    count = 0
    for form, rounding, reset, timing, fires, overflow, (k, n) in fields:
        if form == "shift" and n == 0:
            continue
        how = Arithmetic(form, k, n, rounding, reset, timing, fires, 4, 16, overflow)
        programs.add(program_of(how))
        assert program_of_lines(lines_of(program_of(how)), "v") == program_of(how)
        count += 1
    assert (count, len(programs)) == (
        216,
        140,
    )  # without reset its timing says nothing, without leak its rounding
    assert program_of(Arithmetic(decay_numerator=8, decay_shift=3)) == program_of(Arithmetic())


def test_a_synapse_state_stands_before_the_membrane() -> None:
    program = program_of(
        Arithmetic(decay_numerator=7, decay_shift=3, state_bits=16),
        Synapse(decay_numerator=3, decay_shift=2, state_bits=12),
    )
    assert lines_of(program)[:4] == (
        "leak i multiply 3 2 toward_zero",
        "add i input 0",
        "bound i -2048 2047 saturate",
        "leak v multiply 7 3 toward_zero",
    )
    assert program.states == ("i", "v", "fired")


def test_decays_and_widths_can_be_others() -> None:
    usual = program_of(Arithmetic(decay_numerator=7, decay_shift=3, state_bits=16))
    own = with_decays(usual, {"v": Decay("multiply", "decay", 12)})
    assert lines_of(own)[0] == "leak v multiply decay 12 toward_zero"
    assert own.parameters == ("bias", "decay", "threshold")
    without = program_of(Arithmetic(state_bits=16))
    assert with_decays(without, {"v": Decay("multiply", "decay", 12)}) == own
    assert "bound v -128 127 saturate" in lines_of(with_widths(own, {"v": 8}))
    event = program_of(Arithmetic(update="event", reset_timing="same_step"))
    assert lines_of(with_widths(event, {"v": 8})).count("bound v -128 127 saturate") == 2


WRONG: dict[str, tuple[list[str], str]] = {
    "no statement": ([], "update has 0 statements; give 1 to 64"),
    "too many": (["add v input 0"] * 65, "update has 65 statements; give 1 to 64"),
    "no word": (
        ["multiply v 7"],
        "update line 1 is 'multiply v 7', which is no statement here; read it with the lehr that "
        "wrote it",
    ),
    "no end": (
        ["for each event", "add v input 0"],
        "update has no 'end' for its 'for each event'; add it",
    ),
    "two loops": (
        ["for each event", "add v input 0", "end", "for each event", "add v input 0", "end"],
        "update has more than one loop over events; give at most one, and none inside another",
    ),
    "a loop in a loop": (
        ["for each event", "for each event"],
        "update line 2 is 'for each event', which is no statement here; read it with the lehr that "
        "wrote it",
    ),
    "input outside the loop": (
        ["add v input 0", "for each event", "add v input 0", "end"],
        "update takes the input outside its loop over events; take it inside",
    ),
    "idle loop": (
        ["for each event", "add v bias 0", "end"],
        "update statement 1, 'for each event': its body takes no input; add the input in it",
    ),
    "writes input": (
        ["put input 0"],
        "update statement 1, 'put input 0': it writes input, which it is given; use another "
        "register",
    ),
    "input as a level": (
        ["add v input 0", "fire fired v gt input 1"],
        "update statement 2, 'fire fired v gt input 1': it takes input in another place than a "
        "source; put it into a register first",
    ),
    "growing": (
        ["leak v multiply 9 3 floor"],
        "update statement 1, 'leak v multiply 9 3 floor': it grows, by 9/8; use a numerator of at "
        "most 8",
    ),
    "shift of two minds": (
        ["leak v shift 5 3 floor"],
        "update statement 1, 'leak v shift 5 3 floor': its numerator is 5; a decay by shift 3 has "
        "7 there",
    ),
    "leak by a register": (
        ["put k 3", "leak v multiply k 3 floor"],
        "update statement 2, 'leak v multiply k 3 floor': its numerator is the register k; use a "
        "number or a parameter",
    ),
    "deep shift": (
        ["leak v dash 0 17"],
        "update statement 1, 'leak v dash 0 17': its shift is 17; use 0 to 16",
    ),
    "bound turned round": (
        ["bound v 3 -3 saturate"],
        "update statement 1, 'bound v 3 -3 saturate': 3 is above -3; turn them round",
    ),
    "odd wrap": (
        ["bound v -3 3 wrap"],
        "update statement 1, 'bound v -3 3 wrap': it wraps, but not at a number of bits; use the "
        "ends of a two's-complement width",
    ),
    "beyond 32 bits": (
        ["bound v -4294967296 4294967295 saturate"],
        "update statement 1, 'bound v -4294967296 4294967295 saturate': -4294967296 is out of "
        "range;"
        " use whole numbers from -2147483648 to 2147483647",
    ),
    "level 0": (
        ["fire fired v gt 0 1"],
        "update statement 1, 'fire fired v gt 0 1': its level is 0; use at least 1",
    ),
    "256 spikes": (
        ["fire fired v gt 5 256"],
        "update statement 1, 'fire fired v gt 5 256': it fires up to 256 times; use 1 to 255",
    ),
    "counts by a register": (
        ["put level threshold", "add v input 0", "fire fired v gt level 3"],
        "update statement 3, 'fire fired v gt level 3': it counts how often it passes level, a "
        "register; use a parameter or a number",
    ),
    "spikes from nowhere": (
        ["put fired 1"],
        "update statement 1, 'put fired 1': fired holds spikes; change it by fire, by 'put fired "
        "0' and by adding a register that a fire"
        " writes",
    ),
    "times a parameter": (
        ["add v input 0 times bias"],
        "update statement 1, 'add v input 0 times bias': times is bias, which is no register; name "
        "one that the update writes",
    ),
    "no membrane": (
        ["add u input 0"],
        "membrane is 'v', which the update never writes; name one of its registers",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_program_that_breaks_a_limit_is_refused(case: str) -> None:
    lines, message = WRONG[case]
    with pytest.raises(FileRefused) as caught:
        program_of_lines(lines, "v")
    assert str(caught.value) == message


def test_a_statement_of_another_kind_is_refused() -> None:
    class Sparkle(Add):
        pass

    with pytest.raises(
        FileRefused, match="update statement 1 is a Sparkle; use one of the six of lehr.update"
    ):
        Program((Sparkle("v", "input"),))


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (Leak("v", Decay("cube", 3, 0)), "'cube' is none of multiply, shift, dash, linear"),  # type: ignore[arg-type]
        (
            Leak("v", Decay("multiply", 1, 1, "up")),  # type: ignore[arg-type]
            "'up' is none of toward_zero, floor, nearest_even",
        ),
        (Bound("v", -8, 7, "bounce"), "'bounce' is none of saturate, wrap"),  # type: ignore[arg-type]
        (Fire("v", "threshold", "eq"), "'eq' is none of gt, ge"),  # type: ignore[arg-type]
    ],
)
def test_a_word_that_is_none_is_refused(statement: Statement, message: str) -> None:
    with pytest.raises(FileRefused) as caught:
        Program((Add("v", "input"), statement))
    assert str(caught.value).endswith(f": {message}")


ONE = np.ones(2, np.int32)
PARAMETERS: dict[str, tuple[Program, dict[str, list[int]], str]] = {
    "missing": (
        LOIHI,
        {"du": [1, 2]},
        "its update reads dv, which the layer does not hold; give an integer for each channel or "
        "neuron",
    ),
    "not read": (
        LOIHI,
        {"du": [1, 2], "dv": [1, 2], "dw": [1, 2]},
        "it holds dw, which its update does not read; remove it",
    ),
    "written": (
        LOIHI,
        {"u": [1, 2], "du": [1, 2], "dv": [1, 2]},
        "its update writes u, which is a parameter of the layer; use another register",
    ),
    "numerator": (
        LOIHI,
        {"du": [1, 4097], "dv": [1, 2]},
        "'leak u multiply du 12 toward_zero': a numerator is at most 2^shift, but 4097 is above "
        "4096; change one of them",
    ),
    "shift": (
        XYLO,
        {"dash_mem": [1, 17], "dash_syn": [1, 1]},
        "'leak d dash 0 dash_mem': a shift is at most 16, but 17 is above 16; change one of them",
    ),
    "negative": (
        XYLO,
        {"dash_mem": [1, -1], "dash_syn": [1, 1]},
        "'leak d dash 0 dash_mem': a shift is at least 0, but 0 is above -1; change one of them",
    ),
    "floor": (
        MACHINES["dynapcnn"],
        {"floor": [0, 40000]},
        "'bound v floor 32767 saturate': low is at most high, but 40000 is above 32767; change one "
        "of them",
    ),
    "channels": (
        LOIHI,
        {"du": [1, 2, 3], "dv": [1, 2]},
        "its parameters have [2, 3] channels in shapes []; give all of them the same",
    ),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters_that_cannot_be_are_refused(case: str) -> None:
    program, parameters, message = PARAMETERS[case]
    with pytest.raises(FileRefused) as caught:
        Neuron(
            ONE,
            0 * ONE,
            program,
            parameters={name: np.array(value) for name, value in parameters.items()},
        )
    assert str(caught.value) == message


def test_a_parameter_by_neuron_that_is_one_by_channel_is_kept_so() -> None:
    threshold = np.array([[[3, 3], [3, 3]], [[4, 4], [4, 5]]])
    neuron = Neuron(threshold, np.repeat([1, 2], 4).reshape(2, 2, 2), Arithmetic())
    assert neuron.per_neuron == ("threshold",)
    assert neuron.bias.tolist() == [1, 2]
    assert neuron.spread("bias", (2, 2, 2)).tolist() == [[[1, 1], [1, 1]], [[2, 2], [2, 2]]]


def test_fields_are_refused_of_a_program() -> None:
    neuron = Neuron(ONE, 0 * ONE, MACHINES["akida"])
    with pytest.raises(
        NotMappable, match="its update is a program of its own, which no fields of Arithmetic say"
    ):
        _ = neuron.fields


def test_a_table_refuses_what_it_does_not_know_and_a_second_rule() -> None:
    table: Table[type] = Table("the slide rule")
    table.rule(Leak)(Leak)
    with pytest.raises(TypeError, match="the slide rule has two rules for Leak; remove one"):
        table.rule(Leak)(Leak)
    with pytest.raises(
        NotMappable, match="the slide rule computes no Bound; use another target or engine"
    ):
        _ = table[Bound]
    statements: tuple[Statement, ...] = (
        Leak("v", Decay("dash", 0, 3)),
        Put("v", 0),
        Fire("v"),
        Put("v", 1),
    )
    assert table.missing(statements) == ["Put", "Fire"]
