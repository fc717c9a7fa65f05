"""The updates of a recipe's neurons: the arithmetic of each layer, in fields or as a program.

A program comes with its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.machines import MACHINES
from lehr.programs import input_shift, with_decays, with_input_shift
from lehr.train.network_recipe import Integrator, NetworkRecipe
from lehr.update import Decay, Fire, Leak, Program

_ALWAYS = ("threshold", "bias")


@dataclass(frozen=True)
class LayerUpdate:
    """Update of the neurons of one layer.

    Attributes:
        arithmetic: fields, or a program.
        parameters: what the program reads beside threshold and bias, by name.
        fraction_bits: F of its membranes; None where the thresholds' rounding will choose it.
    """

    arithmetic: Arithmetic | Program
    parameters: Mapping[str, int]
    fraction_bits: int | None

    @property
    def integrates(self) -> bool:
        """Whether the neurons never fire."""
        return isinstance(self.arithmetic, Arithmetic) and self.arithmetic.fires == "never"


def update_of(net: NetworkRecipe, number: int) -> LayerUpdate:
    """Return the update of layer `number`, from 0.

    Raises:
        FileRefused: when decay, fields and parameters contradict each other.
    """
    layer, given = net.layers[number], net.arithmetic
    if given is None or given.machine is None:
        return LayerUpdate(
            _fields(net, isinstance(layer, Integrator), layer.fraction_bits or 0),
            {},
            layer.fraction_bits,
        )
    program = MACHINES[given.machine]
    if layer.fraction_bits is not None:
        program = with_input_shift(program, layer.fraction_bits)
    if given.output_spikes is not None and number == len(net.layers) - 1:
        program = _firing_at_most(program, given.output_spikes)
    parameters = {
        name: value if isinstance(value, int) else value[number]
        for name, value in given.parameters.items()
    }
    decay = None if net.decay is None else _decay(program, net.decay)
    if decay is not None:
        register, factor = decay
        program, parameters = _with_decay(program, register, factor, parameters)
    return LayerUpdate(program, parameters, input_shift(program))


def others(program: Program) -> tuple[str, ...]:
    """Return what a program reads beside threshold and bias."""
    return tuple(name for name in program.parameters if name not in _ALWAYS)


def membrane_leak(program: Program) -> Leak | None:
    """Return the statement by which the membrane leaks.

    Its own, or else the last one, where the membrane takes what leaks there.
    """
    leaks = [s for s in program.all if isinstance(s, Leak) and s.decay.form != "linear"]
    own = [s for s in leaks if s.x == program.membrane]
    return own[0] if own else leaks[-1] if leaks else None


def decay_parameters(program: Program) -> set[str]:
    """Return the parameters that set the membrane's decay."""
    leak = membrane_leak(program)
    return (
        set()
        if leak is None
        else {name for name in (leak.decay.numerator, leak.decay.shift) if isinstance(name, str)}
    )


def _fields(net: NetworkRecipe, integrates: bool, fraction_bits: int) -> Arithmetic:
    beta = net.decay
    assert beta is not None, "a recipe without a machine has a beta"
    fields: dict[str, object] = {} if net.arithmetic is None else dict(net.arithmetic.fields)
    if beta == 1:
        fields.pop("decay_form", None)  # without a leak there is no form of one
    shift = beta.denominator.bit_length() - 1
    arithmetic = Arithmetic(
        decay_numerator=beta.numerator,
        decay_shift=shift,
        fraction_bits=fraction_bits,
        **fields,  # type: ignore[arg-type]
    )
    return replace(arithmetic, reset="none", fires="never") if integrates else arithmetic


def _decay(program: Program, beta: Fraction) -> tuple[str, Decay] | None:
    """Return the register that leaks as the membrane, and its decay by `beta`, in numbers."""
    leak = membrane_leak(program)
    if leak is None:
        raise FileRefused(
            f"its membrane has no factor that it leaks by, but network.beta is '{beta}'; leave "
            "beta out"
        )
    form, shift = leak.decay.form, beta.denominator.bit_length() - 1
    if form == "multiply":
        digits = leak.decay.shift if isinstance(leak.decay.shift, int) else shift
        numerator = beta * (1 << digits)
        if numerator.denominator != 1:
            raise FileRefused(
                f"it decays by k/{1 << digits}, but network.beta is '{beta}'; use a beta with at "
                f"most {digits} binary digits"
            )
        return leak.x, replace(leak.decay, numerator=int(numerator), shift=digits)
    if beta.numerator != beta.denominator - 1:
        raise FileRefused(
            f"it decays by 1 - 1/2^n, but network.beta is '{beta}'; use '3/4', '7/8' and so on"
        )
    return leak.x, replace(
        leak.decay,
        numerator=leak.decay.numerator if form == "dash" else (1 << shift) - 1,
        shift=shift,
    )


def _with_decay(
    program: Program, register: str, factor: Decay, parameters: dict[str, int]
) -> tuple[Program, dict[str, int]]:
    """Return the decay as the program has it.

    In its parameters where it takes them for it, in its numbers where not.
    """
    leak = membrane_leak(program)
    assert leak is not None
    pairs = ((leak.decay.numerator, factor.numerator), (leak.decay.shift, factor.shift))
    named = {name: int(value) for name, value in pairs if isinstance(name, str)}
    if named:
        return program, {**parameters, **named}
    return with_decays(program, {register: factor}), parameters


def _firing_at_most(program: Program, spikes: int) -> Program:
    statements = (
        replace(s, up_to=min(s.up_to, spikes)) if isinstance(s, Fire) else s
        for s in program.statements
    )
    return Program(tuple(statements), program.membrane)
