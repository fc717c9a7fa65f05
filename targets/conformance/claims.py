"""Claims of a target about what it computes, and whether a network would notice a false one.

Spikes flow in the network. A value of a field is exercised by a network whose spikes or membranes
are others with each other value of that field; a width by one that needs it; saturation and
wrapping by one that passes both ends of the range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from lehr.arithmetic import (
    MIN_STATE_BITS,
    Arithmetic,
    BiasTo,
    DecayForm,
    Overflow,
    Reset,
    ResetTiming,
    Rounding,
    Synapse,
    Update,
)
from lehr.errors import LehrError
from lehr.network import Delay, Network, Neuron
from lehr.programs import CURRENT
from lehr.simulate import Result, compare, simulate
from lehr.simulate.compare import QUANTITIES, Quantity
from lehr.simulate.reference import Machine, Reached
from lehr.simulate.result import check_input
from lehr.targets.conformance.building import Images
from lehr.targets.contract import Target
from lehr.update import MEMBRANE, Bound, Fire, ForEachEvent, Program, Statement

SYNAPSE_FIELDS = ("decay_form", "rounding", "overflow", "bias_to")
VALUES: Mapping[str, tuple[Any, ...]] = {
    "decay_form": get_args(DecayForm),
    "rounding": get_args(Rounding),
    "reset": get_args(Reset),
    "reset_timing": get_args(ResetTiming),
    "fires": ("gt", "ge"),
    "overflow": get_args(Overflow),
    "update": get_args(Update),
    "bias_to": get_args(BiasTo),
}


@dataclass(frozen=True)
class Claim:
    """One thing that a target says it computes.

    Its `name` is a field of the membrane or the synapse, or `node`, `weights`, ...
    """

    name: str
    value: Any
    synapse: bool = False

    def __str__(self) -> str:
        value = self.value.__name__ if isinstance(self.value, type) else repr(self.value)
        return f"{'synapse ' if self.synapse else ''}{self.name} {value}"


@dataclass(frozen=True)
class Example:
    """Network, samples for it, and the definition's spikes and membranes of all layers."""

    net: Network
    x: Images
    expected: Result


def in_fields(target: Target) -> bool:
    """Return whether a target computes any update in fields."""
    return all(getattr(target.arithmetics, name) for name in target.arithmetics.CHOICES)


def claims_of(target: Target) -> tuple[Claim, ...]:
    """Return all that a target states."""
    machine = target.arithmetics
    claims = [Claim("node", kind) for kind in target.nodes]
    claims += [Claim("weights", kind) for kind in target.weights]
    claims += [Claim("readout", readout) for readout in target.readouts]
    claims += [
        Claim("statement", kind)
        for kind in target.statements
        if machine.to_the_rails or kind is not Bound
    ]
    claims += [Claim("by_neuron", what) for what in target.by_neuron]
    if in_fields(target):
        names = [name for name in machine.CHOICES if name not in _idle_fields(target)]
        claims += [Claim(name, value) for name in names for value in getattr(machine, name)]
        claims.append(Claim("fraction_bits", machine.max_fraction_bits))
        claims += [Claim("state_bits", machine.max_state_bits)] if machine.to_the_rails else []
        if machine.synapse:
            synapse = [
                name for name in SYNAPSE_FIELDS if machine.to_the_rails or name != "overflow"
            ]
            claims += [
                Claim(name, value, True) for name in synapse for value in getattr(machine, name)
            ]
    return tuple(sorted(claims, key=str))


def _idle_fields(target: Target) -> frozenset[str]:
    """Return the fields whose values no network of a target can tell apart.

    Its membranes never leak, remember nothing, or reach no rails.
    """
    kept, shift = (
        target.example_fields.get("decay_numerator"),
        target.example_fields.get("decay_shift", 1),
    )
    idle = {"decay_form", "rounding"} if kept in (0, 1 << shift) else set()
    idle |= {"reset", "reset_timing"} if kept == 0 else set()
    # an update by event has but one
    idle |= {"reset_timing"} if target.arithmetics.update == ("event",) else set()
    return frozenset(idle if target.arithmetics.to_the_rails else {*idle, "overflow"})


def exercised(claim: Claim, example: Example) -> bool:
    """Return whether a network would notice that a target does not compute what it claims."""
    match claim.name:
        case "node":
            return any(type(node) is claim.value for node in example.net.nodes.values())
        case "weights":
            return any(node.kind == claim.value for node in example.net.weighted.values())
        case "readout":
            return bool(example.net.readout == claim.value)
        case "by_neuron" if claim.value == "delays":
            return any(
                isinstance(node, Delay) and not isinstance(node.steps, int)
                for node in example.net.nodes.values()
            )
        case "by_neuron":
            return any(neuron.per_neuron for neuron in example.net.neurons.values())
        case "statement":
            return _needs_statement(example, claim.value)
    return _field_matters(claim, example)


# -------------------------------------------------------------------- fields
def _field_matters(claim: Claim, example: Example) -> bool:
    holders = [
        name
        for name, state in states(example.net, claim.synapse)
        if getattr(state, claim.name) == claim.value
    ]
    if not holders:
        return False
    if claim.value == "never":
        return True  # that its membranes differ is asked of every example
    if claim.name == "state_bits":
        return any(
            _reaches(
                claim,
                example,
                name,
                claim.value - 1 if claim.value > MIN_STATE_BITS else claim.value,
            )
            for name in holders
        )
    if claim.name == "overflow" and not any(
        _passes_both_ends(claim, example, name) for name in holders
    ):
        return False
    changed = list(_with_other_values(claim, example.net, holders))
    return all(differs(example, net) for net in changed) if changed else claim.value == 0


def states(net: Network, synapse: bool) -> Iterator[tuple[str, Arithmetic | Synapse]]:
    """Yield the membranes, or the synapse states, of layers whose update is in fields."""
    for name, neuron in net.neurons.items():
        state = neuron.synapse if synapse else neuron.arithmetic
        if state is not None and not isinstance(state, Program):
            yield name, state


def _with_other_values(claim: Claim, net: Network, holders: list[str]) -> Iterator[Network]:
    """Yield `net` with each other value of a field in those layers.

    Values that contradict the other fields are left out.
    """
    others = (
        [claim.value - 1]
        if claim.name == "fraction_bits"
        else [v for v in VALUES[claim.name] if v != claim.value]
    )
    for other in others:
        fields = {claim.name: other}
        if claim.name == "decay_form" and other == "shift":
            fields["decay_numerator"] = -1
        if other == "event":
            fields["reset_timing"] = "same_step"
        try:
            yield replace(
                net,
                nodes={
                    **net.nodes,
                    **{
                        name: _changed(net.neurons[name], claim.synapse, fields) for name in holders
                    },
                },
            )
        except LehrError:
            continue


def _changed(neuron: Neuron, synapse: bool, fields: dict[str, Any]) -> Neuron:
    state = neuron.synapse if synapse else neuron.fields
    assert state is not None
    if "decay_numerator" in fields:
        fields = {**fields, "decay_numerator": (1 << state.decay_shift) - 1}
    changed: dict[str, Any] = {"synapse" if synapse else "arithmetic": replace(state, **fields)}
    return replace(neuron, **changed)


def differs(example: Example, net: Network, quantities: tuple[Quantity, ...] = QUANTITIES) -> bool:
    """Return whether a spike or a membrane of `net` is another than the example's.

    Where `quantities` says so, only one of the two is compared.
    """
    try:
        got = simulate(net, example.x, trace=net.neurons)
    except LehrError:  # it fires too often to be passed on, say
        return True
    return not compare(example.expected.trace, got.trace, quantities).equal


# -------------------------------------------------------------------- ranges
def _range(claim: Claim, example: Example, name: str) -> tuple[int, int]:
    """Return the least and greatest value of a state before it is brought into its width."""
    held, steps = check_input(example.net, example.x)
    reached: Reached = {}
    machine = Machine(example.net, len(example.x), reached)
    for t in range(steps):
        machine.step((example.x if held else example.x[:, t]).astype(np.int64))
    return reached[name][CURRENT if claim.synapse else MEMBRANE]


def _reaches(claim: Claim, example: Example, name: str, bits: int) -> bool:
    low, high = _range(claim, example, name)
    return low < -(1 << (bits - 1)) or high >= 1 << (bits - 1)


def _passes_both_ends(claim: Claim, example: Example, name: str) -> bool:
    state = dict(states(example.net, claim.synapse))[name]
    low, high = _range(claim, example, name)
    return low < state.lowest and high > state.highest


# -------------------------------------------------------------------- statements
def _needs_statement(example: Example, kind: type) -> bool:
    """Return whether some statement of a kind cannot be left out of a program unnoticed."""
    for name, neuron in example.net.neurons.items():
        if not isinstance(neuron.arithmetic, Program):
            continue
        if kind is ForEachEvent and neuron.by_event:
            return True  # spikes flow, and nothing but the loop takes the input
        if kind is Fire and len(neuron.program.fires) == 1 and example.expected.rates[name] > 0:
            return True  # spikes flow, and nothing else makes any
        for shorter in _without_one(neuron.arithmetic, kind):
            try:
                read = {
                    name: value
                    for name, value in neuron.parameters.items()
                    if name in shorter.parameters
                }
                changed = replace(neuron, arithmetic=shorter, parameters=read)
                net = replace(example.net, nodes={**example.net.nodes, name: changed})
            except LehrError:  # what is left reads what nothing gives it, or has no spikes
                continue
            if differs(example, net):
                return True
    return False


def _without_one(program: Program, kind: type) -> Iterator[Program]:
    for number, statement in enumerate(program.statements):
        if isinstance(statement, ForEachEvent):
            for inner in range(len(statement.body)):
                if type(statement.body[inner]) is kind:
                    yield from _program(
                        program, number, (ForEachEvent(_left(statement.body, inner)),)
                    )
        elif type(statement) is kind:
            yield from _program(program, number, ())


def _program(program: Program, number: int, instead: tuple[Statement, ...]) -> Iterator[Program]:
    try:
        yield Program(
            (*program.statements[:number], *instead, *program.statements[number + 1 :]),
            program.membrane,
        )
    except LehrError:
        return


def _left(statements: tuple[Statement, ...], number: int) -> tuple[Statement, ...]:
    return (*statements[:number], *statements[number + 1 :])
