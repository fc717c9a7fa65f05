"""NIR's own fields of a program: the type that has its shape, and floats of which one Euler step is one step of the program."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from lehr.arithmetic import Arithmetic, Synapse
from lehr.machines import MACHINES
from lehr.nirneurons import SLOWEST, TYPES, NirNeuron, nir_neuron
from lehr.programs import program_of
from lehr.simulate import definition
from lehr.update import INPUT, Program
from lehr.update_text import program_of_lines

DT = 1e-3
ONE = np.ones(1, np.int32)


def program(*lines: str, membrane: str = "v") -> Program:
    return program_of_lines(lines, membrane)


def nearest(update: Program, **values: Any) -> NirNeuron:
    """Of one neuron, whose threshold is 1 and whose bias 0 where nothing else is said."""
    given = {
        "threshold": ONE,
        "bias": 0 * ONE,
        **{name: np.array(value, np.int32).reshape(-1) for name, value in values.items()},
    }
    return nir_neuron(update, given)


# -------------------------------------------------------------------- fields, as they always were
DECAYS = (
    ("multiply", 7, 3),
    ("multiply", 222, 8),
    ("multiply", 65535, 16),
    ("multiply", 0, 4),
    ("multiply", 8, 3),
    ("shift", 127, 7),
)
SYNAPSES = (
    None,
    *(
        Synapse(form, k, n, bias_to=to)  # type: ignore[arg-type]
        for (form, k, n), to in product(DECAYS, ("membrane", "synapse"))
        if k < 1 << n
    ),
)


def expected(
    how: Arithmetic, synapse: Synapse | None, theta: Any, bias: Any
) -> tuple[str, dict[str, Any]]:
    """The formulas of docs/arithmetic.md, in the order of operations in which files have always had them."""
    scale, beta = 2.0**how.fraction_bits, how.beta
    fires = {} if how.fires == "never" else {"v_threshold": theta, "v_reset": np.int32(0)}
    last = "I" if how.fires == "never" else "IF"
    if synapse is not None:
        alpha = synapse.beta
        leak = bias / (1 - beta) if synapse.bias_to == "membrane" else 0.0
        names = ("r", "v_leak", "tau_mem", "tau_syn", "w_in")
        values = (1 / (1 - beta), leak, DT / (1 - beta), DT / (1 - alpha), scale / (1 - alpha))
        return f"CubaL{last}", {**dict(zip(names, values, strict=True)), **fires}
    if beta == 1:
        return last, {"r": scale / DT, **fires}
    tau = DT / (1 - beta)
    return f"L{last}", {"r": scale * tau / DT, "tau": tau, "v_leak": bias / (1 - beta), **fires}


@pytest.mark.few(6)
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("fires", ["gt", "ge", "never"])
def test_fields_give_the_floats_that_they_always_gave(
    decay: tuple[Any, int, int], fires: Any
) -> None:
    theta, bias = np.array([40, 7, 2**31 - 1], np.int32), np.array([-5, 0, 123_457], np.int32)
    tried = 0
    for synapse, bits, reset in product(SYNAPSES, (0, 4, 16), ("subtract", "zero", "none")):
        if (fires == "never" and reset != "none") or (
            synapse is not None and decay[1] == 1 << decay[2]
        ):
            continue
        how = Arithmetic(*decay, fraction_bits=bits, fires=fires, reset=reset)  # type: ignore[arg-type]
        kind, fields = expected(how, synapse, theta, bias)
        told = nir_neuron(program_of(how, synapse), {"threshold": theta, "bias": bias})
        assert (told.kind, told.lacks) == (kind, ())
        assert list(told.fields) == list(fields)
        assert set(fields) == set(TYPES[kind])
        for name, value in fields.items():
            wanted = np.asarray(value)
            assert told.fields[name].dtype == wanted.dtype, name
            assert (told.fields[name] == wanted).all(), name
            assert not np.signbit(told.fields[name][told.fields[name] == 0]).any()
        tried += 1
    assert tried >= 3


# -------------------------------------------------------------------- machines
PARAMETERS = {
    "alpha": 30_000,
    "du": 3_000,
    "dv": 2_345,
    "dash_syn": 3,
    "dash_mem": 4,
    "floor": -32_768,
}
KINDS = {
    "akida": "LIF",
    "dynapcnn": "IF",
    "dynapcnn_by_event": "IF",
    "hiaer": "LIF",
    "loihi": "CubaLIF",
    "reckon": "LIF",
    "xylo": "CubaLIF",
}


@pytest.mark.parametrize("name", KINDS)
def test_euler_steps_of_the_floats_are_steps_of_the_machine(name: str) -> None:
    """A membrane of thousands, where nothing fires: only what a decay rounds is between them."""
    update = MACHINES[name]
    bias = (
        37 if "bias" in update.parameters and KINDS[name] != "IF" else 0
    )  # of an IF, NIR has no bias
    values = {
        key: np.array([value], np.int32)
        for key, value in PARAMETERS.items()
        if key in update.parameters
    }
    values |= {"threshold": np.array([2**30], np.int32), "bias": np.array([bias], np.int32)}
    told = nir_neuron(update, values)
    assert (told.kind, told.lacks) == (KINDS[name], ())
    field = {key: value.astype(float) for key, value in told.fields.items()}
    given = {key: value.astype(np.int64) for key, value in values.items()}
    states = {state: np.zeros(1, np.int64) for state in update.states}
    v = current = np.zeros(1)
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(12):
        sent = rng.integers(100, 180)
        events = [np.array([sent])] if update.loop else []
        registers = definition.Registers(
            definition.begin(update, states), {**given, INPUT: np.array([sent])}, events
        )
        definition.run(update, registers)
        assert registers.saturations == 0
        states = {state: registers.values[state] for state in update.states}
        if told.kind == "CubaLIF":
            current = current + DT / field["tau_syn"] * (-current + field["w_in"] * sent)
            v = v + DT / field["tau_mem"] * (field["v_leak"] - v + field["r"] * current)
        elif told.kind == "LIF":
            v = v + DT / field["tau"] * (field["v_leak"] - v + field["r"] * sent)
        else:
            v = v + DT * field["r"] * sent
        assert abs(v - states["v"]).item() <= 40
        seen.append(int(states["v"].item()))
    assert max(seen) > 100
    assert len(set(seen)) > 8


def test_each_neuron_of_a_machine_has_its_own_time_constants() -> None:
    du, dv = np.array([[1024, 2048], [0, 3072]], np.int32), np.array([3072, 2048], np.int32)
    told = nir_neuron(
        MACHINES["loihi"],
        {
            "threshold": np.array([9, 9], np.int32),
            "bias": np.array([1, 2], np.int32),
            "du": du,
            "dv": dv,
        },
    )
    assert (told.kind, told.lacks) == ("CubaLIF", ())
    assert told.fields["tau_syn"].tolist() == [[DT / 0.75, DT / 0.5], [DT, DT / 0.25]]
    assert told.fields["w_in"].tolist() == [[64 / 0.75, 128.0], [64.0, 256.0]]
    assert told.fields["tau_mem"].reshape(-1).tolist() == [DT / 0.25, DT / 0.5]
    assert told.fields["v_leak"].reshape(-1).tolist() == [4.0, 4.0]


def test_a_current_of_the_step_before_drives_the_membrane_as_well() -> None:
    lines = (
        "leak v multiply 7 3 floor",
        "add v i 0",
        "bound v -32768 32767 saturate",
        "leak i multiply 1 1 floor",
        "add i input 2",
    )
    told = nearest(program(*lines, "bound i -512 511 saturate", "fire fired v gt threshold 1"))
    assert (told.kind, told.lacks) == ("CubaLIF", ())
    names = ("r", "v_leak", "tau_mem", "tau_syn", "w_in")
    assert [told.fields[name].item() for name in names] == [8.0, 0.0, DT * 8, DT * 2, 8.0]


def test_a_current_is_scaled_on_its_way_to_the_membrane() -> None:
    told = nearest(
        program(
            "leak i multiply 1 1 floor",
            "add i input 2",
            "leak v multiply 7 3 floor",
            "subtract v i 3",
            "add v 5 0",
        )
    )
    assert (told.kind, told.lacks) == ("CubaLI", ())
    assert [told.fields[name].item() for name in ("r", "v_leak", "w_in")] == [-64.0, 40.0, 8.0]


LEAK, TAKE, FIRE = "leak v multiply 7 3 floor", "add v input 4", "fire fired v gt threshold 1"
LEVELS: dict[str, tuple[Program, dict[str, Any], int, int]] = {
    "a number": (program(LEAK, TAKE, "fire fired v gt 12 1"), {}, 12, 0),
    "another parameter": (program(LEAK, TAKE, "fire fired v gt level 1"), {"level": 13}, 13, 0),
    "a register that holds the threshold": (
        program(LEAK, TAKE, "put l threshold", "fire fired v gt l 1"),
        {"threshold": 14},
        14,
        0,
    ),
    "a reset to a number": (
        program(LEAK, TAKE, FIRE, "put v -6 when fired"),
        {"threshold": 15},
        15,
        -6,
    ),
    "a reset to a parameter": (
        program(LEAK, "put v rest when fired", TAKE, FIRE),
        {"threshold": 16, "rest": -7},
        16,
        -7,
    ),
}


@pytest.mark.parametrize("case", LEVELS)
def test_threshold_and_reset_are_what_the_program_compares_and_puts(case: str) -> None:
    update, values, threshold, reset = LEVELS[case]
    told = nearest(update, **values)
    assert (told.kind, told.lacks) == ("LIF", ())
    assert (
        told.fields["v_threshold"].tolist() == [threshold]
        if "threshold" in update.parameters
        else threshold
    )
    for name, value in (("v_threshold", threshold), ("v_reset", reset)):
        assert told.fields[name].dtype == np.int32
        assert told.fields[name].reshape(-1).tolist() == [value]


SYN = ("leak i multiply 1 1 floor", "add i input 2")
LACKS: dict[str, tuple[Program, str, tuple[str, ...]]] = {
    "two currents": (
        program(
            *SYN,
            "leak j multiply 3 2 floor",
            "add j input 0",
            LEAK,
            "add v i 0",
            "subtract v j 0",
            FIRE,
        ),
        "CubaLIF",
        ("its state j is no current that drives v", "its input goes into v beside i"),
    ),
    "a current that spikes change": (
        program(*SYN, "put i 0 when fired", LEAK, "add v i 0", FIRE),
        "LIF",
        ("its state i is no current that drives v",),
    ),
    "a current that leads nowhere": (
        program(*SYN, LEAK, TAKE, FIRE),
        "LIF",
        ("its state i is no current that drives v",),
    ),
    "a current that the membrane drives": (
        program(*SYN, "add i v 0", LEAK, "add v i 0", FIRE),
        "LIF",
        ("its state i is no current that drives v", "its v is multiplied by 1.875 in a step"),
    ),
    "no leak beside a current": (
        program(*SYN, "add v i 0", FIRE),
        "CubaLIF",
        ("its v does not leak",),
    ),
    "a current that stays": (
        program("add i input 0", LEAK, "add v i 0", FIRE),
        "CubaLIF",
        ("its i does not leak",),
    ),
    "input beside a current": (
        program(*SYN, LEAK, "add v i 0", TAKE, FIRE),
        "CubaLIF",
        ("its input goes into v beside i",),
    ),
    "growth": (program("add v v 0", TAKE, FIRE), "LIF", ("its v is multiplied by 2 in a step",)),
    "a change of sign": (
        program("subtract v v 1", TAKE, FIRE),
        "LIF",
        ("its v is multiplied by -1 in a step",),
    ),
    "two places": (
        program(LEAK, TAKE, FIRE, "fire now v gt 9 1"),
        "LIF",
        ("it fires in 2 places",),
    ),
    "another register": (
        program(LEAK, TAKE, "put w v", "fire fired w gt threshold 1"),
        "LIF",
        ("it fires by w, not by v",),
    ),
    "a condition": (
        program(LEAK, TAKE, "put w v", "put v 0 when w", FIRE),
        "LIF",
        ("v is put to 0 where w is not 0",),
    ),
    "a product": (
        program(LEAK, "put w v", "add v input 0 times w", FIRE),
        "LIF",
        ("input is multiplied by w",),
    ),
    "a threshold that is moved": (
        program(LEAK, TAKE, "put l threshold", "add l 3 0", "fire fired v gt l 1"),
        "LIF",
        ("its threshold l changes",),
    ),
    "a reset to what moves": (
        program(LEAK, "put v input when fired", TAKE, FIRE),
        "LIF",
        ("a spike puts v to what changes",),
    ),
    "beyond floats": (
        program(TAKE, *["add v v 16"] * 63),
        "LI",
        ("its v is multiplied by 2.74", "its r is beyond floating point"),
    ),
}


@pytest.mark.parametrize("case", LACKS)
def test_what_the_nearest_type_lacks_is_said(case: str) -> None:
    update, kind, lacks = LACKS[case]
    told = nearest(update)
    assert told.kind == kind
    assert len(told.lacks) == len(lacks)
    assert all(ours.startswith(wanted) for ours, wanted in zip(told.lacks, lacks, strict=True)), (
        told.lacks
    )
    assert set(told.fields) == set(TYPES[kind])
    assert all(np.isfinite(value).all() for value in told.fields.values())


def test_one_neuron_that_does_not_leak_among_others_that_do_leaks_least() -> None:
    told = nearest(MACHINES["reckon"], alpha=32768)
    assert (told.kind, told.lacks) == ("IF", ())
    told = nir_neuron(
        MACHINES["reckon"],
        {
            "threshold": np.ones(2, np.int32),
            "bias": np.zeros(2, np.int32),
            "alpha": np.array([32768, 2**14]),
        },
    )
    assert (told.kind, told.lacks) == ("LIF", ("its v does not leak",))
    assert told.fields["tau"].tolist() == [DT / (1 - SLOWEST), DT / 0.5]


def test_a_condition_that_is_always_or_never_met_is_none() -> None:
    always = program("put w 1", "put v 0 when w", TAKE, FIRE)
    never = program(LEAK, "put w 0", "put v 0 when w", TAKE, FIRE)
    assert nearest(always).fields["tau"] == DT
    assert nearest(always).lacks == nearest(never).lacks == ()
    assert nearest(never).fields["tau"] == 8 * DT
